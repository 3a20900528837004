"""How much memory networks take, asked before it is taken."""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import nn

from pix2pixhd.util.errors import UserError

# Of glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4

TRAINING = 4  # of each weight: itself, its gradient and Adam's two moments

Network = TypeVar("Network", bound=nn.Module)


def require_memory(build: Callable[[], Network], device: torch.device, copies: int = 1) -> Network:
    """Refuse networks that cannot be held, instead of hanging in the allocator.

    Activations are not counted: this is about flags with some zeros too many.

    Args:
        build: makes the networks; called with the meta device, where nothing is allocated.
        device: that is to hold them.
        copies: of each weight.

    Returns:
        The networks on the meta device.

    Raises:
        UserError: they take more than the device has.
    """
    there = memory_of(device)
    try:
        with torch.device("meta"):
            networks = build()
        needed = copies * sum(p.numel() * p.element_size() for p in networks.parameters())
        if needed <= there:
            return networks
        taken = gib(needed)
    except (RuntimeError, OverflowError):  # sizes that no 64-bit number holds
        taken = "more than can be counted"
    raise UserError(
        f"the networks would take {taken} for their weights, and there are {gib(there)}; lower "
        "--ngf, --ndf, --nef, --label_nc or the numbers of layers"
    )


def memory_of(device: torch.device) -> int:
    """Bytes of memory that the device has in all."""
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def peak_gpu_memory(device: torch.device) -> float | None:
    """GiB of a CUDA device that this process's tensors took at most until now; None elsewhere."""
    return torch.cuda.max_memory_allocated(device) / 2**30 if device.type == "cuda" else None


def keep_freed_memory(device: torch.device) -> None:
    """Let the CPU's tensors take the memory of those before, where the C library is glibc.

    It would give that of each large one back to the system, which hands it out again page by page
    and cleared: a quarter of the time that large images take. In return, up to a third more memory
    is held at most. Who sets malloc by the environment keeps that.
    """
    is_set = any(name.startswith("MALLOC_") for name in os.environ)
    if device.type != "cpu" or is_set or "glibc.malloc" in os.environ.get("GLIBC_TUNABLES", ""):
        return
    with contextlib.suppress(OSError, AttributeError, TypeError):  # another C library
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


def gib(count: float) -> str:
    return f"{count / 2**30:,.1f} GiB"
