"""The perceptual loss against VGG19 written out."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from shared_data import shared

from pix2pixhd.engine.vgg import load_vgg_weights
from pix2pixhd.models.perceptual import VGGPerceptualLoss
from pix2pixhd.util.errors import UserError


@pytest.fixture(scope="module")
def vgg_weights() -> dict[str, torch.Tensor]:
    return load_vgg_weights(str(shared("weights", "vgg19_features_fp16.pth")))


@pytest.fixture(scope="module")
def vgg(vgg_weights: dict[str, torch.Tensor]) -> VGGPerceptualLoss:
    return VGGPerceptualLoss(vgg_weights)


def images(channels: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(3)
    fake, real = (torch.rand(1, channels, 32, 32, generator=random) * 2 - 1 for _ in range(2))
    return fake.requires_grad_(), real.requires_grad_()


def test_vgg_loss(vgg: VGGPerceptualLoss, vgg_weights: dict[str, torch.Tensor]) -> None:
    """Against VGG19 written out: the first ReLU of each block, images not normalised."""
    convolutions = iter(sorted({int(name.split(".")[1]) for name in vgg_weights}))
    functional = torch.nn.functional

    def block(x: torch.Tensor, length: int) -> tuple[torch.Tensor, torch.Tensor]:
        """A block's first activation and its last."""
        activations = []
        for _ in range(length):
            number = next(convolutions)
            weight, bias = (vgg_weights[f"features.{number}.{n}"] for n in ("weight", "bias"))
            x = functional.conv2d(x, weight.float(), bias.float(), padding=1).relu()
            activations.append(x)
        return activations[0], activations[-1]

    fake, real = (image.detach() for image in images())
    both, expected = torch.cat([fake, real]), 0.0
    for weight, length in ((1 / 32, 2), (1 / 16, 2), (1 / 8, 4), (1 / 4, 4), (1.0, 1)):
        first, last = block(both, length)
        expected += weight * (first[0] - first[1]).abs().mean().item()
        both = functional.max_pool2d(last, 2)
    assert vgg(fake, real).item() == pytest.approx(expected, rel=1e-4)


def test_vgg_loss_teaches_the_fake_alone(vgg: VGGPerceptualLoss) -> None:
    fake, real = images()
    vgg(fake, real).backward()
    assert real.grad is None
    assert fake.grad is not None
    assert fake.grad.abs().sum() > 0
    assert not any(parameter.requires_grad for parameter in vgg.parameters())


def test_vgg_loss_in_float16(vgg: VGGPerceptualLoss, vgg_weights: dict[str, torch.Tensor]) -> None:
    """Its gradient is float32's, as far as float16 goes, if it is scaled; not if that overflows."""
    half = VGGPerceptualLoss(vgg_weights).half()

    def gradient(network: VGGPerceptualLoss, scale: float | None) -> torch.Tensor:
        fake, real = images()
        with torch.autocast("cpu", torch.float16, enabled=network is half):
            loss = network(fake, real, None if scale is None else torch.tensor(scale))
        return torch.autograd.grad(loss, fake)[0]

    full = gradient(vgg, None)
    torch.testing.assert_close(gradient(vgg, 2.0**16), full)
    for scale, error in ((2.0**16, 0.1), (2.0**4, 0.1)):
        assert (gradient(half, scale) - full).norm() < error * full.norm()
    assert (gradient(half, 2.0**-14) - full).norm() > 0.9 * full.norm()
    assert not gradient(half, 2.0**28).isfinite().all()


def test_vgg_loss_repeats_a_single_channel(vgg: VGGPerceptualLoss) -> None:
    fake, real = images(channels=1)
    repeated = vgg(fake.repeat(1, 3, 1, 1), real.repeat(1, 3, 1, 1))
    assert vgg(fake, real).item() == pytest.approx(repeated.item(), rel=1e-5)


def test_vgg_weights_with_a_classifier_in_any_precision(
    vgg: VGGPerceptualLoss, vgg_weights: dict[str, torch.Tensor]
) -> None:
    assert all(weight.dtype == torch.float16 for weight in vgg_weights.values())
    full = {name: weight.double() for name, weight in vgg_weights.items()}
    again = VGGPerceptualLoss(full | {"classifier.0.weight": torch.zeros(1)})
    for mine, other in zip(vgg.parameters(), again.parameters(), strict=True):
        assert mine.dtype == torch.float32
        assert torch.equal(mine, other)


@pytest.mark.parametrize(
    "weights",
    [
        {},
        {"conv.weight": torch.zeros(3)},
        {"features.0.weight": torch.zeros(64, 3, 5, 5)},
        {"features.0.weight": "not a tensor"},
        {0: torch.zeros(3)},
    ],
    ids=["empty", "other names", "other shape", "no tensors", "numbers for names"],
)
def test_weights_that_are_no_vgg19_are_refused(weights: dict[Any, Any]) -> None:
    with pytest.raises(UserError, match=r"some\.pth.*--no_vgg_loss"):
        VGGPerceptualLoss(weights, source="some.pth")
