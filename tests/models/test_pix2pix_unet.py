"""pix2pix's U-Net: where it drops units, what it renders with, and its weights of old."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from pix2pixhd.models.generators import Pix2PixUNet
from pix2pixhd.models.generators.pix2pix_unet import UNetBlock
from pix2pixhd.models.initialisation import initialise


def unet(seed: int = 0, **changes: object) -> Pix2PixUNet:
    torch.manual_seed(seed)
    sizes = {"in_channels": 4, "ngf": 2, "n_downsample": 6, "norm": "batch"}
    return initialise(Pix2PixUNet(**(sizes | changes)))


@pytest.mark.parametrize(("n_downsample", "dropping"), [(8, [4, 5, 6]), (7, [4, 5])])
def test_blocks_between_the_innermost_and_the_widest_drop(
    n_downsample: int, dropping: list[int]
) -> None:
    network = unet(n_downsample=n_downsample, use_dropout=True)
    blocks = [module for module in network.modules() if isinstance(module, UNetBlock)]
    assert len(blocks) == n_downsample  # from the outermost, level 0
    drops = [any(isinstance(layer, nn.Dropout) for layer in block.model) for block in blocks]
    assert [level for level, is_there in enumerate(drops) if is_there] == dropping


def test_biases_begin_at_0() -> None:
    for norm in ("instance", "batch", "none"):
        for name, parameter in unet(norm=norm).named_parameters():
            if name.endswith("bias"):
                assert not parameter.any(), name


def test_rendering_is_as_training_but_drops_the_same_units() -> None:
    network, maps = unet(use_dropout=True), torch.rand(1, 4, 64, 128)
    first, second = network(maps), network(maps)
    assert not torch.equal(first, second)
    network.eval()
    rendered = network(maps)
    assert torch.equal(network(maps), rendered)
    network.evaluates = True
    assert not torch.allclose(network(maps), rendered)


def test_half_of_the_units_are_dropped_and_the_others_doubled() -> None:
    network = unet(use_dropout=True)
    [block] = [m for m in network.modules() if isinstance(m, UNetBlock) and m.inner_blocks == 1]
    factors = block._fixed_units(torch.ones(1, 16, 20, 20))
    assert set(factors.unique().tolist()) == {0.0, 2.0}
    assert 0.9 < factors.mean() < 1.1


def test_without_dropout_and_statistics_only_instances_are_as_trained() -> None:
    network, maps = unet(norm="instance"), torch.rand(2, 4, 64, 64)
    trained = network(maps)
    assert torch.equal(network.eval()(maps), trained)


def test_files_of_old_lack_counts_of_batches() -> None:
    network = unet()
    old = {n: v for n, v in network.state_dict().items() if "num_batches" not in n}
    assert len(old) < len(network.state_dict())
    unet(seed=1).load_state_dict(network.renamed(old))
    assert network.renamed(old).keys() == network.state_dict().keys()
    counted = {name: torch.tensor(3) for name in network.state_dict() if "num_batches" in name}
    assert network.renamed(counted | old) == counted | old
    assert network.renamed({"other": torch.tensor(1)}) == {"other": torch.tensor(1)}
