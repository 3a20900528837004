"""How much memory tensors take, counted from their lives; no GPU and no arithmetic is needed."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules import module as hooks
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter


@dataclass(frozen=True)
class Stored:
    """A tensor's storage, and where it came from."""

    bytes: int
    op: str  # that made it
    place: str  # the innermost module that was running; none in most of a backward pass
    shape: tuple[int, ...]
    dtype: torch.dtype


class LiveMemory(TorchDispatchMode):
    """Counts the bytes of all storages that are alive, while it is entered, and keeps the most.

    It counts storages, not tensors: views and what autograd saves are counted once, for as long as
    anything holds them. What libraries allocate within an operation is not seen.
    """

    def __init__(self) -> None:
        super().__init__()
        self.place = ""
        self.bytes = 0
        self.peak = 0
        self.at_peak: dict[int, Stored] = {}  # by the storage's number
        self._live: dict[int, Stored] = {}
        self._numbers: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()
        self._count = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        for tensor in tree_iter(out):
            if isinstance(tensor, Tensor):
                self._see(tensor, str(func))
        return out

    def number(self, tensor: Tensor) -> int | None:
        """The number of a tensor's storage; None if it was never seen."""
        return self._numbers.get(tensor.untyped_storage())

    def reset_peak(self) -> None:
        """Forget the most there was before."""
        self.peak, self.at_peak = self.bytes, dict(self._live)

    def _see(self, tensor: Tensor, op: str) -> None:
        storage = tensor.untyped_storage()
        if storage in self._numbers:
            return
        self._count += 1
        number, size = self._count, storage.nbytes()
        self._numbers[storage] = number
        self._live[number] = Stored(size, op, self.place, tuple(tensor.shape), tensor.dtype)
        self.bytes += size
        weakref.finalize(storage, self._forget, number)
        if self.bytes > self.peak:
            self.reset_peak()

    def _forget(self, number: int) -> None:
        self.bytes -= self._live.pop(number).bytes


@contextmanager
def places(memory: LiveMemory, model: nn.Module) -> Iterator[None]:
    """While it lasts, storages get the name of the model's module that makes them."""
    names = {module: name for name, module in model.named_modules()}
    running: list[str] = []

    def enter(module: nn.Module, _: Any) -> None:
        running.append(names.get(module, ""))
        memory.place = running[-1]

    def leave(*_: Any) -> None:
        running.pop()
        memory.place = running[-1] if running else ""

    handles = [
        hooks.register_module_forward_pre_hook(enter),
        hooks.register_module_forward_hook(leave, always_call=True),
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
