"""The order of training images: a function of the seed and the epoch, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler

from pix2pixhd.util.errors import UserError

# Tells the generator of an epoch's order from those of the samples' draws, (seed, counter).
ORDER = 1


class EpochSampler(Sampler[list[tuple[int, int]]]):
    """Yields an epoch's batches, or one process's share of each, as lists of (index, counter).

    `counter` numbers the images of the whole training from 0. The data set makes a sample's random
    draw from it, so a run that continues sees the pixels that an uninterrupted one would.

    Attributes:
        epoch_size: images used in an epoch.
        dropped: images left over in each epoch, fewer than a batch. Shuffled, they are others in
            every epoch; in order, always the last.
    """

    def __init__(
        self,
        size: int,  # images in the data set
        batch_size: int,  # images in a batch, of all processes together
        seed: int,  # of the order, 0 or more
        shuffle: bool,  # a new random order every epoch, else as they come
        rank: int = 0,  # which share of each batch
        ranks: int = 1,  # of how many
    ) -> None:
        if batch_size % ranks:
            raise UserError(
                f"--batchSize {batch_size}: the images of a step are shared among {ranks} "
                f"processes; give a multiple of {ranks}, or start fewer processes"
            )
        if size < batch_size:
            raise UserError(
                f"--batchSize {batch_size}: the data set has only {size} images; "
                f"give --batchSize {size // ranks * ranks or ranks} or less, or more images"
            )
        self.size = size
        self.batch_size = batch_size
        self.seed = seed
        self.shuffle = shuffle
        share = batch_size // ranks
        self.share = range(rank * share, (rank + 1) * share)
        self.dropped = size % batch_size
        self.epoch_size = size - self.dropped
        self.start(1)

    def start(self, epoch: int, images_done: int = 0) -> None:
        """Set the place that the next iteration starts from.

        Args:
            epoch: counts from 1.
            images_done: images of that epoch that are over and done with, whole batches;
                `epoch_size` of them leave an empty epoch.
        """
        if images_done % self.batch_size or not 0 <= images_done <= self.epoch_size:
            raise UserError(
                f"the run stopped after {images_done} images of epoch {epoch}, which is no number "
                f"of batches of {self.batch_size} in an epoch of {self.epoch_size} images; "
                "continue with the --batchSize and the images that it began with"
            )
        self.epoch = epoch
        self.images_done = images_done

    def __len__(self) -> int:
        """Batches left in the epoch."""
        return (self.epoch_size - self.images_done) // self.batch_size

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        order = list(range(self.size))
        if self.shuffle:
            rng = np.random.default_rng((self.seed, self.epoch, ORDER))
            order = rng.permutation(order).tolist()
        before = (self.epoch - 1) * self.epoch_size
        for start in range(self.images_done, self.epoch_size, self.batch_size):
            yield [(order[start + place], before + start + place) for place in self.share]
