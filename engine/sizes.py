"""The sizes of batches that a training sees: what is prepared for each pays for a few alone."""

from __future__ import annotations

import torch

from pix2pixhd.util.batch import Batch

FEW = 4  # each takes a search among cuDNN's kernels; compiled, minutes and memory for a graph

Size = tuple[tuple[str, torch.Size, torch.dtype], ...]


class Sizes:
    """The first few sizes of batches that a training has seen."""

    def __init__(self) -> None:
        self._first: set[Size] = set()
        self.are_few = True  # whether there was no other

    def is_among_first(self, batch: Batch) -> bool:
        """Whether a batch is of one of the first few sizes, which are remembered."""
        size = size_of(batch)
        if len(self._first) < FEW:
            self._first.add(size)
        is_known = size in self._first
        self.are_few &= is_known
        return is_known


def size_of(batch: Batch) -> Size:
    """Shapes and types of a batch."""
    return tuple((name, t.shape, t.dtype) for name, t in batch.tensors().items())


def search_kernels(sizes: Sizes, batch: Batch) -> None:
    """Let cuDNN time its kernels for each new size of images, while sizes are few."""
    sizes.is_among_first(batch)
    torch.backends.cudnn.benchmark = sizes.are_few
