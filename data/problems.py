"""What can be wrong with a sample's files, in words, where several modules say it.

A problem is one line: file, value found, range expected; likely fix. It reads the same whether the
check before training finds it or the data set. What follows the last semicolon names no file: the
check groups by it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pix2pixhd.data import transforms
from pix2pixhd.util.errors import UserError

MAKE_FEATURES = "python precompute_feature_maps.py --name <the run with the encoder>"
FEATURES_AGAIN = f"make the feature maps again with {MAKE_FEATURES}"


def check_labels(
    path: Path, values: Sequence[int], label_nc: int, ignore_label: int | None
) -> None:
    """Refuse labels outside the range: of `values`, ascending, all but ignore_label."""
    wrong = [v for v in values if not 0 <= v < label_nc and v != ignore_label]
    if not wrong:
        return
    if wrong == [255] and set(values) <= {0, 255}:
        fix = "did you mean --label_nc 2 with values 0 and 1? Divide the mask by 255"
    elif wrong == [255]:
        fix = "if 255 means that nothing is known there, give --ignore_label 255"
    elif path.suffix.lower() in (".jpg", ".jpeg"):
        fix = "JPEG does not keep labels exactly: save label maps as PNG"
    elif wrong[0] < 0:
        fix = "labels count from 0: renumber them"
    else:
        largest = max(v for v in wrong if v != 255)
        fix = f"give --label_nc {largest + 1} or more if all of them are labels, or renumber them"
        if 255 in wrong:
            fix += ", and give --ignore_label 255 if that means that nothing is known there"
    found = ", ".join(map(str, wrong[:3])) + (f", ... {wrong[-1]}" if len(wrong) > 3 else "")
    raise UserError(
        f"{path}: label {found} found, expected 0 to {label_nc - 1} (--label_nc {label_nc}); {fix}"
    )


def check_sizes(
    files: dict[str, Path], sizes: dict[str, tuple[int, int]], resize_or_crop: str
) -> None:
    """Refuse maps of one sample that differ in size (width, height), unless all are scaled and have
    the same aspect ratio."""
    width, height = sizes["label"]
    scales = resize_or_crop not in ("crop", "none")
    for name, size in sizes.items():
        same_aspect = transforms.same_aspect(size, (width, height))
        if size == (width, height) or (scales and same_aspect):
            continue
        if name == "feat":
            fix = FEATURES_AGAIN
        elif same_aspect:
            mode = "scale_width" + "_and_crop" * (resize_or_crop == "crop")
            fix = f"give --resize_or_crop {mode}, which scales each map on its own to --loadSize"
        else:
            fix = "all maps of a sample must show the same scene whole, in one aspect ratio"
        raise UserError(
            f"{files[name]}: {size[0]}x{size[1]} pixels, expected {width}x{height} as in "
            f"{files['label']}{' or the same aspect ratio' if scales else ''}; {fix}"
        )


def batch_sizes(one: Path, size: tuple[int, int], other: Path, size_: tuple[int, int]) -> str:
    """Samples of one batch, by their label maps, that differ in size (width, height)."""
    return (
        f"{one}: {size[0]}x{size[1]} pixels after --resize_or_crop, but {size_[0]}x{size_[1]} from "
        f"{other}, and the images of a batch must have one size; "
        "give --batchSize 1, or --resize_or_crop resize_and_crop"
    )
