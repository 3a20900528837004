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


def one_hot(label: Tensor, label_nc: int) -> Tensor:
    """One channel for each label: integers [N, 1, H, W] to 0 and 1, float32 [N, label_nc, H, W].

    A value outside [0, label_nc) sets no channel: so pixels of `--ignore_label` are told apart.
    """
    labels = torch.arange(label_nc, device=label.device, dtype=torch.int32).view(1, -1, 1, 1)
    return (label.to(torch.int32) == labels).float()


def instance_boundaries(inst: Tensor) -> Tensor:
    """Where a pixel's instance id differs from any of its 4 neighbours' (paper, section 3.3).

    Integers [N, 1, H, W] to 0 and 1, float32 of the same shape.
    """
    edge = torch.zeros_like(inst, dtype=torch.bool)
    horizontal = inst[..., :, 1:] != inst[..., :, :-1]
    vertical = inst[..., 1:, :] != inst[..., :-1, :]
    edge[..., :, 1:] |= horizontal
    edge[..., :, :-1] |= horizontal
    edge[..., 1:, :] |= vertical
    edge[..., :-1, :] |= vertical
    return edge.float()


def condition(
    label: Tensor, inst: Tensor | None, label_nc: int, extra: Tensor | None = None
) -> Tensor:
    """The maps that the networks see, float32 [N, C, H, W]: labels (or an image), boundaries, and
    the further image.

    C is what `condition_channels` says.

    Args:
        label: integers [N, 1, H, W], or with `label_nc` 0 an image as `image_to_float` takes it.
        inst: integers [N, 1, H, W], or None to leave the boundaries out.
        label_nc: number of labels, or 0.
        extra: an image as `image_to_float` takes it, or None.
    """
    parts = [one_hot(label, label_nc) if label_nc else image_to_float(label)]
    if inst is not None:
        parts.append(instance_boundaries(inst))
    if extra is not None:
        parts.append(image_to_float(extra))
    return torch.cat(parts, dim=1)


def condition_channels(label_nc: int, input_nc: int, use_instance: bool, extra_nc: int = 0) -> int:
    """Channels that `condition` returns; `input_nc` and `extra_nc` are those of input images."""
    return (label_nc or input_nc) + int(use_instance) + extra_nc


def pad_to_stride(x: Tensor, stride: int) -> Tensor:
    """Repeat the last column and row until `stride` divides both sides.

    The sides become at least `2 * stride`: reflection padding at the lowest resolution needs two
    pixels.
    """
    bottom, right = (max(-size % stride, 2 * stride - size) for size in x.shape[-2:])
    return F.pad(x, (0, right, 0, bottom), mode="replicate") if right or bottom else x
