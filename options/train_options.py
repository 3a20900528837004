"""Options of `train.py`, and the contradictions between them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Annotated, Literal, Self

from pix2pixhd.options.base_options import ProgramOptions
from pix2pixhd.options.crn_options import crn_training_problems
from pix2pixhd.options.fields import Range, replaced
from pix2pixhd.options.generator_options import Count, Filters, Natural
from pix2pixhd.options.metric_options import MetricOptions
from pix2pixhd.options.spade_options import spade_training_problems


@dataclass(frozen=True)
class DiscriminatorOptions:
    """The discriminators."""

    netD: Literal["multiscale", "basic", "n_layers", "pixel", "segmentation"] = "multiscale"
    """multiscale: PatchGANs on several resolutions, which see the condition and the image; basic,
    n_layers, pixel: pix2pix's PatchGAN of 70x70, of --n_layers_D, and of single pixels;
    segmentation: one U-Net that tells the label of each pixel of an image, or that it is fake.
    By default it goes with --spectral_norm D, --init xavier, --no_ganFeat_loss, --no_vgg_loss."""
    num_D: Annotated[int, Range(1, 10)] = 2
    """Discriminators of --netD multiscale, each at half the resolution of the one before."""
    n_layers_D: Annotated[int, Range(1, 12)] = 3
    """Convolutions in a discriminator before its last two; 3 in --netD basic."""
    ndf: Filters = 64
    """Filters in a discriminator's first layer; --netD segmentation has twice as many there."""
    norm_D: Literal["same", "instance", "batch", "none", "spectralinstance"] = "same"
    """Normalisation in the discriminators: same as --norm; spectralinstance: SPADE's, which divides
    the weights of their inner convolutions by their spectral norm as well."""
    spectral_norm: Literal["none", "D", "GD"] = "none"
    """Divide the weights of the discriminators' convolutions, or also of the generator's, by their
    spectral norm."""


@dataclass(frozen=True)
class LossOptions:
    """The losses."""

    gan_loss: Literal["lsgan", "vanilla", "hinge"] = "lsgan"
    """lsgan: least squares; vanilla: binary cross-entropy; hinge: linear up to a margin of 1."""
    lsgan: bool = True
    """--no_lsgan is the same as --gan_loss vanilla."""
    no_gan_loss: bool = False
    """Train without discriminators (CRN)."""
    scale_reduction: Literal["sum", "mean"] = "sum"
    """How the losses of the discriminators' scales become one: their sum, of which the
    discriminators' loss is half (pix2pixHD); or their mean, and no half (SPADE)."""
    ganFeat_loss: bool = True
    """Feature matching: fake and real should look alike to the discriminators' layers."""
    vgg_loss: bool = True
    """Perceptual loss: fake and real should look alike to a VGG19 trained on ImageNet."""
    vgg_weights: str | None = None
    """File with VGG19 weights under torchvision's names; without it torchvision fetches its own."""
    lambda_feat: Annotated[float, Range(0)] = 10.0
    """Weight of feature matching and of the VGG loss."""
    lambda_L1: Annotated[float, Range(0)] = 0.0
    """Weight of the mean absolute difference of fake and real."""
    lambda_kld: Annotated[float, Range(0)] = 0.05
    """Weight of the divergence of --use_vae from N(0, 1)."""
    crn_loss: bool = False
    """CRN's perceptual loss, with VGG19 too, in the place of pix2pixHD's; with --num_images its
    loss for several images."""
    crn_balance: str = "256p"
    """What the terms of --crn_loss are divided by: 256p, 512p or gta, as published; measured: as
    large as they are, on average over some 1000 images, conv5_2 a tenth; or six numbers as a comma
    list, from the pixels to conv5_2."""
    lambda_mix: Annotated[float, Range(0)] = 10.0
    """Weight of LabelMix, the consistency of --netD segmentation on mixtures of fake and real."""
    diffaug: str = ""
    """What the discriminators see is changed at random, fake and real in the same way: a comma list
    of color, translation, cutout. For small data sets."""
    pool_size: Natural = 0
    """Size of a buffer of earlier fakes that the discriminators are shown; 0 for none."""

    @property
    def augmentations(self) -> list[str]:
        """The names in --diffaug."""
        return [name.strip() for name in self.diffaug.split(",") if name.strip()]


