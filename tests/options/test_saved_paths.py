"""Paths among a run's saved options: found from other folders, and told where they are gone."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pix2pixhd.options.fields import flat
from pix2pixhd.options.parsing import parse_test, parse_train
from pix2pixhd.options.saved import options_texts, require_paths
from pix2pixhd.util.errors import UserError

GOES_ON = "--continue_train"
PATHS = {
    "dataroot": "d/ata",
    "cache": "c",
    "label_names": "names.json",
    "vgg_weights": "vgg.pth",
}


@pytest.fixture
def save(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Makes ./checkpoints/label2city with the options of a command line; returns its file."""
    monkeypatch.chdir(tmp_path)

    def write(line: str) -> Path:
        folder = Path("checkpoints/label2city")
        folder.mkdir(parents=True)
        for name, text in options_texts(parse_train(line.split())).items():
            (folder / name).write_text(text)
        return folder / "options.json"

    return write


@pytest.fixture
def moved(
    save: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> list[str]:
    """A run with relative paths, moved to another folder; the flags for it in a third one."""
    save(" ".join(f"--{name} {path}" for name, path in PATHS.items()))
    for folder in ("moved", "work"):
        (tmp_path / folder).mkdir()
    (tmp_path / "checkpoints").rename(tmp_path / "moved/checkpoints")
    monkeypatch.chdir(tmp_path / "work")
    return ["--checkpoints_dir", "../moved/checkpoints"]


@pytest.mark.parametrize(
    ("there", "taken"),
    [
        ([""], ""),
        (["moved"], "moved"),
        (["", "moved"], ""),
        (["", "moved", "work"], None),
        ([], None),
    ],
)
def test_relative_paths_are_found_from_another_folder(
    there: list[str],
    taken: str | None,
    moved: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for folder in there:
        for path in PATHS.values():
            (tmp_path / folder / path).mkdir(parents=True)
    found = flat(parse_train([*moved, GOES_ON]))
    places = {n: p if taken is None else str(tmp_path / taken / p) for n, p in PATHS.items()}
    assert {name: found[name] for name in PATHS} == places
    file = "../moved/checkpoints/label2city/options.json"
    lines = [
        f"{name} {path} of {file} is not below this folder: taking {places[name]}"
        for name, path in PATHS.items()
    ]
    assert capsys.readouterr().out.splitlines() == (lines if taken is not None else [])


def test_what_is_given_is_taken_as_it_is_given(
    moved: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in PATHS.values():
        (tmp_path / path).mkdir(parents=True)
    given = [word for name, path in PATHS.items() for word in (f"--{name}", path)]
    found = flat(parse_train([*moved, GOES_ON, *given]))
    assert {name: found[name] for name in PATHS} == PATHS
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("options.json", {"dataroot": "data"}),
        ("options.json", {"dataroot": "data", "cwd": 5}),
        ("options.json", {"dataroot": "data", "cwd": "/no/such"}),
        ("opt.txt", "dataroot: data\n"),
    ],
)
def test_without_the_old_folder_they_are_found_beside_the_runs(
    file: str, text: str | dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("checkpoints/label2city", "data", "work"):
        (tmp_path / folder).mkdir(parents=True)
    text = text if isinstance(text, str) else json.dumps(text)
    (tmp_path / "checkpoints/label2city" / file).write_text(text)
    monkeypatch.chdir(tmp_path / "work")
    dataroot = Path(parse_test(["--checkpoints_dir", "../checkpoints"]).data.dataroot)
    assert dataroot.samefile(tmp_path / "data")


LOST = [
    ("dataroot", "/nowhere", "--dataroot FOLDER", "--dataroot ."),
    ("dataroot", "no/where", "--dataroot FOLDER", "--dataroot ."),
    ("label_names", "/no/names", "--label_names FILE, or --label_names None", "--label_names None"),
    ("vgg_weights", "/no/vgg", "--vgg_weights FILE, or --no_vgg_loss", "--no_vgg_loss"),
    ("cache", "/dev/null/c", "--cache FOLDER, or --cache None", "--cache None"),
]


@pytest.mark.parametrize(("name", "path", "remedy", "cure"), LOST)
def test_a_path_that_is_gone_is_told_with_its_file_and_flag(
    name: str, path: str, remedy: str, cure: str, save: Callable[[str], Path]
) -> None:
    file = save(f"--dataroot . --{name} {path}")
    options = parse_train([GOES_ON])
    with pytest.raises(UserError) as caught:
        require_paths(options)
    assert caught.value.problems == [
        f"{file}: the run's {name} {path} is not to be found; give {remedy}"
    ]
    require_paths(parse_train([GOES_ON, *cure.split()]))
    require_paths(parse_train([GOES_ON, f"--{name}", "/gone/too"]))  # told by who reads it
    require_paths(replace(options, run=replace(options.run, name="new")))


def test_a_cache_that_is_gone_is_made_again(save: Callable[[str], Path]) -> None:
    save("--dataroot . --cache gone/for/long")
    require_paths(parse_train([GOES_ON]))
