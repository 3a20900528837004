"""Spectral normalisation: weights of convolutions divided by their largest singular value (Miyato
et al., "Spectral normalization for generative adversarial networks", ICLR 2018).

While a network trains, each forward takes one step of the power method that finds that value. Files
for rendering hold plain weights, divided already, so that programs that render need none of this.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import _SpectralNorm, spectral_norm

from pix2pixhd.models.blocks import SpectralConvolution

Network = TypeVar("Network", bound=nn.Module)

STEPS = 15  # of the power method for weights that are new to it, as PyTorch takes for fresh ones


class InFloat32(nn.Module):
    """A parametrisation whose products of matrix and vector autocast leaves in float32."""

    def __init__(self, parametrisation: nn.Module) -> None:
        super().__init__()
        self.parametrisation = parametrisation

    def forward(self, weight: Tensor) -> Tensor:
        with torch.autocast(weight.device.type, enabled=False):
            normalised: Tensor = self.parametrisation(weight)
        return normalised


class OfOldOrder(_SpectralNorm):
    """With the order of the power method's step in `torch.nn.utils.spectral_norm`, which networks
    of SPADE were trained with: v first, then u. Rendering is the same with either."""

    @torch.no_grad()
    def _power_method(self, weight_mat: Tensor, n_power_iterations: int) -> None:
        for _ in range(n_power_iterations):  # in place, as in PyTorch's
            F.normalize(weight_mat.T @ self._u, dim=0, eps=self.eps, out=self._v)
            F.normalize(weight_mat @ self._v, dim=0, eps=self.eps, out=self._u)


def normalise_as_published(network: nn.Module) -> None:
    """Normalise the convolutions of which it is a part of the architecture, in place."""
    if next(network.parameters()).is_meta:
        return
    for module in network.modules():
        if isinstance(module, SpectralConvolution):
            _normalise(module)
            _parametrisations(module)[0].parametrisation.__class__ = OfOldOrder


def normalise_spectrally(network: nn.Module, *, but_output: bool = False) -> None:
    """Normalise all convolutions of a network, whose weights are initialised, in place.

    Args:
        but_output: leave out the last one: of a generator, so that its tanh keeps its range; of the
            segmentation discriminator, as published.
    """
    if next(network.parameters()).is_meta:  # nothing is computed there, and vectors take no memory
        return
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
    for module in convolutions[: -1 if but_output else None]:
        _normalise(module)


def _normalise(module: nn.Module) -> None:
    spectral_norm(module)
    parametrisations = _parametrisations(module)
    parametrisations[0] = InFloat32(parametrisations[0])


def is_normalised(network: nn.Module) -> bool:
    return bool(_normalised(network))


def lost_vectors(network: nn.Module, state: Mapping[str, Any]) -> list[str]:
    """The singular vectors of a network that its state lacks, though it has their weights."""
    return [
        name
        for name in network.state_dict()
        if name not in state
        and f"{name.partition('.parametrizations.')[0]}.parametrizations.weight.original" in state
    ]


def plain_state_dict(network: nn.Module) -> dict[str, Tensor]:
    """The state dict with the usual names and with weights as convolutions take them.

    It changes nothing in the network. Without spectral normalisation it is the state dict itself.
    """
    state: dict[str, Tensor] = {}
    for name, value in network.state_dict().items():
        owner, _, part = name.partition(".parametrizations.weight.")
        if part == "original":
            state[f"{owner}.weight"] = _divided(network.get_submodule(owner))
        elif not part:
            state[name] = value
    return state


def folded(weights: Mapping[str, Any]) -> dict[str, Any]:
    """A state dict of which the layers with `torch.nn.utils.spectral_norm` have plain weights: what
    they compute with in evaluation, W / (u W v)."""
    state = {}
    for name, value in weights.items():
        owner, _, part = name.rpartition(".weight_")
        vectors = [weights.get(f"{owner}.weight_{one}") for one in "uv"]
        if not (owner and all(isinstance(one, Tensor) for one in [value, *vectors])):
            state[name] = value
        elif part == "orig":
            u, v = vectors
            state[f"{owner}.weight"] = value / (u @ (value.flatten(1) @ v))
    return state


def plain_copy(network: Network) -> Network:
    """A copy without spectral normalisation, whose weights are divided already."""
    with _plain(network):
        copy = deepcopy(network)  # a copy of a parametrised module shares its class with it
    copy.load_state_dict(plain_state_dict(network))
    return copy


@contextmanager
def loading_plain(network: nn.Module) -> Iterator[None]:
    """For plain weights to be loaded into a network that may have spectral normalisation.

    Its parameters are the same objects afterwards. Singular vectors are found from those before,
    with no random number, so that all processes find the same.
    """
    with _plain(network):
        yield
    with torch.no_grad():
        for module in _normalised(network):
            was_training = module.training
            module.train()
            for _ in range(STEPS):
                module.weight  # noqa: B018 - a step of the power method
            module.train(was_training)


@contextmanager
def _plain(network: nn.Module) -> Iterator[None]:
    """The network with the weights that are trained, as if they were not divided."""
    taken = {module: _parametrisations(module)[0] for module in _normalised(network)}
    for module in taken:
        parametrize.remove_parametrizations(module, "weight", leave_parametrized=False)
    try:
        yield
    finally:
        for module, parametrisation in taken.items():
            # Unchecked: a check would take a step of the power method.
            parametrize.register_parametrization(module, "weight", parametrisation, unsafe=True)


def _normalised(network: nn.Module) -> list[nn.Module]:
    return [module for module in network.modules() if parametrize.is_parametrized(module)]


def _parametrisations(module: nn.Module) -> nn.ModuleList:
    assert isinstance(module.parametrizations, nn.ModuleDict)
    found = module.parametrizations["weight"]
    assert isinstance(found, nn.ModuleList)
    return found


def _divided(module: nn.Module) -> Tensor:
    """The weight as the convolution takes it, without a step of the power method."""
    parametrisations = _parametrisations(module)
    was_training = parametrisations.training
    parametrisations.eval()
    with torch.no_grad():
        weight: Tensor = parametrisations()
    parametrisations.train(was_training)
    return weight
