"""What a training run is made of: data, networks, optimizers, state and logs."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from data import create_dataset, create_loader
from data.check import require_sound
from data.loader import Loader
from data.sampler import EpochSampler
from launch import Machine, choose_machine
from models import create_model, uses_features
from models.batch_norm import synchronise_batch_norm
from models.optim import Optimizers
from models.pix2pixhd_model import Batch, Pix2PixHDModel
from models.training_state import Place, TrainingState
from options.parsing import LAUNCH_FILE, uncropped
from options.saved import flat, options_texts
from options.train_options import TrainOptions
from util.distributed import Vote, barrier, broadcast
from util.errors import UserError
from util.logger import SilentLogger, TrainingLogger
from util.processes import launch_id
from util.run_folder import held, set_run_aside, write_all


@dataclass
class Run:
    """What a training run is made of."""

    options: TrainOptions
    machine: Machine
    loader: Loader
    order: EpochSampler  # the loader's
    held_out: Batch | None  # one sample that is never trained on
    model: Pix2PixHDModel
    optimizers: Optimizers
    state: TrainingState
    vote: Vote  # on whether to stop


def build(options: TrainOptions) -> Run:
    """Data, networks and optimizers, checked and on the device; nothing is written yet.

    Raises:
        UserError: the data are not sound, or the VGG19 weights cannot be had.
    """
    seed = options.run.seed
    machine = choose_machine(options)
    # What one process found when it started, such as a state to go on from, another may not have.
    options = broadcast(options, machine.world)
    loader = open_data(options, machine)
    order = loader.batch_sampler
    assert isinstance(order, EpochSampler)
    held_out = held_out_batch(options, machine) if machine.world.is_main else None
    model = create_model(
        options.model,
        options.discriminator,
        options.loss,
        seed,
        checkpoint_activations=options.schedule.checkpoint_activations,
    )
    if options.run.verbose:
        machine.tell(str(model))
    machine.prepare(model)
    if machine.world.size > 1 and options.model.norm == "batch":
        synchronise_batch_norm(model)
    if not machine.world.is_main:
        torch.manual_seed((seed + machine.world.rank) % 2**63)  # else all dropped the same units
    optimizers = Optimizers(
        model,
        options.schedule.lr,
        options.schedule.beta1,
        scale_gradients=machine.dtype == torch.float16,
    )
    folder = Path(options.run.checkpoints_dir) / options.run.name
    state = TrainingState(folder, model, optimizers, machine.world)
    vote = Vote(machine.world)
    return Run(options, machine, loader, order, held_out, model, optimizers, state, vote)


def open_data(options: TrainOptions, machine: Machine) -> Loader:
    """The training images, checked by one of the processes, in this one's share of each batch.

    Raises:
        UserError: the data are not sound, or not enough for a batch.
    """
    data, world = options.data, machine.world
    dataset = create_dataset(
        data,
        options.model,
        phase=options.schedule.phase,
        seed=options.run.seed,
        is_train=True,
        read_features=options.model.load_features,
    )
    if world.is_main:
        require_sound(dataset, options.schedule.check_data, batch_size=data.batchSize)
    barrier(world)
    loader = create_loader(
        dataset,
        data,
        seed=options.run.seed,
        is_train=True,
        pin_memory=machine.device.type == "cuda",
        rank=world.rank,
        ranks=world.size,
    )
    if dropped := len(dataset) % data.batchSize:
        machine.tell(
            f"{dropped} of {len(dataset)} images are left out of each epoch, "
            f"as they do not fill a batch of {data.batchSize}"
        )
    return loader


def load_start(run: Run) -> Place:
    """Load what the run starts from; nothing is written yet.

    Raises:
        UserError: weights cannot be loaded, or the place they are from fits no batch.
    """
    schedule, place = run.options.schedule, Place()
    if schedule.continue_train:
        place, notes = run.state.restore(schedule.which_epoch)
        run.machine.tell(*notes)
        run.order.start(place.epoch, place.images_done)
    elif schedule.load_pretrain:
        lines = run.state.start_from(Path(schedule.load_pretrain), schedule.which_epoch)
        run.machine.tell(*lines)
    barrier(run.machine.world)  # all have read before the first one renames or writes
    if place.before is None:
        place = dataclasses.replace(place, before=(place.epoch - 1) * run.order.epoch_size)
    return place


@contextlib.contextmanager
def opened_folder(run: Run) -> Iterator[None]:
    """Make the run's folder, an earlier run's set aside, write the options into it and hold it.

    Raises:
        UserError: the folder cannot be written, or another process trains in it.
    """
    if not run.machine.world.is_main:
        yield
        return
    if not run.options.schedule.continue_train:
        run.machine.tell(*set_run_aside(run.state.folder))
    launch = launch_id()
    marker = {LAUNCH_FILE: f"{launch}\n"} if launch else {}
    with held(run.state.folder):
        write_all(run.state.folder, options_texts(run.options) | marker)
        yield


def open_logger(run: Run, place: Place) -> TrainingLogger:
    """The run's logger; on resume it forgets what was logged after the place."""
    options = run.options
    if not run.machine.world.is_main:
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
        logger.resume_at(place.step)
        logger.say(f"going on in epoch {place.epoch}, after {place.step} images")
    return logger


def held_out_batch(options: TrainOptions, machine: Machine) -> Batch | None:
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
            machine.tell(f"no held-out sample from {phase}_*: {error.problems[0]}")
    return None
