"""Images larger than the device's memory: networks see windows of them, whose results are blended.

The maps stay where they are, in host memory; only a window of them is on the device at a time.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable

import torch
from torch import Tensor

from engine.render import evaluating, render
from models.pix2pixhd import Pix2PixHDModel
from models.segments import instance_average
from util.batch import Batch

Window = tuple[slice, slice]
"""Rows and columns of an image."""


def render_in_tiles(
    model: Pix2PixHDModel, batch: Batch, features: Tensor | None, tile: int
) -> Tensor:
    """As `engine.render.render`, in windows of at most `tile` pixels a side.

    Args:
        model, features: as for `render`.
        batch: with maps in host memory.
        tile: twice the networks' stride, or more.

    Returns:
        [N, output_nc, H, W] in [-1, 1]: float32 in host memory; but on the model's device, and
        what `render` returns, where the image fits in one tile.
    """
    device = _device_of(model)
    height, width = batch.label.shape[-2:]
    if _fits(batch, tile):
        given = None if features is None else features.to(device)
        return render(model, batch.to(device), given)
    if features is None and model.use_features:
        features = features_in_tiles(model, batch, tile)

    def generate(window: Window) -> Tensor:
        # A pixel more to each side, so that boundaries of instances are those of the whole image.
        around, inner = with_margin(window, height, width)
        maps = dataclasses.replace(batch, image=None, feat=None)
        part = maps.map(lambda m: m[..., around[0], around[1]].to(device))
        given = None if features is None else features[..., window[0], window[1]].to(device)
        return model.generate(part, given, inner)

    with evaluating(model):
        return blended(generate, height, width, tile, model.netG.stride)


def features_in_tiles(model: Pix2PixHDModel, batch: Batch, tile: int) -> Tensor:
    """As `Pix2PixHDModel.features`, the encoder seeing windows of at most `tile` pixels a side.

    The features are pooled over the whole image: no window splits an instance.

    Args:
        model: with the encoder, unless the batch has its features.
        batch: with maps in host memory.
        tile: as for `render_in_tiles`.

    Returns:
        [N, feat_num, H, W] in [-1, 1], in host memory.
    """
    device = _device_of(model)
    if batch.feat is not None:
        return batch.feat
    if _fits(batch, tile):
        with evaluating(model):
            return model.features(batch.to(device)).cpu()
    assert model.netE is not None, "this model was built without an encoder"
    image = batch.image
    assert image is not None, "no photograph to encode"
    height, width = image.shape[-2:]

    def encode(window: Window) -> Tensor:
        return model.encode_pixels(image[..., window[0], window[1]].to(device))

    with evaluating(model):
        pixels = blended(encode, height, width, tile, model.netE.stride)
        return instance_average(pixels, model.feature_ids(batch))


def blended(
    function: Callable[[Window], Tensor], height: int, width: int, tile: int, stride: int
) -> Tensor:
    """Compute an image window by window.

    Args:
        function: from a window to its values [N, C, h, w] on any device.
        height, width: of the image.
        tile, stride: as for `spans`.

    Returns:
        float32 [N, C, height, width] on the CPU. Where windows overlap it is their mean, with
        weights that fade to nothing towards the border of each.
    """
    rows, columns = spans(height, tile, stride), spans(width, tile, stride)
    row_weights, column_weights = fades(rows), fades(columns)
    image: Tensor | None = None
    for down, row_weight in zip(rows, row_weights, strict=True):
        for across, column_weight in zip(columns, column_weights, strict=True):
            part = function((down, across)).float().cpu()
            if image is None:
                image = part.new_zeros(*part.shape[:2], height, width)
            image[..., down, across] += part * (row_weight[:, None] * column_weight)
    assert image is not None
    return image


def spans(size: int, tile: int, stride: int) -> list[slice]:
    """Where windows lie along one side of an image.

    All begin at multiples of the stride: there, a window's down- and upsampling falls on the same
    pixels as the whole image's. All have one length, the largest multiple of the stride within
    `tile`, but for the last: the image may end before it does, by less than a stride, and is
    padded there in either case. They are spread evenly, and neighbours share at least
    `least_overlap` pixels.

    Args:
        size: pixels of that side of the image.
        tile: most pixels of a window, `2 * stride` or more. An image within it is one window.
        stride: of the network.
    """
    if size <= tile:
        return [slice(0, size)]
    # From here on in strides.
    side, shared = tile // stride, least_overlap(tile, stride) // stride
    room = math.ceil(size / stride) - side
    steps = math.ceil(room / (side - shared))
    starts = [step * room // steps for step in range(steps + 1)]
    return [slice(at * stride, min((at + side) * stride, size)) for at in starts]


def least_overlap(tile: int, stride: int) -> int:
    """Pixels that neighbouring windows share at least: a quarter of their side."""
    return max(1, tile // stride // 4) * stride


def window_side(tile: int, stride: int) -> int:
    """Pixels of a window's side where the image is longer than a tile."""
    return tile // stride * stride


def fades(windows: list[slice]) -> list[Tensor]:
    """Weights of the pixels of each window along one side: float32 [length], positive.

    They rise and fall smoothly where neighbours overlap, and sum to one at each pixel of the image.
    """
    weights = [torch.ones(window.stop - window.start, dtype=torch.float64) for window in windows]
    for number, (one, other) in enumerate(itertools.pairwise(windows)):
        overlap = one.stop - other.start
        place = (torch.arange(overlap, dtype=torch.float64) + 0.5) / overlap
        rise = torch.sin(place * (math.pi / 2)) ** 2
        weights[number][-overlap:] *= rise.flip(0)
        weights[number + 1][:overlap] *= rise
    total = torch.zeros(windows[-1].stop, dtype=torch.float64)
    for window, weight in zip(windows, weights, strict=True):
        total[window] += weight
    # Where more than two windows overlap, the sum is not one yet.
    return [
        (weight / total[window]).float() for window, weight in zip(windows, weights, strict=True)
    ]


def with_margin(window: Window, height: int, width: int) -> tuple[Window, Window]:
    """The window with a pixel more to each side, as far as the image goes; and where it lies there.

    Returns:
        The wider window in the image, and the window in the wider one.
    """
    rows, inner_rows = _with_margin(window[0], height)
    columns, inner_columns = _with_margin(window[1], width)
    return (rows, columns), (inner_rows, inner_columns)


def _with_margin(span: slice, size: int) -> tuple[slice, slice]:
    start = max(span.start - 1, 0)
    return slice(start, min(span.stop + 1, size)), slice(span.start - start, span.stop - start)


def _fits(batch: Batch, tile: int) -> bool:
    return max(batch.label.shape[-2:]) <= tile


def _device_of(model: Pix2PixHDModel) -> torch.device:
    return next(model.parameters()).device
