"""Batches as people look at them: pictures by the names that files and pages give them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from models.pix2pixhd_model import Batch, Pix2PixHDModel
from util.image import label_to_image, tensor_to_image

Pictures = dict[str, np.ndarray]
"""uint8 [H, W, 3] by name: input_label, synthesized_image, and where there is one real_image."""


def to_device(batch: Batch, device: torch.device) -> Batch:
    """The batch with its tensors on the device; from pinned memory, without waiting for them."""
    return {
        name: value.to(device, non_blocking=True) if isinstance(value, Tensor) else value
        for name, value in batch.items()
    }


def render(model: Pix2PixHDModel, batch: Batch, features: Tensor | None = None) -> Tensor:
    """Synthesise without gradient and without dropout, [N, output_nc, H, W] in [-1, 1].

    Arguments are those of `Pix2PixHDModel.generate`. The model is left in the mode it was in, and
    no random state is touched.
    """
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            return model.generate(batch, features)
    finally:
        model.train(was_training)


def pictures(batch: Batch, fakes: Sequence[Tensor], label_nc: int, sample: int = 0) -> Pictures:
    """One sample of a batch, [N, ...] as the data set gives it, and its synthesised images.

    Args:
        batch: the batch.
        fakes: [N, C, H, W] in [-1, 1], one for each style.
        label_nc: number of labels, or 0.
        sample: place in the batch.
    """
    label = batch["label"][sample]
    shown = {"input_label": label_to_image(label, label_nc) if label_nc else tensor_to_image(label)}
    for name, fake in zip(synthesized_names(len(fakes)), fakes, strict=True):
        shown[name] = tensor_to_image(fake[sample].detach().float())
    if "image" in batch:
        shown["real_image"] = tensor_to_image(batch["image"][sample])
    return shown


def synthesized_names(styles: int) -> list[str]:
    """Names of the synthesised images of one sample: the first has the reference's."""
    return ["synthesized_image", *(f"synthesized_image_{n}" for n in range(2, styles + 1))]
