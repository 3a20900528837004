"""Which device a run computes on."""

from __future__ import annotations

import torch

from util.errors import UserError


def choose_device(gpu_ids: str) -> tuple[torch.device, list[str]]:
    """The device for a list such as "0" or "0,1", or "-1" for the CPU: CUDA, Apple MPS or CPU.

    Returns:
        The device, and lines to print where it is not quite what was asked for.

    Raises:
        UserError: there are GPUs, but none with the first number.
    """
    ids = [int(part) for part in gpu_ids.split(",")]
    if ids[0] < 0:
        return torch.device("cpu"), []
    if torch.cuda.is_available():
        count = torch.cuda.device_count()
        if ids[0] >= count:
            raise UserError(f"--gpu_ids {gpu_ids}: this machine has GPUs 0 to {count - 1}")
        notes = [_one_device(gpu_ids, f"GPU {ids[0]}")] if len(ids) > 1 else []
        return torch.device("cuda", ids[0]), notes
    if torch.backends.mps.is_available():
        return torch.device("mps"), [_one_device(gpu_ids, "Apple's GPU")] if len(ids) > 1 else []
    return torch.device("cpu"), [f"--gpu_ids {gpu_ids}: there is no GPU here, running on the CPU"]


def _one_device(gpu_ids: str, used: str) -> str:
    return (
        f"--gpu_ids {gpu_ids}: this version trains on one device, {used}; --batchSize is as given"
    )
