"""First weights against the rules that they are drawn by."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from pix2pixhd.models.initialisation import Init, initialise


def test_initial_weights() -> None:
    torch.manual_seed(0)
    conv, transposed = nn.Conv2d(32, 64, 3), nn.ConvTranspose2d(64, 32, 3)
    norm = nn.BatchNorm2d(4096)
    nn.init.ones_(norm.bias)
    biases = conv.bias.clone()
    initialise(nn.Sequential(conv, nn.Sequential(transposed), norm))
    for layer in (conv, transposed):
        assert layer.weight.std().item() == pytest.approx(0.02, rel=0.05)
        assert layer.weight.mean().item() == pytest.approx(0.0, abs=1e-3)
    assert norm.weight.mean().item() == pytest.approx(1.0, abs=2e-3)
    assert norm.weight.std().item() == pytest.approx(0.02, rel=0.1)
    assert not norm.bias.any()
    assert torch.equal(conv.bias, biases)


@pytest.mark.parametrize("gain", [None, 0.5])
def test_other_initial_weights(gain: float | None) -> None:
    factor = gain or 1.0
    for layer in (nn.Conv2d(16, 32, 3), nn.ConvTranspose2d(32, 16, 3)):
        initialise(layer, Init("xavier", gain))
        deviation = factor * (2 / ((16 + 32) * 9)) ** 0.5
        assert layer.weight.std().item() == pytest.approx(deviation, rel=0.05)
        initialise(layer, Init("orthogonal", gain))
        rows = layer.weight.detach().flatten(1)
        torch.testing.assert_close(rows @ rows.T, factor**2 * torch.eye(len(rows)))
        initialise(layer, Init("normal", gain))
        assert layer.weight.std().item() == pytest.approx(gain or 0.02, rel=0.05)
