"""Which device a process computes on."""

from __future__ import annotations

import torch

from engine.world import World
from util.errors import UserError

ALONE = World()


def choose_device(gpu_ids: str, world: World = ALONE) -> tuple[torch.device, list[str]]:
    """The device for a list such as "0" or "0,1", or "-1" for the CPU: CUDA, Apple MPS or CPU.

    Args:
        gpu_ids: one number, or one for each process on this machine. With several processes, "0",
            the flag's default, stands for 0,1,2 and so on.
        world: the processes.

    Returns:
        The device, and lines to print where it is not quite what was asked for.

    Raises:
        UserError: there are GPUs, but not those numbers of them.
    """
    ids = [int(part) for part in gpu_ids.split(",")]
    if ids[0] < 0:
        return torch.device("cpu"), []
    if torch.cuda.is_available():
        return torch.device("cuda", _gpu(gpu_ids, ids, world)), []
    if torch.backends.mps.is_available() and world.size == 1:
        more = f"--gpu_ids {gpu_ids}: training on one device, Apple's GPU; --batchSize is as given"
        return torch.device("mps"), [more] if len(ids) > 1 else []
    return torch.device("cpu"), [f"--gpu_ids {gpu_ids}: there is no GPU here, running on the CPU"]


def _gpu(gpu_ids: str, ids: list[int], world: World) -> int:
    """The number of this process's GPU."""
    count = torch.cuda.device_count()
    if max(ids) >= count:
        raise UserError(f"--gpu_ids {gpu_ids}: this machine has GPUs 0 to {count - 1}")
    is_default = ids == [0] and world.size > 1
    ids = list(range(count)) if is_default else ids
    # A launcher that does not say which process of its machine this is starts as many on each.
    number = world.rank % len(ids) if world.local_rank is None else world.local_rank
    if number < len(ids) and (is_default or len(ids) <= world.size):
        return ids[number]
    if is_default:
        raise UserError(
            f"LOCAL_RANK={number} on a machine with {count} GPU{'s'[: count - 1]}; start a process "
            "for each GPU (torchrun --nproc_per_node) that sees all of them, or give --gpu_ids -1 "
            "for the CPU"
        )
    raise UserError(
        f"--gpu_ids {gpu_ids}: names {len(ids)} for {world.size} processes, of which this one has "
        f"LOCAL_RANK={number}: expected one GPU for each process of this machine; leave the flag "
        "out under torchrun"
    )
