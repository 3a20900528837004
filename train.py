"""Train a generator: parse, build, then one step at a time. `python train.py --help` tells how."""

from __future__ import annotations

from engine.processes import launched, restarted_launch
from engine.start import start
from options.parsing import parse_train
from util.errors import run_program

if __name__ == "__main__":
    # Before PyTorch is loaded, which takes seconds.
    OPTIONS = start(
        lambda argv: parse_train(argv, launched=launched(), restarted_launch=restarted_launch())
    )

import dataclasses
import sys
import time

import torch
from torch import Tensor

from engine.distributed import mean, shut_down, wrap_ddp
from engine.optimizers import Optimizers, learning_rate
from engine.render import Pictures, batches_on, pictures, render, to_device
from engine.runtime import Runtime
from engine.state import Progress
from engine.stop_signal import StopSignal
from engine.training import Run, build, load_start, open_logger, opened_folder
from models.pix2pixhd import Batch, Pix2PixHDModel
from options.train_options import TrainOptions
from util.logger import TrainingLogger


def train(options: TrainOptions) -> None:
    """Train until the last epoch, or until Ctrl-C or SIGTERM; each of them saves the full state.

    Raises:
        UserError: the data, the weights or the run's folder are not as they should be.
    """
    run = build(options)
    progress = load_start(run)
    schedule = options.schedule
    last_epoch = schedule.niter + schedule.niter_decay
    if progress.epoch > last_epoch:
        name = options.run.name
        run.runtime.print_rank0(
            f"{name} has trained its {last_epoch} epochs; raise --niter to go on"
        )
        return
    with opened_folder(run), StopSignal() as stop, open_logger(run, progress) as logger:
        for epoch in range(progress.epoch, last_epoch + 1):
            lr = learning_rate(epoch, schedule.lr, schedule.niter, schedule.niter_decay)
            run.optimizers.set_learning_rate(lr)
            train_outermost_alone(run, epoch <= options.run.niter_fix_global)
            logger.start_epoch(epoch, last_epoch, run.order.epoch_size, progress.images_done)
            train_epoch(run, progress, logger, stop)
            logger.end_epoch()
            progress = Progress(
                epoch + 1, before=progress.step - progress.images_done + run.order.epoch_size
            )
            save_epoch(run, progress, is_last=epoch == last_epoch)
    run.vote.settle()


def train_epoch(run: Run, progress: Progress, logger: TrainingLogger, stop: StopSignal) -> None:
    """Train on what is left of an epoch; log, show and save as often as the options say."""
    options, images = run.options, run.options.data.batchSize
    run.order.start(progress.epoch, progress.images_done)
    lap = time.monotonic(), progress.images_done
    for batch in batches_on(run.runtime.device, run.loader):
        fake, terms = train_step(run.model, run.optimizers, run.runtime, batch)
        progress = dataclasses.replace(progress, images_done=progress.images_done + images)
        step = progress.step
        logger.advance(images)
        if crossed(options.log.print_freq, step, images):
            values = mean(terms, run.runtime.world)
            now = time.monotonic(), progress.images_done
            logger.log_losses(
                epoch=progress.epoch,
                iter=progress.images_done,
                step=step,
                lr=run.optimizers.learning_rate,
                terms=values,
                seconds_per_image=(now[0] - lap[0]) / (now[1] - lap[1]),
            )
            lap = now
        if crossed(options.log.display_freq, step, images) and run.runtime.world.is_main:
            logger.log_pictures(progress.epoch, step, progress_pictures(run, batch, fake))
        signal_number = run.vote.cast(stop.received or 0)
        if crossed(options.log.save_latest_freq, step, images) or signal_number:
            run.state.save(progress)
        if signal_number:
            logger.say(f"stopped and saved after {step} images; --continue_train goes on")
            logger.close()
            shut_down(128 + signal_number)
            sys.exit(128 + signal_number)


def train_step(
    model: Pix2PixHDModel, optimizers: Optimizers, runtime: Runtime, batch: Batch
) -> tuple[Tensor, dict[str, Tensor]]:
    """One update of generator and discriminators.

    Returns:
        The synthesised images, [N, C, H, W] in [-1, 1], and the losses' terms: scalars on the
        device, so that whoever reads one waits for it.
    """
    with runtime.autocast():
        outputs = model(batch)
        terms_G = model.generator_losses(outputs)
        terms_D = model.discriminator_losses(outputs)
    loss_G = torch.stack(list(terms_G.values())).sum()
    loss_D = torch.stack(list(terms_D.values())).mean()
    optimizers.step(outputs, loss_G, loss_D)
    return outputs.fake.detach(), {
        name: term.detach() for name, term in (terms_G | terms_D).items()
    }


def train_outermost_alone(run: Run, alone: bool) -> None:
    """Train the outermost enhancer alone, or all; the processes then exchange those gradients."""
    is_change = run.model.train_outermost_alone(alone)
    if run.runtime.world.size > 1 and (is_change or not run.model.is_wrapped):
        run.model.wrap_networks(lambda network: wrap_ddp(network, run.runtime.device))


def save_epoch(run: Run, progress: Progress, is_last: bool) -> None:
    """Save at the end of an epoch, where it is the last or its number says so."""
    finished = progress.epoch - 1
    if finished % run.options.log.save_epoch_freq == 0:
        run.state.save(progress, epoch=str(finished))
    if finished % run.options.log.save_epoch_freq == 0 or is_last:
        run.state.save(progress)


def progress_pictures(run: Run, batch: Batch, fake: Tensor) -> Pictures:
    """The first sample of a training batch, and the held-out one as the generator is now."""
    label_nc = run.options.model.label_nc
    shown = pictures(batch, [fake], label_nc)
    if run.held_out is not None:
        held_out = to_device(run.held_out, run.runtime.device)
        with run.runtime.autocast():
            rendered = pictures(held_out, [render(run.model, held_out)], label_nc)
        shown |= {f"held_out_{name}": picture for name, picture in rendered.items()}
    return shown


def crossed(frequency: int, step: int, images: int) -> bool:
    """Whether the last `images` of `step` images brought a multiple of the frequency."""
    return step // frequency > (step - images) // frequency


def main() -> None:
    train(OPTIONS)
    shut_down()


if __name__ == "__main__":
    run_program(main)
