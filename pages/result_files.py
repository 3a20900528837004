"""The files of a gallery, told from those that somebody else put into its folder.

`files.json` lists them, so that those of an earlier and larger gallery can go, but no others.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from pix2pixhd.util.files import replacing, writing

LIST = "files.json"
# `images/a.png`, `images/thumbs/a.jpg`, `real_image/a.png`: nothing outside of the folder.
LISTED = r"(images/thumbs|\w+)/[^/]+"


def plan_files(folder: Path, files: Iterable[str]) -> None:
    """List files that are about to be written: should that be interrupted, the next one knows them.

    A file that is there already, but in no list, is somebody else's until it has been replaced.
    Raises UserError where the folder cannot be written.

    Args:
        folder: of the gallery.
        files: paths in it.
    """
    listed = _read_list(folder)
    there = {path.relative_to(folder).as_posix() for path in folder.glob("*/**/*")}
    _write_list(folder, listed.union(set(files) - there))


def keep_files(folder: Path, files: Iterable[str]) -> None:
    """Remove the listed files that are not among these, and list these; see `plan_files`."""
    kept = set(files)
    for name in _read_list(folder) - kept:
        old = folder / name
        with writing(old):
            old.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # not empty, or gone
            old.parent.rmdir()
    _write_list(folder, kept)


def link_or_copy(source: Path, path: Path) -> None:
    """Make `path` the same file as `source`; a copy where the file system knows no hard links."""
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            os.link(source, path)
            return
    copy_file(source, path)


def copy_file(source: Path, path: Path) -> None:
    """Make `path` a copy of `source`, whole or not at all."""
    with replacing(path) as file, source.open("rb") as original:
        shutil.copyfileobj(original, file)


def _read_list(folder: Path) -> set[str]:
    """The files listed; none where there is no list, or one that is damaged."""
    try:
        names = json.loads((folder / LIST).read_text(encoding="utf-8"))
        return {name for name in names if re.fullmatch(LISTED, name)}
    except (OSError, ValueError, TypeError):
        return set()


def _write_list(folder: Path, files: Iterable[str]) -> None:
    with replacing(folder / LIST) as file:
        file.write(json.dumps(sorted(files), indent=0).encode())
