"""Batches as people look at them: pictures by the names that files and pages give them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from models.conditioning import image_to_float
from models.pix2pixhd import Pix2PixHDModel
from util.batch import Batch
from util.image import label_to_image, tensor_to_image

Pictures = dict[str, np.ndarray]
"""uint8 [H, W, 3] by name: input_label, synthesized_image, and where there is one real_image."""


def batches_on(device: torch.device, loader: Iterable[Batch]) -> Iterator[Batch]:
    """The batches on the device; a GPU is sent the next one while it computes."""
    if device.type != "cuda":
        yield from (batch.to(device) for batch in loader)
        return
    copies = torch.cuda.Stream(device)
    ahead: list[tuple[Batch, torch.cuda.Event]] = []
    for batch in loader:
        with torch.cuda.stream(copies):
            ahead.append((batch.to(device), copies.record_event()))
        if len(ahead) > 1:
            yield _arrived(*ahead.pop(0))
    for sent in ahead:
        yield _arrived(*sent)


def _arrived(batch: Batch, copied: torch.cuda.Event) -> Batch:
    """Let the GPU wait for the copy, and keep its memory until the work on it is done."""
    stream = torch.cuda.current_stream()
    stream.wait_event(copied)
    for tensor in batch.tensors().values():
        tensor.record_stream(stream)
    return batch


def render(model: Pix2PixHDModel, batch: Batch, features: Tensor | None = None) -> Tensor:
    """Synthesise without gradient and without dropout, [N, output_nc, H, W] in [-1, 1].

    Arguments are those of `Pix2PixHDModel.generate`. The model is left in the mode it was in, and
    no random state is touched.
    """
    with evaluating(model):
        return model.generate(batch, features)


@contextlib.contextmanager
def evaluating(model: Pix2PixHDModel) -> Iterator[None]:
    """No gradient and no dropout; afterwards the model is in the mode it was in."""
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
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
    label = batch.label[sample]
    shown = {
        "input_label": label_to_image(label, label_nc)
        if label_nc
        else tensor_to_image(image_to_float(label))
    }
    for name, fake in zip(synthesized_names(len(fakes)), fakes, strict=True):
        shown[name] = tensor_to_image(fake[sample].detach().float())
    if batch.image is not None:
        shown["real_image"] = tensor_to_image(image_to_float(batch.image[sample]))
    return shown


class Rendering:
    """A batch and its synthesised images, which the device may still be at work on.

    Its pictures wait for these images alone, and not for what the device was given to do since.

    Args:
        batch, fakes: as for `pictures`.
    """

    def __init__(self, batch: Batch, fakes: Sequence[Tensor]) -> None:
        self.batch = batch
        self.fakes = fakes
        self._stream: torch.cuda.Stream | None = None
        if fakes[0].is_cuda:
            self._stream = torch.cuda.Stream(fakes[0].device)
            self._stream.wait_stream(torch.cuda.current_stream(fakes[0].device))

    def pictures(self, label_nc: int, sample: int = 0) -> Pictures:
        """As the function of that name."""
        # Not `stream(None)`: where there is no CUDA, that asks other devices for their streams.
        on_it = torch.cuda.stream(self._stream) if self._stream else contextlib.nullcontext()
        with on_it:
            return pictures(self.batch, self.fakes, label_nc, sample)


def synthesized_names(styles: int) -> list[str]:
    """Names of the synthesised images of one sample: the first has the reference's."""
    return ["synthesized_image", *(f"synthesized_image_{n}" for n in range(2, styles + 1))]
