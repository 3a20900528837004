"""From files to batches: `create_dataset`, `check.require_sound`, `create_loader`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.utils.data import BatchSampler, SequentialSampler

from data.aligned_dataset import AlignedDataset
from data.loader import Loader
from data.sampler import EpochSampler

if TYPE_CHECKING:
    from options.base_options import DataOptions, ModelOptions

DATASETS = {"aligned": AlignedDataset}


def create_dataset(
    data: DataOptions,
    model: ModelOptions,
    *,
    phase: str,
    seed: int,
    is_train: bool,
) -> AlignedDataset:
    """The data set of a phase. For training, real images must be there; else they may be.

    Raises:
        UserError: folders missing or empty, or files without a partner.
    """
    return DATASETS[data.dataset_mode](
        dataroot=data.dataroot,
        phase=phase,
        label_nc=model.label_nc,
        input_nc=model.input_nc,
        output_nc=model.output_nc,
        use_instance=model.instance,
        resize_or_crop=data.resize_or_crop,
        load_size=data.loadSize,
        fine_size=data.fineSize,
        flip=data.flip,
        ignore_label=data.ignore_label,
        max_size=data.max_dataset_size,
        needs_image=is_train,
        seed=seed,
        is_train=is_train,
    )


def create_loader(
    dataset: AlignedDataset,
    data: DataOptions,
    *,
    seed: int,
    is_train: bool,
) -> Loader:
    """Batches of a data set.

    For training, `loader.batch_sampler` is an `EpochSampler`: start each epoch with its `start`.
    For testing, all images come in order, the last batch being as small as it may be.

    Raises:
        UserError: fewer training images than a batch.
    """
    sampler: EpochSampler | BatchSampler
    if is_train:
        shuffle = not data.serial_batches
        sampler = EpochSampler(len(dataset), data.batchSize, seed=seed, shuffle=shuffle)
    else:
        sampler = BatchSampler(SequentialSampler(dataset), data.batchSize, drop_last=False)
    return Loader(dataset, batch_sampler=sampler, workers=data.nThreads, seed=seed)
