"""What the processes of a program tell each other: NCCL between GPUs, Gloo between CPUs."""

from __future__ import annotations

import datetime
import warnings
from collections.abc import Mapping
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from pix2pixhd.engine.program import exit_at_once
from pix2pixhd.engine.world import World

# Rank 0 checks data and writes pages while the others wait for it.
TIMEOUT = datetime.timedelta(hours=1)


def initialise(world: World, device: torch.device) -> None:
    """Meet the other processes, if there are any; once in a process."""
    if world.size == 1 or dist.is_initialized():
        return
    if world.is_main and world.address:
        print(f"waiting at {world.address} for {world.size - 1} other processes", flush=True)
    store, rank, size = next(iter(dist.rendezvous("env://", timeout=TIMEOUT)))
    on_gpu = device.type == "cuda"
    dist.init_process_group(
        # What lies on the CPU, such as votes and objects, goes by Gloo in any case.
        "cpu:gloo,cuda:nccl" if on_gpu else "gloo",
        timeout=TIMEOUT,
        # torchrun's store outlives the processes: those started anew must not find old addresses.
        store=dist.PrefixStore(f"attempt {world.restarts}", store),
        rank=rank,
        world_size=size,
        device_id=device if on_gpu else None,
    )


def shut_down(code: int = 0) -> None:
    """At the end of a program, wait until all processes are there, and exit; does nothing alone."""
    if dist.is_initialized():
        dist.all_reduce(torch.zeros(1))
        exit_at_once(code)


def barrier(world: World) -> None:
    """Wait until all processes have come here."""
    if world.size > 1:
        dist.all_reduce(torch.zeros(1))  # on the CPU: dist.barrier would take a GPU's time


def gather(value: Any, world: World) -> list[Any]:
    """The values of all processes in the order of their ranks, on rank 0; elsewhere nothing.

    Args:
        value: anything that can be pickled; tensors on the CPU.
    """
    values = [value] * world.size if world.is_main else []
    if world.size > 1:
        dist.gather_object(value, values or None)
    return values


def broadcast(value: Any, world: World) -> Any:
    """The first process's value, in all of them; anything that can be pickled."""
    values = [value]
    if world.size > 1:
        dist.broadcast_object_list(values, src=0, device=torch.device("cpu"))
    return values[0]


def mean(terms: Mapping[str, Tensor], world: World) -> dict[str, float]:
    """The means over all processes of scalars, brought to the host in one go."""
    values = torch.stack([term.detach().float() for term in terms.values()])
    if world.size > 1:
        dist.all_reduce(values)
        values /= world.size
    return dict(zip(terms, values.tolist(), strict=True))


def average_gradients(gradients: Mapping[nn.Parameter, Tensor]) -> dict[nn.Parameter, Tensor]:
    """The means of the gradients over all processes, by one exchange; laid out in memory as the
    parameters are. All processes give those of the same parameters, in the same order."""
    sizes = [parameter.numel() for parameter in gradients]
    everything = next(iter(gradients)).new_empty(sum(sizes))
    means = {
        parameter: part.as_strided(parameter.shape, parameter.stride())
        for parameter, part in zip(gradients, everything.split(sizes), strict=True)
    }
    for parameter, gradient in gradients.items():
        means[parameter].copy_(gradient)
    dist.all_reduce(everything)
    everything /= dist.get_world_size()
    return means


def wrap_ddp(network: nn.Module, device: torch.device) -> DistributedDataParallel:
    """The network as all processes train it: they start from the weights of the first, and each
    parameter that is to be trained now gets the mean of their gradients."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of a newer name for broadcast_buffers
        return DistributedDataParallel(
            network,
            device_ids=[device] if device.type == "cuda" else None,
            broadcast_buffers=False,  # running statistics are the same everywhere
            gradient_as_bucket_view=True,
        )


class Vote:
    """Agrees on a number in every step without waiting for anyone.

    A signal may reach the processes in different steps, but they must stop after the same one: a
    process that saves and leaves would let the others wait for its gradients. So each says in every
    step what it knows, and hears what all said in the step before. The outcome of the same step
    would be simpler, but costs a round trip in which the GPU is not given its next step.
    """

    def __init__(self, world: World) -> None:
        self._alone = world.size == 1
        self._ballot = torch.zeros(1, dtype=torch.int32)
        self._pending: dist.Work | None = None

    def cast(self, number: int) -> int:
        """The largest number that any process gave in the step before; alone, the one given."""
        if self._alone:
            return number
        outcome = self.settle()
        if not outcome:
            self._ballot.fill_(number)
            self._pending = dist.all_reduce(self._ballot, dist.ReduceOp.MAX, async_op=True)
        return outcome

    def settle(self) -> int:
        """The outcome of the last vote; no vote is open afterwards."""
        if self._pending is not None:
            self._pending.wait()
            self._pending = None
        return int(self._ballot)
