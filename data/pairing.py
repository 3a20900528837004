"""Find the images of a folder, and pair the files of several folders by name."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from pix2pixhd.util.errors import UserError

IMAGE_EXTENSIONS = frozenset(
    {".png", ".jpg", ".jpeg", ".ppm", ".bmp", ".tif", ".tiff", ".webp", ".npy"}
)

# How many names a message shows before it goes on with a count.
SHOWN = 5

# What data sets append to the name of a scene to say which of its maps a file holds.
SUFFIXES = {
    "label": "labelIds?|labels?|mask|L",
    "label_train": "labelTrainIds?",
    "inst": "instanceIds?|instance|inst",
    "inst_train": "instanceTrainIds?",
    "image": "leftImg8bit|image|img",
    "colour": "colou?rs?",
}
MAP_SUFFIX = re.compile(
    "_(?:(?:gtFine|gtCoarse)_)?(?:"
    + "|".join(f"(?P<{kind}>{suffix})" for kind, suffix in SUFFIXES.items())
    + ")$",
    re.IGNORECASE,
)

# What names are compared by, from strict to lenient: a path relative to its folder -> its scene.
KEYS: tuple[Callable[[Path], str], ...] = (
    lambda path: path.with_suffix("").as_posix(),  # aachen/A_img.png -> aachen/A_img
    lambda path: MAP_SUFFIX.sub("", path.with_suffix("").as_posix()).casefold(),  # -> aachen/a
    lambda path: MAP_SUFFIX.sub("", path.stem).casefold(),  # -> a
)


def list_images(
    folder: Path,
    hint: str = "check --dataroot and --phase",
    extensions: Collection[str] = IMAGE_EXTENSIONS,
) -> list[Path]:
    """All images below `folder`, in the order of `sorted` on their paths as strings.

    Sub-folders are walked (Cityscapes keeps one per city), links to folders too. Hidden files and
    folders and files of other extensions are passed over.

    Args:
        hint: the likely fix, should there be none.
        extensions: what the names of images end with, in lower case.

    Raises:
        UserError: there is no such folder, no image in it, or a pipe or device called one.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; {surroundings(folder.parent)}; {hint}")
    images = [path for path in _walk(folder) if path.suffix.lower() in extensions]
    if not images:
        others = sorted({path.suffix or path.name for path in _walk(folder)})
        found = f"only {first_few(others)}" if others else "an empty folder"
        known = " ".join(sorted(extensions))
        raise UserError(f"{folder}: no images ({found}), expected files of {known}; {hint}")
    for path in images:
        # A pipe would be waited for without end. Links to nothing are told when they are read.
        if not os.path.isfile(path) and os.path.exists(path):  # noqa: PTH110, PTH113 (never raise)
            raise UserError(f"{path}: a pipe, socket or device, expected a file; remove it")
    return sorted(images, key=str)


class Files(NamedTuple):
    """The files of one map of all scenes."""

    map: str  # label, inst, image, ...
    name: str  # what messages call them: train_label
    folder: Path  # where their own names begin
    paths: list[Path]


Scenes = list[dict[str, list[Path]]]  # for each map: scene -> its files


def kind_of_file(path: Path) -> str | None:
    """Which of SUFFIXES the file's name says that it is."""
    found = MAP_SUFFIX.search(path.stem)
    return found.lastgroup if found else None


def pair_files(maps: Sequence[Files], dataroot: Path) -> list[tuple[Path, ...]]:
    """Pair files by name: which files of `maps`, named as in `dataroot`, show one scene.

    Where a folder holds several files for a scene, those of its own kind count, by `SUFFIXES`.
    Names are compared in several ways (`KEYS`), strict ones first, and the first way that leaves
    no file over counts.

    Returns:
        One tuple for each scene, its files in the order of `maps`; scenes in the order of the
        first map's files.

    Raises:
        UserError: files without a partner, or two files of one map for one scene, by the way
            of comparing that leaves fewest of them.
    """
    attempts: list[Scenes] = []
    for also_of_no_kind in (True, False):
        paths = [of_its_kind(files, also_of_no_kind) for files in maps]
        for key in KEYS:
            attempts.append(
                [_by_scene(of, at.folder, key) for of, at in zip(paths, maps, strict=True)]
            )
            if not _faults(attempts[-1]):
                return [
                    tuple(scenes[name][0] for scenes in attempts[-1]) for name in attempts[-1][0]
                ]
    raise UserError(_problems(min(attempts, key=_faults), maps, dataroot))


