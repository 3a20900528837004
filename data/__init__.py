"""From files to batches: `create_dataset`, `validate.validate_dataset`, `create_loader`."""

from __future__ import annotations

from torch.utils.data import BatchSampler, SequentialSampler

from pix2pixhd.data.dataset import AlignedDataset
from pix2pixhd.data.loader import Loader
from pix2pixhd.data.sampler import EpochSampler
from pix2pixhd.options.base_options import DataOptions, ModelOptions
from pix2pixhd.util.threads import cores

MOST_WORKERS = 8  # by default: each holds two batches that nobody has asked for yet

# --dataset_mode -> class. Another kind of data set is a file here, a row, and its name among the
# choices in options/base_options.py. All take the arguments below, and tell the start-up check and
# the programs of their files as AlignedDataset does: derive from it, or have its public methods.
DATASETS: dict[str, type[AlignedDataset]] = {"aligned": AlignedDataset}


def create_dataset(
    data: DataOptions,
    model: ModelOptions,
    *,
    phase: str,
    seed: int = 0,
    is_train: bool = False,
    needs_image: bool | None = None,
    read_features: bool = False,
) -> AlignedDataset:
    """The data set of a phase; arguments and errors as for `AlignedDataset`.

    By default, real images are needed for training alone.
    """
    return DATASETS[data.dataset_mode](
        dataroot=data.dataroot,
        phase=phase,
        label_nc=model.label_nc,
        input_nc=model.input_nc,
        output_nc=model.output_nc,
        extra_nc=model.extra_nc,
        use_instance=model.instance,
        resize_or_crop=data.resize_or_crop,
        load_size=data.loadSize,
        fine_size=data.fineSize,
        flip=data.flip,
        augment=data.augment,
        ignore_label=data.ignore_label,
        ranges=data.ranges,
        max_size=data.max_dataset_size,
        cache=data.cache,
        feat_num=model.feat_num,
        seed=seed,
        is_train=is_train,
        needs_image=is_train if needs_image is None else needs_image,
        read_features=read_features,
    )


def create_loader(
    dataset: AlignedDataset,
    data: DataOptions,
    *,
    seed: int,
    is_train: bool,
    pin_memory: bool = False,
    rank: int = 0,
    ranks: int = 1,
    neighbours: int = 1,
) -> Loader:
    """Batches of a data set.

    For training, `loader.batch_sampler` is an `EpochSampler`: start each epoch with its `start`.
    For testing, all images come in order, the last batch being as small as it may be.

    Args:
        dataset, data: what to load, in batches of how many.
        seed: of the order.
        pin_memory: load into memory that CUDA devices copy from without waiting.
        rank, ranks: for training, which of so many shares of each batch to load.
        neighbours: processes on this machine, this one included, that load at the same time.

    Raises:
        UserError: fewer training images than a batch, or batches that cannot be shared evenly.
    """
    sampler: EpochSampler | BatchSampler
    if is_train:
        shuffle = not data.serial_batches
        sampler = EpochSampler(
            len(dataset), data.batchSize, seed=seed, shuffle=shuffle, rank=rank, ranks=ranks
        )
    else:
        sampler = BatchSampler(SequentialSampler(dataset), data.batchSize, drop_last=False)
    workers = data.nThreads
    if workers is None:
        workers = default_workers(len(sampler), neighbours)
    return Loader(dataset, batch_sampler=sampler, workers=workers, seed=seed, pin_memory=pin_memory)


def default_workers(batches: int, neighbours: int = 1) -> int:
    """How many processes load images where nobody says: this one's share of the cores. None for a
    single batch, which has nothing to be loaded beside."""
    return min(batches, MOST_WORKERS, max(1, cores() // neighbours)) if batches > 1 else 0
