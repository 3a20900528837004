"""A rendering that goes on: which images of a gallery are still those that would be rendered."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pix2pixhd.data.opening import is_whole, opened
from pix2pixhd.engine.styles import clusters_file, style_dataset
from pix2pixhd.options.fields import flat
from pix2pixhd.options.test_options import TestOptions
from pix2pixhd.pages.gallery import ResultsGallery
from pix2pixhd.util.errors import UserError
from pix2pixhd.util.files import replacing, stamp, writing

MARKER = "rendering.json"  # in a gallery: what its images were rendered with and of, and since when

# Options that change no image, or only which there are.
_NOT_OF_IMAGES = {
    *("gpu_ids", "local_rank", "verbose", "nThreads", "batchSize", "cache"),
    *("results_dir", "how_many", "max_dataset_size"),
}


def begin_rendering(
    gallery: ResultsGallery,
    sources: Mapping[str, Sequence[Path]],
    options: TestOptions,
    *,
    has_real: bool,
    keeps: bool,
) -> set[str]:
    """Note with what a gallery is rendered, and take over the rows that are rendered already.

    Their note has the same options, weights and files of the data set, and they were written since.
    Truncated ones are not taken over, nor images with values beside them.

    Args:
        sources: each sample's files in the data set, by its name.
        has_real: whether real images are shown.
        keeps: whether to take over any.

    Returns:
        The names of the samples taken over.
    """
    marker, note = gallery.folder / MARKER, made_with(options)
    before = _read(marker)
    has_values = options.data.output_bits not in (None, 8) or options.model.output_nc not in (1, 3)
    of_before: dict[str, Any] = {}
    if keeps and not has_values and all(before.get(key) == note[key] for key in note):
        of_before = before["sources"]
    with writing(marker):
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.touch()
        now = marker.stat().st_mtime_ns  # by the clock that the images' times are of
    note["sources"] = {}
    for name, files in sources.items():
        stamps = list(map(stamp, files))
        of_it = of_before.get(name, {})
        since = of_it["since"] if of_it.get("files") == stamps else now
        note["sources"][name] = {"files": stamps, "since": since}
    with replacing(marker) as file:
        file.write(json.dumps(note, indent=1).encode() + b"\n")
    absent = {"input_extra": options.model.extra_nc == 0, "real_image": not has_real}
    columns = [what for what in gallery.columns if not absent.get(what)]
    kept = set()
    for name in filter(of_before.__contains__, sources):
        if gallery.keep_row(name, columns, note["sources"][name]["since"]):
            if all(_is_whole(gallery.folder / file) for file in gallery.rows[-1].files):
                kept.add(name)
            else:
                gallery.rows.pop()
    return kept


def written_since(folder: Path) -> dict[str, int]:
    """When the last rendering of a gallery began, for each sample, in nanoseconds since 1970: older
    images are of one before. Empty where that is not known."""
    sources = _read(folder / MARKER).get("sources", {})
    return {name: of_it["since"] for name, of_it in sources.items()}


def _is_whole(file: Path) -> bool:
    try:
        with opened(file) as image:
            return is_whole(file, image)
    except UserError:
        return False


def _read(marker: Path) -> dict[str, Any]:
    """An earlier note; nothing where there is none, or none of ours."""
    try:
        note = json.loads(marker.read_bytes())
        return note if all(of["since"] >= 0 for of in note["sources"].values()) else {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def made_with(options: TestOptions) -> dict[str, Any]:
    """The options, and the versions of all files of weights and clusters that may be used."""
    values = {k: v for k, v in flat(options).items() if k not in _NOT_OF_IMAGES}
    folder, results = options.run.folder, options.results
    files = {*folder.glob(f"{results.which_epoch}_net_[GE]*.pth"), clusters_file(options)}
    if results.style_from:
        files.update(style_dataset(Path(results.style_from), options).files[0].values())
    if options.data.label_names:
        files.add(Path(options.data.label_names))
    files = set(filter(Path.is_file, files))
    return {"options": values, "files": list(map(stamp, sorted(files)))}
