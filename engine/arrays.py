"""Between a caller's arrays and the tensors of a batch, with errors that name the argument."""

from __future__ import annotations

import warnings

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from pix2pixhd.data.dataset import IGNORE, IGNORE_WIDE
from pix2pixhd.data.transforms import to_float
from pix2pixhd.options.base_options import ValueRange
from pix2pixhd.util.errors import UserError


def integers(what: str, array: ArrayLike | None) -> Tensor:
    """int32 [1, 1, H, W] of a map of identifiers, [H, W]; `what` is the argument's name.

    Raises:
        UserError: not such a map.
    """
    values = np.asarray(array)
    if values.dtype.kind not in "iub":
        remedy = f"{what}.astype(int) if they are whole" if values.dtype.kind == "f" else "convert"
        raise UserError(f"{what}: {values.dtype} values, expected integers; {remedy}")
    if values.ndim != 2 or not values.size:
        raise UserError(f"{what}: shape {list(values.shape)}, expected [H, W]; one number a pixel")
    if values.min() < -(2**31) or values.max() >= 2**31:
        found = f"{values.min()} to {values.max()}"
        raise UserError(f"{what}: holds {found}, expected numbers of 32 bits; renumber them")
    return torch.from_numpy(values.astype(np.int32))[None, None]


def labels(what: str, array: ArrayLike, count: int, ignored: int | None) -> Tensor:
    """uint8 [1, 1, H, W] of a label map, [H, W], int32 of more than 255 labels; see
    `data.dataset.IGNORE`.

    Args:
        count: of the labels.
        ignored: a further number that says nothing.

    Raises:
        UserError: not such a map, or with other labels.
    """
    values = integers(what, array)
    is_known = (values >= 0) & (values < count)
    if ignored is not None:
        is_known |= values == ignored
        values = values.masked_fill(values == ignored, IGNORE_WIDE if count > 255 else IGNORE)
    if not is_known.all():
        also = "" if ignored is None else f", or {ignored} to ignore"
        raise UserError(
            f"{what}: holds {values[~is_known][0]}, expected 0 to {count - 1} as the run has "
            f"--label_nc {count}{also}; renumber the labels as its label maps are"
        )
    return values if count > 255 else values.to(torch.uint8)


def planes(what: str, array: ArrayLike | None, channels: int, kinds: str = "uf") -> Tensor:
    """[1, C, H, W] of an array that has its channels last or first; one channel needs no axis.

    Args:
        kinds: of its values, f: floating point, which becomes float32; u: 8 or 16 bits as well.

    Raises:
        UserError: values of another kind, or not so many channels.
    """
    values = np.asarray(array)
    is_float = values.dtype.kind == "f"
    if not is_float and ("u" not in kinds or values.dtype not in (np.uint8, np.uint16)):
        expected = "uint8, uint16 or floating point" if "u" in kinds else "floating point"
        raise UserError(f"{what}: {values.dtype} values, expected {expected}; convert the array")
    if values.ndim == 2 and channels == 1:
        values = values[..., None]
    if values.ndim == 3 and values.shape[-1] != channels and values.shape[0] == channels:
        values = values.transpose(1, 2, 0)
    if values.ndim != 3 or values.shape[-1] != channels or not values.size:
        expected = f"[H, W, {channels}] or [{channels}, H, W]" + " or [H, W]" * (channels == 1)
        raise UserError(
            f"{what}: shape {list(values.shape)}, expected {expected}; see the run's opt.txt"
        )
    if is_float and not np.isfinite(values).all():
        raise UserError(f"{what}: holds NaN or infinity, expected finite numbers; mask them first")
    values = values.transpose(2, 0, 1).astype(np.float32 if is_float else values.dtype, order="C")
    return torch.from_numpy(values)[None]


def image_planes(
    what: str, array: ArrayLike | None, channels: int, value_range: ValueRange | None
) -> Tensor:
    """An image as batches have it: bytes, 16 bits where white is 65535, or float in [-1, 1].

    Args:
        value_range: what is black and white where there are more than 8 bits; None: 0 and 65535,
            in floating point 0 and 1.
    """
    pixels = planes(what, array, channels)
    if pixels.dtype == torch.uint8 or (pixels.dtype == torch.uint16 and value_range is None):
        return pixels
    low, high = value_range or (0.0, 1.0)
    least, most = float(pixels.double().min()), float(pixels.double().max())
    if least < low or most > high:
        found = f"{what}: values {least:g} to {most:g}, cut off outside {low:g} to {high:g}"
        warnings.warn(f"{found}; give them in that range, or load with value_range", stacklevel=4)
    return to_float(pixels, low, high)


def check_size(what: str, tensor: Tensor, size: torch.Size) -> None:
    """Refuse a map of another height and width than the label map's."""
    if tensor.shape[-2:] != size:
        found, expected = list(tensor.shape[-2:]), list(size)
        raise UserError(f"{what}: {found} pixels (H, W), expected {expected} as the label map has")


def is_taken(what: str, given: ArrayLike | None, takes: bool, kind: str, without: str) -> bool:
    """Whether the run takes a map; a UserError if it is not given then, or given otherwise."""
    if takes and given is None:
        raise UserError(f"{what}: the run takes {kind}, and none is given; give an array {what}=")
    if given is not None and not takes:
        raise UserError(f"{what}: the run was trained with {without}; leave it out")
    return takes
