"""Batch normalisation over the images of all processes (`--norm batch` on several GPUs)."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


def synchronise_batch_norm(model: nn.Module) -> None:
    """Let the batch norms in a model share their statistics among the processes, in place.

    Parameters, and names and tensors of the state dict, stay the very same.
    """
    if next(model.parameters()).is_cuda:
        nn.SyncBatchNorm.convert_sync_batchnorm(model)
        return
    for module in model.modules():
        if type(module) is nn.BatchNorm2d:
            module.__class__ = SharedBatchNorm  # a new module would need all that it holds


class SharedBatchNorm(nn.BatchNorm2d):
    """What `nn.SyncBatchNorm` does; that one refuses the CPU, in PyTorch 2.15 still, and without a
    CPU there are no tests of it. Each process normalises the images of all, and keeps its own."""

    def forward(self, input: Tensor) -> Tensor:  # [N, C, H, W], the same in all processes
        if not self.training:
            return super().forward(input)
        everything: Tensor = super().forward(_Gather.apply(input))  # [processes * N, C, H, W]
        # By `narrow`, as ReLU in place is allowed on its views, and not on those of `chunk`.
        return everything.narrow(0, dist.get_rank() * len(input), len(input))


class _Gather(torch.autograd.Function):
    """Tensors of all processes, [N, ...] each, as one. Own code, as PyTorch deprecates its first
    differentiable collectives and has changed the names of their successors."""

    @staticmethod
    def forward(ctx: Any, own: Tensor) -> Tensor:
        own = own.contiguous()
        parts = [torch.empty_like(own) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, own)
        return torch.cat(parts)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)  # every process's loss depends on all images
        return total.chunk(dist.get_world_size())[dist.get_rank()]
