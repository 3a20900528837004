"""Look for what would go wrong in training, before it starts: on the CPU, and quickly.

The headers of all files are read; pixels are decoded of a sample of them, of all, or hardly any.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple, TypeVar

import numpy as np

from pix2pixhd.data import problems
from pix2pixhd.data.dataset import AlignedDataset
from pix2pixhd.data.decode import Header
from pix2pixhd.data.notes import Extremes, Facts, extremes, notes
from pix2pixhd.util.errors import UserError
from pix2pixhd.util.threads import in_threads

Result = TypeVar("Result")

DECODED = 64  # samples whose pixels are decoded in mode "sample"
DEEP_DECODED = 8  # samples whose photographs of more than 8 bits are, in mode "headers"
SHOWN_ALIKE = 3  # lines about one kind of problem
SHOWN = 20  # lines about all of them


class _Headers(NamedTuple):
    """What the headers of one sample's files tell."""

    of: dict[str, Header]  # map -> header, of the readable ones
    problems: list[str]


def validate_dataset(
    dataset: AlignedDataset,
    mode: Literal["headers", "sample", "full"] = "sample",
    *,
    batch_size: int = 1,
) -> list[str]:
    """Check the files of a data set, with a bar on a terminal while it lasts.

    Args:
        mode: decode the pixels of a sample, evenly spread, and of files that end too early; or of
            all files. "headers" is for who reads all files anyway: only what ends too early is
            decoded, and a few photographs whose values may be cut off.
        batch_size: images that will be stacked, and so must agree in size.

    Returns:
        Lines to be printed: a warning for each thing that is likely a mistake, but can be trained
        with, and a note for what is done to files that are not plainly what was asked for.

    Raises:
        UserError: the problems, one line each; of those alike only a few and the number of the
            others, and of all no more than a screenful.
    """
    numbers = range(len(dataset))
    headers = list(in_threads(partial(_read_headers, dataset), numbers, "Checking data", "header"))
    found = [line for sample in headers for line in sample.problems]
    if batch_size > 1:
        found += _different_sizes(dataset, headers)
    chosen = _to_decode(dataset, headers, mode)
    known: dict[int, dict[str, Extremes]] = {}
    results = in_threads(partial(_decode, dataset), chosen, "Checking data", "image")
    for (number, _), (of_pixels, lines) in zip(chosen, results, strict=True):
        known[number] = of_pixels
        found += lines
    if found:
        lines = _grouped(found)
        more = [f"... and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
        raise UserError(lines[:SHOWN] + more)
    return notes(
        dataset,
        [Facts(dataset.files[n], headers[n].of, known.get(n, {})) for n in numbers],
    )


def _read_headers(dataset: AlignedDataset, number: int) -> _Headers:
    """Read the headers of a sample's files; those of different sizes are a problem."""
    files = dataset.files[number]
    headers, found = _each(dataset.read_header, files)
    if not found:
        try:
            problems.check_sizes(
                files,
                {name: header.size for name, header in headers.items()},
                dataset.resize_or_crop,
            )
        except UserError as error:
            found = error.problems
    return _Headers(headers, found)


def _to_decode(
    dataset: AlignedDataset, headers: list[_Headers], mode: Literal["headers", "sample", "full"]
) -> list[tuple[int, dict[str, Path]]]:
    """The samples to decode, and which of their files."""
    most = {"headers": DEEP_DECODED, "sample": DECODED, "full": len(dataset)}[mode]
    count = min(most, len(dataset))
    spread = {n * len(dataset) // count for n in range(count)}
    chosen = []
    for number, (files, sample) in enumerate(zip(dataset.files, headers, strict=True)):
        # What ends too early may yet decode, as some writers leave out a format's last bytes.
        names = {name for name, header in sample.of.items() if not header.whole}
        if mode != "headers" and (names or number in spread):
            names = set(files)
        elif number in spread:
            names |= {name for name in sample.of if _may_be_cut_off(dataset, name, sample.of[name])}
        if names and not sample.problems:
            chosen.append((number, {name: files[name] for name in files if name in names}))
    return chosen


def _may_be_cut_off(dataset: AlignedDataset, name: str, header: Header) -> bool:
    """Whether a photograph may have values outside the range it is taken to have: it is seldom
    noticed later, as what renders knows them no more."""
    of_more_bits = name in dataset.photos and header.dtype != np.uint8
    return of_more_bits and (header.dtype.kind == "f" or dataset.ranges[name] is not None)


def _decode(
    dataset: AlignedDataset, sample: tuple[int, dict[str, Path]]
) -> tuple[dict[str, Extremes], list[str]]:
    """Decode maps of a sample, as training will: what their values are, and the problems."""

    def values(name: str, path: Path) -> Extremes | None:
        return extremes(dataset, name, dataset.read_map(name, path))

    found, lines = _each(values, sample[1])
    return {name: known for name, known in found.items() if known is not None}, lines


def _each(
    read: Callable[[str, Path], Result], files: dict[str, Path]
) -> tuple[dict[str, Result], list[str]]:
    """What is read of the files of a sample, and the problems of those that cannot be."""
    results, found = {}, []
    for name, path in files.items():
        try:
            results[name] = read(name, path)
        except UserError as error:
            found += error.problems
    return results, found


def _different_sizes(dataset: AlignedDataset, headers: list[_Headers]) -> list[str]:
    """A line if not all samples can be stacked."""
    first: dict[tuple[int, int], Path] = {}  # size of the output -> a label map that leads to it
    for files, sample in zip(dataset.files, headers, strict=True):
        if not sample.problems:
            first.setdefault(dataset.output_size(sample.of["label"].size), files["label"])
    if len(first) < 2:
        return []
    (size, path), (other_size, other), *_ = first.items()
    return [problems.batch_sizes(other, other_size, path, size)]


def _grouped(lines: list[str]) -> list[str]:
    """Shorten lines about the same kind of problem, which is what asks for the same remedy."""
    kinds: dict[str, list[str]] = {}
    for line in lines:
        remedy = line.rpartition(";")[2]
        kinds.setdefault(re.sub(r"\d+", "", remedy), []).append(line)
    shortened = []
    for alike in kinds.values():
        shortened += alike[:SHOWN_ALIKE]
        if len(alike) > SHOWN_ALIKE:
            shortened.append(f"... and {len(alike) - SHOWN_ALIKE} more files like these")
    return shortened
