"""Train a generator: parse, build, then one step at a time. `python train.py --help` tells how."""

from __future__ import annotations

import os
import sys

from options.parsing import parse_train, uncropped
from util.errors import UserError, run_program

if __name__ == "__main__":
    # Before PyTorch is loaded, which takes seconds: --help and a misspelt flag answer at once.
    # Idle threads of OpenMP are to sleep, not spin on cores that the loading processes need.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    OPTIONS = parse_train(sys.argv[1:])

import dataclasses
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from data import create_dataset, create_loader
from data.check import require_sound
from data.loader import Loader
from data.sampler import EpochSampler
from launch import Machine, choose_machine
from models import create_model, uses_features
from models.optim import Optimizers, learning_rate
from models.pictures import Pictures, pictures, render, to_device
from models.pix2pixhd_model import Batch, Pix2PixHDModel, Views
from models.training_state import Place, TrainingState
from options.saved import flat, options_texts
from options.train_options import TrainOptions
from util.logger import TrainingLogger
from util.run_folder import set_run_aside, write_all
from util.stop_signal import StopSignal


def train(options: TrainOptions) -> None:
    """Train until the last epoch, or until Ctrl-C or SIGTERM; each of them saves the full state.

    Raises:
        UserError: the data, the weights or the run's folder are not as they should be.
    """
    run = build(options)
    place = load_start(run)
    schedule = options.schedule
    last_epoch = schedule.niter + schedule.niter_decay
    if place.epoch > last_epoch:
        tell(f"{options.run.name} has trained its {last_epoch} epochs; raise --niter to go on")
        return
    open_folder(run)
    with StopSignal() as stop, open_logger(run, place) as logger:
        for epoch in range(place.epoch, last_epoch + 1):
            lr = learning_rate(epoch, schedule.lr, schedule.niter, schedule.niter_decay)
            run.optimizers.set_learning_rate(lr)
            run.model.train_outermost_alone(epoch <= options.run.niter_fix_global)
            logger.start_epoch(epoch, last_epoch, run.order.epoch_size, place.images_done)
            train_epoch(run, place, logger, stop)
            logger.end_epoch()
            place = Place(epoch + 1)
            save_epoch(run, place, is_last=epoch == last_epoch)


def train_epoch(run: Run, place: Place, logger: TrainingLogger, stop: StopSignal) -> None:
    """Train on what is left of an epoch; log, show and save as often as the options say."""
    options, images = run.options, run.options.data.batchSize
    run.order.start(place.epoch, place.images_done)
    lap = time.monotonic(), place.images_done
    for batch in run.loader:
        batch = to_device(batch, run.machine.device)
        views, terms = train_step(run, batch)
        place = Place(place.epoch, place.images_done + images)
        step = run.step_at(place)
        logger.advance(images)
        if crossed(options.log.print_freq, step, images):
            values = {name: term.item() for name, term in terms.items()}
            now = time.monotonic(), place.images_done
            logger.log_losses(
                epoch=place.epoch,
                iter=place.images_done,
                step=step,
                lr=run.optimizers.learning_rate,
                terms=values,
                seconds_per_image=(now[0] - lap[0]) / (now[1] - lap[1]),
            )
            lap = now
        if crossed(options.log.display_freq, step, images):
            logger.log_pictures(place.epoch, step, progress_pictures(run, batch, views.fake))
        if crossed(options.log.save_latest_freq, step, images) or stop.received:
            run.state.save(place)
        if stop.received:
            logger.say(f"stopped and saved after {step} images; --continue_train goes on")
            stop.exit()


def train_step(run: Run, batch: Batch) -> tuple[Views, dict[str, Tensor]]:
    """One update of generator and discriminators; returns what was seen, and the losses' terms."""
    with run.machine.autocast():
        views = run.model(batch)
        terms_G = run.model.generator_losses(views)
        terms_D = run.model.discriminator_losses(views)
    loss_G = torch.stack(list(terms_G.values())).sum()
    loss_D = torch.stack(list(terms_D.values())).mean()
    run.optimizers.step(views, loss_G, loss_D)
    return views, {name: term.detach() for name, term in (terms_G | terms_D).items()}


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

    def step_at(self, place: Place) -> int:
        """Images seen since the start of the training."""
        return (place.epoch - 1) * self.order.epoch_size + place.images_done


