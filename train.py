"""Train a generator: parse, build, then one step at a time. `python train.py --help` tells how."""

from __future__ import annotations

from options.parsing import parse_train
from start import start
from util.errors import run_program
from util.processes import restarted_launch

if __name__ == "__main__":
    # Before PyTorch is loaded, which takes seconds.
    OPTIONS = start(lambda argv: parse_train(argv, restarted_launch()))

import dataclasses
import sys
import time

import torch
from torch import Tensor

from launch import Machine
from models.optim import Optimizers, learning_rate
from models.pictures import Pictures, batches_on, pictures, render, to_device
from models.pix2pixhd_model import Batch, Pix2PixHDModel
from models.training_state import Place
from options.train_options import TrainOptions
from training_run import Run, build, load_start, open_logger, opened_folder
from util.distributed import exchange_gradients, leave, mean
from util.logger import TrainingLogger
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
        name = options.run.name
        run.machine.tell(f"{name} has trained its {last_epoch} epochs; raise --niter to go on")
        return
    with opened_folder(run), StopSignal() as stop, open_logger(run, place) as logger:
        for epoch in range(place.epoch, last_epoch + 1):
            lr = learning_rate(epoch, schedule.lr, schedule.niter, schedule.niter_decay)
            run.optimizers.set_learning_rate(lr)
            train_outermost_alone(run, epoch <= options.run.niter_fix_global)
            logger.start_epoch(epoch, last_epoch, run.order.epoch_size, place.images_done)
            train_epoch(run, place, logger, stop)
            logger.end_epoch()
            place = Place(epoch + 1, before=place.step - place.images_done + run.order.epoch_size)
            save_epoch(run, place, is_last=epoch == last_epoch)
    run.vote.settle()


def train_epoch(run: Run, place: Place, logger: TrainingLogger, stop: StopSignal) -> None:
    """Train on what is left of an epoch; log, show and save as often as the options say."""
    options, images = run.options, run.options.data.batchSize
    run.order.start(place.epoch, place.images_done)
    lap = time.monotonic(), place.images_done
    for batch in batches_on(run.machine.device, run.loader):
        fake, terms = train_step(run.model, run.optimizers, run.machine, batch)
        place = dataclasses.replace(place, images_done=place.images_done + images)
        step = place.step
        logger.advance(images)
        if crossed(options.log.print_freq, step, images):
            values = mean(terms, run.machine.world)
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
        if crossed(options.log.display_freq, step, images) and run.machine.world.is_main:
            logger.log_pictures(place.epoch, step, progress_pictures(run, batch, fake))
        signal_number = run.vote.cast(stop.received or 0)
        if crossed(options.log.save_latest_freq, step, images) or signal_number:
            run.state.save(place)
        if signal_number:
            logger.say(f"stopped and saved after {step} images; --continue_train goes on")
            logger.close()
            leave(128 + signal_number)
            sys.exit(128 + signal_number)


def train_step(
    model: Pix2PixHDModel, optimizers: Optimizers, machine: Machine, batch: Batch
) -> tuple[Tensor, dict[str, Tensor]]:
    """One update of generator and discriminators.

    Returns:
        The synthesised images, [N, C, H, W] in [-1, 1], and the losses' terms: scalars on the
        device, so that whoever reads one waits for it.
    """
    with machine.autocast():
        views = model(batch)
        terms_G = model.generator_losses(views)
        terms_D = model.discriminator_losses(views)
    loss_G = torch.stack(list(terms_G.values())).sum()
    loss_D = torch.stack(list(terms_D.values())).mean()
    optimizers.step(views, loss_G, loss_D)
    return views.fake.detach(), {name: term.detach() for name, term in (terms_G | terms_D).items()}


def train_outermost_alone(run: Run, alone: bool) -> None:
    """Train the outermost enhancer alone, or all; the processes then exchange those gradients."""
    is_change = run.model.train_outermost_alone(alone)
    if run.machine.world.size > 1 and (is_change or not run.model.is_wrapped):
        run.model.wrap_networks(lambda network: exchange_gradients(network, run.machine.device))


def save_epoch(run: Run, place: Place, is_last: bool) -> None:
    """Save at the end of an epoch, where it is the last or its number says so."""
    finished = place.epoch - 1
    if finished % run.options.log.save_epoch_freq == 0:
        run.state.save(place, epoch=str(finished))
    if finished % run.options.log.save_epoch_freq == 0 or is_last:
        run.state.save(place)


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


def main() -> None:
    train(OPTIONS)
    leave()


if __name__ == "__main__":
    run_program(main)
