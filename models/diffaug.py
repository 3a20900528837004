"""DiffAugment (Zhao et al., "Differentiable Augmentation for Data-Efficient GAN Training", NeurIPS
2020, section 3): what discriminators see is changed at random, real images as well as fakes in both
losses, so that they cannot learn a small data set by heart, and the generator does not learn the
changes.

Fake and real of a sample are changed by the same draw, where the authors draw for each: feature
matching compares them place by place, and both go with one condition, which moves with them.
Nothing is drawn on the host: all comes from PyTorch's random state on the images' device.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace

import torch
from torch import Tensor

from pix2pixhd.models.adversary import Seen
from pix2pixhd.models.conditioning import memory_format_of

UNKNOWN = -1  # the label of what a shift brings in from outside


def color(seen: Seen) -> Seen:
    """Brightness, saturation and contrast of the images; values may leave [-1, 1]."""
    draws = torch.rand(3, len(seen.fake), 1, 1, 1, device=seen.fake.device)
    brightness, saturation, contrast = draws.to(seen.fake.dtype)

    def changed(image: Tensor) -> Tensor:
        image = image + (brightness - 0.5)
        image = stretched(image, 2 * saturation, dims=(1,))
        return stretched(image, contrast + 0.5, dims=(1, 2, 3))

    return replace(seen, fake=changed(seen.fake), real=changed(seen.real))


def stretched(image: Tensor, factor: Tensor, dims: tuple[int, ...]) -> Tensor:
    """Distances to the mean over some dimensions times a factor."""
    mean = image.mean(dims, keepdim=True)
    return mean + (image - mean) * factor


def translation(seen: Seen) -> Seen:
    """Shift images, maps and labels by up to an eighth of each side, in whole pixels. From outside
    come zeros: no label's channel is set there, and its number is UNKNOWN."""
    (height, width), count, device = seen.fake.shape[-2:], len(seen.fake), seen.fake.device
    down, right = (
        torch.randint(-reach, reach + 1, (count, 1), device=device)
        for reach in (int(side / 8 + 0.5) for side in (height, width))
    )
    rows = torch.arange(height, device=device) - down  # [N, H] that come to a place
    columns = torch.arange(width, device=device) - right  # [N, W]
    is_known = product(within(rows, height), within(columns, width))
    # Modulo: each pixel is taken once, so that no two gradients are added up in any order.
    places = (rows % height * width)[:, :, None] + (columns % width)[:, None, :]  # [N, H, W]

    def shifted(x: Tensor, outside: int = 0) -> Tensor:
        index = places.flatten(1)[:, None].expand(-1, x.shape[1], -1)
        moved = x.flatten(2).gather(2, index).view(x.shape)
        return torch.where(is_known, moved, outside).contiguous(memory_format=memory_format_of(x))

    label = None if seen.label is None else shifted(seen.label.int(), UNKNOWN)
    return Seen(shifted(seen.maps), shifted(seen.fake), shifted(seen.real), label)


def cutout(seen: Seen) -> Seen:
    """Zeros in a rectangle of half of each side, wherever its centre is, cut off at the border."""
    (height, width), count, device = seen.fake.shape[-2:], len(seen.fake), seen.fake.device

    def is_cut(side: int) -> Tensor:
        length = int(side / 2 + 0.5)
        centre = torch.randint(0, side + 1 - length % 2, (count, 1), device=device)
        place = torch.arange(side, device=device) - centre + length // 2  # within the rectangle
        return within(place, length)

    keep = ~product(is_cut(height), is_cut(width))
    return replace(seen, fake=seen.fake * keep, real=seen.real * keep)


def within(place: Tensor, length: int) -> Tensor:
    return (place >= 0) & (place < length)


def product(rows: Tensor, columns: Tensor) -> Tensor:
    """Where both are: booleans [N, H] and [N, W] to [N, 1, H, W]."""
    return rows[:, None, :, None] & columns[:, None, None, :]


AUGMENTATIONS: dict[str, Callable[[Seen], Seen]] = {
    "color": color,
    "translation": translation,
    "cutout": cutout,
}


def augmentation(names: Collection[str]) -> Callable[[Seen], Seen] | None:
    """Those of the names, rows of AUGMENTATIONS, one after the other in its order; None of none."""
    chosen = [change for name, change in AUGMENTATIONS.items() if name in names]

    def augment(seen: Seen) -> Seen:
        for change in chosen:
            seen = change(seen)
        return seen

    return augment if chosen else None
