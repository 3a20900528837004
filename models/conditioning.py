"""From a batch to what the networks see: pure functions, run on the device."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def image_to_float(pixels: Tensor) -> Tensor:
    """Photographs as networks take them, float32 in [-1, 1].

    Args:
        pixels: [N, C, H, W], uint8 or uint16 as files have them; floating point is taken to be in
            [-1, 1] already.
    """
    if pixels.is_floating_point():
        return pixels
    largest = {torch.uint8: 255, torch.uint16: 65535}[pixels.dtype]
    # For bytes bit for bit the usual (x / 255 - 0.5) / 0.5, as all of it is twice that.
    return pixels.float().div_(largest / 2).sub_(1)


def memory_format_of(x: Tensor) -> torch.memory_format:
    """How [N, C, H, W] lies in memory."""
    is_last = x.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if is_last else torch.contiguous_format


def one_hot(
    label: Tensor,
    label_nc: int,
    channels: int = 0,
    dtype: torch.dtype = torch.float32,
    memory_format: torch.memory_format = torch.contiguous_format,
) -> Tensor:
    """One channel for each label: integers [N, 1, H, W] to 0 and 1, [N, channels, H, W].

    A value outside [0, label_nc) sets no channel: so pixels of `--ignore_label` are told apart.

    Args:
        channels: how many to return, if more than `label_nc`; the further ones are 0.
        dtype, memory_format: of what is returned.
    """
    label, channels = label.to(torch.int32), max(label_nc, channels)
    if memory_format == torch.channels_last:
        # Each pixel is a row of a table, copied whole; a scatter is several times slower there.
        codes = torch.eye(label_nc, channels, dtype=dtype, device=label.device)
        table = F.pad(codes, (0, 0, 1, 1))  # rows of zeros for labels too small and too large
        return F.embedding((label[:, 0] + 1).clamp_(0, label_nc + 1), table).permute(0, 3, 1, 2)
    inside = (label >= 0) & (label < label_nc)
    maps = torch.zeros(len(label), channels, *label.shape[2:], dtype=dtype, device=label.device)
    return maps.scatter_(1, label.where(inside, 0).long(), inside.to(dtype))


def coloured(label: Tensor, palette: Tensor) -> Tensor:
    """Label maps as pictures: integers [N, 1, H, W] to [N, 3, H, W] in [-1, 1].

    Args:
        palette: [n + 1, 3] in [-1, 1], of the labels 0 to n - 1 and of all other values.
    """
    label, count = label[:, 0].to(torch.int32), len(palette) - 1
    rows = label.where((label >= 0) & (label < count), count)
    return F.embedding(rows, palette).permute(0, 3, 1, 2)


def instance_boundaries(inst: Tensor) -> Tensor:
    """Where a pixel's instance id differs from any of its 4 neighbours' (paper, section 3.3).

    Integers [N, 1, H, W] to booleans of the same shape.
    """
    edge = torch.zeros_like(inst, dtype=torch.bool)
    horizontal = inst[..., :, 1:] != inst[..., :, :-1]
    vertical = inst[..., 1:, :] != inst[..., :-1, :]
    edge[..., :, 1:] |= horizontal
    edge[..., :, :-1] |= horizontal
    edge[..., 1:, :] |= vertical
    edge[..., :-1, :] |= vertical
    return edge


def condition(
    label: Tensor,
    inst: Tensor | None,
    label_nc: int,
    extra: Tensor | None = None,
    dtype: torch.dtype = torch.float32,
    memory_format: torch.memory_format = torch.contiguous_format,
    palette: Tensor | None = None,
) -> Tensor:
    """The maps that the networks see, [N, C, H, W]: labels (or an image), boundaries, and the
    further image.

    C is what `condition_channels` says.

    Args:
        label: integers [N, 1, H, W], or with `label_nc` 0 an image as `image_to_float` takes it.
        inst: integers [N, 1, H, W], or None to leave the boundaries out.
        label_nc: number of labels, or 0.
        extra: an image as `image_to_float` takes it, or None.
        dtype, memory_format: of what is returned; all is written there at once.
        palette: of `coloured`, for labels as colours; None: a channel for each.
    """
    given = 3 if palette is not None else label_nc or label.shape[1]
    channels = given + int(inst is not None) + (0 if extra is None else extra.shape[1])
    if label_nc and palette is None:
        maps = one_hot(label, label_nc, channels, dtype, memory_format)
    else:
        shape = len(label), channels, *label.shape[2:]
        maps = torch.empty(shape, dtype=dtype, device=label.device, memory_format=memory_format)
        maps[:, :given] = image_to_float(label) if palette is None else coloured(label, palette)
    if inst is not None:
        maps[:, given : given + 1] = instance_boundaries(inst)
    if extra is not None:
        maps[:, channels - extra.shape[1] :] = image_to_float(extra)
    return maps


def condition_channels(label_nc: int, input_nc: int, use_instance: bool, extra_nc: int = 0) -> int:
    """Channels that `condition` returns; `input_nc` and `extra_nc` are those of input images."""
    return (label_nc or input_nc) + int(use_instance) + extra_nc


def pad_to_stride(x: Tensor, stride: int, least: int = 2) -> Tensor:
    """Repeat the last column and row until `stride` divides both sides.

    The sides become at least `least * stride`: reflection padding at the lowest resolution needs
    two pixels.
    """
    bottom, right = (max(-size % stride, least * stride - size) for size in x.shape[-2:])
    if not (right or bottom):
        return x
    with torch.autocast(x.device.type, enabled=False):  # it would make float32 of x, on a CPU
        return F.pad(x, (0, right, 0, bottom), mode="replicate")
