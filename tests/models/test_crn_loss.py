"""CRN's losses, with a VGG19 of random weights. Recorded numbers: test_conformance_crn.py."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.models import vgg19

from pix2pixhd.models.conditioning import one_hot
from pix2pixhd.models.crn_loss import BALANCES, HALF_LIFE, CRNLoss, errors_by_class

SIZE = (32, 32)


@pytest.fixture(scope="module")
def weights() -> dict[str, Tensor]:
    """Uniform, in the scale that keeps activations from fading."""
    with torch.device("meta"):
        shapes = {f"features.{n}": w.shape for n, w in vgg19().features[:32].state_dict().items()}
    torch.manual_seed(0)
    limits = {n: (6 / s[1:].numel()) ** 0.5 if len(s) > 1 else 0.1 for n, s in shapes.items()}
    return {n: torch.empty(s).uniform_(-limits[n], limits[n]) for n, s in shapes.items()}


def images(count: int = 1, seed: int = 0) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    return torch.rand(count, 3, *SIZE, generator=random) * 2 - 1


def errors(weights: dict[str, Tensor], fake: Tensor, real: Tensor) -> list[Tensor]:
    """The six absolute differences, of a VGG19 written out, in levels of 8 bits."""
    mean, deviation = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])[..., None, None]
    x = ((torch.cat([fake, real]) + 1) / 2 - mean) / deviation
    found = [127.5 * (fake - real).abs()]
    for layer in range(32):
        if layer in (4, 9, 18, 27):
            x = F.avg_pool2d(x, 2)
        elif f"features.{layer}.weight" in weights:
            layer_weights = (weights[f"features.{layer}.{name}"] for name in ("weight", "bias"))
            x = F.relu(F.conv2d(x, *layer_weights, padding=1))
        if layer in (3, 8, 13, 22, 31):
            found.append(255 * 0.226 * (x[: len(fake)] - x[len(fake) :]).abs())
    return found


def test_six_layers_each_with_its_divisor(weights: dict[str, Tensor]) -> None:
    fake, real = images(seed=1).requires_grad_(), images(seed=2)
    loss = CRNLoss(weights, balance=BALANCES["512p"])(fake, real)
    found = errors(weights, fake, real)
    expected = sum(e.mean() / w for e, w in zip(found, (1, 2.6, 4.8, 3.7, 5.6, 0.15), strict=True))
    assert loss.item() == pytest.approx(expected.item(), rel=1e-4)
    gradient, expected_gradient = (torch.autograd.grad(x, fake)[0] for x in (loss, expected))
    assert (gradient - expected_gradient).norm() < 1e-3 * expected_gradient.norm()


def grouped(*fakes: Tensor) -> Tensor:
    """Images as channels grouped by colour."""
    return torch.stack(fakes, dim=2).flatten(1, 2)


def test_images_alike_have_the_loss_of_one(weights: dict[str, Tensor]) -> None:
    """Whatever the labels, unknown ones included."""
    fake, real = images(2, seed=1), images(2, seed=2)
    label = torch.randint(0, 5, (2, 1, *SIZE), generator=torch.Generator().manual_seed(0))
    found = CRNLoss(weights, num_images=2)(
        grouped(fake, fake), real, classes=one_hot(label, label_nc=3)
    )
    assert found.item() == pytest.approx(CRNLoss(weights)(fake, real).item(), rel=1e-4)


def test_each_label_is_left_to_the_image_that_suits_it_best(weights: dict[str, Tensor]) -> None:
    """Errors are summed over all layers before images are compared."""
    real, fakes = images(seed=2), [images(seed=n).requires_grad_() for n in (3, 4)]
    better = torch.zeros(1, 1, *SIZE, dtype=torch.long)
    better[..., 16:] = 1  # the second image is right on the right half
    with torch.no_grad():
        for number, fake in enumerate(fakes):
            fake.copy_(torch.where(better == number, real + 0.01, fake))
    classes = one_hot(better, label_nc=2)
    loss = CRNLoss(weights, num_images=2)(grouped(*fakes), real, classes=classes)
    table = torch.zeros(2, 2)  # image, class
    for number, fake in enumerate(fakes):
        for error, divisor in zip(errors(weights, fake, real), BALANCES["256p"], strict=True):
            shares = F.adaptive_avg_pool2d(classes, error.shape[-2:])
            table[number] += (error.mean(1, keepdim=True) * shares).mean(
                (0, 2, 3)
            ).detach() / divisor
    assert table.argmin(0).tolist() == [0, 1]
    expected = 0.999 * table.amin(0).sum() + 0.001 * table.mean(0).sum()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-4)
    for fake in fakes:
        assert torch.autograd.grad(loss, fake, retain_graph=True)[0].abs().sum() > 0


def test_errors_by_class_sum_up_to_the_mean() -> None:
    fake, real = torch.rand(2, 3, 4, 8, 8), torch.rand(2, 4, 8, 8)
    classes = torch.rand(2, 5, 16, 16).softmax(dim=1)
    found = errors_by_class(fake, real, classes)
    assert found.shape == (2, 3, 5)
    torch.testing.assert_close(found.sum(2), (fake - real[:, None]).abs().mean((2, 3, 4)))


@pytest.mark.parametrize("num_images", [1, 2])
def test_what_is_measured_makes_all_layers_count_the_same(
    weights: dict[str, Tensor], num_images: int
) -> None:
    """As much as the pixels, and the last ten times; and it follows slowly."""
    vgg, (fake, real) = CRNLoss(weights, balance=None, num_images=num_images), images(2)[:, None]
    more: dict[str, Any] = {"classes": torch.ones(1, 1, *SIZE)} if num_images > 1 else {}
    given = grouped(fake, fake) if num_images > 1 else fake
    means = torch.stack([error.mean() for error in errors(weights, fake, real)])
    assert vgg(given, real, **more).item() == pytest.approx(15 * means[0].item(), rel=1e-4)
    vgg(given, real * 0.5, **more)
    others = torch.stack([error.mean() for error in errors(weights, fake, real * 0.5)])
    expected = 0.5 ** (1 / HALF_LIFE) * means + others
    torch.testing.assert_close(vgg.measured, expected, rtol=1e-4, atol=0)


def test_weights_that_end_at_conv5_1_will_do(weights: dict[str, Tensor]) -> None:
    """Those of files that were made for the other perceptual loss."""
    shorter = {n: w for n, w in weights.items() if not n.startswith("features.30")}
    vgg = CRNLoss(shorter)
    assert vgg.layers == (3, 8, 13, 22, 29)
    assert vgg(images(seed=1), images(seed=2)).isfinite()