@dataclass(frozen=True)
class ScheduleOptions:
    """The schedule: how long, how fast, and from where."""

    niter: Natural = 100
    """Epochs at the starting learning rate."""
    niter_decay: Natural = 100
    """Further epochs, in which the learning rate falls linearly; the last has lr / niter_decay."""
    lr: Annotated[float, Range(0)] = 0.0002
    """Starting learning rate of Adam."""
    lr_D: Annotated[float, Range(0)] | None = None
    """The same of the discriminators; by default as --lr."""
    beta1: Annotated[float, Range(0)] = 0.5
    """Momentum of Adam; less than 1."""
    beta2: Annotated[float, Range(0)] = 0.999
    """Decay of Adam's second moment; less than 1."""
    update_order: Literal["together", "D_first", "G_first"] = "together"
    """together: generator and discriminators learn from the same images before either is updated
    (pix2pixHD). D_first: the generator through discriminators just updated (pix2pix). G_first: then
    the discriminators from images made anew (SPADE)."""
    ema_half_life: Annotated[float, Range(0)] = 0.0
    """Images after which a weight counts half in an average of the generator's (and the encoder's),
    which is saved as *_net_G_ema.pth and renders; 0: no average."""
    init: Literal["normal", "xavier", "xavier_uniform", "orthogonal"] = "normal"
    """How the convolutions' weights begin: normally distributed, by Glorot and Bengio's rule
    (normal, too; or uniform, as CRN's), or orthogonal."""
    init_gain: Annotated[float, Range(0)] | None = None
    """Deviation for normal, by default 0.02; factor for the others, by default 1."""
    continue_train: bool = False
    """Go on where the run was stopped; takes the run's own options where none are given."""
    load_pretrain: str = ""
    """Folder of weights to start from: what fits is taken, and counted; --verbose names it."""
    which_epoch: str = "latest"
    """Weights that --continue_train and --load_pretrain take: latest, or an epoch's number."""
    phase: str = "train"
    """Folders to train on: <phase>_label and so on."""
    check_data: Literal["sample", "full"] = "sample"
    """Pixels that are checked before training: a sample of the files, or all of them."""
    checkpoint_activations: bool = False
    """Compute residual blocks twice instead of keeping activations: slower, with less memory."""
    debug: bool = False
    """One epoch of at most ten images, with pictures and losses at every step."""


@dataclass(frozen=True)
class LogOptions:
    """What is shown, measured and kept. Frequencies count images, unless they say epochs."""

    print_freq: Count = 100
    """Images between printed losses."""
    display_freq: Count = 100
    """Images between pictures."""
    save_latest_freq: Count = 1000
    """Images between saves of the latest state."""
    save_epoch_freq: Count = 10
    """Epochs between saves under the epoch's number."""
    html: bool = True
    """Keep web/index.html with pictures and loss curves."""
    eval_freq: Natural = 0
    """Epochs between evaluations of held-out images; 0 for none."""
    eval_images: Count = 16
    """Most held-out images that are evaluated."""
    metrics: str = "l1"
    """What is measured on them: names of metrics as a comma list."""
    best_metric: str | None = None
    """Keep the weights of the best evaluation, by this one of --metrics, as those of epoch best."""


