"""A training step as the reference takes it: three looks of the discriminators, in float32.

It is what our own step is measured against, for its speed and in tests for its gradients.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.conditioning import condition, pad_to_stride
from models.discriminators import Activations
from models.gan_losses import gan_loss
from models.perceptual import VGGPerceptualLoss
from models.pix2pixhd import Batch, Pix2PixHDModel
from options.train_options import TrainOptions

Scales = Sequence[Activations]


@dataclass
class Networks:
    """What a step needs of the networks, whoever wrote them."""

    condition: Callable[[Batch], Tensor]  # what generator and discriminators both see
    generate: Callable[[Batch, Tensor], Tensor]  # from batch and condition to images
    discriminate: Callable[[Tensor], Scales]  # from condition and image together
    gan: Callable[[Scales, bool], Tensor]
    perceptual: Callable[[Tensor, Tensor], Tensor] | None  # of fake and real, not weighted
    pool: Callable[[Tensor], Tensor]  # from a pair to the pair that the discriminators learn from
    parameters_G: list[nn.Parameter]  # the encoder's too, where there is one
    parameters_D: list[nn.Parameter]


class PlainStep:
    """One update of all networks, in the reference's order.

    The discriminators see the fake once for their own loss and once more for the generator's. The
    generator's loss goes back through all of their weights, for nothing.
    """

    def __init__(
        self,
        networks: Networks,
        options: TrainOptions,  # its losses, and its rates
        foreach: bool | None = False,  # Adam in batches of parameters; None: as PyTorch chooses
    ) -> None:
        self.networks = networks
        self.use_matching = options.loss.ganFeat_loss
        self.lambda_feat = options.loss.lambda_feat
        schedule = options.schedule
        self.G, self.D = (
            torch.optim.Adam(
                parameters,
                lr=schedule.lr,
                betas=(schedule.beta1, 0.999),
                foreach=foreach,
                fused=False if foreach is False else None,
            )
            for parameters in (networks.parameters_G, networks.parameters_D)
        )

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """The losses' terms, weighted, with the graphs behind them."""
        networks, real = self.networks, batch["image"]
        condition = networks.condition(batch)
        fake = networks.generate(batch, condition)
        shown = networks.pool(torch.cat([condition, fake.detach()], dim=1))
        on_shown = networks.discriminate(shown)
        on_real = networks.discriminate(torch.cat([condition, real], dim=1))
        on_fake = networks.discriminate(torch.cat([condition, fake], dim=1))
        terms = {"G_GAN": networks.gan(on_fake, True)}
        if self.use_matching:
            terms["G_GAN_Feat"] = self.lambda_feat * matching(on_fake, on_real)
        if networks.perceptual:
            terms["G_VGG"] = self.lambda_feat * networks.perceptual(fake, real)
        terms["D_real"] = networks.gan(on_real, True)
        terms["D_fake"] = networks.gan(on_shown, False)
        return terms

    def backward_G(self, terms: dict[str, Tensor]) -> None:
        """Gradients of generator and encoder; leaves some in the discriminators too."""
        self.G.zero_grad()
        torch.stack([term for name, term in terms.items() if name[0] == "G"]).sum().backward()

    def backward_D(self, terms: dict[str, Tensor]) -> None:
        """Gradients of the discriminators."""
        self.D.zero_grad()
        ((terms["D_fake"] + terms["D_real"]) * 0.5).backward()

    def __call__(self, batch: Batch) -> dict[str, Tensor]:
        """Take the step; returns the losses' terms."""
        terms = self.losses(batch)
        self.backward_G(terms)
        self.G.step()
        self.backward_D(terms)
        self.D.step()
        return {name: term.detach() for name, term in terms.items()}


def networks_of(model: Pix2PixHDModel) -> Networks:
    """Our own networks, called one by one."""
    netD, gan, vgg = model.netD, model.gan, model.vgg
    assert netD is not None and gan is not None, "this model was built for rendering"
    netE = model.netE.parameters() if model.netE is not None else []

    def generate(batch: Batch, condition: Tensor) -> Tensor:
        height, width = condition.shape[-2:]
        if model.use_features:
            condition = torch.cat([condition, model.features(batch)], dim=1)
        return model.netG(pad_to_stride(condition, model.netG.stride))[..., :height, :width]

    return Networks(
        condition=lambda batch: condition(
            batch["label"], batch["inst"] if model.use_instance else None, model.label_nc
        ),
        generate=generate,
        discriminate=netD,
        gan=lambda scales, is_real: gan_loss(scales, is_real, gan),
        perceptual=(lambda fake, real: perceptual(vgg, fake, real)) if vgg is not None else None,
        pool=model.pool.query,
        parameters_G=[*model.netG.parameters(), *netE],
        parameters_D=list(netD.parameters()),
    )


def matching(fake: Scales, real: Scales) -> Tensor:
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
