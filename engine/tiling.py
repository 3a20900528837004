"""Images larger than the device's memory: networks see windows of them, whose results are blended.

The maps stay where they are, in host memory; only a window of them is on the device at a time.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from pix2pixhd.engine.render import evaluating
from pix2pixhd.models.pix2pixhd import Pix2PixHDModel
from pix2pixhd.models.segments import instance_average
from pix2pixhd.util.batch import Batch
from pix2pixhd.util.errors import UserError


def require_tile(model: Pix2PixHDModel, tile: int) -> None:
    """Raise a UserError if the model's networks are too deep for tiles of so many pixels a side, or
    take no tiles at all."""
    if model.netG.fixed_size is not None:
        raise UserError(
            f"--tile {tile}: --use_vae makes images of --crop_size alone; leave the flag out"
        )
    of_encoder = model.netE.stride if model.netE else 1
    stride, network = max((model.netG.stride, "generator"), (of_encoder, "encoder"))
    least = 4 * stride  # two are what networks need, two are shared with neighbours
    if tile < least:
        raise UserError(
            f"--tile {tile}: must be {least} or more; the {network} of this run halves an image "
            f"{stride.bit_length() - 1} times, and sees too little around a pixel in smaller tiles"
        )


def render_in_tiles(
    model: Pix2PixHDModel,
    batch: Batch,
    features: Tensor | None,
    tile: int,
    noise: Tensor | None = None,
    number: int = 0,
) -> Tensor:
    """As `engine.render.render`, of a batch in host memory, in windows of at most `tile` pixels:
    [N, output_nc, H, W] in [-1, 1], where `blended` leaves it.

    `number`: of the image, of a generator that makes several.
    """
    device = next(model.parameters()).device
    if features is None and model.use_features:
        features = features_in_tiles(model, batch, tile)
    maps = dataclasses.replace(batch, image=None, feat=None)

    def generate(rows: slice, columns: slice) -> Tensor:
        # A pixel more to each side, so that boundaries of instances are those of the whole image.
        top, left = max(rows.start - 1, 0), max(columns.start - 1, 0)
        part = maps.map(lambda m: m[..., top : rows.stop + 1, left : columns.stop + 1].to(device))
        given = None if features is None else features[..., rows, columns].to(device)
        inner_rows = slice(rows.start - top, rows.stop - top)
        inner_columns = slice(columns.start - left, columns.stop - left)
        return model.generate(part, given, (inner_rows, inner_columns), noise, number)

    with evaluating(model):
        return blended(generate, batch.label.shape[-2:], tile, model.netG.stride)


def features_in_tiles(model: Pix2PixHDModel, batch: Batch, tile: int) -> Tensor:
    """As `Pix2PixHDModel.features`, [N, feat_num, H, W], where `blended` leaves it: pooled over the
    whole image, though the encoder sees windows, so that none of them splits an instance."""
    if batch.feat is not None:
        return batch.feat
    image, device = batch.image, next(model.parameters()).device
    assert model.netE is not None and image is not None, "no encoder, or nothing to encode"

    def encode(rows: slice, columns: slice) -> Tensor:
        return model.encode_pixels(image[..., rows, columns].to(device))

    with evaluating(model):
        pixels = blended(encode, image.shape[-2:], tile, model.netE.stride)
        return instance_average(pixels, model.feature_ids(batch).to(pixels.device))


def blended(
    function: Callable[[slice, slice], Tensor], size: Sequence[int], tile: int, stride: int
) -> Tensor:
    """An image, float32 [N, C, *size] in host memory, computed window by window.

    `function` is given a window's rows and columns. Where windows overlap, the image is their mean,
    with weights that fade to nothing towards the border of each. What fits in one tile is what
    `function` returns, as it is: on the device.
    """
    height, width = size
    if max(height, width) <= tile:
        return function(slice(0, height), slice(0, width))
    sums, weights = torch.zeros(()), torch.zeros(height, width)
    for rows, columns in itertools.product(spans(height, tile, stride), spans(width, tile, stride)):
        part = function(rows, columns).float().cpu()  # [N, C, h, w]
        if not sums.ndim:
            sums = part.new_zeros(*part.shape[:2], height, width)
        down, across = (torch.signal.windows.cosine(size) ** 2 for size in part.shape[2:])
        weight = down[:, None] * across  # [h, w], positive
        sums[..., rows, columns] += part * weight
        weights[rows, columns] += weight
    return sums / weights


def spans(size: int, tile: int, stride: int) -> list[slice]:
    """Where windows lie along one side of an image, spread evenly.

    All begin at multiples of the stride: there, a window's down- and upsampling falls on the same
    pixels as the whole image's. The last may be shorter, by less than a stride.
    """
    if size <= tile:
        return [slice(0, size)]
    side, shared = window(tile, stride)
    room = math.ceil(size / stride) - side // stride  # strides from the first window to the last
    steps = math.ceil(room * stride / (side - shared))
    starts = [step * room // steps * stride for step in range(steps + 1)]
    return [slice(start, min(start + side, size)) for start in starts]


def window(tile: int, stride: int) -> tuple[int, int]:
    """Pixels of a window's side, of an image larger than a tile; and the least that two share."""
    return tile // stride * stride, max(1, tile // stride // 4) * stride
