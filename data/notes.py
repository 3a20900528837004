"""What the check tells of a data set that can be trained with, but perhaps not as it was meant."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pix2pixhd.data import transforms
from pix2pixhd.data.dataset import AlignedDataset, Map, kind_of
from pix2pixhd.data.decode import Header

SEVERAL = 4  # label maps, from which on their largest label says something of all
SLIVER = 1 / 8  # of the range of 16 bits: from there on, it is used

Extremes = tuple[float, float]  # smallest and largest value of a map


class Facts(NamedTuple):
    """What is known of one sample: map -> of its file."""

    files: dict[str, Path]
    headers: dict[str, Header]
    extremes: dict[str, Extremes]  # of the maps whose pixels were decoded, where notes need them


def extremes(dataset: AlignedDataset, name: str, values: Map) -> Extremes | None:
    """Smallest and largest value of a label map, but for the ignored one, or of a photograph of
    more than 8 bits; None for all other maps, and where nothing is left."""
    if name in dataset.photos:
        if not isinstance(values, np.ndarray) or values.dtype == np.uint8:
            return None
        pixels = values
    elif name == "label":
        pixels = np.asarray(values)
        if dataset.ignore_label is not None:
            pixels = pixels[pixels != dataset.ignore_label]
    else:
        return None
    return (pixels.min().item(), pixels.max().item()) if pixels.size else None


def notes(dataset: AlignedDataset, samples: list[Facts]) -> list[str]:
    """All there is to tell, a line each."""
    of_files = [*_lossy(samples), *_kinds(dataset, samples), *_sizes(dataset, samples)]
    return [*of_files, *_fewer_labels(dataset, samples), *_ranges(dataset, samples)]


def _plural(dataset: AlignedDataset, name: str) -> str:
    if name == "label" and dataset.label_nc == 0:
        return "input images"
    return {"image": "photographs", "extra": "further input images"}.get(
        name, f"{kind_of(name)} maps"
    )


def _first_of(paths: list[Path]) -> str:
    return f"{paths[0]}" + (f", the first of {len(paths)}" if len(paths) > 1 else "")


def _lossy(samples: list[Facts]) -> Iterator[str]:
    """Maps that are kept in a lossy format though their values are exact."""
    found: dict[str, list[Path]] = {}
    for sample in samples:
        for name, header in sample.headers.items():
            if header.lossy:
                found.setdefault(name, []).append(sample.files[name])
    for name, paths in found.items():
        kind, more = kind_of(name), f", the first of {len(paths)}" if len(paths) > 1 else ""
        yield (
            f"warning: {paths[0]}: this {kind} map is a JPEG{more}; JPEG changes values along "
            f"edges, where training then sees {kind}s that nobody drew; make the {kind} maps again "
            "as PNG"
        )


def _kinds(dataset: AlignedDataset, samples: list[Facts]) -> Iterator[str]:
    """Channels that are not what they seem: of identifiers, or of transparency."""
    gray: dict[str, list[Path]] = {}
    transparent: dict[str, list[Path]] = {}
    for sample in samples:
        for name, header in sample.headers.items():
            wanted = dataset.photos.get(name)
            if wanted is None and header.channels - header.alpha == 3:
                gray.setdefault(name, []).append(sample.files[name])
            elif header.alpha and header.channels != wanted:
                transparent.setdefault(name, []).append(sample.files[name])
    for name, paths in gray.items():
        yield (
            f"note: {_plural(dataset, name)} are colour files ({_first_of(paths)}), taken as the "
            "numbers they show; in each, red, green and blue must be equal"
        )
    for name, paths in transparent.items():
        yield (
            f"note: {_plural(dataset, name)} have an alpha channel, which is dropped "
            f"({_first_of(paths)})"
        )


def _sizes(dataset: AlignedDataset, samples: list[Facts]) -> Iterator[str]:
    """Maps of another size than the label maps."""
    told = set()
    for sample in samples:
        if "label" not in sample.headers:
            continue
        label = sample.headers["label"].size
        to = transforms.resized_size(label, dataset.resize_or_crop, dataset.load_size)
        for name, header in sample.headers.items():
            if header.size != label and name not in told:
                told.add(name)
                yield (
                    f"note: {_plural(dataset, 'label')} of {_by(label)} beside "
                    f"{_plural(dataset, name)} of {_by(header.size)}: each is scaled on its own to "
                    f"{_by(to)}"
                )


def _by(size: transforms.Size) -> str:
    return f"{size[0]}x{size[1]}"


def _fewer_labels(dataset: AlignedDataset, samples: list[Facts]) -> Iterator[str]:
    """Half of the labels that training is for, or more, do not occur."""
    found = [sample.extremes["label"][1] for sample in samples if "label" in sample.extremes]
    if not dataset.is_train or dataset.label_nc == 0 or len(found) < SEVERAL:
        return
    largest = int(max(found))
    if 2 * (largest + 1) <= dataset.label_nc:
        yield (
            f"warning: --label_nc {dataset.label_nc}, but the largest label of {len(found)} label "
            f"maps is {largest}; did you mean --label_nc {largest + 1}?"
        )


def _ranges(dataset: AlignedDataset, samples: list[Facts]) -> Iterator[str]:
    """Photographs of more than 8 bits whose values do not fit the range they are taken to have."""
    for name in dataset.photos:
        found = [sample for sample in samples if name in sample.extremes]
        for of_floats in (False, True):
            alike = [s for s in found if (s.headers[name].dtype.kind == "f") == of_floats]
            if not alike:
                continue
            low = min(sample.extremes[name][0] for sample in alike)
            high = max(sample.extremes[name][1] for sample in alike)
            flag = "--value_range" if name == "image" else "--input_range"
            start = f"warning: {alike[0].files[name].parent}: {_plural(dataset, name)} have values "
            given = dataset.ranges[name]
            black, white = given or ((0, 1) if of_floats else (0, 65535))
            if low < black or high > white:
                limits = _around(low, high) if of_floats else f"0,{_all_bits(high)}"
                # Without the equals sign, a minus would pass for another flag's.
                remedy = f"give {flag}={limits}" + (" unless that is meant" if given else "")
                values = f"{low:.5g} to {high:.5g}, cut off outside {black:g} to {white:g}"
                yield f"{start}{values}; {remedy}"
            elif dataset.is_train and not given and not of_floats and 0 < high < SLIVER * 65535:
                yield (
                    f"{start}{low} to {high} of 65535, nearly all black to the networks; "
                    f"give {flag} 0,{_all_bits(high)}"
                )


def _all_bits(value: float) -> int:
    """The largest number of as many bits as the value has: cameras have 10, 12 or 14."""
    return 2 ** int(value).bit_length() - 1


def _around(low: float, high: float) -> str:
    """LOW,HIGH in round numbers, a little apart, as other files may have more."""
    step = 10.0 ** (math.floor(math.log10((high - low) or abs(high))) - 1)
    return f"{math.floor(low / step) * step:g},{math.ceil(high / step) * step:g}"
