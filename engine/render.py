"""What programs that render share: batches on their way to the device, images, and pictures by the
names that files and pages give them."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Literal, TypeVar

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from pix2pixhd.data import create_loader
from pix2pixhd.data.dataset import AlignedDataset
from pix2pixhd.data.validate import validate_dataset
from pix2pixhd.engine.distributed import barrier
from pix2pixhd.engine.runtime import Runtime
from pix2pixhd.models.conditioning import image_to_float
from pix2pixhd.models.pix2pixhd import Pix2PixHDModel
from pix2pixhd.options.base_options import DataOptions
from pix2pixhd.util.batch import Batch
from pix2pixhd.util.errors import UserError
from pix2pixhd.util.image import bytes_to_image, image_to_values, label_to_image, tensor_to_image
from pix2pixhd.util.labels import LabelSet

Item = TypeVar("Item")

Pictures = dict[str, np.ndarray]
"""uint8 [H, W, 3] by name: input_label, synthesized_image, and where there are such input_extra and
real_image."""

Values = dict[str, np.ndarray]
"""[C, H, W] in the depth of the data, by the same names."""


@functools.cache
def side_stream(device: torch.device) -> torch.cuda.Stream:
    """The one stream beside the main one, for copies between host and device.

    Memory that a stream lets go is kept for that stream, so that new ones would fill the GPU.
    """
    return torch.cuda.Stream(device)


def one_behind(items: Iterable[Item]) -> Iterator[Item]:
    """The items, each when the next one has been made, or a user's mistake was met in making it."""
    made: list[Item] = []
    try:
        for item in items:
            yield from made
            made = [item]
    except UserError:
        yield from made
        raise
    yield from made


def batches_on(
    device: torch.device, loader: Iterable[Batch], *, with_image: bool = True
) -> Iterator[Batch]:
    """The batches on the device; a GPU is sent the next one while it computes.

    Args:
        with_image: False leaves the real images in host memory.
    """

    def sent(batch: Batch) -> Batch:
        if with_image:
            return batch.to(device)
        return dataclasses.replace(
            dataclasses.replace(batch, image=None).to(device), image=batch.image
        )

    if device.type != "cuda":
        yield from map(sent, loader)
        return
    copies = side_stream(device)

    def send(batch: Batch) -> tuple[Batch, torch.cuda.Event]:
        with torch.cuda.stream(copies):
            return sent(batch), copies.record_event()

    for batch, copied in one_behind(map(send, loader)):
        stream = torch.cuda.current_stream()
        stream.wait_event(copied)
        for tensor in batch.tensors().values():
            if tensor.is_cuda:
                tensor.record_stream(stream)  # its memory is kept until the work on it is done
        yield batch


def for_each_batch(
    compute: Callable[[Batch], Item],
    use: Callable[[Batch, Item], None],
    dataset: AlignedDataset,
    data: DataOptions,
    runtime: Runtime,
    *,
    batch_size: int | None = None,
    on_device: bool = True,
    with_image: bool = True,
) -> None:
    """Compute something of this process's share of a data set's images, in order, and use it.

    The device computes the next batch while one is used: reading, computing and using overlap. A
    bar on the first process's terminal shows how far it is.

    Args:
        compute: called without gradients, and with networks in the runtime's precision.
        use: is given each batch and what was computed of it.
        dataset: all of the images; the processes take turns with them.
        data, batch_size: how to load them; images in a batch, `data.batchSize` by default.
        on_device: False leaves the batches in host memory.
        with_image: False leaves their real images there.

    Raises:
        UserError: a file cannot be read.
    """
    world, device = runtime.world, runtime.device
    share = copy.copy(dataset)
    share.files = dataset.files[world.rank :: world.size]
    data = dataclasses.replace(data, batchSize=batch_size or data.batchSize)
    to_gpu = on_device and device.type == "cuda"
    loader = create_loader(
        share, data, seed=0, is_train=False, pin_memory=to_gpu, neighbours=world.local_size
    )

    def computed() -> Iterator[tuple[Batch, Item]]:
        host = torch.device("cpu")
        for batch in batches_on(device if on_device else host, loader, with_image=with_image):
            with torch.inference_mode(), runtime.autocast():
                item = compute(batch)
            yield batch, item

    with tqdm(total=len(share), unit="img", disable=None if world.is_main else True) as bar:
        for batch, item in one_behind(computed()):
            use(batch, item)
            bar.update(len(batch.path))


