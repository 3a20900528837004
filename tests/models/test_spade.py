"""The generators of SPADE and OASIS, and the encoder of SPADE, in a model."""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from shared_data import shared
from tiny_models import CPU, TINY, tiny_batch, tiny_model
from torch import nn

from pix2pixhd.engine.averages import begin_averages, update_averages
from pix2pixhd.engine.optimizers import Optimizers
from pix2pixhd.engine.progress import Progress
from pix2pixhd.engine.render import render
from pix2pixhd.engine.state import TrainingState
from pix2pixhd.engine.step import Recipe, compute_gradients, forward, train_step
from pix2pixhd.engine.styles import draw_noise
from pix2pixhd.engine.tiling import render_in_tiles, require_tile
from pix2pixhd.engine.trained import load_trained
from pix2pixhd.models import create_discriminator, create_encoder, create_generator
from pix2pixhd.models.blocks import SpectralConvolution
from pix2pixhd.models.generators import spade
from pix2pixhd.models.generators.spade import SpadeGenerator
from pix2pixhd.models.spectral import OfOldOrder, folded, normalise_as_published
from pix2pixhd.models.vae_encoder import VAEEncoder
from pix2pixhd.options.fields import replaced
from pix2pixhd.options.parsing import parse_train
from pix2pixhd.options.train_options import TrainOptions
from pix2pixhd.util.checkpoint import differing_tensors, fill_network
from pix2pixhd.util.errors import UserError

AS_PUBLISHED = {"norm_D": "spectralinstance", "scale_reduction": "mean", "gan_loss": "hinge"}
VAE = {"use_vae": True, "crop_size": "64x32", "z_dim": 5}
SEGMENTATION = {"netD": "segmentation", "spectral_norm": "D", "ganFeat_loss": False}
ROWS: dict[str, dict[str, Any]] = {
    "spade": {"netG": "spade"} | AS_PUBLISHED,
    "instance": {"netG": "spade", "norm_G": "spadeinstance3x3", "num_upsampling_layers": "more"},
    "vae": {"netG": "spade"} | AS_PUBLISHED | VAE,
    "features": {"netG": "spade", "instance_feat": True, "nef": 2, "n_downsample_E": 1},
    "oasis": {"netG": "oasis", "z_dim": 3} | SEGMENTATION,
}
SPADE = Recipe("G_first", generator_forwards=2)
every_row = pytest.mark.parametrize("row", ROWS)
SIZE = (32, 64)


