"""What a data set holds: sizes, labels, instances, files that are the same. It counts and judges
nothing; `data.advice` does."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

from pix2pixhd.data.dataset import AlignedDataset, kind_of
from pix2pixhd.data.decode import Header, read_header, read_ids, read_photo
from pix2pixhd.util.errors import UserError
from pix2pixhd.util.threads import in_threads

Item = TypeVar("Item")
Result = TypeVar("Result")
Size = tuple[int, int]  # width and height

SAMPLE = 256  # label and instance maps that are decoded in mode "sample"
PHOTOS = 32  # photographs whose values are looked at
# Ids up to here are counted in a table of that length, which is ten times quicker than sorting.
TABLE = 1 << 17
# From here on, an instance's id names its label: id // 1000.
NAMES_LABEL = 1000


@dataclass
class LabelUse:
    """Where a label occurs, among the label maps that were decoded."""

    pixels: int = 0
    images: int = 0
    best: int = 0  # the sample with most of it
    best_pixels: int = 0


@dataclass
class Regions:
    """The regions of some instance maps."""

    per_image: list[int] = field(default_factory=list)
    sizes: Counter[int] = field(default_factory=Counter)  # pixels of a region -> how many

    def add(self, pixels: Collection[int]) -> None:
        """The regions of one more image, by their pixels."""
        self.per_image.append(len(pixels))
        self.sizes.update(pixels)

    def quantile(self, share: float) -> int:
        """The pixels of the region than which such a share is smaller; there must be regions."""
        pixels = np.array(sorted(self.sizes))
        upto = np.cumsum([self.sizes[size] for size in pixels.tolist()])
        return int(pixels[np.searchsorted(upto, share * upto[-1])])


@dataclass
class InstanceUse:
    """What the instance maps hold that were decoded."""

    all: Regions = field(default_factory=Regions)
    named: Regions = field(default_factory=Regions)  # those whose id names a label
    misnamed: int = 0  # of these, where most pixels have another label
    repeats: int = 0  # images whose instance map is the label map, or all of one id


@dataclass
class ValueUse:
    """The values of the photographs, or input images, that were decoded."""

    images: int = 0
    gray: bool = True  # all channels of all of them are equal
    dtypes: Counter[str] = field(default_factory=Counter)
    low: float = np.inf
    high: float = -np.inf

    def __add__(self, other: ValueUse) -> ValueUse:
        return ValueUse(
            self.images + other.images,
            self.gray and other.gray,
            self.dtypes + other.dtypes,
            min(self.low, other.low),
            max(self.high, other.high),
        )


@dataclass
class Survey:
    """What a data set holds. Maps go by their names in a sample: label, inst, image."""

    images: int
    first: Path  # its first label map
    decoded: int = 0  # samples whose label and instance maps were counted
    sizes: dict[str, Counter[Size]] = field(default_factory=lambda: defaultdict(Counter))
    channels: dict[str, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    labels: dict[int, LabelUse] = field(default_factory=dict)  # none where inputs are images
    instances: InstanceUse | None = None
    values: dict[str, ValueUse] = field(default_factory=dict)  # of photographs
    plain: set[Path] = field(default_factory=set)  # label maps that hold a single label

    @property
    def pixels(self) -> int:
        """Of all label maps that were decoded."""
        return sum(use.pixels for use in self.labels.values())


class Count(NamedTuple):
    """What one sample's label and instance maps hold."""

    labels: dict[int, int]  # label -> pixels
    instances: dict[int, int]  # id -> pixels
    misnamed: int = 0
    repeats: bool = False


def survey_dataset(dataset: AlignedDataset, *, sample: bool = False) -> Survey:
    """Count what a data set holds, with a bar on a terminal while it lasts.

    Labels may be any: whether they are in range is not asked. Files that cannot be read are left
    out; `data.validate` tells them. One sample a thread is in memory at a time.

    Args:
        sample: decode at most SAMPLE label and instance maps, evenly spread, in place of all.
    """
    numbers = range(len(dataset))
    survey = Survey(len(dataset), dataset.files[0]["label"])
    for headers in in_threads(partial(_headers, dataset), numbers, "Reading headers"):
        for name, header in headers.items():
            survey.sizes[name][header.size] += 1
            if name in dataset.photos:
                is_wanted = header.channels == dataset.photos[name]
                channels = header.channels if is_wanted else opaque_channels(header)
                survey.channels[name][channels] += 1
    chosen = spread(numbers, SAMPLE if sample else len(dataset))
    counts = in_threads(partial(count_sample, dataset), chosen, "Reading label maps")
    for number, count in zip(chosen, counts, strict=True):
        if count is not None:
            _add(survey, number, dataset.files[number]["label"], count)
    for name in dataset.photos:
        files = [sample_files[name] for sample_files in dataset.files if name in sample_files]
        use = photos_values(spread(files, PHOTOS))
        if not sample and use.dtypes.keys() - {"uint8"}:  # their range is to be known
            use = photos_values(files)
        survey.values[name] = use
    return survey


