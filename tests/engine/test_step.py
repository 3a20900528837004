"""Our step is the reference's, taken in fewer passes: the same losses, gradients and weights."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
import torch
from shared_data import shared
from tiny_models import TINY, tiny_batch
from torch import Tensor

from engine.optimizers import Optimizers
from engine.runtime import Runtime
from models import create_model
from models.pix2pixhd import Batch, Pix2PixHDModel
from options.fields import replaced
from options.train_options import TrainOptions
from scripts.benchmarks.plain_step import PlainStep, networks_of
from train import train_step

LR = 2e-4
ROUNDING = (2e-6, 1e-3, 3e-3)  # of a network's gradient and of a loss, at each of three steps
DRIFT = 0.1 * LR  # of a weight in these steps, of which each moves it by about LR
NOISE = 1e-5  # of a network's gradient: of smaller ones Adam makes steps of any direction

CASES: dict[str, dict[str, Any]] = {
    "global": {},
    "vanilla": {"gan_loss": "vanilla"},
    "no matching": {"ganFeat_loss": False},
    "one scale": {"num_D": 1},
    "batch norm": {"norm": "batch"},
    "no instances": {"instance": False},
    "pool": {"pool_size": 1},
    "local": {"netG": "local", "num_D": 3},
    "two enhancers": {"netG": "local", "n_local_enhancers": 2},
    "instance features": {"instance_feat": True, "nef": 2, "n_downsample_E": 1},
    "label features": {"label_feat": True, "nef": 2, "n_downsample_E": 1, "netG": "local"},
}
Step = Callable[[Batch], dict[str, Tensor]]
Gradients = dict[str, Tensor]


def options_of(flags: dict[str, Any]) -> TrainOptions:
    return replaced(TrainOptions(), TINY | flags)


def model_of(options: TrainOptions) -> Pix2PixHDModel:
    return create_model(options.model, options.discriminator, options.loss, seed=3)


def plain(model: Pix2PixHDModel, options: TrainOptions) -> tuple[Step, Gradients]:
    step = PlainStep(networks_of(model), options)
    return step, watched(model, step)


def ours(model: Pix2PixHDModel, options: TrainOptions) -> tuple[Step, Gradients]:
    runtime, optimizers = Runtime(torch.device("cpu")), Optimizers(model, LR, beta1=0.5)

    def take(batch: Batch) -> dict[str, Tensor]:
        return train_step(model, optimizers, runtime, batch)[1]

    return take, watched(model, optimizers)


def watched(model: Pix2PixHDModel, adams: PlainStep | Optimizers) -> Gradients:
    """The gradients that the optimizers were last given, which change as steps are taken."""
    gradients: Gradients = {}

    def note(letters: str) -> None:
        for letter in letters:
            network = model.networks().get(letter)
            for name, parameter in network.named_parameters() if network else ():
                gradient = parameter.grad
                gradients[f"{letter}.{name}"] = (
                    torch.zeros_like(parameter) if gradient is None else gradient.clone()
                )

    adams.G.register_step_pre_hook(lambda *_: note("GE"))
    adams.D.register_step_pre_hook(lambda *_: note("D"))
    return gradients


def norm(tensors: Gradients) -> Tensor:
    return torch.cat([tensor.flatten().float() for tensor in tensors.values()]).norm()


def of(letter: str, tensors: Gradients) -> Gradients:
    return {name: tensor for name, tensor in tensors.items() if name[0] == letter}


def weights(model: Pix2PixHDModel) -> Gradients:
    return {
        f"{letter}.{name}": parameter.detach().clone()
        for letter, network in model.networks().items()
        for name, parameter in network.named_parameters()
    }


def compare(model: Pix2PixHDModel, options: TrainOptions, batch: Batch) -> None:
    """Take three steps both ways, from the same weights."""
    other = deepcopy(model)
    (plain_step, expected), (our_step, found) = plain(other, options), ours(model, options)
    sure = {name: torch.ones_like(weight, dtype=bool) for name, weight in weights(model).items()}
    for rounding in ROUNDING:
        expected_terms, terms = plain_step(batch), our_step(batch)
        assert terms.keys() == expected_terms.keys()
        for name, term in expected_terms.items():
            assert terms[name].item() == pytest.approx(term.item(), rel=rounding), name
        assert found.keys() == expected.keys()
        for letter in model.networks():
            whole = norm(of(letter, expected))
            assert whole > 0, letter
            for name, gradient in of(letter, expected).items():
                assert (found[name] - gradient).norm() <= rounding * whole, name
                sure[name] &= gradient.abs() > NOISE * whole
    after, expected_after = weights(model), weights(other)
    for name, weight in expected_after.items():
        assert torch.all((after[name] - weight).abs()[sure[name]] <= DRIFT), name
    for letter in model.networks():
        compared = torch.cat([part.flatten() for part in of(letter, sure).values()])
        assert compared.float().mean() > 0.2, letter


@pytest.mark.parametrize("case", CASES)
def test_our_step_is_the_plain_step(case: str) -> None:
    options = options_of(CASES[case])
    compare(model_of(options), options, tiny_batch(size=(32, 48), count=1))


def test_in_a_batch_of_odd_sizes() -> None:
    options = options_of({"batchSize": 2, "netG": "local"})
    compare(model_of(options), options, tiny_batch(size=(33, 47), count=2))


@pytest.mark.parametrize("netG", ["global", "local"])
def test_with_the_perceptual_loss(netG: str) -> None:
    weights_file = shared("weights", "vgg19_features_fp16.pth")
    flags = {"vgg_loss": True, "vgg_weights": str(weights_file), "netG": netG}
    options = options_of(flags)
    compare(model_of(options), options, tiny_batch(size=(32, 48), count=1))


def test_while_the_outermost_enhancer_trains_alone() -> None:
    options = options_of({"netG": "local"})
    model = model_of(options)
    model.train_outermost_alone(True)
    compare(model, options, tiny_batch(size=(32, 48), count=1))


def test_with_activations_computed_twice() -> None:
    options = options_of({"netG": "local"})
    model = create_model(
        options.model, options.discriminator, options.loss, seed=3, checkpoint_activations=True
    )
    compare(model, options, tiny_batch(size=(32, 48), count=1))
