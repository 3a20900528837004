"""CUDA graphs: all that a GPU is given to do for a step, given again in one launch."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from pix2pixhd.engine.step import StepFunction, StepResult
from pix2pixhd.util.batch import Batch

Replay = Callable[[], None]
Capture = Callable[[Callable[[], StepResult]], tuple[StepResult, Replay]]
"""Records a function's work. The result's tensors have their values after each call of the replay,
and not before the first."""


class Graph:
    """A step function, captured for batches of one size.

    Gradients lie in the graph's memory, and are overwritten by the next call of any graph of the
    same `capture`; image and terms are copies. Weights are read where they lie: change them in
    place.
    """

    def __init__(
        self, function: StepFunction, batch: Batch, scale: Tensor | None, capture: Capture
    ) -> None:
        """The function must have been called before: what happens in first calls alone, such as a
        search for the quickest kernel, cannot be captured."""
        self._batch = batch.map(torch.clone)
        self._scale = None if scale is None else scale.clone()
        self._result, self._replay = capture(lambda: function(self._batch, self._scale))

    def __call__(self, batch: Batch, scale: Tensor | None) -> StepResult:
        given = batch.tensors()
        for name, tensor in self._batch.tensors().items():
            tensor.copy_(given[name])
        if self._scale is not None and scale is not None:
            self._scale.copy_(scale)
        self._replay()
        found = self._result
        terms = {name: term.clone() for name, term in found.terms.items()}
        return StepResult(found.image.clone(), terms, found.gradients)


def capture_on_gpu() -> Capture:
    """Captures that share their memory, as no two of them are replayed at once.

    A capture runs nothing: random states and running statistics are as before it.

    Raises (when called):
        RuntimeError: the work cannot be captured, or there is not enough memory.
    """
    pool = torch.cuda.graph_pool_handle()

    def capture(function: Callable[[], StepResult]) -> tuple[StepResult, Replay]:
        graph = torch.cuda.CUDAGraph()
        # Other threads pin the memory of batches meanwhile, and watch over NCCL.
        with torch.cuda.graph(graph, pool=pool, capture_error_mode="thread_local"):
            result = function()
        return result, graph.replay

    return capture
