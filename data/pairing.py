"""Find the images of a folder, and pair the files of several folders by name."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterable
from itertools import chain
from pathlib import Path

from pix2pixhd.util.errors import UserError

Scenes = dict[str, dict[str, list[Path]]]  # folder -> scene -> its files

IMAGE_EXTENSIONS = frozenset(
    {".png", ".jpg", ".jpeg", ".ppm", ".bmp", ".tif", ".tiff", ".webp", ".npy"}
)

# How many names a message shows before it goes on with a count.
SHOWN = 5

# What data sets append to the name of a scene to say which of its maps a file holds.
MAP_SUFFIX = re.compile(
    r"_((gtFine|gtCoarse)_)?"
    r"(leftImg8bit|label(Train)?Ids?|instance(Train)?Ids?|labels?|inst|instance|img|image|mask|L)$",
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
        raise UserError(f"{folder}: no such folder; {_surroundings(folder.parent)}; {hint}")
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


def pair_files(folders: dict[str, list[Path]], dataroot: Path) -> list[tuple[Path, ...]]:
    """Pair files by name: which files of `folders`, named as in `dataroot`, show one scene.

    Names are compared in several ways (`KEYS`), strict ones first, and the first way that leaves
    no file over counts.

    Returns:
        One tuple for each scene, its files in the order of `folders`; scenes in the order of the
        first folder's files.

    Raises:
        UserError: files without a partner, or two files of one folder for one scene, by the way
            of comparing that leaves fewest of them.
    """
    attempts: list[Scenes] = []
    for key in KEYS:
        attempts.append(_by_scene(folders, dataroot, key))
        if not _faults(attempts[-1]):
            break
    best = min(attempts, key=_faults)
    if lines := _problems(best, dataroot):
        raise UserError(lines)
    first, *others = best.values()
    return [(files[0], *(scenes[name][0] for scenes in others)) for name, files in first.items()]


def _by_scene(folders: dict[str, list[Path]], dataroot: Path, key: Callable[[Path], str]) -> Scenes:
    found: Scenes = {}
    for folder, files in folders.items():
        scenes = found[folder] = {}
        for path in files:
            scenes.setdefault(key(path.relative_to(dataroot / folder)), []).append(path)
    return found


def _faults(found: Scenes) -> int:
    """Number of files missing or too many."""
    everywhere = set(chain(*found.values()))
    return sum(
        abs(len(scenes.get(scene, ())) - 1) for scenes in found.values() for scene in everywhere
    )


def _problems(found: Scenes, dataroot: Path) -> list[str]:
    """One line for each folder that lacks files, and for each that has some twice."""
    lacking, twice = [], []
    everywhere = dict.fromkeys(chain(*found.values()))
    for folder, scenes in found.items():
        if missing := [scene for scene in everywhere if scene not in scenes]:
            have = sum(len(files) for files in scenes.values())
            partners = [
                f"{other}/{theirs[scene][0].relative_to(dataroot / other).as_posix()}"
                for scene in missing
                for other, theirs in found.items()
                if scene in theirs
            ]
            owners = dict.fromkeys(name.split("/", 1)[0] for name in partners)
            lacking.append(
                f"{dataroot / folder}: holds {have} files, but none for {len(missing)} of "
                f"{' and '.join(owners)}: {first_few(partners)}; "
                "files are paired by name: add what is missing or remove what is too much"
            )
        if same := [files for files in scenes.values() if len(files) > 1]:
            names = first_few(" and ".join(path.name for path in files) for files in same)
            twice.append(
                f"{dataroot / folder}: {len(same)} names stand for more than one file "
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


def _surroundings(root: Path) -> str:
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
