"""Who may import whom (docs: the floors of the house)."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = {
    "util": {"util"},
    "options": {"options", "util"},
    "data": {"data", "util", "options"},
    "models": {"models", "util", "options"},
    "metrics": {"metrics", "util", "options"},
    "pages": {"pages", "util", "options"},
    "engine": {"engine", "pages", "metrics", "data", "models", "util", "options"},
    "editor": {"editor", "engine", "pages", "data", "models", "util", "options"},
}
ENTRY_SCRIPTS = {file.stem for file in ROOT.glob("*.py")}
PROJECT = {*ROOMS, *ENTRY_SCRIPTS, "datasets", "scripts", "tests"}


def imported(file: Path, parts: int = 1) -> Iterator[str]:
    """The first names of every module that the file imports, wherever in it; of ours, those below
    `pix2pixhd`."""
    for node in ast.walk(ast.parse(file.read_text())):
        modules: list[str] = []
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            modules = [node.module or ""]
        for module in modules:
            yield ".".join(module.removeprefix("pix2pixhd.").split(".")[:parts])


UTIL = list((ROOT / "util").glob("*.py"))
FILES = [file for room in ROOMS for file in sorted((ROOT / room).rglob("*.py"))]


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_a_room_imports_only_what_lies_below_it(file: Path) -> None:
    room = file.relative_to(ROOT).parts[0]
    names = set(imported(file))
    assert names & PROJECT <= ROOMS[room]
    if room == "options":
        assert names - ROOMS[room] <= sys.stdlib_module_names | {"tyro", "docstring_parser"}
        assert set(imported(file, parts=2)) & {f"util.{f.stem}" for f in UTIL} <= {"util.errors"}


def test_there_are_rooms_and_scripts() -> None:
    assert {file.relative_to(ROOT).parts[0] for file in FILES} == set(ROOMS)
    assert {"train", "test"} <= ENTRY_SCRIPTS
