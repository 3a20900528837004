"""Numbers recorded from SPADE's implementation, within the tolerances recorded with them."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from shared_data import shared
from tiny_models import CPU
from torch import Tensor, nn

from pix2pixhd.engine.builders import build_model, recipe_of
from pix2pixhd.engine.optimizers import Optimizers
from pix2pixhd.engine.render import render
from pix2pixhd.engine.renderer import load
from pix2pixhd.engine.state import TrainingState
from pix2pixhd.engine.step import train_step
from pix2pixhd.models import create_generator
from pix2pixhd.models.adversary import Judgement, PatchAdversary
from pix2pixhd.models.conditioning import condition, image_to_float
from pix2pixhd.models.gan_losses import GAN_LOSSES
from pix2pixhd.models.generators import SpadeGenerator
from pix2pixhd.models.pix2pixhd import Pix2PixHDModel
from pix2pixhd.models.vae_encoder import VAEEncoder, divergence
from pix2pixhd.options.parsing import parse_train
from pix2pixhd.util.batch import Batch
from pix2pixhd.util.checkpoint import fill_network

FLAGS = (
    "--netG spade --label_nc 5 --ngf 8 --ndf 8 --norm_D spectralinstance --scale_reduction mean "
    "--update_order G_first --no_vgg_loss --lr 1e-4 --lr_D 4e-4 --beta1 0 --beta2 0.9 --gpu_ids -1"
)
NAMES = {"GAN": "G_GAN", "GAN_Feat": "G_GAN_Feat", "D_Fake": "D_fake", "D_real": "D_real"}
LOSSES = {"hinge": "hinge", "ls": "lsgan", "original": "vanilla"}


@cache
def arrays(name: str) -> dict[str, Tensor]:
    with np.load(shared("reference", "baselines", "spade", f"{name}.npz")) as file:
        return {key: torch.from_numpy(file[key]) for key in file.files}


@cache
def losses() -> Any:
    return json.loads(shared("reference", "baselines", "spade", "losses.json").read_text())


def model_of(*flags: str) -> Pix2PixHDModel:
    """A model to train, that begins as the recorded one, singular vectors included."""
    model = build_model(parse_train([*FLAGS.split(), *flags]))
    for letter in "GD":
        network = model.trained_networks()[letter]
        network.load_state_dict(normalised(network, arrays(f"{letter}_init")))
    return model


def normalised(network: nn.Module, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Recorded weights by the names of a network that is normalised spectrally."""
    inner = "parametrizations.weight.0.parametrisation._"
    named = {}
    for name, value in weights.items():
        for theirs, ours in (("u", f"{inner}u"), ("v", f"{inner}v")):
            name = name.replace(f".weight_{theirs}", f".{ours}")
        named[name.replace(".weight_orig", ".parametrizations.weight.original")] = value
    return dict(network.renamed(named))


def semantics() -> Tensor:
    return arrays("semantics")["semantics"].float()


def batch(*images: int) -> Batch:
    rows = {name: value[list(images)] for name, value in arrays("inputs").items() if len(value) > 2}
    names = [str(image) for image in images]
    return Batch(rows["label"], names, rows["instance"], rows["image"])


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)


def test_semantics() -> None:
    two = batch(0, 1)
    assert torch.equal(condition(two.label, two.inst, 5), semantics())


def test_generator() -> None:
    model, recorded = model_of(), arrays("forward")
    netG, maps = model.netG, semantics()
    assert isinstance(netG, SpadeGenerator)
    with torch.no_grad():
        close(render(model, batch(0)), recorded["G_eval"])
        close(netG.eval()(maps[:1]), recorded["G_eval"])
        x, half = recorded["layer_x"], maps[:1, :, ::2, ::2]
        close(netG.up_3.norm_0(x, half)[..., ::4, ::4], recorded["layer_up_3.norm_0_s4"])
        close(netG.up_3(x, half)[..., ::4, ::4], recorded["layer_up_3_s4"])
        close(netG.train()(maps), recorded["G_train"])
        state = normalised(netG, {k: v for k, v in recorded.items() if k.startswith("G_after")})
        for name, value in state.items():
            if not name.endswith("num_batches_tracked"):  # theirs does not count
                close(netG.state_dict()[name.removeprefix("G_after_train.")], value)
        after = netG.eval()(maps[:1])
        close(after[..., ::4, ::4], recorded["G_eval_after_train_s4"])


@pytest.mark.parametrize(
    ("flags", "name"),
    [
        ("--num_upsampling_layers more", "G_more_eval_s2"),
        ("--norm_G spectralspadeinstance3x3", "G_instance_eval_s2"),
    ],
)
def test_plain_weights_render(flags: str, name: str) -> None:
    """Of files in the published layout: the singular vectors go into the weights."""
    netG = create_generator(parse_train([*FLAGS.split(), *flags.split()]).model).eval()
    recorded = arrays("G_init")
    if "instance" in flags:
        recorded = {n: value for n, value in recorded.items() if "param_free" not in n}
    fill_network(netG, recorded, "recorded")
    with torch.no_grad():
        close(netG(semantics()[:1])[..., ::2, ::2], arrays("forward")[name])


