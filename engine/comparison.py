"""`evaluate.py compare`: the results of runs, found in their folders and joined by name."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pix2pixhd.options.compare_options import CompareOptions
from pix2pixhd.pages.compare_page import Column, Row, write_compare_page
from pix2pixhd.pages.gallery import natural
from pix2pixhd.pages.html import Picture, image_size, in_words, remove_stale
from pix2pixhd.util.errors import UserError
from pix2pixhd.util.image import save_thumbnail, thumbnail_size
from pix2pixhd.util.image_writer import ImageWriter
from pix2pixhd.util.words import counted

# Pictures that browsers show.
ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif")
RESULT = "synthesized_image"  # of several styles the first
BESIDE = ("input_label", "real_image")  # what results stand beside
THUMBNAIL_WIDTH = 512


@dataclass(frozen=True)
class Results:
    """The images of a run, {name of the image: file}, what they stand beside, and its figures."""

    name: str
    images: Mapping[str, Path]
    beside: Mapping[str, Mapping[str, Path]] = field(default_factory=dict)  # by BESIDE
    metrics: Mapping[str, Any] = field(default_factory=dict)
    protocol: Mapping[str, Any] = field(default_factory=dict)


def run(options: CompareOptions) -> None:
    """Write the page of a comparison, and print where it is and what it leaves out.

    Raises:
        UserError: a run has no results, the runs have no image in common, or a file is at fault.
    """
    runs = [read_results(name, folder) for name, folder in options.folders.items()]
    names, notes = in_common(runs)
    shown = names[: options.how_many]
    if len(shown) < len(names):
        notes.append(f"{len(shown)} of {len(names)} images; --how_many {len(shown)} left out more")
    write_comparison(options.page_file, runs, shown, notes)
    for note in notes:
        print(note)
    print(f"comparison: {options.page_file}")


def read_results(name: str, folder: Path) -> Results:
    """The results in a folder: of a gallery, ours or the reference's, or of plain images.

    Raises:
        UserError: there are none, or its metrics.json cannot be read.
    """
    files = [file for where in (folder / "images", folder) for file in _pictures(where)]
    pattern = re.compile(rf"(.+)_({'|'.join([RESULT, *BESIDE])})")
    found: dict[str, dict[str, Path]] = {}
    for file in files:
        if match := pattern.fullmatch(file.stem):
            found.setdefault(match[2], {}).setdefault(match[1], file)
    plain = {file.stem: file for file in _pictures(folder)}
    images = found.get(RESULT) or plain
    if not images:
        remedy = f"run test.py or evaluate.py --name {name} first, or give {name}=DIR"
        what = "holds no images" if folder.is_dir() else "no such folder"
        raise UserError(f"{folder}: {what} of the run {name!r}; {remedy}")
    beside = {kind: found[kind] for kind in BESIDE if kind in found and RESULT in found}
    read = _read_metrics(folder / "metrics.json")
    metrics = {
        figure: {**values, "per_image": _by_file(values.get("per_image") or {}, images)}
        for figure, values in read.get("metrics", {}).items()
    }
    return Results(name, images, beside, metrics, read.get("protocol", {}))


def in_common(runs: Sequence[Results]) -> tuple[list[str], list[str]]:
    """The images that all runs have, in natural order, and a line that tells of the others.

    Raises:
        UserError: there are none.
    """
    common = set.intersection(*(set(run.images) for run in runs))
    if not common:
        first = ", ".join(f"{run.name} has {min(run.images, key=natural)}" for run in runs)
        told = "the runs have no image in common by name"
        raise UserError(f"compare: {told} ({first}); results of the same inputs are compared")
    more = [
        f"{run.name} has {left} more"
        for run in runs
        if (left := len(run.images.keys() - common))
    ]  # fmt: skip
    lines = [f"Shown are the {counted(len(common), 'image')} of all runs; {', '.join(more)}."]
    return sorted(common, key=natural), lines if more else []


def write_comparison(
    page: Path, runs: Sequence[Results], names: Sequence[str], notes: Sequence[str]
) -> None:
    """Write the page and the thumbnails that galleries do not have.

    Args:
        page: its file; thumbnails go to `<stem>_thumbs` beside it.
        runs: what is compared.
        names: of the images, which all runs have.
        notes: lines at the top.

    Raises:
        UserError: an image cannot be read, or a file cannot be written.
    """
    sources: list[tuple[Column, Mapping[str, Path]]] = []
    for kind in BESIDE:
        whole = (run.beside[kind] for run in runs if set(names) <= run.beside.get(kind, {}).keys())
        if files := next(whole, None):
            sources.append((Column(in_words(kind), is_run=False), files))
    sources += [(Column(run.name, run.metrics, run.protocol), run.images) for run in runs]
    thumbs = page.with_name(f"{page.stem}_thumbs")
    written: set[str] = set()
    rows = []
    with ImageWriter() as writer:
        for name in names:
            pictures = []
            for place, (column, files) in enumerate(sources):
                small = thumbs / str(place) / f"{name}.jpg"
                picture = _picture(page.parent, files[name], small, column.name, name, writer)
                written.add(picture.file)
                pictures.append(picture)
            rows.append(Row(name, pictures))
    remove_stale(
        page.parent, f"{thumbs.name}/*/*.jpg", rf"{re.escape(thumbs.name)}/\d+/.*", written
    )
    title = " / ".join(run.name for run in runs)
    write_compare_page(page, title, [column for column, _ in sources], rows, notes)


def _picture(
    folder: Path, file: Path, small: Path, caption: str, name: str, writer: ImageWriter
) -> Picture:
    """The picture of a file, with its gallery's thumbnail or one of our own."""
    own = file.parent / "thumbs" / f"{file.stem}.jpg"
    size = image_size(own) or image_size(file)
    if size is None:
        raise UserError(f"{file}: cannot be read as an image; render it again, or remove it")
    if not own.is_file():
        size, own = thumbnail_size(*size, THUMBNAIL_WIDTH), small
        writer.submit(_shrink, file, own)
    full, thumbnail = (Path(os.path.relpath(path, folder)).as_posix() for path in (file, own))
    return Picture(thumbnail, size, caption, f"{caption} of {name}", full)


