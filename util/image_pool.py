"""A buffer of earlier fakes for the discriminators (Shrivastava et al. 2017, section 2.3)."""

from __future__ import annotations

import random
from typing import Any

import torch
from torch import Tensor


class ImagePool:
    """Returns each image given, or swaps it with one that it was given earlier.

    Until it is full it keeps and returns what comes in. Then, with probability 1/2, an image is
    exchanged for a random one of the pool, which is returned in its place.
    """

    def __init__(self, size: int, seed: int = 0) -> None:
        self.size = size
        self.images: list[Tensor] = []
        self._random = random.Random(seed)

    def query(self, images: Tensor) -> Tensor:
        """Images for the discriminator, [N, C, H, W] as given; without gradient.

        With `size` 0 these are the images given. Images in the pool must have one size.
        """
        images = images.detach()
        if not self.size:
            return images
        # Earlier ones may be of another precision, where a run was continued in another.
        return torch.stack([self._exchange(image).to(images.dtype) for image in images])

    def _exchange(self, image: Tensor) -> Tensor:
        if len(self.images) < self.size:
            self.images.append(image.clone())
            return image
        if self._random.random() < 0.5:
            place = self._random.randrange(self.size)
            earlier, self.images[place] = self.images[place], image.clone()
            return earlier
        return image

    def state_dict(self) -> dict[str, Any]:
        # In host memory: read back, they go to whichever device the process has by then.
        images = [image.cpu() for image in self.images]
        return {"images": images, "random": self._random.getstate()}

    def load_state_dict(self, state: dict[str, Any], device: torch.device) -> None:
        # A resumed run may have a smaller pool than it began with.
        self.images = [image.to(device) for image in state["images"][: self.size]]
        version, internal, gauss = state["random"]
        self._random.setstate((version, tuple(internal), gauss))