def validate_once(
    dataset: AlignedDataset,
    runtime: Runtime,
    batch_size: int = 1,
    mode: Literal["headers", "sample", "full"] = "sample",
) -> None:
    """Check a data set's files in the first process, where a UserError says what is wrong with
    them, while the others wait."""
    if runtime.world.is_main:
        runtime.print_rank0(*validate_dataset(dataset, mode, batch_size=batch_size))
    barrier(runtime.world)


def render(
    model: Pix2PixHDModel,
    batch: Batch,
    features: Tensor | None = None,
    noise: Tensor | None = None,
    number: int = 0,
) -> Tensor:
    """Synthesise without gradient and without dropout, [N, output_nc, H, W] in [-1, 1].

    Arguments are those of `Pix2PixHDModel.generate`. The model is left in the mode it was in, and
    no random state is touched.
    """
    with evaluating(model):
        return model.generate(batch, features, noise=noise, number=number)


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


class Rendering:
    """A batch, [N, ...], and its synthesised images, which the device may still be at work on.

    Pictures and values wait for these images alone, and not for what the device was given to do
    since.
    """

    def __init__(self, batch: Batch, *fakes: Tensor) -> None:
        """`fakes`: [N, C, H, W] in [-1, 1], one for each style."""
        self.batch, self.fakes = batch, [fake.detach() for fake in fakes]
        self._done: torch.cuda.Event | None = None
        if fakes[0].is_cuda:
            self._done = torch.cuda.current_stream(fakes[0].device).record_event()

    def pictures(self, labels: LabelSet, sample: int = 0) -> Pictures:
        """Those of one sample of the batch."""
        with self._when_done():
            label = self.batch.label[sample]
            drawn = label_to_image(label, labels.colours) if len(labels) else photo_to_image(label)
            shown = {"input_label": drawn}
            if self.batch.extra is not None:
                shown["input_extra"] = photo_to_image(self.batch.extra[sample])
            shown |= {name: tensor_to_image(image) for name, image in self._fakes(sample).items()}
            if self.batch.image is not None:
                shown["real_image"] = photo_to_image(self.batch.image[sample])
            return shown

    def values(self, data: DataOptions, sample: int = 0) -> Values:
        """The synthesised images of one sample, and the real one as the networks saw it, in the
        depth of the data; none where pictures tell as much, which is with three channels of 8 bits.
        """
        bits = data.output_bits or 8
        if bits == 8 and self.fakes[0].shape[1] == 3:
            return {}
        with self._when_done():
            images, real = self._fakes(sample), self.batch.image
            if real is not None:
                images["real_image"] = image_to_float(real[sample])
            return {
                name: image_to_values(image, bits, data.ranges["image"])
                for name, image in images.items()
            }

    def _fakes(self, sample: int) -> dict[str, Tensor]:
        """The synthesised images, float [C, H, W] in [-1, 1]."""
        names = synthesized_names(len(self.fakes))
        return {name: fake[sample] for name, fake in zip(names, self.fakes, strict=True)}

    @contextlib.contextmanager
    def _when_done(self) -> Iterator[None]:
        with torch.cuda.stream(side_stream(self.fakes[0].device) if self._done else None):
            if self._done:
                # Only now: by then, the side stream may have been given copies of later batches.
                self._done.wait()
            yield


def photo_to_image(pixels: Tensor) -> np.ndarray:
    """A photograph [C, H, W], in the types of a batch, as uint8 [H, W, 3]."""
    if pixels.dtype == torch.uint8:
        return bytes_to_image(pixels)
    return tensor_to_image(image_to_float(pixels))


def synthesized_names(styles: int) -> list[str]:
    """Names of the synthesised images of one sample: the first has the reference's."""
    return ["synthesized_image", *(f"synthesized_image_{n}" for n in range(2, styles + 1))]