@pytest.fixture(autouse=True)
def few_hidden_filters(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "published_files" not in request.node.name:
        monkeypatch.setattr(spade, "HIDDEN", 8)


@every_row
def test_any_size_comes_out_as_it_goes_in(row: str) -> None:
    model = tiny_model(**ROWS[row])
    for size in ((32, 64), (31, 62)) if row == "vae" else ((1, 1), (32, 32), (33, 47)):
        image = render(model, tiny_batch(size, count=1))
        assert image.shape == (1, 3, *size) and image.isfinite().all()


def test_the_most_layers_end_in_half_as_many_filters() -> None:
    model = tiny_model(netG="spade", num_upsampling_layers="most", ngf=1)
    assert model.netG.stride == 128
    assert render(model, tiny_batch((128, 130), count=1)).shape == (1, 3, 128, 130)


@every_row
def test_every_weight_is_trained(row: str) -> None:
    model = tiny_model(**(ROWS[row] | {"lambda_L1": 1.0, "init": "xavier"}))
    found = compute_gradients(model, CPU, tiny_batch(SIZE)).gradients["G"]
    trained = [p for n in (model.netG, model.netE) if n for p in n.parameters() if p.requires_grad]
    assert len(found) == len(trained)
    for name, parameter in model.named_parameters():
        if parameter in found:
            assert found[parameter].isfinite().all(), name
            # A bias before a normalisation has a gradient of about 0.
            assert found[parameter].any() or name.endswith("bias"), name


# test_generator_table.py has the two that are slow here, without averages and orders of updates.
SLOW = [pytest.param(row, marks=pytest.mark.slow) for row in ("instance", "oasis")]


@pytest.mark.parametrize("row", ["spade", "vae", *SLOW])
def test_what_is_saved_renders_and_goes_on_bit_for_bit(row: str, tmp_path: Path) -> None:
    def new(seed: int) -> TrainingState:
        model = tiny_model(seed, **ROWS[row])
        begin_averages(model)
        return TrainingState(tmp_path, model, Optimizers(model, lr=1e-3, beta1=0.0, beta2=0.9))

    def steps(run: TrainingState, count: int) -> None:
        for step in range(count):
            train_step(run.model, run.optimizers, CPU, tiny_batch(SIZE, seed=step), SPADE)
            update_averages(run.model, 10, seen=2 * step + 2, batch=2)

    run, batch = new(seed=0), tiny_batch(SIZE, seed=9)
    steps(run, 1)
    run.save(Progress(2, 2))
    run.wait()
    options = replaced(TrainOptions(), TINY | ROWS[row])
    loaded = load_trained(options.model, tmp_path, "latest")
    torch.testing.assert_close(render(loaded, batch), render(run.model, batch))
    again = new(seed=1)
    again.restore()
    for one in (run, again):
        torch.manual_seed(3)
        one.restore()  # with the random state
        steps(one, 1)
    expected = run.model.state_dict()
    for name, value in again.model.state_dict().items():
        assert torch.equal(value, expected[name]), name


def test_rendering_in_tiles() -> None:
    """Statistics are those of training, so that a window far from an edge is as in the whole."""
    model = tiny_model(netG="spade", ngf=1)
    require_tile(model, 128)
    image = render_in_tiles(model, tiny_batch((8, 130), count=1), None, 128)
    assert image.shape == (1, 3, 8, 130) and image.isfinite().all()
    model = tiny_model(**ROWS["vae"])
    with pytest.raises(UserError, match="--tile 128: --use_vae makes images of --crop_size alone"):
        require_tile(model, 128)
    with pytest.raises(UserError, match=r"--crop_size 64x32: .* one, .* is 96x32"):
        render(model, tiny_batch((32, 96)))


def test_images_as_input() -> None:
    model = tiny_model(netG="spade", label_nc=0, norm_G="spadebatch5x5")
    batch = tiny_batch(SIZE)
    batch = replace(batch, label=batch.image)
    train_step(model, Optimizers(model, lr=1e-3, beta1=0.0), CPU, batch, SPADE)
    assert model.netG.up_0.norm_0.mlp_gamma.weight.shape[2:] == (5, 5)
    assert render(model, batch).isfinite().all()


def test_biases_begin_at_zero() -> None:
    model = tiny_model(**ROWS["vae"])
    for name, parameter in model.named_parameters():
        assert name.endswith("bias") != bool(parameter.any()), name


def test_noise_is_joined_before_the_labels_wherever_they_are_seen() -> None:
    netG = tiny_model(**ROWS["oasis"]).netG
    assert isinstance(netG, SpadeGenerator)
    seen = []
    for layer in (netG.fc, netG.body_0.norm_0.mlp_shared[0], netG.body_5.norm_s.mlp_shared[0]):
        layer.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    maps, noise = torch.rand(2, 5, *SIZE), torch.randn(2, 3)
    netG(maps, None, noise)
    assert [tuple(x.shape[2:]) for x in seen] == [(1, 2), (1, 2), SIZE]
    for x in seen:
        assert torch.equal(x[:, :3], noise[..., None, None].expand_as(x[:, :3]))
        assert torch.equal(x[:, 3:], maps[..., :: SIZE[0] // x.shape[2], :: SIZE[0] // x.shape[2]])


# How it trains


def test_a_step_synthesises_twice_and_shows_fake_and_real_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = tiny_model(**ROWS["vae"])
    taken: list[OfOldOrder] = []
    step = OfOldOrder._power_method

    def counted(self: OfOldOrder, *args: Any) -> None:
        taken.append(self)
        step(self, *args)

    monkeypatch.setattr(OfOldOrder, "_power_method", counted)
    train_step(model, Optimizers(model, lr=1e-3, beta1=0.0), CPU, tiny_batch(SIZE), SPADE)
    for network in (model.netG, model.netE, model.netD):
        ours = [m for m in network.modules() if isinstance(m, OfOldOrder)]
        assert ours and all(taken.count(one) == 2 for one in ours)
    assert model.netG.head_0.norm_0.param_free_norm.num_batches_tracked == 2


def test_one_batch_of_both_is_as_two_where_nothing_is_shared() -> None:
    model = tiny_model(norm_D="spectralinstance")
    apart = deepcopy(model)
    apart.adversary.in_one_batch = False
    for one in (model, apart):
        one.netD.eval()
    found, expected = (compute_gradients(one, CPU, tiny_batch()) for one in (model, apart))
    for name, term in expected.terms.items():
        torch.testing.assert_close(found.terms[name], term, msg=name)


def test_a_synthesis_that_nobody_learns_from_keeps_no_graph() -> None:
    model, batch = tiny_model(**ROWS["vae"]), tiny_batch(SIZE)
    begin_averages(model)
    with torch.no_grad():
        for parameter in model.averaged.parameters():
            parameter.zero_()
    outputs = forward(model, CPU, batch, "D", keeps_graph=False)
    assert not outputs.fake.requires_grad and not outputs.latent[0].requires_grad
    assert outputs.fake.any()  # of the generator, not of its average
    assert model.discriminator_terms(outputs)["D_fake"].requires_grad


def test_the_encoder_learns_by_way_of_the_image_and_of_the_divergence() -> None:
    model, batch = tiny_model(**ROWS["vae"]), tiny_batch(SIZE)
    assert isinstance(model.netE, VAEEncoder)
    torch.manual_seed(7)
    outputs = model(batch)
    mean, log_variance = outputs.latent
    pairs = torch.stack([mean, log_variance]).flatten(1).T
    expected = sum(0.5 * (m * m + v.exp() - v - 1) for m, v in pairs)
    terms = model.generator_terms(outputs)
    torch.testing.assert_close(terms["G_KLD"], expected)
    assert model.loss_weights["G_KLD"].minimised == model.loss_weights["G_KLD"].logged == 0.05
    weight = model.netE.fc_mu.weight
    for name in ("G_GAN", "G_KLD"):
        assert torch.autograd.grad(terms[name], weight, retain_graph=True)[0].any()


def test_styles_are_drawn_without_the_encoder() -> None:
    model, batch = tiny_model(**ROWS["vae"]), tiny_batch(SIZE)
    first, other = (draw_noise(model, batch.path, style, seed=0) for style in (0, 1))
    assert first.shape == (2, 5)
    image = render(model, batch, noise=first)
    assert not torch.equal(image, render(model, batch, noise=other))
    assert torch.equal(image, render(model, replace(batch, image=None), noise=first))


# Spectral normalisation


def test_the_power_method_has_the_order_of_the_old_one() -> None:
    ours = nn.Sequential(SpectralConvolution(3, 4, 3))
    theirs = deepcopy(ours)
    old = nn.utils.spectral_norm(theirs[0])
    normalise_as_published(ours)
    parametrisation = ours[0].parametrizations.weight[0].parametrisation
    parametrisation._u.copy_(old.weight_u)
    parametrisation._v.copy_(old.weight_v)
    x = torch.rand(2, 3, 8, 8)
    for _ in range(2):
        assert torch.equal(ours(x), theirs(x))
        assert torch.equal(parametrisation._u, old.weight_u)
        assert torch.equal(parametrisation._v, old.weight_v)
    plain = nn.Sequential(nn.Conv2d(3, 4, 3))
    plain.load_state_dict(folded(theirs.state_dict()))
    torch.testing.assert_close(plain(x), theirs.eval()(x))


# Files of the published layout


@pytest.mark.parametrize("row", ["spade", "oasis"])
def test_weights_of_the_published_layout_render(row: str) -> None:
    model, batch = tiny_model(**ROWS[row]), tiny_batch(SIZE)
    names = {
        ".parametrizations.weight.original": ".weight_orig",
        ".parametrizations.weight.0.parametrisation._": ".weight_",
    }
    if row == "oasis":
        names |= {"body_": "body.", ".param_free_norm.": ".first_norm."}
    state = {}
    for name, value in model.netG.state_dict().items():
        for ours, theirs in names.items():
            name = name.replace(ours, theirs)
        state[name] = value
    image = render(model, batch)
    options = replaced(TrainOptions(), TINY | ROWS[row])
    model.netG = create_generator(options.model)
    with pytest.raises(UserError, match="weights of another architecture"):
        fill_network(model.netG, {**state, "fc.bias": torch.zeros(7)}, "file")
    fill_network(model.netG, state, "file")
    torch.testing.assert_close(render(model, batch), image)


def model_flags(name: str, of: str) -> str:
    size = {
        "cityscapes": "--label_nc 35",
        "coco": "--label_nc 183",
        "ade20k": "--label_nc 151 --no_instance",
    }[name.split("_")[1] if "_" in name else "cityscapes"]
    if of == "oasis":
        return f"--netG oasis --netD segmentation {size} --no_instance"
    more = {
        "G_cityscapes": "--num_upsampling_layers more",
        "G_cityscapes_most": "--num_upsampling_layers most",
        "G_cityscapes_spadeinstance3x3": "--norm_G spadeinstance3x3",
        "G_coco_vae": "--use_vae --crop_size 256 --loadSize 256",
        "E": "--use_vae --crop_size 256 --loadSize 256",
    }
    return f"--netG spade --norm_D spectralinstance {size} {more.get(name, '')}"


@pytest.mark.parametrize("of", ["spade", "oasis"])
def test_names_and_shapes_of_published_files(of: str) -> None:
    file = shared("reference", "baselines", f"state_dict_keys_{of}.json")
    recorded = json.loads(file.read_text())
    assert len(recorded) == {"spade": 10, "oasis": 4}[of]
    with torch.device("meta"):
        for name, expected in recorded.items():
            options = parse_train(model_flags(name, of).split())
            if name[0] == "G":
                networks: list[Any] = [create_generator(options.model)]
            elif name == "E":
                networks = [create_encoder(options.model)]
            else:  # layer by layer, or one for each scale
                networks = [
                    create_discriminator(options.model, options.discriminator, featured)
                    for featured in (True, False)
                ]
            for network in networks:
                shapes = expected["state_dict"].items()
                state = network.renamed({key: torch.empty(shape) for key, shape in shapes})
                assert not differing_tensors(network.state_dict(), state), name
                count = sum(parameter.numel() for parameter in network.parameters())
                assert count == expected["parameters"], name
