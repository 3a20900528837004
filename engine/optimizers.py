"""Optimizers, the gradient step, and the learning rate."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from models.pix2pixhd import Pix2PixHDModel, StepOutputs


def learning_rate(epoch: int, lr: float, niter: int, niter_decay: int) -> float:
    """Constant for `niter` epochs and one more, then falling by lr/niter_decay an epoch.

    Epochs count from 1. The last one, niter + niter_decay, still trains at lr/niter_decay.
    """
    past = max(0, epoch - niter - 1)
    return lr * (1 - past / niter_decay) if past else lr


class Optimizers:
    """One Adam for generator and encoder, one for the discriminators, and the gradient scaler."""

    def __init__(
        self,
        model: Pix2PixHDModel,
        lr: float,  # starting learning rate
        beta1: float,  # Adam's momentum
        scale_gradients: bool = False,  # scale the losses so that float16 gradients do not vanish
        fused: bool | None = None,  # all of Adam in one kernel; None: wherever PyTorch has that
    ) -> None:
        assert model.netD is not None, "this model was built for rendering"
        self._parameters_D = list(model.netD.parameters())
        parameters_G = list(model.netG.parameters())
        if model.netE is not None:
            parameters_G += model.netE.parameters()
        device = self._parameters_D[0].device
        # Apple's GPUs have it too, but it was not tried there.
        fused = device.type in ("cuda", "cpu") if fused is None else fused
        self.G, self.D = (
            torch.optim.Adam(parameters, lr=lr, betas=(beta1, 0.999), fused=fused)
            for parameters in (parameters_G, self._parameters_D)
        )
        self.scaler = torch.amp.GradScaler(device.type, enabled=scale_gradients)

    @property
    def learning_rate(self) -> float:
        return self.G.param_groups[0]["lr"]

    def set_learning_rate(self, lr: float) -> None:
        for group in self.G.param_groups + self.D.param_groups:
            group["lr"] = lr

    def step(self, outputs: StepOutputs, loss_G: Tensor, loss_D: Tensor) -> None:
        """Update both networks from the losses of one batch.

        Both gradients are taken before either update: the graph of the discriminators' look at
        the fake serves them both, and must not change between them.
        """
        (gradient,) = torch.autograd.grad(
            self.scaler.scale(loss_G), outputs.fake_leaf, retain_graph=True
        )
        outputs.fake.backward(gradient)
        self.scaler.scale(loss_D).backward(inputs=self._parameters_D)
        self.scaler.step(self.G)
        self.scaler.step(self.D)
        self.scaler.update()
        self.forget_gradients()

    def forget_gradients(self) -> None:
        """Free their memory; the next step's activations need it."""
        self.G.zero_grad()
        self.D.zero_grad()

    def state_dict(self) -> dict[str, Any]:
        return {
            "G": self.G.state_dict(),
            "D": self.D.state_dict(),
            "scaler": self.scaler.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for adam, name in ((self.G, "G"), (self.D, "D")):
            # A --beta1 given to the resumed run wins, and it may be on another device.
            own = {key: adam.param_groups[0][key] for key in ("betas", "fused", "foreach")}
            groups = [group | own for group in state[name]["param_groups"]]
            adam.load_state_dict(state[name] | {"param_groups": groups})
            _lay_out_as_parameters(adam)
        if state["scaler"] and self.scaler.is_enabled():
            self.scaler.load_state_dict(state["scaler"])


def _lay_out_as_parameters(adam: torch.optim.Adam) -> None:
    """Put the moments into the memory format of their parameters, which may be another than that
    they were saved in: fused Adam goes by the place in memory."""
    for parameter, moments in adam.state.items():
        for name in ("exp_avg", "exp_avg_sq"):
            moments[name] = torch.empty_like(parameter).copy_(moments[name])
