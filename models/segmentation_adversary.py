"""The game of OASIS (Schönfeld, Sushko et al., ICLR 2021, sections 3.1 to 3.3): the discriminator
tells labels from each other and from "fake"; the generator wants its pixels to have their labels.

Losses are computed in float32, whatever precision the networks run in.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pix2pixhd.models.adversary import Adversary, Judgement, LossWeight, Seen, Terms
from pix2pixhd.models.discriminators import Activations


@dataclass(frozen=True)
class Mixture:
    """What is said of a collage of real and synthesised regions (LabelMix)."""

    is_real: Tensor  # [N, 1, H, W], where it shows the real image
    logits: Tensor  # [N, label_nc + 1, H, W]


@dataclass(frozen=True)
class SegmentationJudgement(Judgement):
    """Also what is right."""

    classes: Tensor  # integers [N, H, W]: label + 1, or 0 where it is unknown
    weights: Tensor  # of the classes, [label_nc + 1]
    mixture: Mixture | None  # None: without LabelMix


class SegmentationAdversary(Adversary[SegmentationJudgement]):
    """Class-balanced cross-entropy, and LabelMix. The discriminator sees images alone.

    Classes are balanced over a batch, or over each process's part of it.
    """

    def __init__(
        self,
        label_nc: int,
        lambda_mix: float = 10.0,  # weight of LabelMix; 0: it is left out
        matches_features: bool = False,
    ) -> None:
        super().__init__(matches_features)
        self.label_nc, self.lambda_mix = label_nc, lambda_mix
        self.loss_weights = {name: LossWeight(1.0) for name in ("G_GAN", "D_real", "D_fake")}
        self.loss_weights["D_mix"] = LossWeight(lambda_mix, logged=lambda_mix)

    def judge(self, netD: nn.Module, seen: Seen, networks: str = "GD") -> SegmentationJudgement:
        assert seen.label is not None, "an adversary of label maps"
        classes = classes_of(seen.label, self.label_nc)
        pred_fake, mixture = netD(seen.fake), None
        if self.lambda_mix and "D" in networks:
            # A coin for each label, and one for all pixels without.
            coins = torch.rand(self.label_nc + 1, device=classes.device) < 0.5
            is_real = coins[classes][:, None]
            collage = torch.where(is_real, seen.real, seen.fake.detach())
            mixture = Mixture(is_real, logits_of(netD(collage)))
        return SegmentationJudgement(
            pred_fake=pred_fake,
            pred_real=netD(seen.real) if "D" in networks or self.matches_features else [],
            pred_pool=pred_fake,
            classes=classes,
            weights=class_weights(classes, self.label_nc),
            mixture=mixture,
        )

    def gan_term(self, judgement: SegmentationJudgement) -> Tensor:
        return balanced(logits_of(judgement.pred_fake), judgement)

    def discriminator_terms(self, judgement: SegmentationJudgement) -> Terms:
        fake, real = logits_of(judgement.pred_fake), logits_of(judgement.pred_real)
        terms = {
            "D_real": balanced(real, judgement),
            "D_fake": F.cross_entropy(fake, torch.zeros_like(judgement.classes)),
        }
        if (mixture := judgement.mixture) is not None:
            mixed = torch.where(mixture.is_real, real, fake)
            terms["D_mix"] = F.mse_loss(mixture.logits, mixed)
        return terms

    def observations(self, judgement: SegmentationJudgement) -> Terms:
        """How well the discriminator finds the labels in real images, and in synthesised ones."""
        said = {"D_mIoU": judgement.pred_real, "G_mIoU": judgement.pred_fake}
        return {n: mean_iou(logits_of(x).detach(), judgement.classes) for n, x in said.items()}


def logits_of(scales: list[Activations]) -> Tensor:
    """Those of a segmentation discriminator, [N, label_nc + 1, H, W], in float32."""
    return scales[0][-1].float()


def classes_of(label: Tensor, label_nc: int) -> Tensor:
    """Integers [N, 1, H, W] to [N, H, W]: label + 1, or 0 where it is outside [0, label_nc)."""
    label = label[:, 0].long()
    return torch.where((label >= 0) & (label < label_nc), label + 1, 0)


def class_weights(classes: Tensor, label_nc: int) -> Tensor:
    """Of each class, [label_nc + 1]: pixels over (pixels of the class times classes that are
    there), so that all of these count the same; 0 of unknown pixels and of classes not there."""
    pixels = pixels_of_labels(classes, label_nc)
    shares = (pixels * (pixels > 0).sum()).clamp(min=1)
    return F.pad((pixels > 0) * classes.numel() / shares, (1, 0))


def balanced(logits: Tensor, judgement: SegmentationJudgement) -> Tensor:
    """Cross-entropy with the right classes, weighted, as a mean over all pixels; a scalar."""
    classes = judgement.classes
    loss = F.cross_entropy(logits, classes, judgement.weights, reduction="sum")
    return loss / classes.numel()


def mean_iou(logits: Tensor, classes: Tensor) -> Tensor:
    """Intersection over union of pixels and what they are taken for if not for fake, as a mean over
    the labels that are there; a scalar, 0 where there are none. Unknown pixels are left out.

    Args:
        logits: [N, label_nc + 1, H, W].
        classes: integers [N, H, W], see `classes_of`.
    """
    label_nc = logits.shape[1] - 1
    taken_for = torch.where(classes > 0, logits[:, 1:].argmax(dim=1) + 1, 0)
    hits = torch.where(taken_for == classes, classes, 0)
    both, found, there = (pixels_of_labels(x, label_nc) for x in (hits, taken_for, classes))
    iou = both / (found + there - both).clamp(min=1)
    return iou.sum() / (there > 0).sum().clamp(min=1)


def pixels_of_labels(classes: Tensor, label_nc: int) -> Tensor:
    """How many pixels each label has, integers [label_nc]."""
    flat = classes.flatten()  # bincount would wait for a GPU, and torch.compile does not take it
    counts = torch.zeros(label_nc + 1, dtype=torch.int64, device=flat.device)
    return counts.scatter_add_(0, flat, torch.ones_like(flat))[1:]
