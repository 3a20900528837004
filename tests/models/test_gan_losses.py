"""GAN losses and feature matching against the formulas of the papers, written out."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from pix2pixhd.models.gan_losses import (
    GAN_LOSSES,
    ScaleReduction,
    feature_matching,
    l1_distance,
    over_scales,
)

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


def by_hand(name: str, logit: float, side: str) -> float:
    """The loss of one patch, for the generator or for the discriminator on real or fake."""
    is_real = side != "fake"
    if name == "lsgan":
        return (logit - is_real) ** 2
    if name == "vanilla":
        probability = 1 / (1 + math.exp(-logit))
        return -math.log(probability if is_real else 1 - probability)
    if side == "generator":
        return -logit
    return max(0.0, 1 - logit if is_real else 1 + logit)


@pytest.mark.parametrize("reduction", ["sum", "mean"])
@pytest.mark.parametrize("side", ["generator", "real", "fake"])
@pytest.mark.parametrize("name", GAN_LOSSES)
def test_both_sides_over_the_scales(name: str, side: str, reduction: ScaleReduction) -> None:
    scales, loss = random_activations(0), GAN_LOSSES[name]
    expected = 0.0
    for scale in scales:
        patches = scale[-1].flatten().tolist()
        expected += sum(by_hand(name, patch, side) for patch in patches) / len(patches)
    expected /= len(scales) if reduction == "mean" else 1

    def of_side(logits: torch.Tensor) -> torch.Tensor:
        if side == "generator":
            return loss.for_generator(logits)
        return loss.for_discriminator(logits, is_real=side == "real")

    assert over_scales(scales, of_side, reduction).item() == pytest.approx(expected)


def test_vanilla_takes_logits_of_any_size() -> None:
    loss = GAN_LOSSES["vanilla"].for_discriminator(torch.tensor([-500.0, 500.0]), True)
    assert loss.item() == pytest.approx(250.0)


@pytest.mark.parametrize("name", GAN_LOSSES)
def test_gan_losses_of_half_precision_are_computed_in_float32(name: str) -> None:
    logits = torch.full((4,), 300.0).half()
    for loss in (
        GAN_LOSSES[name].for_discriminator(logits, False),
        GAN_LOSSES[name].for_generator(logits),
    ):
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


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_l1_distance_is_summed_in_float32_and_keeps_no_copies(dtype: torch.dtype) -> None:
    fake, real = (torch.randn(2, 3, 80, 90).to(dtype) for _ in range(2))
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
    rounding = 1e-6 if dtype == torch.float32 else 1e-4  # a sum in bfloat16 is off by more
    torch.testing.assert_close(found, expected, rtol=rounding, atol=0)
    assert {tensor.data_ptr() for tensor in kept} == {fake.data_ptr(), real.data_ptr()}
    (3 * found).backward()
    (3 * expected).backward()
    assert real.grad is None and fake.grad is not None and leaf.grad is not None
    torch.testing.assert_close(fake.grad, leaf.grad.to(dtype), rtol=1e-2, atol=0)
    assert torch.equal(fake.detach(), before)
