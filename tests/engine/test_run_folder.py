"""A new run does not overwrite an earlier one."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from pix2pixhd.engine.run_folder import locked, set_run_aside, write_all
from pix2pixhd.util.errors import UserError


def test_a_folder_without_weights_stays(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    assert set_run_aside(folder) == []
    write_all(folder, {"opt.txt": "x\n"})
    assert set_run_aside(folder) == []
    assert (folder / "opt.txt").exists()


def test_earlier_runs_carry_the_date_of_their_last_file(tmp_path: Path) -> None:
    folder = tmp_path / "run.name"
    for number, ending in enumerate(("", "_2", "_3")):
        write_all(folder, {"latest_net_G.pth": f"run {number}", "metrics.jsonl": ""})
        then = time.mktime((2026, 11, 24, 14, 12, 30, 0, 0, -1))
        os.utime(folder / "latest_net_G.pth", (then, then))
        os.utime(folder / "metrics.jsonl", (then - 86_400, then - 86_400))
        (line,) = set_run_aside(folder)
        aside = tmp_path / f"run.name.2026-11-24_1412{ending}"
        assert f"now in {aside} (--continue_train" in line
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
    with pytest.raises(UserError, match=r"run\.20[-0-9_]+: cannot .* \(Permission denied\)"):
        set_run_aside(tmp_path / "run")


def test_a_folder_that_is_held_is_neither_held_again_nor_renamed(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    write_all(folder, {"latest_net_G.pth": ""})
    refused = pytest.raises(UserError, match="another process is training")
    with locked(folder), refused, locked(folder, 0.1):
        pass
    with locked(folder, 0.1):
        pass
    child = (
        "import sys, time; from pathlib import Path\n"
        "from pix2pixhd.engine.run_folder import locked\n"
        "with locked(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    )
    root = Path(__file__).parents[2]
    words = [sys.executable, "-c", child, str(folder)]
    with subprocess.Popen(words, cwd=root, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        with pytest.raises(UserError, match="another process"), locked(folder, 0.1):
            pass
        process.kill()
    with locked(folder):  # let go of, though nobody said so
        assert set_run_aside(tmp_path / "other") == []


def test_a_folder_that_is_renamed_while_another_waits_is_not_what_it_gets(tmp_path: Path) -> None:
    """The lock is of the folder, not of its name."""
    folder, entered = tmp_path / "run", threading.Event()

    def wait_for_it() -> None:
        with locked(folder):
            (folder / "mine").touch()
            entered.set()

    waiting = threading.Thread(target=wait_for_it)
    with locked(folder):
        waiting.start()
        time.sleep(0.5)
        folder.rename(tmp_path / "run.1")
    waiting.join(timeout=20)
    assert entered.is_set()
    assert (tmp_path / "run/mine").exists()
    assert not (tmp_path / "run.1/mine").exists()


def test_a_run_killed_within_its_first_save_is_set_aside(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run/latest_state.pth").write_bytes(b"")
    assert set_run_aside(tmp_path / "run")
    assert list(tmp_path.glob("run.20*/latest_state.pth"))
