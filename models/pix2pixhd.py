"""The model: owns the networks, and says what each of them is trained for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from models.conditioning import condition, pad_to_stride
from models.discriminators import Activations, MultiscaleDiscriminator
from models.encoder import Encoder
from models.gan_losses import GanLoss, feature_matching, gan_loss
from models.generators import Generator
from models.perceptual import VGGPerceptualLoss
from models.segments import instance_average
from util.image_pool import ImagePool

Batch = dict[str, Any]
"""`label`, and where there are any `inst`, `image`, `feat`, `path`: see data/aligned_dataset.py."""


@dataclass
class StepOutputs:
    """One batch as the losses need it: the images, and what the networks make of them."""

    fake: Tensor  # [N, C, H, W] in [-1, 1], with the generator's graph behind it
    fake_leaf: Tensor  # the same values, where the losses' graphs end
    perceptual: Tensor | None  # the perceptual loss, unweighted
    pred_fake: list[Activations]
    pred_real: list[Activations]
    pred_pool: list[Activations]  # of earlier fakes; the same object as `pred_fake` without a pool


class Pix2PixHDModel(nn.Module):
    """Generator, discriminators and encoder, and the losses between them.

    For rendering, only the generator is needed. A generator that takes features is given those of
    the batch (`feat`), or what the encoder makes of the real image.
    """

    def __init__(
        self,
        netG: Generator,
        label_nc: int,  # number of labels; 0: the input is an image
        use_instance: bool,  # boundaries of instances are part of the condition
        use_features: bool = False,  # the generator takes features as well
        netE: Encoder | None = None,  # makes those features
        features_per_label: bool = False,  # pools them per label, not per instance
        netD: MultiscaleDiscriminator | None = None,
        gan: GanLoss | None = None,
        vgg: VGGPerceptualLoss | None = None,  # None: no perceptual loss
        use_feature_matching: bool = True,
        lambda_feat: float = 10.0,  # weight of feature matching and of the perceptual loss
        pool: ImagePool | None = None,  # earlier fakes for the discriminators
    ) -> None:
        super().__init__()
        self.netG = netG
        self.netE = netE
        self.netD = netD
        self.vgg = vgg
        self.label_nc = label_nc
        self.use_instance = use_instance
        self.use_features = use_features
        self.features_per_label = features_per_label
        self.gan = gan
        self.use_feature_matching = use_feature_matching
        self.lambda_feat = lambda_feat
        self.pool = pool or ImagePool(0)
        self._wrapped: dict[str, nn.Module] = {}  # not modules of this one: names of states stay

    def networks(self) -> dict[str, nn.Module]:
        """The networks that checkpoints hold, by the letter in their files' names."""
        networks = {"G": self.netG, "D": self.netD, "E": self.netE}
        return {name: network for name, network in networks.items() if network is not None}

    def generate(
        self,
        batch: Batch,
        features: Tensor | None = None,
        inner: tuple[slice, slice] | None = None,
    ) -> Tensor:
        """The synthesised image, [N, output_nc, H, W] in [-1, 1], as large as the label map.

        Args:
            batch: with `feat` or `image` where the generator takes features and none are given.
            features: [N, feat_num, H, W] to take in place of the batch's own.
            inner: rows and columns to render, if not all. What the maps show around them tells
                boundaries of instances alone. Features are then given, for these pixels.
        """
        condition = self._condition(batch)
        if inner is not None:
            assert features is not None or not self.use_features
            condition = condition[..., inner[0], inner[1]]
        return self._generate(batch, condition, features)

    def features(self, batch: Batch) -> Tensor:
        """The batch's own features, [N, feat_num, H, W]: precomputed, or of its real image."""
        return batch["feat"] if "feat" in batch else self.encode(batch)

    def encode(self, batch: Batch) -> Tensor:
        """Features of the real image, constant in each instance (paper, section 3.4).

        Returns:
            [N, feat_num, H, W] in [-1, 1], with the encoder's graph behind it.
        """
        return instance_average(self.encode_pixels(batch["image"]), self.feature_ids(batch))

    def encode_pixels(self, image: Tensor) -> Tensor:
        """Features of each pixel, not pooled yet: [N, feat_num, H, W], of [N, C, H, W]."""
        assert self.netE is not None, "this model was built without an encoder"
        height, width = image.shape[-2:]
        padded = pad_to_stride(image, self.netE.stride)
        return self._in_training("E")(padded)[..., :height, :width]

    def feature_ids(self, batch: Batch) -> Tensor:
        """The map whose regions share features: of instances, or of labels; [N, 1, H, W]."""
        return batch["label" if self.features_per_label else "inst"]

    def forward(self, batch: Batch) -> StepOutputs:
        """Synthesise a training batch and show fake and real to the discriminators.

        The discriminators see the fake once, for both losses: the generator's loss goes back to
        `fake_leaf` and on through the generator, the discriminators' to their parameters.
        """
        assert self.netD is not None, "this model was built for rendering"
        condition = self._condition(batch)
        fake = self._generate(batch, condition)
        fake_leaf = fake.detach().requires_grad_()
        # Before the discriminators look: what this needs is free again by then.
        perceptual = self.vgg(fake_leaf, batch["image"]) if self.vgg is not None else None
        fake_pair = _pair(condition, fake_leaf)
        netD = self._in_training("D")
        pred_fake = netD(fake_pair)
        return StepOutputs(
            fake=fake,
            fake_leaf=fake_leaf,
            perceptual=perceptual,
            pred_fake=pred_fake,
            pred_real=netD(_pair(condition, batch["image"])),
            pred_pool=netD(self.pool.query(fake_pair)) if self.pool.size else pred_fake,
        )

    def generator_losses(self, outputs: StepOutputs) -> dict[str, Tensor]:
        """The terms of the generator's loss, weighted: their sum is what it minimises."""
        assert self.gan is not None
        terms = {"G_GAN": gan_loss(outputs.pred_fake, True, self.gan)}
        if self.use_feature_matching:
            matching = feature_matching(outputs.pred_fake, outputs.pred_real)
            terms["G_GAN_Feat"] = self.lambda_feat * matching
        if outputs.perceptual is not None:
            terms["G_VGG"] = self.lambda_feat * outputs.perceptual
        return terms

    def discriminator_losses(self, outputs: StepOutputs) -> dict[str, Tensor]:
        """The terms of the discriminators' loss: their mean is what they minimise."""
        assert self.gan is not None
        return {
            "D_real": gan_loss(outputs.pred_real, True, self.gan),
            "D_fake": gan_loss(outputs.pred_pool, False, self.gan),
        }

    def train_outermost_alone(self, alone: bool) -> bool:
        """Train only the generator's outermost enhancer (paper, section 3.2), or all of it.

        Frozen parameters get no gradient, so that the optimizer that holds them passes them by.

        Returns:
            Whether that is a change.
        """
        prefixes, is_change = self.netG.outermost_prefixes, False
        for name, parameter in self.netG.named_parameters():
            trains = not alone or name.startswith(prefixes)
            is_change |= trains != parameter.requires_grad
            parameter.requires_grad_(trains)
        return is_change

    def compile_networks(self) -> None:
        """Compile what the networks do, when they first do it; their states stay as they are.

        Discriminators are left out: compiled, they would make all gradients in each of the two
        backward passes, of which either needs half.
        """
        import torch._dynamo.config as dynamo  # a second or two, which others need not wait

        # Split for DistributedDataParallel, graphs with checkpointed blocks would be refused.
        dynamo.optimize_ddp = False
        for network in (self.netG, self.netE):
            if network is not None:
                network.compile()
        if self.vgg is not None:
            self.vgg.compile_activations()

    def wrap_networks(self, wrap: Callable[[nn.Module], nn.Module]) -> None:
        """Train through `wrap(network)` of each network, such as DistributedDataParallel.

        Call it again when other parameters are to be trained. Rendering goes by the networks
        themselves.
        """
        self._wrapped = {}  # the old ones let go of the parameters before new ones take hold
        self._wrapped = {name: wrap(network) for name, network in self.networks().items()}

    @property
    def is_wrapped(self) -> bool:
        return bool(self._wrapped)

    def _in_training(self, name: str) -> nn.Module:
        """The network as wrapped, where gradients are recorded."""
        network = self.networks()[name]
        return self._wrapped.get(name, network) if torch.is_grad_enabled() else network

    def _condition(self, batch: Batch) -> Tensor:
        """In the precision that the networks run in: it halves the largest of their inputs."""
        inst = batch["inst"] if self.use_instance else None
        given = condition(batch["label"], inst, self.label_nc)
        kind = given.device.type
        return (
            given.to(torch.get_autocast_dtype(kind)) if torch.is_autocast_enabled(kind) else given
        )

    def _generate(self, batch: Batch, condition: Tensor, features: Tensor | None = None) -> Tensor:
        height, width = condition.shape[-2:]
        if self.use_features:
            own = self.features(batch) if features is None else features
            condition = _pair(condition, own)
        padded = pad_to_stride(condition, self.netG.stride)
        return self._in_training("G")(padded)[..., :height, :width]


def _pair(condition: Tensor, other: Tensor) -> Tensor:
    """Condition and image, or features, as one input in the condition's precision."""
    return torch.cat([condition, other.to(condition.dtype)], dim=1)
