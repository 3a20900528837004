"""Segments: the regions of an id map. Found, averaged over, and filled with values of their own.

Pixels are sorted by segment once; sums then run over stretches of the sorted pixels. Adding each
pixel to its segment's place would be shorter, but on a GPU half a million pixels queue for a few
dozen places, and arrive in another order, with another rounding, each time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Segments:
    """The instances of a batch: pixels of the same sample with the same id, connected or not.

    They are S in number and ordered by sample, then by id. All tensors are int64.
    """

    order: Tensor  # [N*H*W], the pixels instance by instance
    index: Tensor  # [N*H*W], for each pixel the place of its instance among the S
    count: Tensor  # [S], its pixels
    sample: Tensor  # [S], its place in the batch
    id: Tensor  # [S]
    shape: tuple[int, int, int]  # N, H, W

    def of_pixels(self) -> Segments:
        """Only the instances that have pixels, for whose number the host waits."""
        size = int((self.count > 0).sum())
        return replace(self, count=self.count[:size], sample=self.sample[:size], id=self.id[:size])


def segments(ids: Tensor, counted: bool = True) -> Segments:
    """Find the instances of a batch.

    Args:
        ids: integers [N, 1, H, W] from -2^31 to 2^31 - 1; N > 0.
        counted: False: S is taken to be the number of pixels, so that shapes do not depend on
            values, which the host would have to wait for. The instances that there are come first;
            the `count` of the others is 0, their `sample` and `id` mean nothing.
    """
    batch, _, height, width = ids.shape
    # Apple's GPUs have neither float64 nor segment_reduce: segments live on the host there.
    rows = (ids.cpu() if ids.device.type == "mps" else ids).to(torch.int32).flatten(1)
    # Row by row: PyTorch's fast sort on the CPU is for one dimension.
    by_sample = [row.sort(stable=True) for row in rows]
    ordered = torch.stack([values for values, _ in by_sample])  # [N, H*W]
    begins = torch.ones_like(ordered, dtype=torch.bool)  # at the first pixel of an instance
    begins[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    begins, ordered = begins.flatten(), ordered.flatten()
    order = torch.cat([places.add_(n * height * width) for n, (_, places) in enumerate(by_sample)])
    index = torch.empty_like(order).scatter_(0, order, begins.cumsum(0).sub_(1))
    pixels = len(order)
    size = int(begins.sum()) if counted else pixels
    first = torch.nonzero_static(begins, size=size, fill_value=pixels).squeeze(1)  # [S], of each
    count = torch.diff(first, append=first.new_full((1,), pixels))
    first = first.clamp(max=pixels - 1)
    sample = first // max(height * width, 1)
    return Segments(order, index, count, sample, ordered[first].long(), (batch, height, width))


def segment_means(features: Tensor, found: Segments) -> Tensor:
    """The mean of each instance, float64 [S, C], from [N, C, H, W]; 0 for those of no pixels.

    In float32, adding up the half million pixels of a road would be off by up to a percent.
    """
    pixels = features.to(found.order.device).transpose(0, 1).flatten(1)  # [C, N*H*W]
    # Channel by channel: with several columns, CUDA gives each segment one thread, not a block of
    # them. `unsafe` leaves out a check of the lengths, which the host would have to wait for.
    sums = []
    for channel in pixels:
        stretches = channel.index_select(0, found.order).to(torch.float64)
        sums.append(torch.segment_reduce(stretches, "sum", lengths=found.count, unsafe=True))
    return torch.stack(sums, dim=1) / found.count.clamp(min=1)[:, None]  # [S, C]


def paint(values: Tensor, found: Segments) -> Tensor:
    """Give each pixel the values of its instance: [S, C] to [N, C, H, W]."""
    pixels = values.T.contiguous().index_select(1, found.index)  # [C, N*H*W]
    return pixels.unflatten(1, found.shape).transpose(0, 1).contiguous()


def instance_average(features: Tensor, ids: Tensor) -> Tensor:
    """Instance-wise average pooling: each pixel gets the mean over its instance.

    Args:
        features: floating point [N, C, H, W]; so is the result, from sums in float64. The same
            input gives the same bits.
        ids: integers [N, 1, H, W] from -2^31 to 2^31 - 1. The same id in two samples means two
            instances. For features per label (`--label_feat`), the label map.
    """
    # A short table of means is quicker, where the host need not wait for its length.
    counted = ids.device.type == "cpu" and not torch.compiler.is_compiling()
    found = segments(ids, counted)
    tensors = found.order, found.index, found.count, found.sample, found.id
    average: Tensor = _average(features, *tensors)
    return average


# An operator of its own, with its gradient: autograd would add the gradients up in the dtype of the
# features, and on a GPU in any order. For a compiler it is one piece; through an autograd.Function
# PyTorch 2.11 traces a gradient of zero.
@torch.library.custom_op("pix2pixhd::average_over_segments", mutates_args=())
def _average(
    features: Tensor, order: Tensor, index: Tensor, count: Tensor, sample: Tensor, id: Tensor
) -> Tensor:
    batch, _, height, width = features.shape
    found = Segments(order, index, count, sample, id, (batch, height, width))
    means = segment_means(features, found).to(features.dtype)
    return paint(means, found).to(features.device)


@_average.register_fake
def _(features: Tensor, *found: Tensor) -> Tensor:
    return torch.empty_like(features, memory_format=torch.contiguous_format)


def _save(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs[1:])


def _backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
    """Averaging is a symmetric linear map, so its gradient is the average of the gradient."""
    found = ctx.saved_tensors
    return _average(gradient, *found), *[None] * len(found)


_average.register_autograd(_backward, setup_context=_save)
