"""Networks without numbers: what they would compute and keep, on a machine of any size."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from models.encoder import uncounted_segments


@contextlib.contextmanager
def fake_tensors() -> Iterator[None]:
    """While it lasts, tensors have shapes and storages, but no values; build models within it.

    They are on the CPU, but behave as on a GPU where that takes other memory.
    """
    pad = F.pad

    def pad_as_on_gpu(*args: Any, **kwargs: Any) -> Tensor:
        # The CPU's autocast pads by reflection in float32; CUDA's leaves the type alone.
        with torch.autocast("cpu", enabled=False):
            return pad(*args, **kwargs)

    with (
        # How many instances there are is a value; on a GPU the pooling does not ask for it either.
        mock.patch("models.encoder.segments", uncounted_segments),
        mock.patch.object(F, "pad", pad_as_on_gpu),
        FakeTensorMode(),
    ):
        yield


class _Nowhere(contextlib.AbstractContextManager["_Nowhere"]):
    """In place of the counter's notes on modules, whose hooks forbid activations' gradients."""

    parents = frozenset({"Global"})

    def __exit__(self, *_: object) -> None:
        pass


def count_operations(build: Callable[[], Callable[[], object]]) -> int:
    """Floating-point operations of convolutions and matrix products, a multiplication and an
    addition being two.

    Args:
        build: makes the call to count, with networks and batch of its own.
    """
    with fake_tensors():
        call = build()
        counter = FlopCounterMode(display=False)
        counter.mod_tracker = _Nowhere()  # type: ignore[assignment]
        with counter:
            call()
    return counter.get_total_flops()
