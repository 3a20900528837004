"""How weights begin."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeVar

from torch import Tensor, nn

Network = TypeVar("Network", bound=nn.Module)

INITS: dict[str, tuple[Callable[..., Tensor], float]] = {  # and their gains
    "normal": (lambda weight, gain: nn.init.normal_(weight, 0.0, gain), 0.02),
    "xavier": (nn.init.xavier_normal_, 1.0),  # Glorot and Bengio 2010
    "xavier_uniform": (nn.init.xavier_uniform_, 1.0),
    "orthogonal": (nn.init.orthogonal_, 1.0),  # Saxe et al. 2014
}


class Init(NamedTuple):
    """How weights of convolutions begin."""

    kind: str = "normal"  # a row of INITS
    gain: float | None = None  # deviation of `normal`, factor of the others; None: the row's


NORMAL = Init()


def initialise(network: Network, init: Init = NORMAL) -> Network:
    """The network, weights of convolutions and linear layers drawn anew, scales of batch norms from
    N(1, 0.02).

    Biases of convolutions keep PyTorch's initialisation, as in the reference, or are what the
    network has made of them.
    """
    if next(network.parameters()).is_meta:  # PyTorch would load its compiler for it: a second
        return network
    draw, default = INITS[init.kind]
    gain = default if init.gain is None else init.gain
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
            draw(module.weight, gain)
        elif isinstance(module, nn.BatchNorm2d) and module.affine:
            nn.init.normal_(module.weight, 1.0, 0.02)
            nn.init.zeros_(module.bias)
    return network


def zero_biases(network: nn.Module) -> None:
    """Let the biases of convolutions and linear layers begin at 0."""
    for module in network.modules():
        bias = module.bias if isinstance(module, nn.Conv2d | nn.Linear) else None
        if bias is not None and not bias.is_meta:
            nn.init.zeros_(bias)