@dataclass(frozen=True)
class TrainOptions(ProgramOptions):
    """Train a generator that turns label maps into photographs."""

    discriminator: DiscriminatorOptions = field(default_factory=DiscriminatorOptions)
    loss: LossOptions = field(default_factory=LossOptions)
    schedule: ScheduleOptions = field(default_factory=ScheduleOptions)
    log: LogOptions = field(default_factory=LogOptions)
    metric: MetricOptions = field(default_factory=MetricOptions)

    def resolved(self) -> Self:
        """Also, `loss.gan_loss` answers --no_lsgan, and --debug's fields have its values."""
        options, loss = super().resolved(), self.loss
        if loss.gan_loss == "vanilla" or (loss.gan_loss == "lsgan" and not loss.lsgan):
            options = replace(options, loss=replace(loss, gan_loss="vanilla", lsgan=False))
        if self.schedule.debug:
            short = {"niter": 1, "niter_decay": 0, "print_freq": 1, "display_freq": 1}
            most = min(self.data.max_dataset_size or 10, 10)
            options = replaced(options, short | {"max_dataset_size": most})
        return options

    def problems(self) -> Iterator[str]:
        yield from super().problems()
        loss, schedule, data = self.loss, self.schedule, self.data
        if loss.gan_loss == "hinge" and not loss.lsgan:
            yield "--gan_loss hinge with --no_lsgan: they name two losses; drop --no_lsgan"
        for name in ("beta1", "beta2"):
            if (beta := getattr(schedule, name)) >= 1:
                yield f"--{name} {beta}: must be less than 1"
        if schedule.init_gain == 0:
            yield "--init_gain 0: must be above 0, or nothing would be trained; leave the flag out"
        if schedule.niter + schedule.niter_decay < 1:
            yield "--niter 0 with --niter_decay 0: no epoch is left to train; raise one of them"
        if schedule.continue_train and schedule.load_pretrain:
            remedy = "drop --load_pretrain to resume the run, or --continue_train to start anew"
            yield f"--continue_train with --load_pretrain: both name the first weights; {remedy}"
        if schedule.which_epoch != "latest" and not (
            schedule.continue_train or schedule.load_pretrain
        ):
            flag = f"--which_epoch {schedule.which_epoch}"
            yield f"{flag}: of which weights? add --continue_train or --load_pretrain, or drop it"
        if schedule.continue_train and schedule.debug:
            yield "--continue_train with --debug: the run would end with its first epoch; drop one"
        if schedule.checkpoint_activations and self.discriminator.spectral_norm == "GD":
            both = "--spectral_norm GD with --checkpoint_activations"
            yield f"{both}: blocks that are computed twice would be normalised twice; drop one"
        if loss.vgg_weights and not loss.vgg_loss:
            yield "--vgg_weights with --no_vgg_loss: the weights would not be used; drop one"
        yield from spade_training_problems(self)
        yield from self._discriminator_problems()
        yield from crn_training_problems(self)
        yield from self._log_problems()
        yield from self.metric.problems()
        most, batch = data.max_dataset_size, data.batchSize
        if most is not None and 0 < most < batch:
            sizes = f"--max_dataset_size {most} with --batchSize {batch}"
            yield f"{sizes}: not one batch could be filled; lower --batchSize"

    def _discriminator_problems(self) -> Iterator[str]:
        known = ("color", "translation", "cutout")
        for name in self.loss.augmentations:
            if name not in known:
                yield f"--diffaug {name}: must be a comma list of {', '.join(known)}"
        netD = self.discriminator.netD
        if netD in ("basic", "n_layers", "pixel") and (
            self.discriminator.norm_D == "spectralinstance"
        ):
            both = f"--norm_D spectralinstance with --netD {netD}"
            yield f"{both}: it is of --netD multiscale; take --norm_D instance --spectral_norm D"
        if netD != "segmentation":
            return
        told = "--netD segmentation with"
        if self.model.label_nc == 0:
            remedy = "drop --netD segmentation"
            yield f"{told} --label_nc 0: it tells labels, and there are none; {remedy}"
        if size := self.loss.pool_size:
            remedy = "drop --pool_size"
            yield f"{told} --pool_size {size}: earlier fakes have labels of their own; {remedy}"

    def _log_problems(self) -> Iterator[str]:
        log = self.log
        if log.best_metric is None:
            return
        if not log.eval_freq:
            both = f"--best_metric {log.best_metric} with --eval_freq 0"
            yield f"{both}: nothing is measured; add --eval_freq 1, or drop --best_metric"
        if log.best_metric not in (name.strip() for name in log.metrics.split(",")):
            yield f"--best_metric {log.best_metric}: must be one of --metrics {log.metrics}; add it"


def defaults_beside(options: TrainOptions) -> TrainOptions:
    """The defaults that go with the options' discriminator.

    The segmentation discriminator has no normalisation: from N(0, 0.02) it would hardly learn.
    """
    if options.discriminator.netD != "segmentation":
        return TrainOptions()
    has_vgg = options.loss.vgg_weights is not None or options.loss.crn_loss
    off = {"ganFeat_loss": False, "vgg_loss": has_vgg}
    return replaced(TrainOptions(), off | {"spectral_norm": "D", "init": "xavier"})