def of_its_kind(files: Files, also_of_no_kind: bool = True) -> list[Path]:
    """The files without those that are of another kind than a file of the same scene, which is of
    the kind that the map needs; those whose names tell no kind may stay or not."""
    left_out: set[Path] = set()
    for paths in _by_scene(files.paths, files.folder, KEYS[1]).values():
        kinds = {path: kind_of_file(path) for path in paths}
        own = next((k for k in (files.map, f"{files.map}_train") if k in kinds.values()), None)
        stay = {own, None} if also_of_no_kind else {own}
        if own is not None:
            left_out.update(path for path, kind in kinds.items() if kind not in stay)
    return [path for path in files.paths if path not in left_out]


def _by_scene(
    paths: Iterable[Path], folder: Path, key: Callable[[Path], str]
) -> dict[str, list[Path]]:
    scenes: dict[str, list[Path]] = {}
    for path in paths:
        scenes.setdefault(key(path.relative_to(folder)), []).append(path)
    return scenes


def _faults(found: Scenes) -> int:
    """Number of files missing or too many."""
    everywhere = set(chain(*found))
    return sum(abs(len(scenes.get(scene, ())) - 1) for scenes in found for scene in everywhere)


def _problems(found: Scenes, maps: Sequence[Files], dataroot: Path) -> list[str]:
    """One line for each map that lacks files, and for each that has some twice."""
    lacking, twice = [], []
    everywhere = dict.fromkeys(chain(*found))
    for files, scenes in zip(maps, found, strict=True):
        if missing := [scene for scene in everywhere if scene not in scenes]:
            have = sum(len(paths) for paths in scenes.values())
            partners = [
                (other.name, theirs[scene][0].relative_to(dataroot).as_posix())
                for scene in missing
                for other, theirs in zip(maps, found, strict=True)
                if scene in theirs
            ]
            owners = dict.fromkeys(name for name, _ in partners)
            lacking.append(
                f"{dataroot / files.name}: holds {have} files, but none for {len(missing)} of "
                f"{' and '.join(owners)}: {first_few(path for _, path in partners)}; "
                "files are paired by name: add what is missing or remove what is too much"
            )
        if same := [paths for paths in scenes.values() if len(paths) > 1]:
            names = first_few(" and ".join(path.name for path in paths) for paths in same)
            twice.append(
                f"{dataroot / files.name}: {len(same)} names stand for more than one file "
                f"({names}); keep one of each"
            )
    return lacking + twice


def _walk(folder: Path) -> list[Path]:
    """All files below `folder` that are not hidden; of folders linked in a circle, each once."""
    found = []
    visited: set[Path] = set()
    for at, folders, names in os.walk(folder, followlinks=True):
        visited.add(Path(at).resolve())
        shown = [name for name in folders if not name.startswith(".")]
        folders[:] = [name for name in shown if Path(at, name).resolve() not in visited]
        found += [Path(at, name) for name in names if not name.startswith(".")]
    return found


def surroundings(root: Path) -> str:
    """What there is where a folder was looked for."""
    if not root.is_dir():
        return f"there is no {root} either"
    folders = sorted(path.name for path in root.iterdir() if path.is_dir())
    return f"{root} holds {first_few(folders)}" if folders else f"{root} holds no folders"


def first_few(names: Iterable[str]) -> str:
    """The first few names, and how many more there are."""
    known = list(names)
    more = f", ... and {len(known) - SHOWN} more" if len(known) > SHOWN else ""
    return ", ".join(known[:SHOWN]) + more
