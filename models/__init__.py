"""From batches to images and losses. `create_model` is the only door."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from models.blocks import ResnetBlock, initialise
from models.conditioning import condition_channels
from models.discriminators import MultiscaleDiscriminator
from models.encoder import Encoder
from models.gan_losses import GAN_LOSSES
from models.generators import GENERATORS, Generator
from models.perceptual import VGGPerceptualLoss, load_vgg_weights
from models.pix2pixhd import Pix2PixHDModel
from util.image_pool import ImagePool

if TYPE_CHECKING:
    from options.base_options import ModelOptions
    from options.train_options import DiscriminatorOptions, LossOptions


def create_generator(model: ModelOptions) -> Generator:
    """The generator that the options describe, with fresh weights."""
    features = model.feat_num if uses_features(model) else 0
    conditions = condition_channels(model.label_nc, model.input_nc, model.instance)
    arguments: dict[str, Any] = {
        "in_channels": conditions + features,
        "out_channels": model.output_nc,
        "ngf": model.ngf,
        "n_downsample": model.n_downsample_global,
        "n_blocks": model.n_blocks_global,
        "norm": model.norm,
        "use_dropout": model.use_dropout,
    }
    if model.netG == "local":
        arguments["n_local_enhancers"] = model.n_local_enhancers
        arguments["n_blocks_local"] = model.n_blocks_local
    generator = GENERATORS[model.netG](**arguments)
    initialise(generator)
    return generator


def create_discriminator(
    model: ModelOptions, discriminator: DiscriminatorOptions, return_features: bool
) -> MultiscaleDiscriminator:
    """The discriminators that the options describe, with fresh weights."""
    conditions = condition_channels(model.label_nc, model.input_nc, model.instance)
    network = MultiscaleDiscriminator(
        in_channels=conditions + model.output_nc,
        ndf=discriminator.ndf,
        n_layers=discriminator.n_layers_D,
        num_D=discriminator.num_D,
        norm=model.norm,
        return_features=return_features,
    )
    initialise(network)
    return network


def create_encoder(model: ModelOptions) -> Encoder:
    """The encoder that the options describe, with fresh weights."""
    encoder = Encoder(
        in_channels=model.output_nc,
        feat_num=model.feat_num,
        nef=model.nef,
        n_downsample=model.n_downsample_E,
        norm=model.norm,
    )
    initialise(encoder)
    return encoder


def uses_features(model: ModelOptions) -> bool:
    """Whether the generator takes features as part of its input."""
    return model.instance_feat or model.label_feat


def create_model(
    model: ModelOptions,
    discriminator: DiscriminatorOptions | None = None,
    loss: LossOptions | None = None,
    seed: int = 0,
    checkpoint_activations: bool = False,
) -> Pix2PixHDModel:
    """The model: for training where `discriminator` and `loss` are given, else for rendering.

    For rendering, `netE` is left out; see `engine.trained` for a trained model with its encoder.

    Raises:
        UserError: the VGG19 weights cannot be had.
    """
    torch.manual_seed(seed)
    generator = create_generator(model)
    for module in generator.modules():
        if isinstance(module, ResnetBlock):
            module.keeps_activations = not checkpoint_activations
    shared: dict[str, Any] = {
        "netG": generator,
        "label_nc": model.label_nc,
        "use_instance": model.instance,
        "use_features": uses_features(model),
        "features_per_label": model.label_feat,
    }
    if discriminator is None or loss is None:
        return Pix2PixHDModel(**shared)
    vgg = None
    if loss.vgg_loss:
        weights = load_vgg_weights(loss.vgg_weights)
        vgg = VGGPerceptualLoss(weights, source=loss.vgg_weights or "torchvision's VGG19")
    netD = create_discriminator(model, discriminator, return_features=loss.ganFeat_loss)
    encodes = uses_features(model) and not model.load_features
    return Pix2PixHDModel(
        **shared,
        netE=create_encoder(model) if encodes else None,
        netD=netD,
        gan=GAN_LOSSES[loss.gan_loss],
        vgg=vgg,
        use_feature_matching=loss.ganFeat_loss,
        lambda_feat=loss.lambda_feat,
        pool=ImagePool(loss.pool_size, seed),
    )