def count_sample(dataset: AlignedDataset, number: int) -> Count | None:
    """Count the labels and instances of a sample; None if there are none that can be read."""
    files = dataset.files[number]
    try:
        ids = {
            name: np.asarray(read_ids(files[name], kind_of(name))).squeeze()
            for name in ("label", "inst")
            if name in files and name not in dataset.photos
        }
    except UserError:
        return None
    label, inst = ids.get("label"), ids.get("inst")
    if inst is None:
        return None if label is None else Count(count_ids(label), {})
    found = count_ids(inst)
    if label is None or label.shape != inst.shape:
        return Count({} if label is None else count_ids(label), found, repeats=len(found) == 1)
    wrong = count_ids(inst[(inst >= NAMES_LABEL) & (inst // NAMES_LABEL != label)])
    return Count(
        labels=count_ids(label),
        instances=found,
        misnamed=sum(2 * pixels > found[id_] for id_, pixels in wrong.items()),
        repeats=len(found) == 1 or np.array_equal(inst, label),
    )


def count_ids(ids: np.ndarray) -> dict[int, int]:
    """The pixels of each id, {id: pixels}, ascending."""
    if not ids.size:
        return {}
    if ids.min() >= 0 and ids.max() < TABLE:
        table = np.bincount(ids.ravel())
        values = np.flatnonzero(table)
        counts = table[values]
    else:
        values, counts = np.unique(ids, return_counts=True)
    return dict(zip(values.tolist(), counts.tolist(), strict=True))


def photos_values(paths: Sequence[Path]) -> ValueUse:
    """The values of photographs, but for those that cannot be read."""
    return sum(in_threads(photo_values, paths, "Reading photographs"), ValueUse())


def photo_values(path: Path) -> ValueUse:
    """The values of one photograph; none if it cannot be read."""
    try:
        header = read_header(path, photo=True, what="image")
        planes = read_photo(path, opaque_channels(header))
    except UserError:
        return ValueUse()
    is_gray = bool((planes == planes[:1]).all())
    low, high = float(np.nanmin(planes)), float(np.nanmax(planes))
    return ValueUse(1, is_gray, Counter([planes.dtype.name]), low, high)


def opaque_channels(header: Header) -> int:
    """The channels of a photograph but for its transparency."""
    return header.channels - header.alpha


def same_files(paths: Iterable[Path]) -> list[list[Path]]:
    """Groups of files that are the same, byte by byte; those that cannot be read are in none."""
    by_size: dict[int, list[Path]] = defaultdict(list)
    for path in paths:
        try:
            by_size[path.stat().st_size].append(path)
        except OSError:
            continue
    suspects = [path for alike in by_size.values() if len(alike) > 1 for path in alike]
    by_hash: dict[bytes, list[Path]] = defaultdict(list)
    for path, digest in zip(suspects, in_threads(_digest, suspects, "Reading files"), strict=True):
        if digest is not None:
            by_hash[digest].append(path)
    return [alike for alike in by_hash.values() if len(alike) > 1]


def spread(items: Sequence[Item], most: int) -> list[Item]:
    """At most so many of the items, evenly spread."""
    count = min(most, len(items))
    return [items[number * len(items) // count] for number in range(count)]


def _headers(dataset: AlignedDataset, number: int) -> dict[str, Header]:
    headers = {}
    for name, path in dataset.files[number].items():
        try:
            # Not the data set's own, which may refuse another number of channels than it was told.
            headers[name] = read_header(path, photo=name in dataset.photos, what=kind_of(name))
        except UserError:
            continue
    return headers


def _add(survey: Survey, number: int, path: Path, count: Count) -> None:
    survey.decoded += 1
    if len(count.labels) == 1:
        survey.plain.add(path)
    for label, pixels in count.labels.items():
        use = survey.labels.setdefault(label, LabelUse())
        use.pixels += pixels
        use.images += 1
        if pixels > use.best_pixels:
            use.best, use.best_pixels = number, pixels
    if not count.instances:
        return
    found = survey.instances = survey.instances or InstanceUse()
    found.all.add(count.instances.values())
    found.named.add([n for id_, n in count.instances.items() if id_ >= NAMES_LABEL])
    found.misnamed += count.misnamed
    found.repeats += count.repeats


def _digest(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "blake2b").digest()
    except OSError:
        return None
