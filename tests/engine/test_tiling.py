"""Rendering in tiles: where they lie, how they are blended, and that no trace is left of them."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import TINY, tiny_batch, tiny_model
from torch import Tensor, nn

from pix2pixhd.engine.render import render
from pix2pixhd.engine.tiling import (
    blended,
    features_in_tiles,
    render_in_tiles,
    require_tile,
    spans,
    window,
)
from pix2pixhd.models import create_encoder
from pix2pixhd.models.conditioning import condition
from pix2pixhd.models.generators.base import Generator, joined
from pix2pixhd.models.pix2pixhd import Pix2PixHDModel
from pix2pixhd.models.segments import instance_average
from pix2pixhd.options.base_options import ModelOptions
from pix2pixhd.options.fields import replaced
from pix2pixhd.util.batch import Batch
from pix2pixhd.util.errors import UserError

SIZES = [(1000, 371), (97, 96), (96, 700), (193, 1001)]


class Local(Generator):
    """Sees one pixel at a time and has no statistics; remembers what it was given."""

    def __init__(self, in_channels: int, stride: int = 8, noise_dim: int = 0) -> None:
        super().__init__()
        self.stride, self.noise_dim = stride, noise_dim
        self.layer = nn.Conv2d(in_channels, 3, kernel_size=1)
        self.seen: list[Tensor] = []

    def forward(
        self, maps: Tensor, features: Tensor | None = None, noise: Tensor | None = None
    ) -> Tensor:
        x = joined(maps, features, noise)
        self.seen.append(x)
        return torch.tanh(self.layer(x))


class LocalEncoder(nn.Module):
    stride = 4

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 2, kernel_size=1)
        self.largest = 0

    def forward(self, image: Tensor) -> Tensor:
        self.largest = max(self.largest, *image.shape[-2:])
        return self.layer(image)


def local_model(**changes: Any) -> Pix2PixHDModel:
    return Pix2PixHDModel(Local(5), label_nc=4, use_instance=True, **changes)


def local_model_with_features(**changes: Any) -> Pix2PixHDModel:
    return Pix2PixHDModel(Local(5 + 2), label_nc=4, use_instance=True, use_features=True, **changes)


# ---------------------------------------------------------------- where windows lie


@settings(deadline=None)
@given(
    size=st.integers(1, 3000),
    strides=st.integers(2, 20),
    more=st.integers(0, 15),
    stride=st.sampled_from([1, 2, 8, 16]),
)
def test_windows_cover_the_image(size: int, strides: int, more: int, stride: int) -> None:
    tile = strides * stride + more % stride
    found = spans(size, tile, stride)
    assert found[0].start == 0 and found[-1].stop == size
    for span in found:
        assert 0 < span.stop - span.start <= tile and span.start % stride == 0
    if size <= tile:
        assert found == [slice(0, size)]
        return
    side, least = window(tile, stride)
    assert {span.stop - span.start for span in found[:-1]} == {side}
    assert found[-1].stop - found[-1].start > side - stride
    shared = [one.stop - other.start for one, other in itertools.pairwise(found)]
    assert least <= min(shared) and max(shared) < side


@pytest.mark.parametrize("size", SIZES)
def test_weights_make_a_mean(size: tuple[int, int]) -> None:
    """Of windows that agree it is what they say, up to rounding."""
    whole = torch.rand(1, 2, *size, generator=torch.Generator().manual_seed(0))
    found = blended(lambda rows, columns: whole[..., rows, columns], size, tile=96, stride=16)
    torch.testing.assert_close(found, whole, rtol=1e-5, atol=0)


def test_where_two_windows_meet_one_fades_into_the_other() -> None:
    """The share of the second of two windows in the pixels of both."""
    first, second = spans(16 * 7, 64, 16)

    def function(rows: slice, columns: slice) -> Tensor:
        return torch.full((1, 1, 64, 64), float(columns == second))

    share = blended(function, (64, 16 * 7), 64, 16)[0, 0, 0]
    assert not share[: second.start].any() and (share[first.stop :] == 1).all()
    overlap = share[second.start : first.stop]
    assert (overlap.diff() > 0).all() and overlap[0] < 0.01 and overlap[-1] > 0.99
    assert overlap[0] == pytest.approx(1 - overlap[-1].item(), abs=1e-4)


@pytest.mark.parametrize("netG", ["global", "local"])
def test_tiles_that_are_too_small_for_the_networks(netG: str) -> None:
    model = tiny_model(netG=netG, n_downsample_global=3)
    strides = {"global": 8, "local": 16}
    least, halvings = 4 * strides[netG], {"global": 3, "local": 4}[netG]
    require_tile(model, least)
    line = f"^--tile {least - 1}: must be {least} or more; the generator .* {halvings} times"
    with pytest.raises(UserError, match=line):
        require_tile(model, least - 1)


def test_an_encoder_that_is_deeper_than_the_generator_asks_for_larger_tiles() -> None:
    model = tiny_model(instance_feat=True, n_downsample_E=4)  # the generator halves once
    with pytest.raises(UserError, match=r"must be 64 or more; the encoder of this run .* 4 times"):
        require_tile(model, 63)
    require_tile(model, 64)
    model.netE = None  # a rendering that takes features from elsewhere
    require_tile(model, 8)


# ---------------------------------------------------------------- what comes out


@pytest.mark.parametrize("size", [(100, 371), (97, 40), (65, 64)])
def test_a_local_generator_draws_the_same_in_tiles(size: tuple[int, int]) -> None:
    """Labels and, in particular, boundaries of instances are then those of the whole image."""
    model, batch = local_model(), tiny_batch(size)
    whole = render(model, batch)
    torch.testing.assert_close(render_in_tiles(model, batch, None, 64), whole, rtol=0, atol=1e-6)


def test_all_tiles_have_the_same_noise() -> None:
    model = Pix2PixHDModel(Local(5 + 2, noise_dim=2), label_nc=4, use_instance=True)
    batch, noise = tiny_batch((70, 131)), torch.randn(2, 2)
    found = render_in_tiles(model, batch, None, 64, noise)
    torch.testing.assert_close(found, render(model, batch, noise=noise), rtol=0, atol=1e-6)
    assert not torch.allclose(found, render(model, batch, noise=-noise))


def test_no_window_is_larger_than_a_tile() -> None:
    model = local_model()
    render_in_tiles(model, tiny_batch((200, 333)), None, 70)
    sizes = {tuple(seen.shape[-2:]) for seen in model.netG.seen}
    assert sizes == {(64, 64)} and len(model.netG.seen) == 4 * 7


def test_what_fits_in_a_tile_is_rendered_as_a_whole() -> None:
    model = tiny_model(instance_feat=True, n_downsample_E=1, nef=2, netG="local").eval()
    batch = tiny_batch((39, 40))
    assert torch.equal(render_in_tiles(model, batch, None, 40), render(model, batch))
    features = torch.rand(2, 3, 39, 40)
    assert torch.equal(render_in_tiles(model, batch, features, 40), render(model, batch, features))


def test_without_statistics_windows_differ_at_their_borders_alone() -> None:
    """The generator's down- and upsampling falls on the same pixels in windows and in the whole."""
    model = tiny_model(label_nc=4, n_downsample_global=2).eval()
    replace_norms(model)
    batch = tiny_batch((50, 150), count=1)
    whole = render(model, batch)
    [rows], columns = spans(50, 64, 4), spans(150, 64, 4)
    for span in columns:
        with torch.no_grad():
            image = model.generate(batch.map(lambda m, at=span: m[..., rows, at]))
        reach = 24  # of this network
        middle = slice(span.start + reach, span.stop - reach)
        inside = slice(reach, span.stop - span.start - reach)
        torch.testing.assert_close(image[..., inside], whole[..., middle], rtol=0, atol=1e-5)


