"""A batch: what `data` makes and `models` take, which do not know each other."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """N samples of one size, in the types of their files: they cross the bus as they are, a byte a
    value, and become floating point on the device (`models.conditioning`).

    A data set's sample is a batch of one.
    """

    label: Tensor
    """uint8 or int32 [N,1,H,W]; with `label_nc` 0 an image as below."""

    path: list[str]
    """Of the label maps' files."""

    inst: Tensor | None = None
    """Instance ids, uint16 or int32 [N,1,H,W]. PyTorch does not calculate with uint16: it compares
    for equality, the rest needs `inst.int()`."""

    image: Tensor | None = None
    """Photographs, uint8 or uint16 [N,C,H,W]; or float in [-1,1]."""

    extra: Tensor | None = None
    """Further input images, types as of `image`: [N,extra_nc,H,W]."""

    feat: Tensor | None = None
    """Precomputed feature maps, float32 [N,feat_num,H,W], mostly in [-1,1]."""

    def tensors(self) -> dict[str, Tensor]:
        """The maps that are there, by name."""
        fields = vars(self).items()
        return {name: value for name, value in fields if isinstance(value, Tensor)}

    def map(self, function: Callable[[Tensor], Tensor]) -> Batch:
        """The batch with the function applied to each of its maps."""
        changed: dict[str, Any] = {name: function(t) for name, t in self.tensors().items()}
        return dataclasses.replace(self, **changed)

    def to(self, device: torch.device) -> Batch:
        """The batch on the device; from pinned memory, without waiting for it."""
        return self.map(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> Batch:
        """The batch in memory that CUDA devices copy from without waiting; a DataLoader asks."""
        return self.map(Tensor.pin_memory)
