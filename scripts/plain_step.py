"""A training step as the released code takes it: three looks of D, every gradient made in full.

What our own step is measured against: its speed in `scripts/benchmark.py`, its gradients in tests.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from pix2pixhd.models.adversary import PatchAdversary
from pix2pixhd.models.conditioning import condition, image_to_float
from pix2pixhd.models.discriminators import Activations
from pix2pixhd.models.gan_losses import over_scales
from pix2pixhd.models.perceptual import VGGPerceptualLoss
from pix2pixhd.models.pix2pixhd import Pix2PixHDModel
from pix2pixhd.util.batch import Batch


class PlainStep:
    """One update of all networks, in the released order: the discriminators see the fake once for
    either loss, and the generator's goes back through all of their weights, for nothing."""

    def __init__(
        self,
        model: Pix2PixHDModel,  # its networks are called one by one
        lr: float = 2e-4,
        beta1: float = 0.5,
        foreach: bool | None = None,  # Adam in groups of parameters; None: as PyTorch chooses
    ) -> None:
        assert model.netD is not None, "this model was built for rendering"
        self.model = model
        netG = torch.nn.ModuleList(net for net in (model.netG, model.netE) if net is not None)
        self.G, self.D = (
            torch.optim.Adam(net.parameters(), lr=lr, betas=(beta1, 0.999), foreach=foreach)
            for net in (netG, model.netD)
        )

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """The losses' terms, weighted, with the graphs behind them."""
        model = self.model
        adversary = model.adversary
        assert model.netD is not None and batch.image is not None
        assert isinstance(adversary, PatchAdversary)
        real, gan = image_to_float(batch.image), adversary.gan
        given = condition(batch.label, batch.inst if model.use_instance else None, model.label_nc)
        fake = model.generate(batch)
        shown = model.netD(adversary.pool.query(torch.cat([given, fake.detach()], dim=1)))
        on_real = model.netD(torch.cat([given, real], dim=1))
        on_fake = model.netD(torch.cat([given, fake], dim=1))
        terms = {"G_GAN": over_scales(on_fake, gan.for_generator)}
        if adversary.matches_features:
            weight = model.loss_weights["G_GAN_Feat"].minimised
            terms["G_GAN_Feat"] = weight * matching(on_fake, on_real)
        if model.vgg is not None:
            weight = model.loss_weights["G_VGG"].minimised
            terms["G_VGG"] = weight * perceptual(model.vgg, fake, real)
        terms["D_real"] = over_scales(on_real, lambda x: gan.for_discriminator(x, is_real=True))
        terms["D_fake"] = over_scales(shown, lambda x: gan.for_discriminator(x, is_real=False))
        return terms

    def __call__(self, batch: Batch) -> dict[str, Tensor]:
        """Take the step; returns the losses' terms."""
        terms = self.losses(batch)
        self.G.zero_grad()
        torch.stack([term for name, term in terms.items() if name[0] == "G"]).sum().backward()
        self.G.step()
        self.D.zero_grad()
        ((terms["D_fake"] + terms["D_real"]) * 0.5).backward()
        self.D.step()
        return {name: term.detach() for name, term in terms.items()}


def matching(fake: list[Activations], real: list[Activations]) -> Tensor:
    """Feature matching as the released code sums it up: layer by layer, scale by scale."""
    weight = 4 / (len(fake[0]) - 1) / len(fake)
    total = torch.zeros((), device=fake[0][0].device)
    for fake_scale, real_scale in zip(fake, real, strict=True):
        for fake_layer, real_layer in zip(fake_scale[:-1], real_scale[:-1], strict=True):
            total = total + weight * F.l1_loss(fake_layer, real_layer.detach())
    return total


def perceptual(vgg: VGGPerceptualLoss, fake: Tensor, real: Tensor) -> Tensor:
    """The perceptual loss of images of at least 16 pixels each way, from the VGG's layers alone."""
    total = torch.zeros((), device=fake.device)
    fake, real = fake.expand(-1, 3, -1, -1), real.expand(-1, 3, -1, -1)
    weights = dict(zip(vgg.LAYERS, vgg.WEIGHTS, strict=True))
    for index, layer in enumerate(vgg.features):
        fake, real = layer(fake), layer(real)
        if index in weights:
            total = total + weights[index] * F.l1_loss(fake, real.detach())
    return total