def replace_norms(module: nn.Module) -> None:
    for name, child in module.named_children():
        if isinstance(child, nn.InstanceNorm2d):
            setattr(module, name, nn.Identity())
        replace_norms(child)


@pytest.mark.parametrize("netG", ["global", "local"])
def test_no_seam_is_to_be_seen(netG: str) -> None:
    """Each window has statistics of its own, and yet its border is as smooth as any other place."""
    model = tiny_model(netG=netG, n_downsample_global=2, ngf=4).eval()
    stride = model.netG.stride
    batch = blocks((96, 400), block=25)
    image = render_in_tiles(model, batch, None, 96)
    steps = (image[..., 1:] - image[..., :-1]).abs().mean(dim=(0, 1, 2))
    # The label map's own edges are left out: at the columns 25, 50, ... the picture may jump.
    calm = torch.tensor([column % 25 not in (24, 0, 1, 2, 23, 22) for column in range(399)])
    seams = torch.zeros(399, dtype=torch.bool)
    for span in spans(400, 96, stride):
        for border in (span.start, span.stop):
            seams[max(border - 1, 0) : border + 1] = True
    seams[[0, -1]] = False
    assert (seams & calm).sum() >= 4
    assert steps[seams & calm].mean() < 1.5 * steps[~seams & calm].mean()


