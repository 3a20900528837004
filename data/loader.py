"""Worker processes around a data set, and the mistakes they bring home."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler, default_collate

from util.batch import Batch
from util.errors import UserError

Sample = dict[str, Tensor | str]
"""The fields of a `Batch` for one image: maps [C,H,W], and the path."""


class Loader(DataLoader[Batch]):
    """A DataLoader from which a user's mistake comes out as it went in.

    PyTorch rebuilds exceptions from a worker's traceback printed into one string. So a UserError
    travels as a batch instead, and is raised in the main process.
    """

    def __init__(
        self,
        dataset: Dataset[Sample],
        *,
        batch_sampler: Sampler[Any],  # yields lists of what the data set takes as keys
        workers: int,  # processes; 0 loads in the main process
        seed: int,  # of the workers' random generators
        pin_memory: bool = False,  # in memory that CUDA devices copy from without waiting
    ) -> None:
        super().__init__(
            _Courier(dataset),
            batch_sampler=batch_sampler,
            num_workers=workers,
            collate_fn=collate,
            # A generator of its own: otherwise each epoch draws a number from the global one,
            # and a run that continues within an epoch would be a number ahead.
            generator=torch.Generator().manual_seed(seed),
            persistent_workers=workers > 0,
            worker_init_fn=_start_worker,
            pin_memory=pin_memory,
        )

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        """The batches that the sampler has left.

        Raises:
            UserError: the data set's, on the batch that has the bad sample.
        """
        for batch in super().__iter__():
            if isinstance(batch, UserError):
                try:
                    raise batch
                finally:
                    # The error holds this frame by its traceback. Were the frame to hold the error
                    # too, the workers would live until the garbage collector comes round.
                    del batch
            yield batch


class _Courier(Dataset[Any]):
    """Hands over a UserError in place of the sample."""

    def __init__(self, dataset: Dataset[Sample]) -> None:
        self.dataset = dataset

    def __getitem__(self, key: Any) -> Sample | UserError:
        try:
            return self.dataset[key]
        except UserError as error:
            return error


def collate(samples: list[Sample | UserError]) -> Batch | UserError:
    """Stack the maps of samples: [C,H,W] each to [N,C,H,W].

    Returns:
        The batch; or the first error among the samples, or that they differ in size.
    """
    sound: list[Sample] = []
    for sample in samples:
        if isinstance(sample, UserError):
            return sample
        sound.append(sample)
    first = sound[0]
    for sample in sound:
        if _size(sample) != _size(first):
            return UserError(different_sizes(_of(sample), _of(first)))
    return Batch(**default_collate(sound))


def different_sizes(one: tuple[Any, tuple[int, int]], other: tuple[Any, tuple[int, int]]) -> str:
    """The line that says so, of two (path, (width, height))."""
    (path, (width, height)), (path_, (width_, height_)) = one, other
    return (
        f"{path}: {width}x{height} pixels after --resize_or_crop, but {width_}x{height_} from "
        f"{path_}, and the images of a batch must have one size; "
        "give --batchSize 1, or --resize_or_crop resize_and_crop"
    )


def _size(sample: Sample) -> tuple[int, int]:
    label = sample["label"]
    assert isinstance(label, Tensor)
    return label.shape[2], label.shape[1]


def _of(sample: Sample) -> tuple[str, tuple[int, int]]:
    return str(sample["path"]), _size(sample)


def _start_worker(worker: int) -> None:
    """Leave the signals that end a run to the main process, which saves before it stops.

    Ctrl-C and a closed window reach all processes of a terminal, and batch systems send SIGTERM to
    all of a job's.
    PyTorch has given this process one thread and its seeds already.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
