"""Optimizers, their updates, and the learning rate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from pix2pixhd.models.pix2pixhd import Pix2PixHDModel

Gradients = dict[nn.Parameter, Tensor]


def learning_rate(epoch: int, lr: float, niter: int, niter_decay: int) -> float:
    """Constant for `niter` epochs and one more, then falling by lr/niter_decay an epoch.

    Epochs count from 1. The last one, niter + niter_decay, still trains at lr/niter_decay.
    """
    past = max(0, epoch - niter - 1)
    return lr * (1 - past / niter_decay) if past else lr


class Optimizers:
    """One Adam for generator and encoder, one for the discriminators if there are any, and the
    gradient scaler.

    Attributes:
        adams: those two by name, "G" and "D".
    """

    def __init__(
        self,
        model: Pix2PixHDModel,
        lr: float,  # starting learning rate
        beta1: float,  # Adam's momentum
        beta2: float = 0.999,  # decay of its second moment
        scale_gradients: bool = False,  # scale the losses so that float16 gradients do not vanish
        fused: bool | None = None,  # all of Adam in one kernel; None: wherever PyTorch has that
    ) -> None:
        # Frozen ones too: they have no gradient until they are trained, and Adam passes them by.
        parameters_G = list(model.netG.parameters())
        if model.netE is not None:
            parameters_G += model.netE.parameters()
        device = parameters_G[0].device
        # Apple's GPUs have it too, but it was not tried there.
        fused = device.type in ("cuda", "cpu") if fused is None else fused
        parameters = {"G": parameters_G}
        if model.netD is not None:
            parameters["D"] = list(model.netD.parameters())
        self.adams = {
            name: torch.optim.Adam(those, lr=lr, betas=(beta1, beta2), fused=fused)
            for name, those in parameters.items()
        }
        self.scaler = torch.amp.GradScaler(device.type, enabled=scale_gradients)
        self._one = torch.ones((), device=device)
        self._warned = False

    @property
    def learning_rate(self) -> float:
        """Of generator and encoder."""
        return self.adams["G"].param_groups[0]["lr"]

    def set_learning_rate(self, lr: float, lr_D: float | None = None) -> None:
        """`lr_D`: the discriminators', where it is another one."""
        for name, adam in self.adams.items():
            for group in adam.param_groups:
                group["lr"] = lr if name == "G" or lr_D is None else lr_D

    def scale(self) -> Tensor | None:
        """What multiplies the losses, a scalar on the device; None where gradients need none."""
        return self.scaler.scale(self._one) if self.scaler.is_enabled() else None

    def warning(self) -> str | None:
        """A line, once, if gradients overflow however little they are scaled: each such step is
        skipped, and halves the scale. Waits for the device."""
        scale = self.scaler.get_scale()
        if scale >= 1 or self._warned:
            return None
        self._warned = True
        return (
            f"--precision fp16: gradients overflow each time, their scale fell to {scale:.2g}; "
            "stop, and go on with --continue_train --precision bf16, or fp32"
        )

    def update(self, gradients: Mapping[str, Gradients], ends_step: bool = True) -> None:
        """Update the parameters of the optimizers named, "G" or "D", from their gradients.

        Args:
            gradients: of losses times `scale()`.
            ends_step: whether no other update of this step follows, so that the scale may change.
        """
        for name, found in gradients.items():
            adam = self.adams[name]
            for parameter, gradient in found.items():
                parameter.grad = _laid_out_as(parameter, gradient)
            self.scaler.step(adam)
            adam.zero_grad()  # frees their memory, which the next step's activations need
        if ends_step:
            self.scaler.update()

    def state_dict(self) -> dict[str, Any]:
        adams = {name: adam.state_dict() for name, adam in self.adams.items()}
        return adams | {"scaler": self.scaler.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, adam in self.adams.items():
            # Betas given to the resumed run win, and it may be on another device.
            own = {key: adam.param_groups[0][key] for key in ("betas", "fused", "foreach")}
            groups = [group | own for group in state[name]["param_groups"]]
            adam.load_state_dict(state[name] | {"param_groups": groups})
            _lay_out_as_parameters(adam)
        if state["scaler"] and self.scaler.is_enabled():
            self.scaler.load_state_dict(state["scaler"])


def _lay_out_as_parameters(adam: torch.optim.Adam) -> None:
    """For moments that were saved in another memory format than that of their parameters."""
    for parameter, moments in adam.state.items():
        for name in ("exp_avg", "exp_avg_sq"):
            moments[name] = _laid_out_as(parameter, moments[name])


def _laid_out_as(parameter: Tensor, values: Tensor) -> Tensor:
    """The values in the parameter's memory format. Fused Adam goes by the place in memory, and
    neither compiled networks nor `torch.autograd.grad` keep to that of the parameters."""
    if values.stride() == parameter.stride() and values.device == parameter.device:
        return values
    return torch.empty_like(parameter).copy_(values)
