"""Losses against the formulas of the paper, written out."""

from __future__ import annotations

import math
import urllib.error
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from shared_data import shared
from torch.nn import functional as F

from models.gan_losses import GAN_LOSSES, feature_matching, gan_loss, l1_distance
from models.perceptual import VGGPerceptualLoss, load_vgg_weights
from util.errors import UserError

Scales = list[list[torch.Tensor]]


def random_activations(seed: int, num_D: int = 2, layers: int = 5) -> Scales:
    """Of `num_D` discriminators with n_layers_D = layers - 2."""
    random = torch.Generator().manual_seed(seed)
    return [
        [
            torch.randn(2, 3, 4 + layer, 6 - scale, generator=random).requires_grad_()
            for layer in range(layers)
        ]
        for scale in range(num_D)
    ]


@pytest.mark.parametrize("is_real", [True, False])
def test_least_squares_is_summed_over_scales(is_real: bool) -> None:
    scales = random_activations(0)
    target = 1.0 if is_real else 0.0
    expected = 0.0
    for scale in scales:
        patches = scale[-1].flatten().tolist()
        expected += sum((patch - target) ** 2 for patch in patches) / len(patches)
    assert gan_loss(scales, is_real, GAN_LOSSES["lsgan"]).item() == pytest.approx(expected)


@pytest.mark.parametrize("is_real", [True, False])
def test_vanilla_is_summed_over_scales(is_real: bool) -> None:
    scales = random_activations(0)
    expected = 0.0
    for scale in scales:
        real = [1 / (1 + math.exp(-patch)) for patch in scale[-1].flatten().tolist()]
        expected -= sum(math.log(p if is_real else 1 - p) for p in real) / len(real)
    assert gan_loss(scales, is_real, GAN_LOSSES["vanilla"]).item() == pytest.approx(expected)


def test_vanilla_takes_logits_of_any_size() -> None:
    loss = GAN_LOSSES["vanilla"](torch.tensor([-500.0, 500.0]), True)
    assert loss.item() == pytest.approx(250.0)


@pytest.mark.parametrize("name", GAN_LOSSES)
def test_gan_losses_of_half_precision_are_computed_in_float32(name: str) -> None:
    loss = GAN_LOSSES[name](torch.full((4,), 300.0).half(), False)
    assert loss.dtype == torch.float32
    assert loss.isfinite()  # 300 squared is more than float16 holds


@pytest.mark.parametrize(("num_D", "layers"), [(1, 5), (2, 5), (3, 4)])
def test_feature_matching(num_D: int, layers: int) -> None:
    fake, real = (random_activations(seed, num_D, layers) for seed in (1, 2))
    n_layers_D = layers - 2
    expected = 0.0
    for scale in range(num_D):
        for layer in range(layers - 1):  # all but the logits
            distance = (fake[scale][layer] - real[scale][layer]).abs().mean().item()
            expected += 4.0 / (n_layers_D + 1) / num_D * distance
    assert feature_matching(fake, real).item() == pytest.approx(expected)


def test_feature_matching_teaches_the_fake_alone() -> None:
    fake, real = random_activations(1), random_activations(2)
    feature_matching(fake, real).backward()
    assert all(layer.grad is None for scale in real for layer in scale)
    assert all(layer.grad is not None for scale in fake for layer in scale[:-1])
    assert all(scale[-1].grad is None for scale in fake)


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


def test_a_missing_weights_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"--vgg_weights.*nowhere\.pth"):
        load_vgg_weights(str(tmp_path / "nowhere.pth"))


def test_weights_that_cannot_be_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise urllib.error.URLError("no route to host")

    weights = torchvision.models.VGG19_Weights
    monkeypatch.setattr(weights, "get_state_dict", unreachable)
    with pytest.raises(UserError, match=r"no route.*--vgg_weights.*--no_vgg_loss"):
        load_vgg_weights(None)


@pytest.mark.parametrize("damage", [b"", b"half a download", b"\x80\x02."])
def test_damaged_download_in_the_cache(
    damage: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """torchvision trusts a file in its cache without looking at its hash."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    url = torchvision.models.VGG19_Weights.IMAGENET1K_V1.url
    cached = tmp_path / "checkpoints" / url.rsplit("/", 1)[1]
    cached.parent.mkdir()
    cached.write_bytes(damage)
    with pytest.raises(UserError, match=r"--vgg_weights.*--no_vgg_loss"):
        load_vgg_weights(None)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_l1_distance_is_that_of_float32_and_keeps_no_copies(dtype: torch.dtype) -> None:
    fake, real = (torch.randn(2, 3, 8, 9).to(dtype) for _ in range(2))
    fake[0, 0, 0] = real[0, 0, 0]  # where the distance has no slope
    fake.requires_grad_(), real.requires_grad_()
    before = fake.detach().clone()
    kept: list[torch.Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(
        lambda tensor: kept.append(tensor) or tensor, lambda tensor: tensor
    ):
        found = l1_distance(fake, real)
    assert found.dtype == torch.float32
    leaf = fake.detach().float().requires_grad_()
    expected = F.l1_loss(leaf, real.detach().float())
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=0)
    assert {tensor.data_ptr() for tensor in kept} == {fake.data_ptr(), real.data_ptr()}
    (3 * found).backward()
    (3 * expected).backward()
    assert real.grad is None and fake.grad is not None and leaf.grad is not None
    torch.testing.assert_close(fake.grad, leaf.grad.to(dtype), rtol=1e-2, atol=0)
    assert torch.equal(fake.detach(), before)
