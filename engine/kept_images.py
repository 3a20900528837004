"""A rendering that goes on: which images of a gallery are still those that would be rendered."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from pix2pixhd.options.fields import flat
from pix2pixhd.options.test_options import TestOptions
from pix2pixhd.pages.gallery import ResultsGallery
from pix2pixhd.util.files import replacing

MARKER = "rendering.json"  # in a gallery: what its images were rendered with, and since when

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

    These are newer than the note, which has the same options and weights, and newer than the files
    of the data set that they show. Images with values beside them are always rendered.

    Args:
        sources: each sample's files in the data set, by its name.
        has_real: whether real images are shown.
        keeps: whether to take over any.

    Returns:
        The names of the samples taken over.
    """
    marker, text = gallery.folder / MARKER, _made_with(options)
    is_same = marker.is_file() and marker.read_text(errors="replace") == text
    has_values = options.data.output_bits not in (None, 8) or options.model.output_nc not in (1, 3)
    if not (keeps and is_same) or has_values:
        with replacing(marker) as file:
            file.write(text.encode())
        return set()
    absent = {"input_extra": options.model.extra_nc == 0, "real_image": not has_real}
    columns = [what for what in gallery.columns if not absent.get(what)]
    since, kept = marker.stat().st_mtime_ns, set()
    for name, files in sources.items():
        newest = max(since, *(file.stat().st_mtime_ns for file in files))
        if gallery.keep_row(name, columns, newest):
            kept.add(name)
    return kept


def _made_with(options: TestOptions) -> str:
    """The options, and the versions of all files of weights and clusters that may be used."""
    values = {k: v for k, v in flat(options).items() if k not in _NOT_OF_IMAGES}
    folder, results = options.run.folder, options.results
    patterns = (f"{results.which_epoch}_net_[GE]*.pth", "features_clustered_*")
    files = {file for pattern in patterns for file in folder.glob(pattern)}
    named = (results.cluster_path, results.style_from, options.data.label_names)
    files |= {file for name in named if name and (file := Path(name)).is_file()}
    stamps = {str(file): file.stat().st_mtime_ns for file in sorted(files)}
    return json.dumps({"options": values, "files": stamps}, indent=1) + "\n"
