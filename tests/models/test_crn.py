"""CRN's generator. Its recorded numbers are in tests/test_conformance_crn.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import tiny_batch, tiny_model

from pix2pixhd.engine.render import render
from pix2pixhd.engine.tiling import render_in_tiles, require_tile
from pix2pixhd.models.generators.crn import CRN, build_crn
from pix2pixhd.models.initialisation import Init, initialise
from pix2pixhd.options.base_options import ModelOptions
from pix2pixhd.options.fields import replaced
from pix2pixhd.util.checkpoint import load_matching, load_network, save_tensors

FLAGS: dict[str, Any] = {"netG": "crn", "crn_height": 16, "ngf": 1}


def network(widths: tuple[int, ...] = (6, 5, 4), **more: Any) -> CRN:
    torch.manual_seed(0)
    return CRN(3, widths, **more)


@pytest.mark.parametrize("size", [(16, 32), (16, 16), (32, 48), (13, 9), (1, 1), (5, 70)])
def test_any_size_comes_out_as_it_goes_in(size: tuple[int, int]) -> None:
    image = render(tiny_model(**FLAGS), tiny_batch(size))
    assert image.shape == (2, 3, *size) and image.isfinite().all()


@pytest.mark.parametrize(("height", "ngf"), [(256, 64), (1024, 64), (2048, 64), (512, 4), (8, 1)])
def test_widths_are_the_published_ones_or_in_proportion(height: int, ngf: int) -> None:
    with torch.device("meta"):
        flags = {"crn_height": height, "ngf": ngf}
        generator = build_crn(replaced(ModelOptions(), flags), map_channels=20, feature_channels=0)
    published = {4: 1024, 64: 1024, 128: 512, 256: 512, 512: 128, 1024: 32}
    assert generator.rows[-1] == height and generator.stride == height // 4
    for rows in generator.rows:
        width = generator.get_submodule(f"module{rows}").conv2.out_channels
        assert rows not in published or width == published[rows] * ngf // 64


def test_each_module_sees_means_of_the_maps_and_what_is_below() -> None:
    """A pixel of the label map reaches the coarsest module, and nothing is bounded in the end."""
    generator, maps = network(), torch.zeros(1, 3, 16, 32)
    seen: dict[int, torch.Tensor] = {}
    for rows in generator.rows:
        module = generator.get_submodule(f"module{rows}")
        module.register_forward_pre_hook(lambda _, x, rows=rows: seen.update({rows: x[0]}))
    maps[0, 1, 3, 7] = 1
    with torch.no_grad():
        generator.output16.bias.fill_(7)
    assert (generator(maps) > 1).all()
    assert {rows: x.shape[1:] for rows, x in seen.items()} == {
        4: (3, 4, 8),
        8: (6 + 3, 8, 16),
        16: (5 + 3, 16, 32),
    }
    assert seen[4][0, 1, 0, 1] == 1 / 16 and seen[4].count_nonzero() == 1
    assert torch.equal(seen[16][:, -3:], maps)


def test_every_weight_gets_a_gradient() -> None:
    generator = network(num_images=2)
    generator(torch.rand(2, 3, 16, 32)).square().sum().backward()
    for name, parameter in generator.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_noise_and_features_are_joined_to_the_maps() -> None:
    with_noise, plain = network(noise_dim=2), CRN(5, (6, 5, 4))
    plain.load_state_dict(with_noise.state_dict())
    maps, features, noise = torch.rand(2, 2, 8, 8), torch.rand(2, 1, 8, 8), torch.randn(2, 2)
    planes = noise[:, :, None, None].expand(-1, -1, 8, 8)
    expected = plain(torch.cat([maps, features, planes], dim=1))
    assert torch.equal(with_noise(maps, features, noise), expected)


def test_in_half_precision_the_image_is_of_more_bits() -> None:
    generator, maps = network(), torch.rand(1, 3, 16, 16)
    with torch.autocast("cpu", torch.bfloat16):
        image = generator(maps)
    assert image.dtype == torch.float32 and not torch.equal(image, image.bfloat16().float())
    torch.testing.assert_close(image, generator(maps), rtol=0.05, atol=0.05)


def test_images_are_grouped_by_colour() -> None:
    generator = network(num_images=2)
    outputs = torch.arange(6.0)[None, :, None, None]
    for number, channels in ((0, [0, 2, 4]), (1, [1, 3, 5])):
        assert generator.image(outputs, number).flatten().tolist() == channels
    model, batch = tiny_model(**FLAGS), tiny_batch()
    two = tiny_model(**FLAGS, num_images=2, no_gan_loss=True, lambda_L1=1.0)
    for number in (0, 1):
        model.netG.load_state_dict(
            two.netG.state_dict()
            | {
                f"output16.{name}": getattr(two.netG.output16, name)[number::2]
                for name in ("weight", "bias")
            }
        )
        rendered = two.generate(batch, number=number)
        torch.testing.assert_close(model.generate(batch), rendered)
        assert torch.equal(render_in_tiles(two, batch, None, 99, number=number), rendered)


def test_it_grows_by_modules(tmp_path: Path) -> None:
    """What it has is taken over, whatever was output; the last two modules may train alone."""
    small, large = network((6, 5), num_images=2), network((6, 5, 4))
    save_tensors(small.state_dict(), tmp_path / "G.pth")
    taken, new = load_matching(large, tmp_path / "G.pth")
    assert {name.partition(".")[0] for name in taken} == {"module4", "module8"}
    assert {name.partition(".")[0] for name in new} == {"module16", "output16"}
    model = tiny_model(**FLAGS)
    model.train_outermost_alone(True)
    trained = {n.partition(".")[0] for n, p in model.netG.named_parameters() if p.requires_grad}
    assert trained == {"module8", "module16", "output16"}


def test_published_names_are_known_and_kernels_turned(tmp_path: Path) -> None:
    generator = network()
    own = generator.state_dict()
    theirs = {}
    for name, value in own.items():
        part, _, what = name.rpartition(".")
        rows = "".join(filter(str.isdigit, part.partition(".")[0]))
        if part.startswith("output"):
            published = f"g_{rows}_conv100/{'weights' if what == 'weight' else 'biases'}"
        elif ".norm" in part:
            affine = {"weight": "gamma", "bias": "beta"}[what]
            published = f"g_{rows}_conv{part[-1]}/LayerNorm/{affine}"
        else:
            published = f"g_{rows}_conv{part[-1]}/weights:0"
        theirs[published] = value.permute(2, 3, 1, 0) if value.dim() == 4 else value
    theirs |= {"g_4_conv1/weights/Adam_1": torch.zeros(1), "beta1_power": torch.zeros(())}
    found = generator.renamed(theirs)
    assert found.keys() == own.keys()
    assert all(torch.equal(found[name], value) for name, value in own.items())
    assert generator.renamed(own) is own
    save_tensors(theirs, tmp_path / "G.pth")
    again = CRN(3, (6, 5, 4))
    load_network(again, tmp_path / "G.pth")
    assert all(torch.equal(value, own[name]) for name, value in again.state_dict().items())
    larger = CRN(3, (6, 5, 4, 3))
    assert len(load_matching(larger, tmp_path / "G.pth")[0]) == 3 * 6


def test_it_begins_as_published() -> None:
    """Uniform weights of Glorot's rule, no bias, gains of 1."""
    generator = initialise(network((32, 32, 32)), Init("xavier_uniform"))
    for name, value in generator.state_dict().items():
        if value.dim() == 4:
            area = value[0, 0].numel()
            limit = (6 / (area * (value.shape[0] + value.shape[1]))) ** 0.5
            assert 0.8 * limit < value.abs().max() <= limit
        else:
            assert (value == (1 if name.endswith("weight") else 0)).all()


def test_rendering_in_tiles() -> None:
    model = tiny_model(**FLAGS)
    require_tile(model, 16)
    image = render_in_tiles(model, tiny_batch((16, 23), count=1), None, 16)
    assert image.shape == (1, 3, 16, 23) and image.isfinite().all()
