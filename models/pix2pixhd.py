"""The model: owns the networks, and says what each of them is trained for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from pix2pixhd.models.adversary import Adversary, Judgement, LossWeight, Seen, Terms
from pix2pixhd.models.conditioning import (
    condition,
    image_to_float,
    memory_format_of,
    one_hot,
    pad_to_stride,
)
from pix2pixhd.models.encoder import Encoder
from pix2pixhd.models.gan_losses import l1_distance
from pix2pixhd.models.generators import Generator
from pix2pixhd.models.perceptual import VGGPerceptualLoss
from pix2pixhd.models.segments import instance_average
from pix2pixhd.models.vae_encoder import VAEEncoder, divergence, sampled
from pix2pixhd.util.batch import Batch


@dataclass(frozen=True)
class StepOutputs:
    """One batch as the losses need it: the images, and what the networks make of them."""

    fake: Tensor  # [N, C, H, W] in [-1, 1], with the generator's graph behind it
    real: Tensor  # the photographs, likewise
    encoded: Tensor | None  # features made by E, [N, feat_num, H, W], with E's graph behind them
    perceptual: Tensor | None  # the perceptual loss, a scalar
    judgement: Judgement | None  # of the discriminators, where there are any
    latent: tuple[Tensor, Tensor] | None = None  # what a `VAEEncoder` returns, with its graph


class Pix2PixHDModel(nn.Module):
    """Generator, discriminators and encoder, and the losses between them.

    For rendering, only the generator is needed. A generator that takes features is given those of
    the batch (`feat`), or what the encoder makes of the real image. One that takes noise may be
    trained with a `VAEEncoder`, of which it then is; rendering takes what it is given.

    To add a loss: a term in `generator_terms` or `discriminator_terms`, and its row in
    `loss_weights`; those of a kind of discriminators are its `Adversary`'s. A term may depend on
    the networks by way of the image (`fake`, what the discriminators say of it) or directly (E's
    output, weights).
    """

    def __init__(
        self,
        netG: Generator,
        label_nc: int,  # number of labels; 0: the input is an image
        use_instance: bool,  # boundaries of instances are part of the condition
        use_features: bool = False,  # the generator takes features as well
        netE: Encoder | VAEEncoder | None = None,  # makes those features, or the noise
        features_per_label: bool = False,  # pools them per label, not per instance
        netD: nn.Module | None = None,
        adversary: Adversary[Any] | None = None,  # what netD is trained for
        augment: Callable[[Seen], Seen] | None = None,  # changes what netD is shown
        vgg: VGGPerceptualLoss | None = None,  # None: no perceptual loss
        lambda_feat: float = 10.0,  # weight of feature matching and of the perceptual loss
        lambda_L1: float = 0.0,  # weight of the mean of |fake - real|
        palette: Tensor | None = None,  # of `coloured`: labels are seen as colours
        lambda_kld: float = 0.05,  # weight of the noise's divergence from N(0, 1)
    ) -> None:
        super().__init__()
        self.netG, self.netE, self.netD = netG, netE, netD
        # Such as biases that a normalisation takes away again.
        self._untrained = {n for n, p in netG.named_parameters() if not p.requires_grad}
        self.label_nc, self.use_instance = label_nc, use_instance
        self.palette: Tensor | None
        self.register_buffer("palette", palette, persistent=False)
        self.use_features, self.features_per_label = use_features, features_per_label
        self.adversary, self.augment, self.vgg = adversary, augment, vgg
        self.loss_weights = {
            "G_GAN_Feat": LossWeight(lambda_feat, logged=lambda_feat),
            "G_VGG": LossWeight(lambda_feat, logged=lambda_feat),
            "G_CRN": LossWeight(1.0),
            "G_L1": LossWeight(lambda_L1, logged=lambda_L1),
            "G_KLD": LossWeight(lambda_kld, logged=lambda_kld),
        }
        if adversary is not None:
            self.loss_weights |= adversary.loss_weights
        # Averages of trained networks by their name in files, such as G_ema: see `saved_networks`.
        self.averaged = nn.ModuleDict()
        self._wrapped: dict[str, nn.Module] = {}  # not modules of this one: names of states stay

    # Three questions with three answers: an averaged generator is saved and rendered with, but no
    # gradient reaches it, so that it is never wrapped in DDP nor known to an optimizer.

    def trained_networks(self) -> dict[str, nn.Module]:
        """The networks that gradients train, by the letter in their files' names."""
        networks = {"G": self.netG, "D": self.netD, "E": self.netE}
        return {name: network for name, network in networks.items() if network is not None}

    def saved_networks(self) -> dict[str, nn.Module]:
        """The networks that checkpoints hold, by name: G is in `<epoch>_net_G.pth`."""
        return self.trained_networks() | dict(self.averaged.items())

    def rendering_network(self, name: str) -> nn.Module:
        """What renders in the place of a trained network: its average, where there is one."""
        return self.saved_networks().get(f"{name}_ema", self.trained_networks()[name])

    def generate(
        self,
        batch: Batch,  # with `feat` or `image` where features are taken and none are given
        features: Tensor | None = None,  # [N, feat_num, H, W] to take in place of the batch's own
        inner: tuple[slice, slice] | None = None,  # rows and columns to render, if not all
        noise: Tensor | None = None,  # [N, noise_dim], for a generator that takes some
        number: int = 0,  # of the image, of a generator that makes several
    ) -> Tensor:
        """The synthesised image, [N, output_nc, H, W] in [-1, 1], as large as the label map.

        What the maps show around `inner` tells boundaries of instances alone; features, where
        they are taken, must then be given, for its pixels.
        """
        maps = self._condition(batch)
        if inner is not None:
            assert features is not None or not self.use_features
            maps = maps[..., *inner]
        if features is None and self.use_features:
            features = self.features(batch)
        return self.netG.image(self._generate(maps, features, noise), number)

    def features(self, batch: Batch) -> Tensor:
        """The batch's own features, [N, feat_num, H, W]: precomputed, or of its real image."""
        return batch.feat if batch.feat is not None else self.encode(batch)

    def encode(self, batch: Batch) -> Tensor:
        """Features of the real image, [N, feat_num, H, W] in [-1, 1], constant in each instance
        (paper, section 3.4), with the encoder's graph behind them."""
        assert batch.image is not None, "no photograph to encode"
        return instance_average(self.encode_pixels(batch.image), self.feature_ids(batch))

    def encode_pixels(self, image: Tensor) -> Tensor:
        """Features of each pixel, not pooled yet: [N, feat_num, H, W], of a batch's photographs."""
        assert self.netE is not None, "this model was built without an encoder"
        height, width = image.shape[-2:]
        padded = pad_to_stride(image_to_float(image), self.netE.stride)
        return self._network("E")(padded)[..., :height, :width]

    def encode_noise(self, batch: Batch) -> Tensor:
        """Of a `VAEEncoder`, the noise that is likeliest for the real image, [N, noise_dim]."""
        assert isinstance(self.netE, VAEEncoder) and batch.image is not None
        mean, _ = self._network("E")(image_to_float(batch.image))
        return mean

    def feature_ids(self, batch: Batch) -> Tensor:
        """The map whose regions share features: of instances, or of labels; [N, 1, H, W]."""
        ids = batch.label if self.features_per_label else batch.inst
        assert ids is not None, "no instance map"
        return ids

    def forward(
        self,
        batch: Batch,
        earlier: StepOutputs | None = None,
        networks: str = "GD",
        scale: Tensor | None = None,
        keeps_graph: bool = True,
    ) -> StepOutputs:
        """Synthesise a training batch and show fake and real to the discriminators.

        The discriminators see the fake once, for both losses: the generator's loss goes back
        through them and the generator, the discriminators' to their parameters alone.

        Args:
            batch: with `image`.
            earlier: of this batch, whose fake is to be judged again.
            networks: whose losses are asked for, "G", "D" or both.
            scale: will multiply the losses; the perceptual loss needs it for its own gradient.
            keeps_graph: False where nobody will ask the gradients of the synthesis.
        """
        assert batch.image is not None, "no photograph to learn from"
        has_loss = self.adversary is not None or self.vgg is not None
        assert has_loss or self.loss_weights["G_L1"].minimised, "built for rendering"
        maps, real = self._condition(batch), image_to_float(batch.image)
        if earlier is not None:
            fakes, encoded, latent = earlier.fake, earlier.encoded, earlier.latent
        else:
            with torch.set_grad_enabled(keeps_graph and torch.is_grad_enabled()):
                features = self.features(batch) if self.use_features else None
                encoded = features if self.netE is not None else None
                latent = self._network("E")(real) if isinstance(self.netE, VAEEncoder) else None
                fakes = self._generate(maps, features, sampled(*latent) if latent else None)
        fake = self.netG.image(fakes)
        # Before the discriminators look: what this needs is free again by then.
        perceptual = None
        if self.vgg is not None and "G" in networks:
            has_classes = self.netG.num_images > 1
            classes = one_hot(batch.label, self.label_nc) if has_classes else None
            perceptual = self.vgg(fakes, real, scale, classes)
        judgement = None
        if self.adversary is not None:
            seen = Seen(maps, fake, real, batch.label if self.label_nc else None)
            seen = self.augment(seen) if self.augment else seen
            judgement = self.adversary.judge(self._network("D"), seen, networks)
        return StepOutputs(fake, real, encoded, perceptual, judgement, latent)

    def generator_terms(self, outputs: StepOutputs) -> Terms:
        """The terms of the loss of generator and encoder."""
        terms: Terms = {}
        if self.adversary is not None:
            terms = self.adversary.generator_terms(outputs.judgement)
        if self.vgg is not None and outputs.perceptual is not None:
            terms[self.vgg.term] = outputs.perceptual
        if self.loss_weights["G_L1"].minimised:
            terms["G_L1"] = l1_distance(outputs.fake.float(), outputs.real)
        if outputs.latent is not None:
            terms["G_KLD"] = divergence(*outputs.latent)
        return terms

    def discriminator_terms(self, outputs: StepOutputs) -> Terms:
        """The terms of the discriminators' loss."""
        assert self.adversary is not None
        return self.adversary.discriminator_terms(outputs.judgement)

    def observations(self, outputs: StepOutputs) -> Terms:
        """Scalars to be logged that no loss has."""
        assert self.adversary is not None
        return self.adversary.observations(outputs.judgement)

    def train_outermost_alone(self, alone: bool) -> bool:
        """Train only the generator's outermost enhancer (paper, section 3.2), or all of it.

        Frozen parameters get no gradient, so that the optimizer that holds them passes them by.

        Returns:
            Whether that is a change.
        """
        is_change = False
        for name, parameter in self.netG.named_parameters():
            trains = not alone or name.startswith(self.netG.outermost_prefixes)
            trains &= name not in self._untrained
            is_change |= trains != parameter.requires_grad
            parameter.requires_grad_(trains)
        return is_change

    def wrap_networks(self, wrap: Callable[[nn.Module], nn.Module]) -> None:
        """Train, not render, through `wrap(network)` of each, such as DistributedDataParallel.

        Call it again when other parameters are to be trained.
        """
        self._wrapped = {}  # the old ones let go of the parameters before new ones take hold
        self._wrapped = {name: wrap(network) for name, network in self.trained_networks().items()}

    @property
    def is_wrapped(self) -> bool:
        return bool(self._wrapped)

    def _network(self, name: str) -> nn.Module:
        """The network as wrapped where gradients are recorded; without, the network itself in
        training, else what renders in its place."""
        if torch.is_grad_enabled():
            return self._wrapped.get(name, self.trained_networks()[name])
        return self.trained_networks()[name] if self.training else self.rendering_network(name)

    def _condition(self, batch: Batch) -> Tensor:
        """In the precision that the networks run in, and in their memory format: it is the largest
        of their inputs."""
        inst, kind = batch.inst if self.use_instance else None, batch.label.device.type
        half = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else torch.float32
        weight = next(weight for weight in self.netG.parameters() if weight.dim() == 4)
        format = memory_format_of(weight)
        return condition(batch.label, inst, self.label_nc, batch.extra, half, format, self.palette)

    def _generate(
        self, maps: Tensor, features: Tensor | None, noise: Tensor | None = None
    ) -> Tensor:
        height, width = maps.shape[-2:]
        sides = self.netG.stride, self.netG.least_strides
        if self.netG.noise_dim and noise is None:
            # New in each training step, the same for each rendering, which can be made again then.
            fixed = None if self.training else torch.Generator(maps.device).manual_seed(0)
            size = len(maps), self.netG.noise_dim
            noise = torch.randn(size, generator=fixed, device=maps.device)
        padded = None if features is None else pad_to_stride(features, *sides)
        return self._network("G")(pad_to_stride(maps, *sides), padded, noise)[..., :height, :width]
