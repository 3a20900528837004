"""What a call asks of the machine: operators or launches, their arithmetic, their memory traffic.

Nothing of ours is imported: `reference_step.py` has modules of the same names.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry
from torch.utils.weak import WeakIdKeyDictionary


@dataclass(frozen=True)
class Operator:
    """One that was dispatched."""

    name: str  # such as aten.convolution
    flops: int  # of a convolution or a matrix product, else 0
    bytes: int  # of all it reads and writes, each tensor once


class Operators(TorchDispatchMode):
    """Notes in `found` what is dispatched below autograd and autocast, without views, which move
    nothing; in `peak`, the most bytes that tensors seen here held at once."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Operator] = []
        self.peak = self.held = 0
        self._known = WeakIdKeyDictionary(ref_type=weakref.ref)  # the storages that are held

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func.namespace == "prim":  # of a tensor's device
            return func(*args, **kwargs)
        with self:  # in inference mode, operators made of others arrive whole
            result = func.decompose(*args, **kwargs)
        if result is not NotImplemented:
            return result
        result = func(*args, **kwargs)
        for tensor in tensors((args, kwargs, result)):
            self._hold(tensor.untyped_storage())
        if not func.is_view:
            count = flop_registry.get(func._overloadpacket)
            flops = count(*args, **kwargs, out_val=result) if count else 0
            moved = traffic(func, args, kwargs, result)
            self.found.append(Operator(str(func._overloadpacket), flops, moved))
        return result

    def _hold(self, storage: torch.UntypedStorage) -> None:
        if storage not in self._known:
            size = self._known[storage] = storage.nbytes()
            weakref.finalize(storage, self._let_go, size)
            self.held += size
            self.peak = max(self.peak, self.held)

    def _let_go(self, size: int) -> None:
        self.held -= size


def traffic(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> int:
    """Bytes that an operator reads and writes, if it does either once with each tensor."""
    name = func._schema.name.split("::")[-1]
    if "empty" in name:
        return 0
    declared = func._schema.arguments
    given = [*zip(declared, args, strict=False)]
    given += [(x, kwargs[x.name]) for x in declared[len(args) :] if x.name in kwargs]
    changed, kept = list[Any](), list[Any]()
    for argument, value in given:
        # Fused Adam writes gradients only to unscale them.
        is_changed = argument.alias_info and argument.alias_info.is_write
        (changed if is_changed and argument.name != "grads" else kept).append(value)
    made = [] if changed else [result]  # else it is what was changed
    overwrites = name in ("copy_", "fill_", "zero_")
    is_new = name.startswith("new_") or name.endswith("_like")
    read = [*([] if is_new else kept), *([] if overwrites else changed)]
    return sum(stored_bytes(x) for x in tensors((read, changed, made)))


def tensors(tree: Any) -> Iterable[Tensor]:
    """Those in nested lists, tuples and dicts, but for weights that a library has arranged: they
    tell nothing of their memory."""
    found = (leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor))
    return (tensor for tensor in found if tensor.layout == torch.strided)


def stored_bytes(x: Tensor) -> int:
    """Of a tensor's values in memory, where expanded dimensions are there once."""
    sizes = (size for size, stride in zip(x.shape, x.stride(), strict=True) if stride)
    return math.prod(sizes) * x.element_size() if x.numel() else 0


def count_launches(call: Callable[[], object], device: str) -> int:
    """Operators that a call dispatches on a CPU; what it launches on a GPU, kernels and graphs."""
    if device == "cpu":
        with Operators() as operators:
            call()
        return len(operators.found)
    with profile(activities=[ProfilerActivity.CUDA]) as profiled:
        call()
        torch.cuda.synchronize(device)
    return sum(is_launch(event.name) for event in profiled.events() or ())


def is_launch(name: str) -> bool:
    """Whether this function of CUDA's runtime or driver gives a GPU a kernel or a graph of them:
    cudaLaunchKernelExC, cuLaunchKernel, cudaGraphLaunch and their kin."""
    return name.startswith("cu") and ("LaunchKernel" in name or "GraphLaunch" in name)
