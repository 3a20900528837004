"""The game between generator and discriminators: what they see, and the terms of their losses."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

from pix2pixhd.models.discriminators import Activations
from pix2pixhd.models.gan_losses import GanLoss, ScaleReduction, feature_matching, over_scales
from pix2pixhd.models.generators import joined
from pix2pixhd.util.image_pool import ImagePool

Terms = dict[str, Tensor]
"""Scalars by name: the terms of a loss, without their weights."""


@dataclass(frozen=True)
class LossWeight:
    """How much a term counts."""

    minimised: float  # factor of the term in the sum that is minimised
    logged: float = 1.0  # factor of the term in logs, which show the values that the reference does


@dataclass(frozen=True)
class Seen:
    """What discriminators may look at, of N samples."""

    maps: Tensor  # the condition, [N, C, H, W]
    fake: Tensor  # synthesised images, [N, 3, H, W] in [-1, 1]
    real: Tensor  # photographs, likewise
    label: Tensor | None  # integers [N, 1, H, W], unknown outside [0, label_nc); with labels only


@dataclass(frozen=True)
class Judgement:
    """What the discriminators say."""

    pred_fake: list[Activations]
    pred_real: list[Activations]  # empty where no loss needs it
    pred_pool: list[Activations]  # of earlier fakes; the same object as `pred_fake` without a pool


Said = TypeVar("Said", bound=Judgement)


class Adversary(ABC, Generic[Said]):
    """What discriminators of a kind are trained for, and a generator through them.

    Attributes:
        loss_weights: of the terms that are its own, by name.
        matches_features: the generator's loss has the term of feature matching (paper, equation 4).
        pool: earlier fakes for the discriminators.
    """

    loss_weights: dict[str, LossWeight]

    def __init__(self, matches_features: bool, pool: ImagePool | None = None) -> None:
        self.matches_features, self.pool = matches_features, pool or ImagePool(0)

    @abstractmethod
    def judge(self, netD: nn.Module, seen: Seen, networks: str = "GD") -> Said:
        """Show the discriminators what there is; the fake once, for both losses.

        Args:
            networks: whose losses are asked for, "G", "D" or both; what no loss needs is not shown.
        """

    @abstractmethod
    def gan_term(self, judgement: Said) -> Tensor:
        """What the generator minimises of what is said of its images, a scalar."""

    @abstractmethod
    def discriminator_terms(self, judgement: Said) -> Terms:
        """The terms of the discriminators' loss."""

    def generator_terms(self, judgement: Said) -> Terms:
        """The terms of the generator's loss that come by way of the discriminators."""
        terms = {"G_GAN": self.gan_term(judgement)}
        if self.matches_features:
            terms["G_GAN_Feat"] = feature_matching(judgement.pred_fake, judgement.pred_real)
        return terms

    def observations(self, judgement: Said) -> Terms:
        """Scalars to be logged that no loss has, without a graph behind them."""
        return {}


class PatchAdversary(Adversary[Judgement]):
    """PatchGANs, which see the condition beside the image (paper, section 3.2)."""

    def __init__(
        self,
        gan: GanLoss,
        matches_features: bool = True,
        scale_reduction: ScaleReduction = "sum",  # of the losses of the discriminators' scales
        pool: ImagePool | None = None,
        in_one_batch: bool = False,  # fake and real are shown as one, as SPADE does: a step of the
        # power method and statistics of a batch are then of both
    ) -> None:
        super().__init__(matches_features, pool)
        self.gan, self.scale_reduction, self.in_one_batch = gan, scale_reduction, in_one_batch
        self.loss_weights = {"G_GAN": LossWeight(1.0)}
        half = LossWeight(0.5 if scale_reduction == "sum" else 1.0)
        self.loss_weights |= {"D_real": half, "D_fake": half}

    def judge(self, netD: nn.Module, seen: Seen, networks: str = "GD") -> Judgement:
        has_pool = self.pool.size > 0 and "D" in networks
        needs_real = "D" in networks or self.matches_features
        fake_pair = joined(seen.maps, seen.fake)
        if self.in_one_batch:
            both = netD(torch.cat([fake_pair, joined(seen.maps, seen.real)]))
            pred_fake, pred_real = ([[x.chunk(2)[n] for x in one] for one in both] for n in (0, 1))
        else:
            pred_fake = netD(fake_pair)
            pred_real = netD(joined(seen.maps, seen.real)) if needs_real else []
        return Judgement(
            pred_fake=pred_fake,
            pred_real=pred_real,
            pred_pool=netD(self.pool.query(fake_pair)) if has_pool else pred_fake,
        )

    def gan_term(self, judgement: Judgement) -> Tensor:
        return over_scales(judgement.pred_fake, self.gan.for_generator, self.scale_reduction)

    def discriminator_terms(self, judgement: Judgement) -> Terms:
        loss, reduction = self.gan.for_discriminator, self.scale_reduction
        real, fake = judgement.pred_real, judgement.pred_pool
        return {
            "D_real": over_scales(real, lambda x: loss(x, is_real=True), reduction),
            "D_fake": over_scales(fake, lambda x: loss(x, is_real=False), reduction),
        }
