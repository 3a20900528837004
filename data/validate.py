"""Look for what would go wrong in training, before it starts: on the CPU, and quickly.

The headers of all files are read; pixels are decoded of a sample of them, or of all.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from tqdm import tqdm

from data import problems
from data.dataset import AlignedDataset
from data.decode import Header
from data.loader import different_sizes
from util.errors import UserError

Item = TypeVar("Item")
Result = TypeVar("Result")

DECODED = 64  # samples whose pixels are decoded in mode "sample"
SHOWN_ALIKE = 3  # lines about one kind of problem
SHOWN = 20  # lines about all of them

# Pillow decodes outside Python's lock; more threads than cores hide a slow disk.
THREADS = min(16, 2 * (os.cpu_count() or 1))


@dataclass
class _Look:
    """What the headers of one sample's files tell."""

    size: tuple[int, int] | None = None
    """Width and height of its maps, if they agree on it."""

    whole: bool = True
    """Whether all files end as they should."""

    found: list[str] = field(default_factory=list)
    """Problems."""


def validate_dataset(
    dataset: AlignedDataset,
    mode: Literal["sample", "full"] = "sample",
    *,
    batch_size: int = 1,
    progress: bool = True,
) -> None:
    """Raise a UserError with the problems of the data set, should it have any.

    Args:
        dataset, mode, batch_size, progress: as for `check_dataset`.
    """
    found = check_dataset(dataset, mode, batch_size=batch_size, progress=progress)
    if len(found) > SHOWN:
        found = [*found[:SHOWN], f"... and {len(found) - SHOWN} more"]
    if found:
        raise UserError(found)


def check_dataset(
    dataset: AlignedDataset,
    mode: Literal["sample", "full"] = "sample",
    *,
    batch_size: int = 1,
    progress: bool = True,
) -> list[str]:
    """Look for problems in the files of a data set.

    Args:
        dataset: whose files to look at.
        mode: decode the pixels of a sample, evenly spread, and of files that end too early;
            or of all files.
        batch_size: images that will be stacked, and so must agree in size.
        progress: show a bar while it lasts, on a terminal.

    Returns:
        One line for each problem, of those alike only a few and the number of the others.
    """
    bar = {"desc": "Checking data", "leave": False, "disable": None if progress else True}
    numbers = range(len(dataset))
    with tqdm(total=len(dataset), unit="header", **bar) as shown:
        looks = list(_in_threads(lambda n: _look(dataset, n), numbers, shown))
    found = [line for look in looks for line in look.found]
    if batch_size > 1:
        found += _different_sizes(dataset, looks)
    count = len(dataset) if mode == "full" else min(DECODED, len(dataset))
    spread = {n * len(dataset) // count for n in range(count)}
    suspect = {n for n in numbers if not looks[n].whole}
    decoded = [n for n in sorted(spread | suspect) if not looks[n].found]
    with tqdm(total=len(decoded), unit="image", **bar) as shown:
        for lines in _in_threads(lambda n: _pixel_problems(dataset, n), decoded, shown):
            found += lines
    return _grouped(found)


def _look(dataset: AlignedDataset, number: int) -> _Look:
    """Read the headers of a sample."""
    files = dataset.files[number]
    headers: dict[str, Header] = {}
    look = _Look()
    for name, path in files.items():
        try:
            headers[name] = dataset.read_header(name, path)
        except UserError as error:
            look.found += error.problems
    look.whole = all(header.whole for header in headers.values())
    if not look.found:
        sizes = {name: header.size for name, header in headers.items()}
        if problem := problems.size_mismatch(files, sizes):
            look.found.append(problem)
        else:
            look.size = sizes["label"]
    return look


def _pixel_problems(dataset: AlignedDataset, number: int) -> list[str]:
    """Decode the maps of a sample, as training will."""
    found = []
    for name, path in dataset.files[number].items():
        try:
            dataset.read_map(name, path)
        except UserError as error:
            found += error.problems
    return found


def _different_sizes(dataset: AlignedDataset, looks: list[_Look]) -> list[str]:
    """A line if not all samples can be stacked."""
    first: dict[tuple[int, int], int] = {}  # size of the output -> a sample that has it
    for number, look in enumerate(looks):
        if look.size:
            first.setdefault(dataset.output_size(look.size), number)
    if len(first) < 2:
        return []
    one, other, *_ = ((dataset.files[number]["label"], size) for size, number in first.items())
    return [different_sizes(other, one)]


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


def _in_threads(
    function: Callable[[Item], Result], items: Iterable[Item], bar: tqdm
) -> Iterator[Result]:
    """The function's results in the items' order, moving the bar along."""
    pool = ThreadPoolExecutor(THREADS)
    try:
        for result in pool.map(function, items):
            bar.update()
            yield result
    finally:
        pool.shutdown(cancel_futures=True)  # so that Ctrl-C does not wait for the other files
