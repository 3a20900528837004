"""What can be wrong with the files of a sample, in words.

Each function returns one line (file, value found, range expected; likely fix) or None. The check
before training and the data set itself both speak through them, so that a problem reads the same
whenever it is found. What follows the last semicolon names no file: the check groups by it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

# Pillow's modes with one whole number a pixel. A palette's indices are such numbers.
ID_MODES = frozenset({"1", "L", "P", "I", "I;16", "I;16L", "I;16B", "I;16N"})

MASK = {0, 255}

# Pillow's modes of the pictures that hold so many features.
FEATURE_MODES = {1: "L", 3: "RGB"}

MAKE_FEATURES = "python precompute_feature_maps.py --name <the run with the encoder>"
FEATURES_AGAIN = f"make the feature maps again with {MAKE_FEATURES}"


def unreadable(path: Path, error: Exception) -> str:
    """The reason why Pillow could not read a file."""
    if isinstance(error, FileNotFoundError | PermissionError | IsADirectoryError):
        return f"{path}: {error.strerror}; make the file readable, or remove its partners too"
    if path.stat().st_size == 0:
        return f"{path}: the file is empty (0 bytes), expected an image; copy it here again"
    if isinstance(error, UnidentifiedImageError):
        return f"{path}: not an image, whatever its name says; replace or remove it"
    if isinstance(error, Image.DecompressionBombError):
        return f"{path}: more pixels than Pillow takes for an honest image; cut it into tiles"
    reason = " ".join(str(error).split()) or type(error).__name__
    return f"{path}: damaged, its pixels cannot be decoded ({reason}); copy it here again"


def id_mode(path: Path, mode: str, what: str) -> str | None:
    """A label or instance map that has no whole numbers for pixels.

    Args:
        path: the file.
        mode: Pillow's name for its kind of pixels.
        what: the kind of map, "label" or "instance".
    """
    if mode in ID_MODES:
        return None
    if mode == "F":
        return (
            f"{path}: this {what} map holds floating-point numbers, expected whole ones; "
            "save it with 8, 16 or 32 bits as integers"
        )
    channels = Image.getmodebands(mode)
    fix = (
        "save the number of each pixel's label, not its colour; "
        "for image-to-image put the pictures into <phase>_A and <phase>_B and give --label_nc 0"
        if what == "label"
        else "save the number of each pixel's instance, not its colour, or give --no_instance"
    )
    return f"{path}: this {what} map has {channels} channels ({mode}), expected one; {fix}"


def photo_mode(path: Path, mode: str, format_: str | None) -> str | None:
    """A photograph whose range of values is unknown."""
    # In these formats Pillow's "I" stands for 16 bits; elsewhere it may be any 32.
    if mode != "F" and (mode != "I" or format_ in ("PNG", "PPM")):
        return None
    kind = "floating-point" if mode == "F" else "32-bit"
    return (
        f"{path}: this photograph holds {kind} numbers whose range is unknown, expected 8 or "
        "16 bits a channel; convert it"
    )


def label_values(
    path: Path, values: Sequence[int], label_nc: int, ignore_label: int | None
) -> str | None:
    """Labels outside the range.

    Args:
        path: the label map.
        values: the values in it, ascending, each once.
        label_nc: number of labels.
        ignore_label: the one value that may lie outside the range.
    """
    wrong = [v for v in values if not 0 <= v < label_nc and v != ignore_label]
    if not wrong:
        return None
    if wrong == [255] and set(values) <= MASK:
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
    return (
        f"{path}: label {found} found, expected 0 to {label_nc - 1} (--label_nc {label_nc}); {fix}"
    )


def feature_mode(path: Path, mode: str, feat_num: int) -> str | None:
    """A picture, by its Pillow mode, that does not hold `feat_num` features of 8 bits."""
    wanted = FEATURE_MODES.get(feat_num)
    if mode == wanted:
        return None
    expected = f"{wanted} for" if wanted else "an .npz file, as pictures hold 1 or 3, for"
    return (
        f"{path}: this feature map is a picture of mode {mode}, expected {expected} --feat_num "
        f"{feat_num}; give the --feat_num that it was made with, or {FEATURES_AGAIN}"
    )


def feature_array(path: Path, shape: tuple[int, ...], dtype: np.dtype, feat_num: int) -> str | None:
    """An array that is no feature map of `feat_num` features."""
    is_map = dtype.kind == "f" and len(shape) == 3 and min(shape) > 0
    if is_map and shape[0] == feat_num:
        return None
    found = f"this feature map is {dtype} [{','.join(map(str, shape))}]"
    if dtype.hasobject:
        found = "this file holds pickled objects, none of which was executed"
    remedy = f"give --feat_num {shape[0]}, or {FEATURES_AGAIN}" if is_map else FEATURES_AGAIN
    return f"{path}: {found}, expected float16 [{feat_num},H,W] (--feat_num {feat_num}); {remedy}"


def unreadable_features(path: Path, error: Exception) -> str:
    """The reason why an .npz file could not be read."""
    reason = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, OSError):
        return f"{path}: cannot be read ({error.strerror or reason}); make the file readable"
    if path.stat().st_size == 0:
        reason = "the file is empty, 0 bytes"
    return f"{path}: damaged, or no .npz of a feature map ({reason}); {FEATURES_AGAIN}"


def jpeg_ids(paths: Sequence[Path], kind: str) -> str:
    """A warning: identifiers in a lossy format, all within the range; `kind` as in `id_mode`."""
    more = f", the first of {len(paths)}" if len(paths) > 1 else ""
    return (
        f"warning: {paths[0]}: this {kind} map is a JPEG{more}; JPEG changes values along edges, "
        f"where training then sees {kind}s that nobody drew; make the {kind} maps again as PNG"
    )


def size_mismatch(files: dict[str, Path], sizes: dict[str, tuple[int, int]]) -> str | None:
    """Maps of one sample that differ in size (width, height)."""
    width, height = sizes["label"]
    for name, size in sizes.items():
        if size != (width, height):
            same = "all maps of a sample must have the same size"
            return (
                f"{files[name]}: {size[0]}x{size[1]} pixels, expected {width}x{height} as in "
                f"{files['label']}; {FEATURES_AGAIN if name == 'feat' else same}"
            )
    return None


def batch_sizes(one: Path, size: tuple[int, int], other: Path, size_: tuple[int, int]) -> str:
    """Samples of one batch, by their label maps, that differ in size (width, height)."""
    return (
        f"{one}: {size[0]}x{size[1]} pixels after --resize_or_crop, but {size_[0]}x{size_[1]} from "
        f"{other}, and the images of a batch must have one size; "
        "give --batchSize 1, or --resize_or_crop resize_and_crop"
    )
