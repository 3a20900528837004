"""Batch normalisation over the images of all processes (`--norm batch` on several GPUs)."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn


def synchronise_batch_norm(model: nn.Module) -> None:
    """Let the batch norms in a model share their statistics among the processes, in place.

    Names and tensors of the state dict stay as they are.
    """
    for module in list(model.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.BatchNorm2d) and not isinstance(child, SharedBatchNorm):
                setattr(module, name, _shared(child))


def _shared(norm: nn.BatchNorm2d) -> nn.Module:
    if norm.weight.device.type == "cuda":
        return nn.SyncBatchNorm.convert_sync_batchnorm(norm)
    shared = SharedBatchNorm(norm.num_features, eps=norm.eps, momentum=norm.momentum)
    shared.train(norm.training)
    # The very same parameters: an optimizer may hold them already.
    shared.weight, shared.bias = norm.weight, norm.bias
    shared.load_state_dict(norm.state_dict())
    return shared


class SharedBatchNorm(nn.BatchNorm2d):
    """What `nn.SyncBatchNorm` does; that one refuses the CPU, in PyTorch 2.14 still, and without a
    CPU there are no tests of it. Takes [N, C, H, W], the same N, H and W in all processes."""

    def forward(self, input: Tensor) -> Tensor:
        if not self.training:
            return super().forward(input)
        x = input.float()
        mean = _MeanOverProcesses.apply(x.mean((0, 2, 3)))
        centred = x - mean[:, None, None]
        variance = _MeanOverProcesses.apply(centred.square().mean((0, 2, 3)))
        if self.track_running_stats:
            self._track(mean.detach(), variance.detach(), x.numel() // x.shape[1])
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return (centred * scale[:, None, None] + self.bias[:, None, None]).to(input.dtype)

    @torch.no_grad()
    def _track(self, mean: Tensor, variance: Tensor, count: int) -> None:
        assert self.running_mean is not None and self.running_var is not None
        assert self.num_batches_tracked is not None and self.momentum is not None
        count *= dist.get_world_size()
        self.num_batches_tracked += 1
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance * count / (count - 1), self.momentum)


class _MeanOverProcesses(torch.autograd.Function):
    """The mean is symmetric in the processes, so its gradient is the mean of the gradients."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        values = values.contiguous().clone()
        dist.all_reduce(values)
        return values / dist.get_world_size()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total: Tensor = _MeanOverProcesses.apply(gradients[0])
        return total
