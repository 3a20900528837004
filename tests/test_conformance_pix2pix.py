"""Numbers recorded from the original pix2pix, within the tolerances recorded with them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from shared_data import shared
from torch import Tensor, nn

from pix2pixhd.engine.builders import recipe_of
from pix2pixhd.engine.optimizers import Optimizers
from pix2pixhd.engine.runtime import Runtime
from pix2pixhd.engine.step import train_step
from pix2pixhd.models import create_discriminator, create_generator, create_model
from pix2pixhd.models.conditioning import image_to_float
from pix2pixhd.models.gan_losses import GAN_LOSSES
from pix2pixhd.models.generators import Pix2PixUNet
from pix2pixhd.options.parsing import parse_train
from pix2pixhd.options.train_options import TrainOptions
from pix2pixhd.util.batch import Batch
from pix2pixhd.util.checkpoint import fill_network

CLOSE = {"rtol": 0, "atol": 1e-4}
OF_IMAGES = "--label_nc 0 --no_instance"
RECORDED = (
    f"{OF_IMAGES} --netG unet_128 --ngf 8 --netD basic --ndf 8 --no_ganFeat_loss --no_vgg_loss "
    "--lambda_L1 100 --update_order D_first --norm"
)
NORMS = ("instance", "batch")


def arrays(name: str) -> dict[str, Tensor]:
    file = np.load(shared("reference", "baselines", "pix2pix", f"{name}.npz"))
    return {key: torch.from_numpy(file[key]) for key in file.files}


def losses() -> dict[str, Any]:
    text = shared("reference", "baselines", "pix2pix", "losses.json").read_text()
    found: dict[str, Any] = json.loads(text)
    return found


def recorded_options(norm: str, gan_loss: str = "vanilla") -> TrainOptions:
    return parse_train([*RECORDED.split(), norm, "--gan_loss", gan_loss])


def networks(norm: str) -> tuple[nn.Module, nn.Module]:
    options = recorded_options(norm)
    generator = create_generator(options.model)
    discriminator = create_discriminator(options.model, options.discriminator, True)
    fill_network(generator, arrays(f"G_{norm}_init"), "G")
    fill_network(discriminator, arrays(f"D_{norm}_init"), "D")
    return generator, discriminator


@pytest.fixture
def forward_pair() -> tuple[Tensor, Tensor]:
    inputs = arrays("inputs")
    return image_to_float(inputs["forward_x"]), image_to_float(inputs["forward_y"])


@pytest.fixture(autouse=True)
def without_gradient(request: pytest.FixtureRequest) -> Iterator[None]:
    with torch.set_grad_enabled("training" in request.node.name):
        yield


def fourfold(generator: nn.Module) -> nn.Module:
    """As recorded, since outputs are near 0 otherwise."""
    for parameter in generator.parameters():
        if parameter.dim() == 4:
            parameter.mul_(4)
    return generator


def test_generator_with_instance_norm(forward_pair: tuple[Tensor, Tensor]) -> None:
    generator, expected = fourfold(networks("instance")[0]), arrays("forward")["G_instance"]
    assert expected.abs().max() > 0.2
    for mode in (True, False):
        torch.testing.assert_close(generator.train(mode)(forward_pair[0][:1]), expected, **CLOSE)


def test_generator_with_batch_norm(forward_pair: tuple[Tensor, Tensor]) -> None:
    """Each mode, and the statistics; rendering is as training is, but for `evaluates`."""
    generator, expected = fourfold(networks("batch")[0]), arrays("forward")
    x = forward_pair[0]
    torch.testing.assert_close(generator(x), expected["G_batch_train"], **CLOSE)
    statistics = {name: value.clone() for name, value in generator.named_buffers()}
    recorded = {n: v for n, v in expected.items() if n.startswith("G_batch_after.")}
    assert recorded
    for name, value in recorded.items():
        torch.testing.assert_close(statistics[name.removeprefix("G_batch_after.")], value, **CLOSE)
    generator.eval()
    single = generator(x[:1])
    torch.testing.assert_close(single[..., ::4, ::4], expected["G_batch_train_single_s4"], **CLOSE)
    generator.evaluates = True
    torch.testing.assert_close(generator(x[:1]), expected["G_batch_eval"], **CLOSE)
    assert all(torch.equal(value, statistics[name]) for name, value in generator.named_buffers())


@pytest.mark.parametrize("norm", NORMS)
def test_discriminator_and_gan_losses(norm: str, forward_pair: tuple[Tensor, Tensor]) -> None:
    x, y = forward_pair
    discriminator, expected = networks(norm)[1], arrays("forward")
    [[*features, real]] = discriminator(torch.cat([x, y], 1))
    [[*_, fake]] = discriminator(torch.cat([x, -y], 1))
    assert len(features) == 4
    torch.testing.assert_close(real, expected[f"D_{norm}_real"], **CLOSE)
    torch.testing.assert_close(fake, expected[f"D_{norm}_fake"], **CLOSE)
    for name in ("vanilla", "lsgan"):
        loss = GAN_LOSSES[name]
        found = {
            "D_real": loss.for_discriminator(real, is_real=True).item(),
            "D_fake": loss.for_discriminator(fake, is_real=False).item(),
            "G_GAN": loss.for_generator(fake).item(),
        }
        assert found == pytest.approx(losses()["gan_losses"][f"GANLoss {norm} {name}"], rel=1e-4)


@pytest.mark.parametrize("gan_loss", ["vanilla", "lsgan"])
@pytest.mark.parametrize("norm", NORMS)
def test_three_steps_of_training(norm: str, gan_loss: str) -> None:
    options = recorded_options(norm, gan_loss)
    model = create_model(options.model, options.discriminator, options.loss)
    for network, name in ((model.netG, "G"), (model.netD, "D")):
        fill_network(network, arrays(f"{name}_{norm}_init"), name)
    optimizers = Optimizers(model, options.schedule.lr, options.schedule.beta1)
    inputs, runtime = arrays("inputs"), Runtime(torch.device("cpu"))
    for step, expected in enumerate(losses()["training"][f"{norm} {gan_loss}"]):
        one = slice(step, step + 1)
        batch = Batch(label=inputs["train_A"][one], path=[""], image=inputs["train_B"][one])
        _, terms = train_step(model, optimizers, runtime, batch, recipe_of(options))
        found = {name: term.item() for name, term in terms.items()}
        assert found == pytest.approx(expected, rel=1e-4), step
    after = arrays("after_training")
    with torch.no_grad():
        image = model.netG(image_to_float(inputs["train_A"][:1]))
    torch.testing.assert_close(image[..., ::4, ::4], after[f"{norm}_{gan_loss}"], rtol=0, atol=1e-3)


def recorded_keys() -> dict[str, Any]:
    text = shared("reference", "baselines", "state_dict_keys_pix2pix.json").read_text()
    found: dict[str, Any] = json.loads(text)
    return found


def shapes(network: nn.Module) -> dict[str, list[int]]:
    return {name: list(value.shape) for name, value in network.state_dict().items()}


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize(
    ("name", "flags"),
    [
        ("G_unet_256", "--netG unet_256"),
        ("G_unet_256", "--netG unet_256 --use_dropout"),
        ("G_unet_128", "--netG unet_128"),
        ("D_basic", "--netD basic --n_layers_D 5"),
        ("D_pixel", "--netD pixel"),
        ("D_n_layers_5", "--netD n_layers --n_layers_D 5"),
    ],
)
def test_names_and_shapes(name: str, flags: str, norm: str) -> None:
    recorded = recorded_keys()[f"{name}_{norm}"]
    options = parse_train(f"{OF_IMAGES} {flags} --norm {norm}".split())
    with torch.device("meta"):
        if name.startswith("G"):
            network: nn.Module = create_generator(options.model)
        else:
            network = create_discriminator(options.model, options.discriminator, True)
    assert shapes(network) == recorded["state_dict"]
    assert sum(p.numel() for p in network.parameters()) == recorded["parameters"]


def test_names_and_shapes_without_normalisation() -> None:
    with torch.device("meta"):
        network = Pix2PixUNet(in_channels=3, norm="none")
    assert shapes(network) == recorded_keys()["G_unet_256_none"]["state_dict"]


def test_resnet_9blocks_is_the_global_generator() -> None:
    """With two halvings. With batch norm, theirs lacks the biases that are normalised away."""
    flags = f"{OF_IMAGES} --netG global --n_downsample_global 2 --norm"
    for norm in NORMS:
        with torch.device("meta"):
            ours = shapes(create_generator(parse_train([*flags.split(), norm]).model))
        theirs = recorded_keys()[f"G_resnet_9blocks_{norm}"]["state_dict"]
        only_ours = {name for name in ours if name not in theirs}
        assert {name: shape for name, shape in ours.items() if name in theirs} == theirs
        assert all(name.endswith(".bias") and len(ours[name]) == 1 for name in only_ours)
        assert len(only_ours) == (0 if norm == "instance" else 23)


def test_every_recorded_network_is_compared() -> None:
    names = ("G_unet_256", "G_unet_128", "D_basic", "D_pixel", "D_n_layers_5", "G_resnet_9blocks")
    both = {f"{name}_{norm}" for name in names for norm in NORMS}
    assert recorded_keys().keys() == both | {"G_unet_256_none"}
