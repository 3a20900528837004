"""What the documents promise to those who add something, done as they say (docs/architecture.md).

A loss is added in tests/engine/test_step.py, a metric in tests/engine/test_validation.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pytest
import torch
from tiny_models import CPU, TINY, tiny_batch
from torch import Tensor, nn

from pix2pixhd.engine.optimizers import Optimizers
from pix2pixhd.engine.render import render
from pix2pixhd.engine.step import train_step
from pix2pixhd.models import create_model
from pix2pixhd.models.generators import GENERATORS, Generator
from pix2pixhd.models.generators.base import joined
from pix2pixhd.options.base_options import ModelOptions
from pix2pixhd.options.fields import replaced
from pix2pixhd.options.train_options import DiscriminatorOptions, LossOptions


class FlatGenerator(Generator):
    """Convolutions at full resolution; noise shifts all channels."""

    def __init__(self, in_channels: int, out_channels: int, depth: int, noise_dim: int) -> None:
        super().__init__()
        self.stride, self.noise_dim = 1, noise_dim
        self.shift = nn.Linear(noise_dim, 8)
        self.first = nn.Conv2d(in_channels, 8, 3, padding=1)
        self.inner = nn.ModuleList(nn.Conv2d(8, 8, 3, padding=1) for _ in range(depth))
        self.last = nn.Conv2d(8, out_channels, 3, padding=1)

    def forward(
        self, maps: Tensor, features: Tensor | None = None, noise: Tensor | None = None
    ) -> Tensor:
        x = self.first(joined(maps, features)) + self.shift(noise)[..., None, None]  # [N, 8, H, W]
        for layer in self.inner:
            x = layer(x.relu())
        return self.last(x.relu()).tanh()


@dataclass(frozen=True)
class FlatOptions(ModelOptions):
    """As base_options.py would be with this generator."""

    netG: Literal["global", "local", "flat"] = "flat"  # type: ignore[assignment]
    flat_depth: int = 3


def build_flat(options: FlatOptions, map_channels: int, feature_channels: int) -> Generator:
    return FlatGenerator(
        map_channels + feature_channels, options.output_nc, options.flat_depth, noise_dim=4
    )


@pytest.mark.parametrize("flags", [{}, {"instance_feat": True, "nef": 2, "n_downsample_E": 1}])
def test_a_generator_with_an_option_and_inputs_of_its_own(
    flags: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(GENERATORS, "flat", build_flat)
    options = replaced(FlatOptions(), TINY | flags | {"flat_depth": 2})
    discriminator = replaced(DiscriminatorOptions(), TINY)
    loss = replaced(LossOptions(), {"vgg_loss": False})
    model = create_model(options, discriminator, loss)
    assert len(model.netG.inner) == 2
    batch = tiny_batch((13, 9))
    before = {name: weight.clone() for name, weight in model.netG.state_dict().items()}
    image, terms = train_step(model, Optimizers(model, lr=1e-3, beta1=0.5), CPU, batch)
    assert image.shape == (2, 3, 13, 9)
    assert all(term.isfinite() for term in terms.values())
    for name, weight in model.netG.state_dict().items():
        assert not torch.equal(weight, before[name]), name
    assert not torch.equal(model.generate(batch), model.generate(batch))  # new noise each time
    random = torch.get_rng_state()
    assert torch.equal(render(model, batch), render(model, batch))
    assert torch.equal(torch.get_rng_state(), random)
