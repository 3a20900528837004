"""The fastest matrix multiplication of a device, which other rates are shares of."""

from __future__ import annotations

import functools

import torch

from scripts.benchmarks.timing import time_call

SIDE = {"cuda": 8192}  # of the matrices; on a GPU large enough to keep all of it at work
SIDE_ELSEWHERE = 1024
CALLS = 10


def precision(device: torch.device, dtype: torch.dtype) -> str:
    """What convolutions of a type are computed in: the name of a peak."""
    if dtype == torch.float32 and device.type == "cuda" and torch.backends.cudnn.allow_tf32:
        return "tf32"  # PyTorch's default for convolutions, though not for matrices
    return str(dtype).removeprefix("torch.")


@functools.cache
def matmul_peak(device: torch.device, name: str) -> float:
    """Floating-point operations a second of the best of a few multiplications.

    Args:
        device: where to multiply.
        name: a type of torch's, or tf32 for float32 on a GPU's matrix units.
    """
    dtype = torch.float32 if name == "tf32" else getattr(torch, name)
    side = SIDE.get(device.type, SIDE_ELSEWHERE)
    random = torch.Generator().manual_seed(0)
    one, other = (
        torch.randn(side, side, generator=random).to(device=device, dtype=dtype) for _ in range(2)
    )
    out = torch.empty_like(one)
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = name == "tf32"
    try:
        seconds = [time_call(lambda: torch.mm(one, other, out=out), device) for _ in range(CALLS)]
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before
    return 2 * side**3 / min(seconds)
