"""`evaluate.py compare`: the results of runs, found in their folders and joined by name."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

from pix2pixhd.data.pairing import list_images
from pix2pixhd.engine.kept_images import written_since
from pix2pixhd.options.compare_options import CompareOptions
from pix2pixhd.options.fields import Range, fits
from pix2pixhd.pages.compare_page import Column, Row, write_compare_page
from pix2pixhd.pages.html import Picture, image_size, in_words, refuse_other, remove_stale
from pix2pixhd.pages.pager import natural
from pix2pixhd.util.errors import UserError
from pix2pixhd.util.image import read_picture, save_thumbnail, thumbnail_size
from pix2pixhd.util.image_writer import ImageWriter
from pix2pixhd.util.words import counted

# Pictures that browsers show.
ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif")
RESULT = "synthesized_image"  # of several styles the first
BESIDE = ("input_label", "real_image")  # what results stand beside
THUMBNAIL_WIDTH = 512

# Of a figure in metrics.json.
NUMBERS = ("beside", "by_class", "per_image")  # by name
FIGURE = {
    **dict.fromkeys(("protocol", *NUMBERS), dict),
    **dict.fromkeys(("better", "warning", "quote"), str),
}
NUMBER = Annotated[float, Range(-sys.float_info.max)] | None


@dataclass(frozen=True)
class Results:
    """The images of a run, {name of the image: file}, what they stand beside, and its figures."""

    name: str
    images: Mapping[str, Path]
    beside: Mapping[str, Mapping[str, Path]] = field(default_factory=dict)  # by BESIDE
    metrics: Mapping[str, Any] = field(default_factory=dict)
    protocol: Mapping[str, Any] = field(default_factory=dict)
    notes: Sequence[str] = ()  # why images or figures may not be what they are held for


def run(options: CompareOptions) -> None:
    """Write the page of a comparison, and print where it is and what it leaves out.

    Raises:
        UserError: a run has no results, the runs have no image in common, a file is at fault, or
            another page is where this one would go.
    """
    refuse_other(options.page_file, "compare")
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
    """The results in a folder, with their figures where it has a metrics.json.

    Raises:
        UserError: as of `find_results`, or its metrics.json cannot be read.
    """
    results, file = find_results(name, folder), folder / "metrics.json"
    if not file.is_file():
        return results
    read = _read_metrics(file)
    metrics = {
        figure: {**values, "per_image": _by_file(values.get("per_image", {}), results.images)}
        for figure, values in read["metrics"].items()
    }
    notes = list(results.notes)
    times = [image.stat().st_mtime for image in results.images.values() if image.is_file()]
    if file.stat().st_mtime < max(times, default=0):
        # Told only: copying a folder may change the times of files, in any order.
        remedy = "run evaluate.py again if these were rendered anew"
        notes.append(f"{name}: its figures are older than its images; {remedy}")
    return replace(results, metrics=metrics, protocol=read.get("protocol", {}), notes=notes)


def find_results(name: str, folder: Path) -> Results:
    """The images in a folder: of a gallery, ours or the reference's, or plain ones, also in folders
    below; and what they stand beside.

    Raises:
        UserError: there are none, or two of one name.
    """
    remedy = f"run test.py or evaluate.py --name {name} first, or give {name}=DIR"
    files = [
        file
        for file in list_images(folder, remedy, ENDINGS)
        if not any(part.endswith("thumbs") for part in file.relative_to(folder).parts[:-1])
    ]
    pattern = re.compile(rf"(.+)_({'|'.join([RESULT, *BESIDE])})")
    found: dict[str, dict[str, Path]] = {}
    for where in (folder / "images", folder):
        for file in (file for file in files if file.parent == where):
            if match := pattern.fullmatch(file.stem):
                # The first of several: values of more than 8 bits may be beside a picture.
                found.setdefault(match[2], {}).setdefault(match[1], file)
    images = found.get(RESULT) or _plain(folder, files)
    if not images:
        raise UserError(f"{folder}: holds no images of the run {name!r}; {remedy}")
    beside = {kind: found[kind] for kind in BESIDE if kind in found and RESULT in found}
    since = _by_file(written_since(folder), images)
    there = {name: file for name, file in images.items() if file.is_file()}
    old = [name for name, file in there.items() if file.stat().st_mtime_ns < since.get(name, 0)]
    told = f"{name}: its rendering was stopped, {counted(len(old), 'image')} of an earlier one"
    notes = [f"{told} (such as {old[0]}); render it again"] if old else []
    return Results(name, images, beside, notes=notes)


def _plain(folder: Path, files: Sequence[Path]) -> dict[str, Path]:
    """Images by the last part of their path, as in a gallery, or by all of it where they need it to
    be told apart."""
    by_path: dict[str, Path] = {}
    for file in files:
        path = file.relative_to(folder).with_suffix("").as_posix()
        if other := by_path.get(path):
            names = f"{other.name} and {file.name}"
            raise UserError(f"{folder}: {names} have one name, {path}; remove one")
        by_path[path] = file
    by_last = {file.stem: file for file in files}
    return by_last if len(by_last) == len(by_path) else by_path


def in_common(runs: Sequence[Results]) -> tuple[list[str], list[str]]:
    """The images that all runs have, in natural order, and lines about the others and the runs.

    Raises:
        UserError: there are none.
    """
    common = set.intersection(*(set(run.images) for run in runs))
    if not common:
        first = ", ".join(f"{run.name} has {min(run.images, key=natural)}" for run in runs)
        told = "the runs have no image in common by name"
        raise UserError(f"{told} ({first}); results of the same inputs are compared")
    more = [
        f"{run.name} has {left} more"
        for run in runs
        if (left := len(run.images.keys() - common))
    ]  # fmt: skip
    lines = [f"The runs have {counted(len(common), 'image')} in common; {', '.join(more)}."]
    notes = [*(lines if more else []), *(note for run in runs for note in run.notes)]
    return sorted(common, key=natural), notes


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
        page.parent, f"{thumbs.name}/*/**/*.jpg", rf"{re.escape(thumbs.name)}/\d+/.*", written
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
    save_thumbnail(read_picture(file), small, THUMBNAIL_WIDTH)


def _by_file(values: Mapping[str, float], images: Mapping[str, Path]) -> dict[str, float]:
    """Values by the names that images have here: of a/b it is that, or without folders, as in a
    gallery, a_b where b was taken, else b."""
    named = {name: (name, name.replace("/", "_"), name.rpartition("/")[2]) for name in values}
    return {
        next((one for one in names if one in images), name): values[name]
        for name, names in named.items()
    }


def _read_metrics(file: Path) -> dict[str, Any]:
    """What metrics.json holds; its form is checked here, for all that use it."""
    try:
        read = json.loads(file.read_text(encoding="utf-8"))
        wrong = _wrong_form(read)
    except (OSError, ValueError, RecursionError) as error:
        wrong = str(error)
    if wrong:
        told = f"is not a metrics.json of evaluate.py ({wrong})"
        raise UserError(f"{file}: {told}; run evaluate.py again, or remove the file")
    return dict(read)


def _wrong_form(read: Any) -> str:
    """The first part that is not as evaluate.py writes it; empty if there is none."""
    if not isinstance(read, dict) or not isinstance(read.get("metrics"), dict):
        return "it has no metrics"
    if not isinstance(read.get("protocol", {}), dict):
        return "protocol"
    for name, figure in read["metrics"].items():
        if not isinstance(figure, dict):
            return name
        for part, kind in FIGURE.items():
            if not isinstance(values := figure.get(part, kind()), kind):
                return f"{part} of {name}"
            numbers = values.values() if part in NUMBERS else ()
            if not all(fits(value, NUMBER) for value in numbers):
                return f"{part} of {name}"
        if not fits(figure.get("value"), NUMBER):
            return f"value of {name}"
    return ""
