"""Worker processes around a data set, and the mistakes they bring home."""

from __future__ import annotations

import atexit
import multiprocessing
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset, Sampler, default_collate

from pix2pixhd.data import problems, transforms
from pix2pixhd.util.batch import Batch
from pix2pixhd.util.errors import UserError


class Loader(DataLoader[Batch]):
    """A DataLoader from which a user's mistake comes out as it went in.

    PyTorch rebuilds exceptions from a worker's traceback printed into one string. So a UserError
    travels as a batch instead, and is raised in the main process.
    """

    def __init__(
        self,
        dataset: Dataset[Batch],  # of samples, batches of one
        *,
        batch_sampler: Sampler[Any],  # yields lists of what the data set takes as keys
        workers: int,  # processes; 0 loads in the main process
        seed: int,  # of the workers' random generators
        pin_memory: bool = False,  # in memory that CUDA devices copy from without waiting
    ) -> None:
        super().__init__(
            _ReturnsErrors(dataset),
            batch_sampler=batch_sampler,
            num_workers=workers,
            collate_fn=collate,
            # A generator of its own: otherwise each epoch draws a number from the global one,
            # and a run that continues within an epoch would be a number ahead.
            generator=torch.Generator().manual_seed(seed),
            # Starting workers takes longer than an epoch of a small data set.
            persistent_workers=workers > 0,
            worker_init_fn=_start_worker,
            pin_memory=pin_memory,
        )

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        """The batches that the sampler has left.

        Raises:
            UserError: the data set's, on the batch that has the bad sample; or a worker was killed.
        """
        batches = super().__iter__()
        while (batch := self._next(batches)) is not None:
            if isinstance(batch, UserError):
                try:
                    raise batch
                finally:
                    # The error holds this frame by its traceback. Were the frame to hold the error
                    # too, the workers would live until the garbage collector comes round.
                    del batch
            yield batch

    def _next(self, batches: Iterator[Batch]) -> Batch | None:
        try:
            return next(batches, None)
        except RuntimeError as error:
            reason, *_ = str(error).splitlines()
            # Of a full /dev/shm others tell.
            if not reason.startswith("DataLoader worker") or "shared memory" in str(error):
                raise
            raise UserError(
                f"--nThreads {self.num_workers}: a loading process ended ({reason}), perhaps as "
                "memory was short; lower --nThreads"
            ) from error


class _ReturnsErrors(Dataset[Any]):
    """A data set that returns a UserError in place of the sample."""

    def __init__(self, dataset: Dataset[Batch]) -> None:
        self.dataset = dataset

    def __getitem__(self, key: Any) -> Batch | UserError:
        try:
            return self.dataset[key]
        except UserError as error:
            return error


def collate(samples: list[Batch | UserError]) -> Batch | UserError:
    """Stack samples: maps of [1,C,H,W] each to [N,C,H,W].

    Returns:
        The batch; or the first error among the samples, or that they differ in size.
    """
    sound: list[Batch] = []
    for sample in samples:
        if isinstance(sample, UserError):
            return sample
        sound.append(sample)
    paths = [path for sample in sound for path in sample.path]
    sizes = [(sample.label.shape[3], sample.label.shape[2]) for sample in sound]
    for path, size in zip(paths, sizes, strict=True):
        if size != sizes[0]:
            return UserError(problems.batch_sizes(Path(path), size, Path(paths[0]), sizes[0]))
    sound = _of_one_depth(sound)
    # In a worker, PyTorch's stacking writes straight into memory shared with the main process.
    return Batch(
        path=paths,
        **default_collate([sample.map(lambda maps: maps[0]).tensors() for sample in sound]),
    )


def _of_one_depth(samples: list[Batch]) -> list[Batch]:
    """The samples; maps that some have in 8 bits and others in more become alike, photographs as
    floating point, instance ids as int32."""
    maps = [sample.tensors() for sample in samples]
    types = {name: {tensors[name].dtype for tensors in maps} for name in maps[0]}
    if mixed := [name for name, kinds in types.items() if len(kinds) > 1]:
        wide = [tensors | {name: _wide(name, tensors[name]) for name in mixed} for tensors in maps]
        paths = (sample.path for sample in samples)
        return [Batch(path=path, **tensors) for path, tensors in zip(paths, wide, strict=True)]
    return samples


def _wide(name: str, pixels: torch.Tensor) -> torch.Tensor:
    if name == "inst":
        return pixels.to(torch.int32)
    if pixels.is_floating_point():
        return pixels
    return transforms.to_float(pixels, 0, torch.iinfo(pixels.dtype).max)


def _start_worker(worker: int) -> None:
    """Leave the signals that end a run to the main process, which saves before it stops.

    Ctrl-C and a closed window reach all processes of a terminal, and batch systems send SIGTERM to
    all of a job's. PyTorch has given this process one thread and its seeds already.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


@atexit.register
def _kill_workers() -> None:
    """End the workers of loaders that are still there when the program ends, as in a notebook.

    Python would send them SIGTERM, which they ignore, and then wait for them for ever.
    """
    workers = [child for child in multiprocessing.active_children() if child.daemon]
    if workers:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # PyTorch's handler raises at such an end
    for worker in workers:
        worker.kill()
