"""How much memory networks take, asked before it is taken."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import nn

from pix2pixhd.util.errors import UserError

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


def gib(count: float) -> str:
    return f"{count / 2**30:,.1f} GiB"
