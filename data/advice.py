"""What a survey of a data set leads to: flags for training, and what is worth a look."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pix2pixhd.data.survey import LabelUse, Survey
from pix2pixhd.options.base_options import DataOptions, ModelOptions
from pix2pixhd.util.labels import CITYSCAPES, LabelSet

RARE_IMAGES, RARE_PIXELS = 0.01, 0.0001  # a label that occurs in less is near empty
UNKNOWN = 255  # what label maps of bytes have for "nothing known here"
MOST_LABELS = 65_536  # that --label_nc admits
SLIVER = 1 / 8  # of a range: from there on, it is used
STRIDE = 32  # sizes that no generator of ours has to pad
MISNAMED = 0.01  # share of instances that name another label, from which on it is no accident


@dataclass(frozen=True)
class Suggestion:
    """Flags that suit the data, and why."""

    flags: dict[str, Any]  # {flag: value}
    reason: str


def suggestions(survey: Survey, data: DataOptions, model: ModelOptions) -> list[Suggestion]:
    """Flags that suit the data; `data` and `model` tell how it was read."""
    found: list[Suggestion] = []
    if model.label_nc == 0:
        found.append(Suggestion({"label_nc": 0}, "inputs are images"))
        found += _channels(survey, "label", "input_nc", "input images")
    elif survey.labels:
        found += _label_nc(survey)
    if not model.instance:
        found.append(
            Suggestion({"instance": False}, "there are no instance maps, or not one for each image")
        )
    elif (use := survey.instances) and use.repeats == len(use.all.per_image):
        reason = "instance maps hold nothing that the label maps do not show"
        found.append(Suggestion({"instance": False}, reason))
    if survey.sizes["label"]:
        found += _sizes(survey, data)
    found += _channels(survey, "image", "output_nc", "photographs")
    found += _value_ranges(survey)
    return found


def _label_nc(survey: Survey) -> Iterator[Suggestion]:
    """The number of labels, and the label to ignore."""
    values = sorted(survey.labels)
    flags: dict[str, Any] = {}
    reason = f"labels reach from {values[0]} to {values[-1]}"
    # A mask of 0 and 255 is not meant: its 255 is a label.
    if values[-1] == UNKNOWN and len(values) > 1 and 0 < values[-2] < UNKNOWN - 1:
        values.pop()
        flags["ignore_label"] = UNKNOWN
        reason = f"the largest label is {values[-1]}, and {UNKNOWN} stands for nothing known"
    elif values == [0, UNKNOWN]:
        values, reason = [0, 1], "masks of two values"
    label_nc = max(1, values[-1] + 1)
    # Of Cityscapes' 35 labels the last one is not in its files.
    is_cityscapes = survey.first.stem.endswith("_labelIds") and label_nc <= len(CITYSCAPES)
    if is_cityscapes or label_nc == len(CITYSCAPES) - 1:
        label_nc, reason = len(CITYSCAPES), "labels are as those of Cityscapes"
    if label_nc <= MOST_LABELS:
        yield Suggestion({"label_nc": label_nc, **flags}, reason)


def _sizes(survey: Survey, data: DataOptions) -> Iterator[Suggestion]:
    """How to scale: so that hardly an image is enlarged, to multiples of what generators need."""
    sizes = survey.sizes["label"]
    widths = sorted(size[0] for size in sizes.elements())
    narrow, common = widths[len(widths) // 10], sizes.most_common(1)[0][0]
    load_size = min(DataOptions().loadSize, max(STRIDE, narrow - narrow % STRIDE))
    shapes = {round(height * load_size / width) for width, height in sizes}
    if len(shapes) > 1 and data.batchSize > 1:
        flags = {"resize_or_crop": "resize_and_crop", "loadSize": load_size}
        crop = min(load_size, DataOptions().fineSize)
        yield Suggestion(flags | {"fineSize": crop}, "sizes differ, and batches need one")
    elif max(shapes) > 2 * load_size:
        flags = {"resize_or_crop": "scale_width_and_crop", "loadSize": load_size}
        crop = min(load_size, DataOptions().fineSize)
        yield Suggestion(flags | {"fineSize": crop}, "some images are tall, and crops bound memory")
    elif (
        len(sizes) == 1
        and common[0] <= DataOptions().loadSize
        and not any(side % STRIDE for side in common)
    ):
        if common[0] != DataOptions().loadSize:
            yield Suggestion({"resize_or_crop": "none"}, "all images fit as they are")
    elif load_size != DataOptions().loadSize:
        enlarged = "none is" if narrow == widths[0] else "hardly one is"
        yield Suggestion({"loadSize": load_size}, f"so that {enlarged} enlarged")


def _channels(survey: Survey, name: str, flag: str, what: str) -> Iterator[Suggestion]:
    """The channels of photographs."""
    channels, values = survey.channels.get(name), survey.values.get(name)
    most = channels.most_common(1)[0][0] if channels else 3
    if values and values.images and values.gray:
        yield Suggestion({flag: 1}, f"{what} are gray")
    elif most not in (1, 3):
        yield Suggestion({flag: most}, f"{what} have {most} channels")


def _value_ranges(survey: Survey) -> Iterator[Suggestion]:
    for name, flag in (("image", "value_range"), ("label", "input_range")):
        use = survey.values.get(name)
        if use and use.images and (text := value_range(use.dtypes, use.low, use.high)):
            flags = {flag: text}
            yield Suggestion(flags, f"values reach from {use.low:g} to {use.high:g}")


def value_range(dtypes: Mapping[str, int], low: float, high: float) -> str | None:
    """LOW,HIGH that suits values which use a sliver of their type's range, or exceed it; else None.

    Rounded outwards: for 16 bits to those of a camera, else to two digits.
    """
    if set(dtypes) == {"uint16"}:
        return f"0,{2 ** max(1, int(high).bit_length()) - 1}" if high < SLIVER * 65535 else None
    if set(dtypes) != {"float32"} or not low < high or (low >= 0 and SLIVER < high <= 1):
        return None
    digit = 10 ** (math.floor(math.log10(high - low)) - 1)
    bottom = 0 if 0 <= low < (high - low) / 2 else math.floor(low / digit) * digit
    return f"{bottom:g},{math.ceil(high / digit) * digit:g}"


def is_rare(use: LabelUse, survey: Survey) -> bool:
    """Whether a label is near empty."""
    few = use.images < RARE_IMAGES * survey.decoded
    return few or use.pixels < RARE_PIXELS * survey.pixels


def worth_a_look(survey: Survey, labels: LabelSet, ignore_label: int | None) -> Iterator[str]:
    """Lines about what is likely a mistake in the maps, though training would take it.

    Args:
        labels: what training is told of labels; empty where inputs are images.
    """
    used = [label for label in survey.labels if label != ignore_label]
    if len(labels) > 16 and 0 < len(used) < len(labels) / 3:
        yield (
            f"only {len(used)} of {len(labels)} labels occur: each costs memory and time; "
            f"renumber them from 0 to {len(used) - 1}"
        )
    instances = survey.instances
    if instances and instances.misnamed > MISNAMED * sum(instances.named.per_image):
        share = instances.misnamed / sum(instances.named.per_image)
        yield (
            f"{share:.1%} of the instances with ids of 1000 and more name another label (id // "
            "1000) than the label maps show there; are both of the same scenes and numbering?"
        )


def same_photographs(groups: list[list[Path]]) -> Iterator[str]:
    """A line about photographs of one phase that are the same, in groups."""
    if groups:
        one, other, more = _first_pair(groups)
        yield f"{one}: the same photograph as {other}{more}; keep one of each"


def same_labels(groups: list[list[Path]]) -> Iterator[str]:
    """A line about label maps that are the same, of photographs that are not, in groups."""
    if groups:
        one, other, more = _first_pair(groups)
        yield (
            f"{one}: the same label map as {other}, of another photograph{more}; one of them may "
            "be misplaced"
        )


def leaks(groups: list[list[Path]], ours: Collection[Path]) -> Iterator[str]:
    """A line about photographs, in groups of the same, that this phase shares with others.

    Args:
        ours: those of this phase.
    """
    apart = [sorted(alike, key=lambda path: path not in ours) for alike in groups]
    shared = [
        [alike[0], alike[-1]] for alike in apart if alike[0] in ours and alike[-1] not in ours
    ]
    if shared:
        one, other, more = _first_pair(shared)
        yield (
            f"{one}: the same photograph as {other}{more}; what is trained on is no test: remove "
            "it from one of the phases"
        )


def notes(survey: Survey, labels: LabelSet) -> Iterator[str]:
    """Lines about what is good to know."""
    if survey.labels and survey.decoded < survey.images:
        yield f"labels and instances are of {survey.decoded:,} of {survey.images:,} images"
    rare = [
        n for n, use in sorted(survey.labels.items()) if n < len(labels) and is_rare(use, survey)
    ]
    if rare:
        yield (
            f"near empty, in less than {RARE_IMAGES:.0%} of images or {RARE_PIXELS:.2%} of pixels: "
            + ", ".join(map(labels.describe, rare))
        )
    if survey.labels and (never := [n for n in range(len(labels)) if n not in survey.labels]):
        yield f"never used: {_in_runs(never, labels)}"


def _in_runs(numbers: list[int], labels: LabelSet) -> str:
    """Labels, where many stand in a row only the first and last of them."""
    ends = np.flatnonzero(np.diff(numbers, append=numbers[-1] + 2) != 1)
    runs: list[str] = []
    start = 0
    for end in ends.tolist():
        run = numbers[start : end + 1]
        start = end + 1
        runs += [f"labels {run[0]} to {run[-1]}"] if len(run) > 3 else map(labels.describe, run)
    return ", ".join(runs)


def _first_pair(groups: list[list[Path]]) -> tuple[Path, Path, str]:
    """Two of the first group, and in words how many more files repeat another."""
    count = sum(len(alike) - 1 for alike in groups)
    return groups[0][0], groups[0][1], f", the first of {count:,}" if count > 1 else ""
