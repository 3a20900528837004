"""A new run does not overwrite an earlier one."""

from __future__ import annotations

from pathlib import Path

import pytest

from util.errors import UserError
from util.run_folder import set_run_aside, write_all


def test_a_folder_without_weights_stays(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    assert set_run_aside(folder) == []
    write_all(folder, {"opt.txt": "x\n"})
    assert set_run_aside(folder) == []
    assert (folder / "opt.txt").exists()


def test_earlier_runs_are_numbered(tmp_path: Path) -> None:
    folder = tmp_path / "run.name"
    for number in (1, 2):
        write_all(folder, {"latest_net_G.pth": f"run {number}"})
        (line,) = set_run_aside(folder)
        aside = tmp_path / f"run.name.{number}"
        assert str(aside) in line
        assert "--continue_train" in line
        assert not folder.exists()
        assert (aside / "latest_net_G.pth").read_text() == f"run {number}"


def test_write_all(tmp_path: Path) -> None:
    write_all(tmp_path / "new", {"a.txt": "1\n", "b.txt": "é\n"})
    files = (tmp_path / "new").iterdir()
    assert {file.name: file.read_bytes() for file in files} == {
        "a.txt": b"1\n",
        "b.txt": "é\n".encode(),
    }
    with pytest.raises(UserError, match="cannot be written"):
        write_all(tmp_path / "new" / "a.txt", {"c.txt": ""})


def test_a_folder_that_cannot_be_renamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    write_all(tmp_path / "run", {"latest_net_G.pth": ""})
    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(UserError, match=r"run\.1: cannot be written \(Permission denied\)"):
        set_run_aside(tmp_path / "run")
