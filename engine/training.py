"""What a training run is made of: data, networks, optimizers, state and logs."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from data import create_dataset, create_loader
from data.loader import Loader
from data.sampler import EpochSampler
from data.validate import validate_dataset
from engine.batch_norm import synchronise_batch_norm
from engine.distributed import Vote, barrier, broadcast
from engine.optimizers import Optimizers
from engine.processes import launch_id
from engine.run_folder import locked, set_run_aside, write_all
from engine.runtime import Runtime, choose_runtime
from engine.state import Progress, TrainingState
from engine.step import PIX2PIXHD, Recipe
from engine.vgg import load_vgg_weights
from models import create_model, uses_features
from models.perceptual import VGGPerceptualLoss
from models.pix2pixhd import Pix2PixHDModel
from options.parsing import LAUNCH_FILE, uncropped
from options.saved import flat, options_texts
from options.train_options import LossOptions, TrainOptions
from util.batch import Batch
from util.errors import UserError
from util.logger import SilentLogger, TrainingLogger


@dataclass
class Run:
    """What a training run is made of."""

    options: TrainOptions
    runtime: Runtime
    loader: Loader
    order: EpochSampler  # the loader's
    held_out: Batch | None  # one sample that is never trained on
    model: Pix2PixHDModel
    optimizers: Optimizers
    state: TrainingState
    vote: Vote  # on whether to stop
    recipe: Recipe = PIX2PIXHD


def build(options: TrainOptions) -> Run:
    """Data, networks and optimizers, checked and on the device; nothing is written yet.

    Raises:
        UserError: the data are not sound, or the VGG19 weights cannot be had.
    """
    seed = options.run.seed
    runtime = choose_runtime(options)
    # What one process found when it started, such as a state to go on from, another may not have.
    options = broadcast(options, runtime.world)
    loader = open_data(options, runtime)
    order = loader.batch_sampler
    assert isinstance(order, EpochSampler)
    held_out = held_out_batch(options, runtime) if runtime.world.is_main else None
    model = create_model(
        options.model,
        options.discriminator,
        options.loss,
        seed,
        checkpoint_activations=options.schedule.checkpoint_activations,
        vgg=perceptual_loss(options.loss),
    )
    if options.run.verbose:
        runtime.print_rank0(str(model))
    runtime.prepare(model)
    if runtime.world.size > 1 and options.model.norm == "batch":
        synchronise_batch_norm(model)
    if not runtime.world.is_main:
        torch.manual_seed((seed + runtime.world.rank) % 2**63)  # else all dropped the same units
    optimizers = Optimizers(
        model,
        options.schedule.lr,
        options.schedule.beta1,
        scale_gradients=runtime.dtype == torch.float16,
    )
    folder = Path(options.run.checkpoints_dir) / options.run.name
    state = TrainingState(folder, model, optimizers, runtime.world)
    vote = Vote(runtime.world)
    return Run(options, runtime, loader, order, held_out, model, optimizers, state, vote)


def perceptual_loss(loss: LossOptions) -> VGGPerceptualLoss | None:
    """The perceptual loss that the options ask for.

    Raises:
        UserError: the VGG19 weights cannot be had.
    """
    if not loss.vgg_loss:
        return None
    weights = load_vgg_weights(loss.vgg_weights)
    return VGGPerceptualLoss(weights, source=loss.vgg_weights or "torchvision's VGG19")


def open_data(options: TrainOptions, runtime: Runtime) -> Loader:
    """The training images, checked by one of the processes, in this one's share of each batch.

    Raises:
        UserError: the data are not sound, or not enough for a batch.
    """
    data, world = options.data, runtime.world
    dataset = create_dataset(
        data,
        options.model,
        phase=options.schedule.phase,
        seed=options.run.seed,
        is_train=True,
        read_features=options.model.load_features,
    )
    if world.is_main:
        mode = options.schedule.check_data
        runtime.print_rank0(*validate_dataset(dataset, mode, batch_size=data.batchSize))
    barrier(world)
    loader = create_loader(
        dataset,
        data,
        seed=options.run.seed,
        is_train=True,
        pin_memory=runtime.device.type == "cuda",
        rank=world.rank,
        ranks=world.size,
    )
    if dropped := len(dataset) % data.batchSize:
        runtime.print_rank0(
            f"{dropped} of {len(dataset)} images are left out of each epoch, "
            f"as they do not fill a batch of {data.batchSize}"
        )
    return loader


def load_start(run: Run) -> Progress:
    """Load what the run starts from; nothing is written yet.

    Raises:
        UserError: weights cannot be loaded, or the progress they are from fits no batch.
    """
    schedule, progress = run.options.schedule, Progress()
    if schedule.continue_train:
        progress, notes = run.state.restore(schedule.which_epoch)
        run.runtime.print_rank0(*notes)
        run.order.start(progress.epoch, progress.images_done)
    elif schedule.load_pretrain:
        lines = run.state.start_from(Path(schedule.load_pretrain), schedule.which_epoch)
        run.runtime.print_rank0(*lines)
    barrier(run.runtime.world)  # all have read before the first one renames or writes
    if progress.before is None:
        progress = dataclasses.replace(progress, before=(progress.epoch - 1) * run.order.epoch_size)
    return progress


@contextlib.contextmanager
def opened_folder(run: Run) -> Iterator[None]:
    """Make the run's folder, an earlier run's set aside, write the options into it and hold it.

    Raises:
        UserError: the folder cannot be written, or another process trains in it.
    """
    if not run.runtime.world.is_main:
        yield
        return
    if not run.options.schedule.continue_train:
        run.runtime.print_rank0(*set_run_aside(run.state.folder))
    launch = launch_id()
    marker = {LAUNCH_FILE: f"{launch}\n"} if launch else {}
    with locked(run.state.folder):
        write_all(run.state.folder, options_texts(run.options) | marker)
        yield


def open_logger(run: Run, progress: Progress) -> TrainingLogger:
    """The run's logger; on resume it forgets what was logged after the progress."""
    options = run.options
    if not run.runtime.world.is_main:
        return SilentLogger()
    logger = TrainingLogger(
        run_dir=run.state.folder,
        name=options.run.name,
        write_html=options.log.html,
        display_width=options.run.display_winsize,
        tensorboard=options.run.tf_log,
        options=flat(options),
    )
    if options.schedule.continue_train:
        logger.resume_at(progress.step)
        logger.say(f"going on in epoch {progress.epoch}, after {progress.step} images")
    return logger


def held_out_batch(options: TrainOptions, runtime: Runtime) -> Batch | None:
    """The first sample of the test or val folders, where there are any."""
    data = dataclasses.replace(uncropped(options.data), batchSize=1, nThreads=0)
    for phase in ("test", "val"):
        if phase == options.schedule.phase or not list(Path(data.dataroot).glob(f"{phase}_*")):
            continue
        try:
            dataset = create_dataset(
                data,
                options.model,
                phase=phase,
                seed=options.run.seed,
                is_train=False,
                read_features=options.model.load_features,
                needs_image=uses_features(options.model),
            )
            return next(iter(create_loader(dataset, data, seed=0, is_train=False)))
        except UserError as error:
            runtime.print_rank0(f"no held-out sample from {phase}_*: {error.problems[0]}")
    return None
