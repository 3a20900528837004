"""`--compile`: the function from a batch to gradients, compiled as a whole for each size of batch.

Updates and exchanges between processes are apart.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pix2pixhd.engine.batch_norm import SharedBatchNorm
from pix2pixhd.engine.cuda_graph import Capture, Graph, capture_on_gpu
from pix2pixhd.engine.distributed import average_gradients
from pix2pixhd.engine.runtime import Runtime, first_line
from pix2pixhd.engine.sizes import FEW, Size, Sizes, size_of
from pix2pixhd.engine.step import (
    PIX2PIXHD,
    Recipe,
    StepFunction,
    StepResult,
    compute_gradients,
)
from pix2pixhd.models.pix2pixhd import Pix2PixHDModel
from pix2pixhd.util.batch import Batch

BACKEND = "inductor"  # of torch.compile
WARM_UP = 3  # steps of a size before its work is captured in a CUDA graph


def compiled_step(
    model: Pix2PixHDModel, runtime: Runtime, recipe: Recipe = PIX2PIXHD
) -> CompiledGradients | None:
    """The compiled function of a training that is to compile; None, and a line, if it cannot."""
    if not runtime.compiles:
        return None
    if reason := why_eager(model, recipe):
        runtime.print_rank0(f"--compile: not compiling, {reason}")
        return None
    capture = capture_on_gpu() if runtime.device.type == "cuda" else None
    return CompiledGradients(model, runtime, capture)


def why_eager(model: Pix2PixHDModel, recipe: Recipe) -> str | None:
    """Why no step of a training can be compiled, in a few words; None if they can."""
    if recipe.update_order != "together":
        return "as one network is updated before the gradients of the other are taken"
    if model.adversary is not None and (size := model.adversary.pool.size):
        return f"as --pool_size {size} draws images on the host"
    if model.vgg is not None and model.vgg.measured is not None:
        return "as --crn_balance measured changes the loss from step to step"
    if any(isinstance(module, nn.SyncBatchNorm | SharedBatchNorm) for module in model.modules()):
        return "as with --norm batch the processes exchange statistics within the networks"
    return None


@dataclass
class _Way:
    """How steps of one size are taken, and how many were."""

    function: StepFunction
    graph: Graph | None = None
    steps: int = 0


class CompiledGradients:
    """`compute_gradients` for all networks, compiled; on a GPU, captured in a CUDA graph as well.

    What cannot be compiled or captured goes on as it can, and one line says so. Of several
    processes, all get the mean of their gradients, by one exchange after the function, whichever
    way each of them took: the networks must not be wrapped in DDP.
    """

    def __init__(
        self,
        model: Pix2PixHDModel,
        runtime: Runtime,
        capture: Capture | None = None,  # None: no graphs
        backend: str | None = None,  # of torch.compile; None: BACKEND
    ) -> None:
        self._model, self._runtime = model, runtime
        self._capture, self._backend = capture, backend or BACKEND
        self._compiles = True
        self._sizes = Sizes()
        self._ways: dict[Size, _Way] = {}
        self._trained: list[bool] = []  # for each parameter, whether the ways are for training it
        self._told: set[str] = set()

    def __call__(self, batch: Batch, scale: Tensor | None = None) -> StepResult:
        assert not self._model.is_wrapped
        result = self._own(batch, scale)
        if self._runtime.world.size == 1:
            return result
        parts = result.gradients.items()
        means = average_gradients({p: g for _, part in parts for p, g in part.items()})
        averaged = {name: {p: means[p] for p in part} for name, part in parts}
        return dataclasses.replace(result, gradients=averaged)

    def _own(self, batch: Batch, scale: Tensor | None) -> StepResult:
        """Of this process's batch."""
        if not self._sizes.is_among_first(batch):
            self._tell(f"images of more than {FEW} sizes, those of further sizes are not compiled")
            self._drop_graphs()
            return self._eager(batch, scale)
        way = self._way(batch)
        if self._capture is not None and way.steps == WARM_UP:
            self._hold(way, self._capture, batch, scale)
        way.steps += 1
        if way.graph is not None:
            return way.graph(batch, scale)
        if way.steps > 1 or way.function == self._eager:
            return way.function(batch, scale)
        try:
            return way.function(batch, scale)
        # The compiler and its helpers raise types of their own, which differ between versions.
        except Exception as error:
            self._compiles, way.function = False, self._eager
            self._tell(f"not compiling, {first_line(error)}")
        return self._eager(batch, scale)

    def _way(self, batch: Batch) -> _Way:
        """How batches of this size are computed, as long as the same parameters are trained."""
        trained = [parameter.requires_grad for parameter in self._model.parameters()]
        if trained != self._trained:
            self._ways.clear()  # with the memory of their graphs
            torch.compiler.reset()  # PyTorch 2.11 would go on as if the same were trained
            self._trained = trained
        size = size_of(batch)
        if size not in self._ways:
            self._ways[size] = _Way(self._compiled() if self._compiles else self._eager)
        return self._ways[size]

    def _eager(self, batch: Batch, scale: Tensor | None) -> StepResult:
        return compute_gradients(self._model, self._runtime, batch, scale=scale)

    def _compiled(self) -> StepFunction:
        compiled = torch.compile(
            compute_gradients, fullgraph=True, dynamic=False, backend=self._backend
        )

        def function(batch: Batch, scale: Tensor | None) -> StepResult:
            with torch._dynamo.config.patch(trace_autograd_ops=True):
                return compiled(self._model, self._runtime, batch, scale=scale)

        return function

    def _hold(self, way: _Way, capture: Capture, batch: Batch, scale: Tensor | None) -> None:
        """Capture the function of a way in a graph, if that can be done."""
        try:
            way.graph = Graph(way.function, batch, scale, capture)
        except RuntimeError as error:
            self._capture = None
            self._tell(f"without CUDA graphs, {first_line(error)}")

    def _drop_graphs(self) -> None:
        """Their memory is for the steps that are not compiled."""
        self._capture = None
        for way in self._ways.values():
            way.graph = None

    def _tell(self, line: str) -> None:
        if line not in self._told:
            self._told.add(line)
            self._runtime.print_rank0(f"--compile: {line}")
