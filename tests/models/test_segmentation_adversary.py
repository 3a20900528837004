"""Losses of the segmentation discriminator, against their formulas written out pixel by pixel."""

from __future__ import annotations

import math

import pytest
import torch
from tiny_models import CPU, tiny_batch, tiny_model
from torch import Tensor, nn

from pix2pixhd.engine.distributed import wrap_ddp
from pix2pixhd.engine.runtime import Runtime
from pix2pixhd.engine.step import compute_gradients
from pix2pixhd.models.adversary import Seen
from pix2pixhd.models.discriminators import Activations
from pix2pixhd.models.gan_losses import feature_matching
from pix2pixhd.models.pix2pixhd import Pix2PixHDModel
from pix2pixhd.models.segmentation_adversary import SegmentationAdversary, mean_iou
from pix2pixhd.util.batch import Batch

LABELS = 4
UNKNOWN = 255
HALF = Runtime(torch.device("cpu"), torch.bfloat16, channels_last=True)


class OneLayer(nn.Module):
    """A discriminator that sees a pixel and its neighbours."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.layer = nn.Conv2d(3, LABELS + 1, 3, padding=1)
        self.shown: list[Tensor] = []

    def forward(self, image: Tensor) -> list[Activations]:
        self.shown.append(image)
        return [[self.layer(image)]]


def seen(label: Tensor) -> Seen:
    random = torch.Generator().manual_seed(2)
    fake, real = torch.randn(2, len(label), 3, *label.shape[2:], generator=random)
    return Seen(torch.zeros(0), fake.requires_grad_(), real, label)


def some_labels() -> Tensor:
    """Label 1 is nowhere, and some pixels are unknown."""
    label = torch.tensor([[0, 0, 2], [3, 2, 2], [UNKNOWN, 0, 0], [3, 3, UNKNOWN]])
    return label.to(torch.uint8).reshape(2, 1, 2, 3)


def cross_entropy(logits: Tensor, n: int, y: int, x: int, right: int) -> float:
    scores = [math.exp(value) for value in logits[n, :, y, x].tolist()]
    return -math.log(scores[right] / sum(scores))


def test_cross_entropy_is_balanced_over_the_classes_that_are_there() -> None:
    netD, adversary, shown = OneLayer(), SegmentationAdversary(LABELS), seen(some_labels())
    judgement = adversary.judge(netD, shown)
    terms = adversary.generator_terms(judgement) | adversary.discriminator_terms(judgement)
    assert list(terms) == ["G_GAN", "D_real", "D_fake", "D_mix"]
    counts = {0: 4, 2: 3, 3: 3}
    for name, image in (("G_GAN", shown.fake), ("D_real", shown.real)):
        logits, total = netD(image)[0][-1], 0.0
        for n, y, x in torch.cartesian_prod(*map(torch.arange, (2, 2, 3))).tolist():
            if (k := int(shown.label[n, 0, y, x])) != UNKNOWN:
                alpha = 12 / (counts[k] * len(counts))
                total += alpha * cross_entropy(logits, n, y, x, k + 1)
        assert terms[name].item() == pytest.approx(total / 12, rel=1e-5)
    logits = netD(shown.fake)[0][-1]
    places = torch.cartesian_prod(*map(torch.arange, (2, 2, 3))).tolist()
    expected = sum(cross_entropy(logits, n, y, x, 0) for n, y, x in places) / 12
    assert terms["D_fake"].item() == pytest.approx(expected, rel=1e-5)


def test_label_mix_compares_the_collage_with_a_collage_of_logits() -> None:
    netD, adversary, shown = OneLayer(), SegmentationAdversary(LABELS), seen(some_labels())
    torch.manual_seed(4)
    judgement = adversary.judge(netD, shown)
    term = adversary.discriminator_terms(judgement)["D_mix"]
    collage = netD.shown[1]
    is_real = (collage == shown.real).all(1, keepdim=True)
    assert torch.equal(is_real, judgement.mixture.is_real)
    assert torch.equal(collage, torch.where(is_real, shown.real, shown.fake))
    assert 0 < is_real.sum() < is_real.numel()
    for k in shown.label.unique():
        assert is_real[shown.label == k].unique().numel() == 1
    # All three looks of the discriminator learn from it, and the generator does not.
    mask = is_real.float()
    mixed = mask * netD(shown.real)[0][-1] + (1 - mask) * netD(shown.fake)[0][-1]
    expected = (netD(collage.detach())[0][-1] - mixed).square().mean()
    assert term.item() == pytest.approx(expected.item(), rel=1e-5)
    of = list(netD.parameters())
    found, right = (torch.autograd.grad(x, of, retain_graph=True) for x in (term, expected))
    assert all(x.any() for x in right)
    torch.testing.assert_close(found, right)
    assert not collage.requires_grad


def test_coins_are_fair_and_independent_and_unknown_pixels_have_their_own() -> None:
    adversary, counts = SegmentationAdversary(2), dict.fromkeys(range(8), 0)
    shown, netD = seen(torch.tensor([0, 1, -1]).view(1, 1, 1, 3)), OneLayer()
    torch.manual_seed(0)
    for _ in range(800):
        a, b, c = adversary.judge(netD, shown).mixture.is_real.flatten().tolist()
        counts[4 * a + 2 * b + c] += 1
    assert all(abs(count - 100) < 40 for count in counts.values())


def test_without_label_mix_there_are_two_looks() -> None:
    netD, adversary, shown = OneLayer(), SegmentationAdversary(LABELS, 0.0), seen(some_labels())
    judgement = adversary.judge(netD, shown)
    fake, real = netD.shown
    assert fake is shown.fake and real is shown.real
    assert list(adversary.discriminator_terms(judgement)) == ["D_real", "D_fake"]


def test_nothing_is_learned_of_labels_where_all_are_unknown() -> None:
    netD, adversary = OneLayer(), SegmentationAdversary(LABELS)
    judgement = adversary.judge(netD, seen(torch.full((2, 1, 2, 3), UNKNOWN)))
    terms = adversary.generator_terms(judgement) | adversary.discriminator_terms(judgement)
    assert terms["G_GAN"] == terms["D_real"] == 0 and terms["D_fake"] > 0
    assert [x.item() for x in adversary.observations(judgement).values()] == [0, 0]


def test_mean_iou_is_over_the_labels_that_are_there() -> None:
    random = torch.Generator().manual_seed(0)
    logits = torch.randn(2, LABELS + 1, 8, 8, generator=random)
    classes = torch.randint(0, LABELS, (2, 8, 8), generator=random)  # the last label is nowhere
    logits[:, 0] += 5  # all look fake, which does not matter
    said = logits[:, 1:].argmax(1) + 1
    ious = []
    for k in range(1, LABELS):
        is_said, is_there = (said == k) & (classes > 0), classes == k
        ious.append((is_said & is_there).sum().item() / (is_said | is_there).sum().item())
    assert mean_iou(logits, classes).item() == pytest.approx(sum(ious) / len(ious))


def model_with(**flags: object) -> Pix2PixHDModel:
    return tiny_model(netD="segmentation", ndf=1, **flags)


def noisy_batch() -> Batch:
    batch = tiny_batch()
    batch.label[:, :, :3] = UNKNOWN
    return batch


@pytest.mark.parametrize("wrapped", [False, True])
def test_gradients_are_those_of_the_sums(wrapped: bool, process_group: None) -> None:
    model, batch = model_with(ganFeat_loss=True, lambda_mix=3.0), noisy_batch()
    torch.manual_seed(7)
    outputs = model(batch)
    losses = {
        "G": (model.generator_terms(outputs), {"G_GAN": 1, "G_GAN_Feat": 10}),
        "D": (model.discriminator_terms(outputs), {"D_real": 1, "D_fake": 1, "D_mix": 3}),
    }
    judgement = outputs.judgement
    matched = feature_matching(judgement.pred_fake, judgement.pred_real)
    assert torch.equal(losses["G"][0]["G_GAN_Feat"], matched)
    expected = {}
    for letter, (terms, weights) in losses.items():
        assert terms.keys() == weights.keys()
        network = model.trained_networks()[letter]
        trained = [p for p in network.parameters() if p.requires_grad]
        loss = sum(weight * terms[name] for name, weight in weights.items())
        expected[letter] = torch.autograd.grad(loss, trained, retain_graph=True)
    if wrapped:
        model.wrap_networks(lambda network: wrap_ddp(network, CPU.device))
    torch.manual_seed(7)
    result = compute_gradients(model, CPU, batch)
    logged = ["G_GAN", "G_GAN_Feat", "D_real", "D_fake", "D_mix", "D_mIoU", "G_mIoU"]
    assert list(result.terms) == logged
    assert result.terms["D_mix"].item() == pytest.approx(3 * losses["D"][0]["D_mix"].item())
    for letter, gradients in result.gradients.items():
        for found, right in zip(gradients.values(), expected[letter], strict=True):
            assert right.any()
            assert (found - right).norm() <= 1e-4 * right.norm() + 1e-9


def test_in_bfloat16_losses_are_float32_and_close() -> None:
    model, batch = model_with(), noisy_batch()
    found = []
    for runtime in (CPU, HALF):
        torch.manual_seed(3)
        found.append(compute_gradients(model, runtime, batch).terms)
    for name in ("G_GAN", "D_real", "D_fake"):
        assert found[1][name].dtype == torch.float32
        assert found[1][name].item() == pytest.approx(found[0][name].item(), rel=2e-2)
