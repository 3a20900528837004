"""Segments: the regions of an id map. Found, averaged over, and filled with values of their own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Segments:
    """The instances of a batch: pixels of the same sample with the same id, connected or not.

    They are S in number and ordered by sample, then by id. All tensors are int64.
    """

    index: Tensor  # [N*H*W], for each pixel the place of its instance among the S
    count: Tensor  # [S], its pixels
    sample: Tensor  # [S], its place in the batch
    id: Tensor  # [S]
    shape: tuple[int, int, int]  # N, H, W


def segments(ids: Tensor) -> Segments:
    """Find the instances of a batch.

    Args:
        ids: integers [N, 1, H, W] from -2^31 to 2^31 - 1.
    """
    keys, index, count = unique(_keys(ids))
    return _segments_of(keys, index, count, ids)


def uncounted_segments(ids: Tensor) -> Segments:
    """As `segments`, but the host need not know S: it is taken to be the number of pixels, N*H*W.

    The instances that there are come first, in the same order; `count` of the others is 1.
    """
    keys = _keys(ids)
    ordered, order = keys.sort()
    starts = torch.ones_like(ordered, dtype=torch.bool)
    torch.ne(ordered[1:], ordered[:-1], out=starts[1:])
    index_of_ordered = starts.cumsum(0) - 1
    index = torch.empty_like(order).scatter_(0, order, index_of_ordered)
    count = torch.zeros_like(keys).index_add_(0, index_of_ordered, torch.ones_like(keys))
    first = torch.zeros_like(keys).scatter_(0, index_of_ordered, ordered)
    return _segments_of(first, index, count.clamp_(min=1), ids)


def _segments_of(keys: Tensor, index: Tensor, count: Tensor, ids: Tensor) -> Segments:
    """The segments whose keys, of `_keys(ids)`, are given one for each."""
    batch, _, height, width = ids.shape
    sample = (keys + 2**31) >> 32
    return Segments(index, count, sample, keys - (sample << 32), (batch, height, width))


def _keys(ids: Tensor) -> Tensor:
    """A number, int64 [N*H*W], for each pixel's sample and id, ordered by these."""
    samples = torch.arange(len(ids), device=ids.device).view(-1, 1, 1, 1)
    # Ids span 2^32 values, so that keys of two samples never meet.
    return (ids.to(torch.int64) + (samples << 32)).flatten()


def unique(keys: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The sorted distinct values of int64 [P], each element's place among them, and their counts.

    As `torch.unique`, but quick for maps, where most pixels equal the one before: only the runs
    are sorted, a hundred times fewer than pixels.
    """
    runs, run_of_pixel, lengths = torch.unique_consecutive(
        keys, return_inverse=True, return_counts=True
    )
    values, value_of_run = torch.unique(runs, return_inverse=True)
    counts = torch.zeros_like(values).index_add_(0, value_of_run, lengths)
    return values, value_of_run.index_select(0, run_of_pixel), counts


def exact_dtype(device: torch.device) -> torch.dtype:
    """What sums over an instance are made in.

    float64: adding up the half million pixels of a road one by one in float32 is off by up to a
    percent. Apple's GPUs have nothing better than float32.
    """
    return torch.float32 if device.type == "mps" else torch.float64


def segment_means(features: Tensor, found: Segments) -> Tensor:
    """The mean of each instance, [S, C] of `exact_dtype`, from [N, C, H, W]."""
    pixels = features.permute(0, 2, 3, 1).flatten(0, 2).to(exact_dtype(features.device))
    sums = pixels.new_zeros(len(found.count), pixels.shape[1]).index_add_(0, found.index, pixels)
    return sums / found.count[:, None]


def paint(values: Tensor, found: Segments) -> Tensor:
    """Give each pixel the values of its instance: [S, C] to [N, C, H, W]."""
    batch, height, width = found.shape
    pixels = values.index_select(0, found.index)
    return pixels.view(batch, height, width, values.shape[1]).permute(0, 3, 1, 2).contiguous()


def instance_average(features: Tensor, ids: Tensor) -> Tensor:
    """Instance-wise average pooling: each pixel gets the mean over its instance.

    Args:
        features: floating point [N, C, H, W].
        ids: integers [N, 1, H, W] from -2^31 to 2^31 - 1. The same id in two samples means two
            instances. For features per label (`--label_feat`), the label map.

    Returns:
        Shape and dtype of `features`; sums are made in `exact_dtype` whatever that is.
    """
    # Finding out how many instances there are would wait for a GPU to catch up.
    found = segments(ids) if ids.device.type == "cpu" else uncounted_segments(ids)
    average: Tensor = _SegmentAverage.apply(features, found)
    return average


class _SegmentAverage(torch.autograd.Function):
    """Averaging is a symmetric linear map, so its gradient is the average of the gradient.

    Autograd would come to the same, but adds the gradients up in the dtype of the features.
    """

    @staticmethod
    def forward(ctx: Any, features: Tensor, found: Segments) -> Tensor:
        ctx.found = found
        return paint(segment_means(features, found).to(features.dtype), found)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return _SegmentAverage.apply(gradients[0], ctx.found), None
