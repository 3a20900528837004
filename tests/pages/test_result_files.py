"""Which files in a gallery's folder are the gallery's own."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from pix2pixhd.pages.result_files import LIST, keep_files, link_or_copy, plan_files


def write(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)


def test_only_listed_files_go(tmp_path: Path) -> None:
    write(tmp_path, "images/mine.png")
    plan_files(tmp_path, ["images/a.png", "images/mine.png", "real_image/a.png"])
    write(tmp_path, "images/a.png", "real_image/a.png", "images/later.png")
    keep_files(tmp_path, [])
    left = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")}
    assert left == {LIST, "images", "images/mine.png", "images/later.png"}


def test_a_file_that_was_replaced_is_listed(tmp_path: Path) -> None:
    write(tmp_path, "images/a.png")
    plan_files(tmp_path, ["images/a.png"])
    keep_files(tmp_path, ["images/a.png"])
    keep_files(tmp_path, [])
    assert not (tmp_path / "images").exists()


@pytest.mark.parametrize(
    "text", ["", "[3]", '{"a": ', '["../b.png", "/b.png", "images/../../b.png"]']
)
def test_a_damaged_list_removes_nothing(tmp_path: Path, text: str) -> None:
    folder = tmp_path / "folder"
    write(tmp_path, "b.png", "folder/index.html", f"folder/{LIST}")
    (folder / LIST).write_text(text)
    keep_files(folder, [])
    assert (tmp_path / "b.png").is_file() and (folder / "index.html").is_file()
    assert json.loads((folder / LIST).read_text()) == []


def test_a_copy_where_there_are_no_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "a", "folder/b")

    def refuse(*_: object) -> None:
        raise OSError("not permitted")

    monkeypatch.setattr(os, "link", refuse)
    link_or_copy(tmp_path / "a", tmp_path / "folder/b")
    assert (tmp_path / "folder/b").read_text() == "a"
    assert not (tmp_path / "folder/b").samefile(tmp_path / "a")
