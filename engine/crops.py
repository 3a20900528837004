"""What a segmentation network learns from: real pairs, cut and coloured at random."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset
from torchvision import tv_tensors
from torchvision.transforms import v2

from pix2pixhd.data import create_dataset, default_workers
from pix2pixhd.data.dataset import AlignedDataset
from pix2pixhd.data.loader import Loader
from pix2pixhd.data.sampler import EpochSampler
from pix2pixhd.metrics.pixels import as_rgb
from pix2pixhd.models.conditioning import image_to_float
from pix2pixhd.options.base_options import ModelOptions
from pix2pixhd.options.parsing import uncropped
from pix2pixhd.options.segmenter_options import SegmenterOptions
from pix2pixhd.util.batch import Batch
from pix2pixhd.util.errors import UserError

IGNORED = -100  # cross_entropy's own
SCALES = (0.5, 2.0)  # of augmentation


class Crops(Dataset[Batch]):
    """Whole samples of a data set cut, scaled, mirrored and coloured at random.

    `image` is float32 [1, 3, h, w] in [-1, 1], `label` int64 [1, 1, h, w], the number of the class
    or IGNORED. The draw depends on the seed and the sample's counter (see EpochSampler) alone.
    """

    def __init__(
        self, dataset: AlignedDataset, classes: Sequence[int], options: SegmenterOptions
    ) -> None:
        self.dataset, self.seed = dataset, options.seed
        self.flip = options.data.flip
        height, width = dataset[0].label.shape[-2:]
        self.size = min(options.data.fineSize, height), min(options.data.fineSize, width)
        # Of each label, and last of what is none.
        self.class_of_label = torch.full((options.label_nc + 1,), IGNORED)
        self.class_of_label[list(classes)] = torch.arange(len(classes))

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, key: tuple[int, int]) -> Batch:
        index, counter = key
        sample = self.dataset[index]
        assert sample.image is not None
        label, none = sample.label.long(), len(self.class_of_label) - 1
        target = self.class_of_label[torch.where((label >= 0) & (label < none), label, none)]
        image = (as_rgb(image_to_float(sample.image), "train-segmenter") + 1) / 2
        seed = np.random.SeedSequence((self.seed, counter)).generate_state(1)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(seed[0]))
            image, target = self._augmented(tv_tensors.Image(image), tv_tensors.Mask(target))
        return Batch(
            target.as_subclass(Tensor), sample.path, image=image.as_subclass(Tensor) * 2 - 1
        )

    def _augmented(self, image: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        low, high = SCALES
        scale = low * (high / low) ** float(torch.rand(()))
        # Cut before it is scaled: large photographs need not be scaled as a whole.
        box = [max(1, round(side / scale)) for side in self.size]
        fill = {tv_tensors.Image: 0.5, tv_tensors.Mask: IGNORED}
        transform = v2.Compose(
            [
                v2.RandomCrop(box, pad_if_needed=True, fill=fill),
                v2.Resize(list(self.size), antialias=True),
                v2.RandomHorizontalFlip(0.5 * self.flip),
                v2.ColorJitter(0.3, 0.3, 0.3, 0.05),
            ]
        )
        augmented: tuple[Tensor, Tensor] = transform(image, target)
        return augmented


def open_pairs(options: SegmenterOptions, phase: str) -> AlignedDataset:
    """Whole photographs and label maps of a phase, at the scale that the options say.

    Raises:
        UserError: they are not there.
    """
    model = ModelOptions(label_nc=options.label_nc, instance=False)
    return create_dataset(uncropped(options.data), model, phase=phase, needs_image=True)


def crops_loader(
    options: SegmenterOptions, dataset: AlignedDataset, classes: Sequence[int]
) -> Loader:
    """Batches of `Crops`, in the order of an EpochSampler.

    Raises:
        UserError: there are fewer images than a batch has.
    """
    if len(dataset) < 2:
        raise UserError(f"--phase {options.phase}: 1 image to train on, expected 2 or more")
    shuffle = not options.data.serial_batches
    sampler = EpochSampler(len(dataset), options.data.batchSize, options.seed, shuffle)
    workers = options.data.nThreads
    if workers is None:
        workers = default_workers(len(sampler))
    crops = Crops(dataset, classes, options)
    return Loader(crops, batch_sampler=sampler, workers=workers, seed=options.seed)