def test_discriminator() -> None:
    model, recorded = model_of(), arrays("forward")
    assert model.netD is not None
    real = image_to_float(batch(0).image)
    maps = semantics()[:1].repeat(2, 1, 1, 1)
    both = torch.cat([maps, torch.cat([recorded["G_eval"], real])], dim=1)
    scalars = losses()["scalars"]
    with torch.no_grad():
        found = model.netD.eval()(both)
        for scale, activations in enumerate(found):
            close(activations[-1], recorded[f"D_eval.{scale}.logits"])
            expected = scalars[f"D_eval activations of scale {scale}"]
            for activation, moments in zip(activations, expected, strict=True):
                assert list(activation.shape) == moments["shape"]
                assert activation.mean().item() == pytest.approx(moments["mean"], abs=1e-4)
                assert activation.std().item() == pytest.approx(moments["std"], abs=1e-4)
        close(model.netD.train()(both)[0][-1], recorded["D_train.0.logits"])
    fake, real_said = ([[x[n : n + 1] for x in one] for one in found] for n in (0, 1))
    judgement = Judgement(fake, real_said, fake)
    for theirs, ours in LOSSES.items():
        adversary = PatchAdversary(GAN_LOSSES[ours], scale_reduction="mean")
        terms = adversary.generator_terms(judgement) | adversary.discriminator_terms(judgement)
        for name, value in scalars[f"GANLoss {theirs}"].items():
            assert terms[NAMES[name]].item() == pytest.approx(value, rel=1e-5)
        assert 10 * terms["G_GAN_Feat"].item() == pytest.approx(scalars["GAN_Feat"], rel=1e-5)


def test_encoder() -> None:
    recorded, netE = arrays("forward"), VAEEncoder(filters=2).eval()
    fill_network(netE, arrays("E_ngf2_init"), "recorded")
    images = image_to_float(arrays("inputs")["encoder_image"])
    with torch.no_grad():
        mean, log_variance = netE(images)
        close(mean, recorded["E_mu"])
        close(log_variance, recorded["E_logvar"])
        small = nn.functional.interpolate(images[:1], (64, 128))
        close(netE(small)[0], recorded["E_mu_of_64x128"])
    expected = losses()["scalars"]["KLDLoss of E on both images"]
    assert divergence(mean, log_variance).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("kind", ["hinge", pytest.param("ls", marks=pytest.mark.slow)])
def test_training(kind: str) -> None:
    flags = ["--gan_loss", LOSSES[kind]]
    options, model = parse_train([*FLAGS.split(), *flags]), model_of(*flags)
    schedule = options.schedule
    optimizers = Optimizers(model, schedule.lr, schedule.beta1, schedule.beta2)
    optimizers.set_learning_rate(schedule.lr, schedule.lr_D)
    model.train()
    for step, expected in enumerate(losses()["training"][kind]):
        two = batch(2 * step, 2 * step + 1)
        _, terms = train_step(model, optimizers, CPU, two, recipe_of(options))
        for name, value in expected.items():
            within = (1e-5, 1e-3, 5e-3)[step]
            assert terms[NAMES[name]].item() == pytest.approx(value, rel=within), (step, name)
    after = arrays("after_training")
    rates = [optimizers.learning_rate, optimizers.adams["D"].param_groups[0]["lr"]]
    assert rates == after[f"{kind}_learning_rates"].tolist()
    with torch.no_grad():
        image = model.netG.eval()(semantics()[:1])
    torch.testing.assert_close(image[..., ::4, ::4], after[f"{kind}_G_eval_s4"], rtol=0, atol=2e-2)


def test_training_starts_from_published_files(tmp_path: Path) -> None:
    model = model_of()
    state = TrainingState(tmp_path, model, Optimizers(model, 1e-4, beta1=0.0))
    for letter in "GD":
        torch.save(arrays(f"{letter}_init"), tmp_path / f"latest_net_{letter}.pth")
    lines = state.start_from(tmp_path, "latest")
    assert len(lines) == 2 and all(line.endswith("; 0 new") for line in lines)
    # Singular vectors are sought anew, and are better ones than after the recorded twelve steps.
    found = render(model, batch(0))
    torch.testing.assert_close(found, arrays("forward")["G_eval"], rtol=0, atol=0.1)


def test_a_file_of_the_published_layout_renders(tmp_path: Path) -> None:
    """By the flags that it was trained with, as it comes without options."""
    file = tmp_path / "latest_net_G.pth"
    torch.save(arrays("G_init"), file)
    renderer = load(file, netG="spade", label_nc=5, ngf=8, device="cpu", precision="fp32")
    rows = batch(0)
    image = renderer(rows.label[0, 0].numpy(), rows.inst[0, 0].numpy())
    expected = (arrays("forward")["G_eval"][0].permute(1, 2, 0).numpy() + 1) * 127.5
    assert np.abs(image - expected).max() < 0.52  # rounding
