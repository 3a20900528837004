"""From batches to images and losses. The functions here build networks from the options; below
them nothing sees an option, but for the rows of GENERATORS."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from pix2pixhd.models.adversary import Adversary, PatchAdversary
from pix2pixhd.models.blocks import ResnetBlock
from pix2pixhd.models.conditioning import condition_channels, image_to_float
from pix2pixhd.models.diffaug import augmentation
from pix2pixhd.models.discriminators import MultiscaleDiscriminator
from pix2pixhd.models.encoder import Encoder
from pix2pixhd.models.gan_losses import GAN_LOSSES
from pix2pixhd.models.generators import GENERATORS, Generator
from pix2pixhd.models.generators.base import layers_of
from pix2pixhd.models.initialisation import NORMAL, Init, initialise
from pix2pixhd.models.patch_discriminators import PatchDiscriminator, PixelDiscriminator
from pix2pixhd.models.perceptual import VGGPerceptualLoss
from pix2pixhd.models.pix2pixhd import Pix2PixHDModel
from pix2pixhd.models.segmentation_adversary import SegmentationAdversary
from pix2pixhd.models.segmentation_discriminator import SegmentationDiscriminator
from pix2pixhd.models.spectral import normalise_as_published, normalise_spectrally
from pix2pixhd.models.vae_encoder import VAEEncoder
from pix2pixhd.util.image_pool import ImagePool
from pix2pixhd.util.labels import IGNORED, label_palette

if TYPE_CHECKING:
    from pix2pixhd.options.base_options import ModelOptions
    from pix2pixhd.options.train_options import DiscriminatorOptions, LossOptions


def create_generator(model: ModelOptions, init: Init = NORMAL) -> Generator:
    """The generator that the options describe, with fresh weights."""
    maps = map_channels(model)
    features = model.feat_num if model.uses_features else 0
    return initialise(GENERATORS[model.netG](model, maps, features), init)


def create_discriminator(
    model: ModelOptions,
    discriminator: DiscriminatorOptions,
    return_features: bool,
    init: Init = NORMAL,
) -> nn.Module:
    """The discriminators that the options describe, with fresh weights."""
    if discriminator.netD == "segmentation":
        sizes = model.output_nc, model.label_nc, discriminator.ndf
        return initialise(SegmentationDiscriminator(*sizes), init)
    channels = map_channels(model) + model.output_nc
    norm = model.norm if discriminator.norm_D == "same" else discriminator.norm_D
    if discriminator.netD == "pixel":
        return initialise(PixelDiscriminator(channels, discriminator.ndf, norm), init)
    if discriminator.netD in ("basic", "n_layers"):
        n_layers = 3 if discriminator.netD == "basic" else discriminator.n_layers_D
        return initialise(PatchDiscriminator(channels, discriminator.ndf, n_layers, norm), init)
    network = MultiscaleDiscriminator(
        in_channels=channels,
        ndf=discriminator.ndf,
        n_layers=discriminator.n_layers_D,
        num_D=discriminator.num_D,
        norm=norm,
        return_features=return_features,
    )
    return initialise(network, init)


def create_adversary(
    model: ModelOptions, discriminator: DiscriminatorOptions, loss: LossOptions, seed: int = 0
) -> Adversary[Any]:
    """What the discriminators that the options describe are trained for.

    Args:
        seed: of the pool's draws.
    """
    if discriminator.netD == "segmentation":
        return SegmentationAdversary(model.label_nc, loss.lambda_mix, loss.ganFeat_loss)
    return PatchAdversary(
        GAN_LOSSES[loss.gan_loss],
        matches_features=loss.ganFeat_loss,
        scale_reduction=loss.scale_reduction,
        pool=ImagePool(loss.pool_size, seed),
        in_one_batch=discriminator.norm_D == "spectralinstance",
    )


def map_channels(model: ModelOptions) -> int:
    """Channels of the maps that the networks see."""
    labels = 3 if model.label_color else model.label_nc
    return condition_channels(labels, model.input_nc, model.instance, model.extra_nc)


def palette_of(model: ModelOptions) -> Tensor | None:
    """The colours in which labels are seen, as `coloured` takes them; None: not in colours."""
    if not model.label_color:
        return None
    colours = bytes.fromhex(model.label_colors) or label_palette(model.label_nc).tobytes()
    table = torch.tensor([*colours, *IGNORED], dtype=torch.uint8, device="cpu")  # never on meta
    return image_to_float(table.view(-1, 3))


def create_encoder(model: ModelOptions, init: Init = NORMAL) -> Encoder | VAEEncoder:
    """The encoder that the options describe, of features or of --use_vae, with fresh weights."""
    if model.use_vae:
        return initialise(VAEEncoder(model.output_nc, model.ngf, model.z_dim), init)
    sizes = model.feat_num, model.nef, model.n_downsample_E
    return initialise(Encoder(model.output_nc, *sizes, layers=layers_of(model)), init)


def create_model(
    model: ModelOptions,
    discriminator: DiscriminatorOptions | None = None,
    loss: LossOptions | None = None,
    seed: int = 0,
    checkpoint_activations: bool = False,
    vgg: VGGPerceptualLoss | None = None,
    init: Init = NORMAL,
) -> Pix2PixHDModel:
    """The model: for training where `discriminator` and `loss` are given, else for rendering.

    For rendering, `netE` is left out; see `engine.trained` for a trained model with its encoder.

    Args:
        seed: of the weights.
        checkpoint_activations: compute those of residual blocks again for the gradient.
        vgg: the perceptual loss, where there is one.
        init: how fresh weights begin.
    """
    torch.manual_seed(seed)
    generator = create_generator(model, init)
    for module in generator.modules():
        if isinstance(module, ResnetBlock):
            module.keeps_activations = not checkpoint_activations
    for_rendering = partial(
        Pix2PixHDModel,
        netG=generator,
        label_nc=model.label_nc,
        use_instance=model.instance,
        use_features=model.uses_features,
        features_per_label=model.label_feat,
        palette=palette_of(model),
    )
    if discriminator is None or loss is None:
        return for_rendering()
    has_gan = not loss.no_gan_loss
    netD = create_discriminator(model, discriminator, loss.ganFeat_loss, init) if has_gan else None
    encodes = model.use_vae or (model.uses_features and not model.load_features)
    netE = create_encoder(model, init) if encodes else None
    # Last of all: it draws random numbers, and the weights are to be those of training without it.
    if netD is not None and discriminator.spectral_norm != "none":
        normalise_spectrally(netD, but_output=discriminator.netD == "segmentation")
    if discriminator.spectral_norm == "GD":
        normalise_spectrally(generator, but_output=True)
    for network in (generator, netD, netE):
        if network is not None:
            normalise_as_published(network)
    return for_rendering(
        netE=netE,
        netD=netD,
        adversary=create_adversary(model, discriminator, loss, seed) if has_gan else None,
        augment=augmentation(loss.augmentations),
        vgg=vgg,
        lambda_feat=loss.lambda_feat,
        lambda_L1=loss.lambda_L1,
        lambda_kld=loss.lambda_kld,
    )