def blocks(size: tuple[int, int], block: int) -> Batch:
    """Labels in squares, which leave a generator with something smooth to draw."""
    height, width = size
    random = torch.Generator().manual_seed(0)
    coarse = (1, 1, -(-height // block), -(-width // block))
    label = torch.randint(0, 4, coarse, generator=random, dtype=torch.uint8)
    label = label.repeat_interleave(block, 2).repeat_interleave(block, 3)[..., :height, :width]
    return Batch(label, ["blocks.png"], label.int())


# ---------------------------------------------------------------- features


def test_given_features_are_cut_like_the_maps() -> None:
    model, batch = local_model_with_features(), tiny_batch((100, 90))
    features = torch.rand(2, 2, 100, 90)
    torch.testing.assert_close(
        render_in_tiles(model, batch, features, 64),
        render(model, batch, features),
        rtol=0,
        atol=1e-6,
    )
    batch = dataclasses.replace(batch, feat=features)
    assert features_in_tiles(model, batch, 64) is features
    torch.testing.assert_close(
        render_in_tiles(model, batch, None, 64), render(model, batch), rtol=0, atol=1e-6
    )


@pytest.mark.parametrize("per_label", [False, True])
def test_features_of_the_real_image_are_pooled_over_the_whole(per_label: bool) -> None:
    netE = LocalEncoder()
    model = local_model_with_features(netE=netE, features_per_label=per_label)
    batch = tiny_batch((100, 90))
    found = features_in_tiles(model, batch, 64)
    assert netE.largest == 64
    torch.testing.assert_close(found, model.encode(batch), rtol=0, atol=1e-6)
    ids = batch.label if per_label else batch.inst
    torch.testing.assert_close(found, instance_average(found, ids), rtol=0, atol=1e-6)
    torch.testing.assert_close(
        render_in_tiles(model, batch, None, 64), render(model, batch), rtol=0, atol=1e-6
    )


def test_a_real_encoder_in_tiles() -> None:
    options = replaced(ModelOptions(), TINY | {"instance_feat": True, "n_downsample_E": 2})
    model = tiny_model(instance_feat=True, n_downsample_E=2)
    model.netE = create_encoder(options)
    image = torch.rand(1, 3, 60, 100, generator=torch.Generator().manual_seed(0)) * 2 - 1
    batch = dataclasses.replace(blocks((60, 100), 20), image=image)
    features = features_in_tiles(model, batch, 32)
    assert features.shape == (1, 3, 60, 100) and features.abs().max() <= 1
    assert not features.requires_grad
    assert model.training


def test_boundaries_do_not_appear_where_windows_end() -> None:
    model = local_model()
    inst = torch.ones(1, 1, 64, 200, dtype=torch.int32)
    batch = Batch(torch.zeros(1, 1, 64, 200, dtype=torch.uint8), ["blank.png"], inst)
    inst[..., 40:] = 2  # the second window begins there
    assert slice(40, 104) in spans(200, 64, 8)
    render_in_tiles(model, batch, None, 64)
    drawn = condition(batch.label, inst, 4)[:, -1]
    for span, seen in zip(spans(200, 64, 8), model.netG.seen, strict=True):
        assert torch.equal(seen[:, -1, :, : span.stop - span.start], drawn[..., span])