def _shrink(file: Path, small: Path) -> None:
    try:
        with Image.open(file) as opened:
            if opened.mode.startswith("I"):  # 16 bits, which Pillow would clip
                pixels = (np.asarray(opened) >> 8).astype(np.uint8)
                save_thumbnail(pixels, small, THUMBNAIL_WIDTH)
            else:
                save_thumbnail(np.asarray(opened.convert("RGB")), small, THUMBNAIL_WIDTH)
    except (OSError, Image.DecompressionBombError) as error:
        raise UserError(f"{file}: cannot be read ({error}); render it again") from error


def _pictures(folder: Path) -> list[Path]:
    """The files of images in a folder, by name; none where there is no such folder."""
    if not folder.is_dir():
        return []
    return sorted(file for file in folder.iterdir() if file.suffix.lower() in ENDINGS)


def _by_file(values: Mapping[str, float], images: Mapping[str, Path]) -> dict[str, float]:
    """Values by the names that images have in a gallery, which has no folders: of a/b it is b, or
    a_b where b was taken."""
    wholes = {name: name.replace("/", "_") for name in values}
    return {
        whole if whole in images else name.rpartition("/")[2]: values[name]
        for name, whole in wholes.items()
    }


def _read_metrics(file: Path) -> dict[str, Any]:
    """What metrics.json holds; nothing where there is none."""
    if not file.is_file():
        return {}
    try:
        read = json.loads(file.read_text(encoding="utf-8"))
        assert all(isinstance(figure, dict) for figure in read["metrics"].values())
    except (OSError, ValueError, KeyError, AttributeError, TypeError, AssertionError) as error:
        remedy = "run evaluate.py again, or remove the file"
        raise UserError(f"{file}: is not a metrics.json of evaluate.py; {remedy}") from error
    return dict(read)
