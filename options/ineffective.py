"""Flags that were given and change nothing."""

from __future__ import annotations

from pix2pixhd.options.base_options import ProgramOptions
from pix2pixhd.options.fields import flat, types_of
from pix2pixhd.options.generator_options import PIX2PIX
from pix2pixhd.options.metric_options import MetricOptions
from pix2pixhd.options.train_options import TrainOptions

PIX2PIXHD = ("global", "local", "unet")

# The generators that read an option; those of all are not named.
READ_BY: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("n_downsample_global", "n_blocks_global", "upsample", "pad_down"), PIX2PIXHD),
    **dict.fromkeys(("n_local_enhancers", "n_blocks_local"), ("local",)),
    "use_dropout": (*PIX2PIXHD, *PIX2PIX),
    "checkpoint_activations": PIX2PIXHD,
    "eval": PIX2PIX,
    "crn_height": ("crn",),
    "norm_G": ("spade", "oasis"),
    "num_upsampling_layers": ("spade",),
}
OWN_NORMS = ("crn", "spade", "oasis")
OF_ENCODER = {"upsample", "pad_down"}  # which is there with features, whatever the generator


def ineffective_flags(options: ProgramOptions) -> list[str]:
    """One line for each flag that was set and changes nothing."""
    values, defaults = flat(options), flat(type(options)())
    model, run = options.model, options.run
    advice = {
        "local_rank": "",
        "ntest": "; --how_many limits the images",
        "aspect_ratio": "; images keep the size of their label map",
    }
    is_training = isinstance(options, TrainOptions)
    for name, generators in READ_BY.items():
        # Of a trained run, whoever trained it was told.
        is_given = is_training or name == "eval"
        is_read = model.netG in generators or (model.uses_features and name in OF_ENCODER)
        if is_given and not is_read:
            advice[name] = f"; it is of --netG {', '.join(generators)}"
    if isinstance(options, TrainOptions):
        advice |= _of_training(options)
    else:
        advice["tf_log"] = "; TensorBoard logs are of trainings"
    if not model.label_color:
        advice["label_colors"] = "; labels enter the networks as colours with --label_color"
    if is_training and not model.use_vae:
        advice |= dict.fromkeys(("crop_size", "lambda_kld"), "; it is of --use_vae")
    if is_training and not model.uses_features:
        of_encoder = ("nef", "feat_num", "n_downsample_E")
        advice |= dict.fromkeys(of_encoder, "; there is no encoder without features")
    if not model.uses_features:
        advice["cluster_path"] = "; the run was trained without features"
    if run.data_type == 8:
        advice["data_type"] = "; the networks compute in 32 bits"
    return [
        f"--{name} {values[name]}: it has no effect{more}"
        for name, more in advice.items()
        if values.get(name) != defaults.get(name)
    ]


def _of_training(options: TrainOptions) -> dict[str, str]:
    """The flags that would change nothing in such a training, and why."""
    advice: dict[str, str] = {}
    netD, loss = options.discriminator.netD, options.loss
    if netD == "segmentation":
        why = "; --netD segmentation is one network with its own loss"
        advice |= dict.fromkeys(
            ("num_D", "n_layers_D", "norm_D", "gan_loss", "scale_reduction"), why
        )
    else:
        advice["lambda_mix"] = "; LabelMix is of --netD segmentation"
    if netD in ("basic", "n_layers", "pixel"):
        advice["num_D"] = f"; --netD {netD} is one PatchGAN"
    if netD in ("basic", "pixel"):
        advice["n_layers_D"] = f"; --netD {netD} has a depth of its own, n_layers takes the flag"
    if loss.no_gan_loss:
        of_discriminators = ("num_D", "n_layers_D", "ndf", "norm_D", "lr_D", "scale_reduction")
        why = "; --no_gan_loss trains without discriminators"
        advice |= dict.fromkeys(of_discriminators, why)
    norm_D = options.discriminator.norm_D
    has_norm_D = netD != "segmentation" and norm_D == "same" and not loss.no_gan_loss
    if options.model.netG in OWN_NORMS and not (has_norm_D or options.model.uses_features):
        advice["norm"] = f"; --netG {options.model.netG} and its discriminators have their own"
    matches_features = loss.ganFeat_loss and not loss.no_gan_loss
    if not (matches_features or (loss.vgg_loss and not loss.crn_loss)):
        advice["lambda_feat"] = "; feature matching and the VGG loss are off"
    if not options.log.eval_freq:
        of_evaluations = ("metrics", "eval_images", *types_of(MetricOptions))
        advice |= dict.fromkeys(of_evaluations, "; nothing is evaluated without --eval_freq")
    if not loss.crn_loss:
        advice["crn_balance"] = "; it is of --crn_loss"
    return advice
