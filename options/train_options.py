"""Options of `train.py`, and the contradictions between them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from options.base_options import DataOptions, ModelOptions, RunOptions
from options.checks import at_least, base_problems, not_below


@dataclass(frozen=True)
class DiscriminatorOptions:
    """The discriminators."""

    num_D: int = 2
    """Discriminators, each at half the resolution of the one before."""

    n_layers_D: int = 3
    """Convolutions in a discriminator before its last two."""

    ndf: int = 64
    """Filters in a discriminator's first layer."""


@dataclass(frozen=True)
class LossOptions:
    """The losses."""

    lsgan: bool = True
    """Least-squares GAN loss; --no_lsgan: binary cross-entropy (vanilla GAN)."""

    ganFeat_loss: bool = True
    """Feature matching: fake and real should look alike to the discriminators' layers."""

    vgg_loss: bool = True
    """Perceptual loss: fake and real should look alike to a VGG19 trained on ImageNet."""

    vgg_weights: str | None = None
    """File with VGG19 weights under torchvision's names; without it torchvision fetches its own."""

    lambda_feat: float = 10.0
    """Weight of feature matching and of the VGG loss."""

    pool_size: int = 0
    """Size of a buffer of earlier fakes that the discriminators are shown; 0 for none."""


@dataclass(frozen=True)
class ScheduleOptions:
    """The schedule: how long, how fast, and from where."""

    niter: int = 100
    """Epochs at the starting learning rate."""

    niter_decay: int = 100
    """Further epochs, in which the learning rate falls linearly to zero."""

    lr: float = 0.0002
    """Starting learning rate of Adam."""

    beta1: float = 0.5
    """Momentum of Adam."""

    continue_train: bool = False
    """Go on where the run was stopped; takes the run's own options where none are given."""

    load_pretrain: str = ""
    """Folder of weights to start from; what fits is taken and listed, what does not is too."""

    which_epoch: str = "latest"
    """Weights that --continue_train and --load_pretrain take: latest, or an epoch's number."""

    phase: str = "train"
    """Folders to train on: <phase>_label and so on."""

    check_data: Literal["sample", "full"] = "sample"
    """Pixels that are checked before training: a sample of the files, or all of them."""

    checkpoint_activations: bool = False
    """Compute the residual blocks twice instead of keeping their activations: slower, with less
    memory."""

    debug: bool = False
    """One epoch of at most ten images, with pictures and losses at every step."""


@dataclass(frozen=True)
class LogOptions:
    """What is shown and kept. Frequencies count images, not steps."""

    print_freq: int = 100
    """Images between printed losses."""

    display_freq: int = 100
    """Images between pictures."""

    save_latest_freq: int = 1000
    """Images between saves of the latest state."""

    save_epoch_freq: int = 10
    """Epochs between saves under the epoch's number."""

    eval_freq: int = 0
    """Epochs between evaluations of held-out images (those of test_* or val_*); 0 for none."""

    eval_images: int = 16
    """Most held-out images to evaluate."""

    metrics: str = "l1"
    """Figures to evaluate: a comma list of l1, psnr."""

    html: bool = True
    """Keep web/index.html with pictures and loss curves."""


@dataclass(frozen=True)
class TrainOptions:
    """Train a generator that turns label maps into photographs."""

    run: RunOptions = field(default_factory=RunOptions)
    data: DataOptions = field(default_factory=DataOptions)
    model: ModelOptions = field(default_factory=ModelOptions)
    discriminator: DiscriminatorOptions = field(default_factory=DiscriminatorOptions)
    loss: LossOptions = field(default_factory=LossOptions)
    schedule: ScheduleOptions = field(default_factory=ScheduleOptions)
    log: LogOptions = field(default_factory=LogOptions)


def settle(options: TrainOptions) -> TrainOptions:
    """The options that --debug stands for, where it is given."""
    if not options.schedule.debug:
        return options
    most = min(options.data.max_dataset_size or 10, 10)
    return replace(
        options,
        data=replace(options.data, max_dataset_size=most),
        schedule=replace(options.schedule, niter=1, niter_decay=0),
        log=replace(options.log, print_freq=1, display_freq=1),
    )


def problems(options: TrainOptions) -> list[str]:
    """Values out of range and contradictions between flags, one line each; empty if sound."""
    loss, schedule, data = options.loss, options.schedule, options.data
    found = base_problems(options.run, options.data, options.model)
    found += at_least(1, options.discriminator, "num_D", "n_layers_D", "ndf")
    found += at_least(
        1, options.log, "print_freq", "display_freq", "save_latest_freq", "save_epoch_freq"
    )
    found += at_least(0, options.log, "eval_freq") + at_least(1, options.log, "eval_images")
    found += at_least(0, loss, "pool_size") + not_below(0.0, loss, "lambda_feat")
    found += at_least(0, schedule, "niter", "niter_decay") + not_below(0.0, schedule, "lr")
    if not 0 <= schedule.beta1 < 1:
        found.append(f"--beta1 {schedule.beta1}: must be at least 0 and less than 1")
    if schedule.niter + schedule.niter_decay < 1:
        found.append("--niter 0 with --niter_decay 0: no epoch is left to train; raise one of them")
    if schedule.continue_train and schedule.load_pretrain:
        found.append(
            "--continue_train with --load_pretrain: both name the weights to start from; "
            "drop --load_pretrain to resume the run, or --continue_train to start a new one"
        )
    if schedule.continue_train and schedule.debug:
        found.append(
            "--continue_train with --debug: the run would end with its first epoch; drop one"
        )
    if options.run.compile and schedule.checkpoint_activations and options.model.norm == "batch":
        found.append(
            "--compile with --checkpoint_activations and --norm batch: PyTorch cannot compile the "
            "three together; leave one of them out"
        )
    if loss.vgg_weights and not loss.vgg_loss:
        found.append("--vgg_weights with --no_vgg_loss: the weights would not be used; drop one")
    if data.max_dataset_size is not None and 0 < data.max_dataset_size < data.batchSize:
        found.append(
            f"--max_dataset_size {data.max_dataset_size} with --batchSize {data.batchSize}: "
            "not one batch could be filled; lower --batchSize"
        )
    return found