def build(options: TrainOptions) -> Run:
    """Data, networks and optimizers, checked and on the device; nothing is written yet.

    Raises:
        UserError: the data are not sound, or the VGG19 weights cannot be had.
    """
    seed, data = options.run.seed, options.data
    machine = choose_machine(options)
    phase = options.schedule.phase
    dataset = create_dataset(
        data,
        options.model,
        phase=phase,
        seed=seed,
        is_train=True,
        read_features=options.model.load_features,
    )
    require_sound(dataset, options.schedule.check_data, batch_size=data.batchSize)
    pin_memory = machine.device.type == "cuda"
    loader = create_loader(dataset, data, seed=seed, is_train=True, pin_memory=pin_memory)
    order = loader.batch_sampler
    assert isinstance(order, EpochSampler)
    if order.dropped:
        tell(
            f"{order.dropped} of {len(dataset)} images are left out of each epoch, "
            f"as they do not fill a batch of {data.batchSize}"
        )
    held_out = held_out_batch(options)
    model = create_model(options.model, options.discriminator, options.loss, seed).to(
        machine.device
    )
    if options.run.verbose:
        print(model)
    optimizers = Optimizers(
        model, options.schedule.lr, options.schedule.beta1, mixed_precision=machine.half_precision
    )
    state = TrainingState(Path(options.run.checkpoints_dir) / options.run.name, model, optimizers)
    return Run(options, machine, loader, order, held_out, model, optimizers, state)


def load_start(run: Run) -> Place:
    """Load what the run starts from; nothing is written yet.

    Raises:
        UserError: weights cannot be loaded, or the place they are from fits no batch.
    """
    schedule, place = run.options.schedule, Place()
    if schedule.continue_train:
        place, notes = run.state.restore(schedule.which_epoch)
        tell(*notes)
        run.order.start(place.epoch, place.images_done)
    elif schedule.load_pretrain:
        tell(*run.state.start_from(Path(schedule.load_pretrain), schedule.which_epoch))
    return place


def open_folder(run: Run) -> None:
    """Make the run's folder, an earlier run's set aside, and write the options into it.

    Raises:
        UserError: the folder cannot be written.
    """
    if not run.options.schedule.continue_train:
        tell(*set_run_aside(run.state.folder))
    write_all(run.state.folder, options_texts(run.options))


def open_logger(run: Run, place: Place) -> TrainingLogger:
    """The run's logger; on resume it forgets what was logged after the place."""
    options = run.options
    logger = TrainingLogger(
        run_dir=run.state.folder,
        name=options.run.name,
        write_html=options.log.html,
        display_width=options.run.display_winsize,
        tensorboard=options.run.tf_log,
        options=flat(options),
    )
    if options.schedule.continue_train:
        logger.resume_at(run.step_at(place))
        logger.say(f"going on in epoch {place.epoch}, after {run.step_at(place)} images")
    return logger


def save_epoch(run: Run, place: Place, is_last: bool) -> None:
    """Save at the end of an epoch, where it is the last or its number says so."""
    finished = place.epoch - 1
    if finished % run.options.log.save_epoch_freq == 0:
        run.state.save(place, epoch=str(finished))
    if finished % run.options.log.save_epoch_freq == 0 or is_last:
        run.state.save(place)


def held_out_batch(options: TrainOptions) -> Batch | None:
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
            tell(f"no held-out sample from {phase}_*: {error.problems[0]}")
    return None


def progress_pictures(run: Run, batch: Batch, fake: Tensor) -> Pictures:
    """The first sample of a training batch, and the held-out one as the generator is now."""
    label_nc = run.options.model.label_nc
    shown = pictures(batch, [fake], label_nc)
    if run.held_out is not None:
        held_out = to_device(run.held_out, run.machine.device)
        with run.machine.autocast():
            rendered = pictures(held_out, [render(run.model, held_out)], label_nc)
        shown |= {f"held_out_{name}": picture for name, picture in rendered.items()}
    return shown


def crossed(frequency: int, step: int, images: int) -> bool:
    """Whether the last `images` of `step` images brought a multiple of the frequency."""
    return step // frequency > (step - images) // frequency


def tell(*lines: str) -> None:
    for line in lines:
        print(line, flush=True)


if __name__ == "__main__":
    run_program(lambda: train(OPTIONS))
