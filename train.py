"""Train a generator: parse, build, then one step at a time. `python train.py --help` tells how."""

from __future__ import annotations

from pix2pixhd.engine.launch import launch
from pix2pixhd.engine.program import parse_command_line
from pix2pixhd.engine.world import read_world
from pix2pixhd.options.parsing import parse_train

if __name__ == "__main__":
    OPTIONS = parse_command_line(
        lambda argv: parse_train(
            argv, launched=read_world().size > 1, is_restarted=read_world().is_restarted
        )
    )

import dataclasses
import sys
from collections.abc import Mapping
from typing import NoReturn

from pix2pixhd.engine.averages import update_averages
from pix2pixhd.engine.best import Best, open_best
from pix2pixhd.engine.checkpoint_choice import BEST
from pix2pixhd.engine.distributed import broadcast, shut_down, wrap_ddp
from pix2pixhd.engine.optimizers import Optimizers, learning_rate
from pix2pixhd.engine.progress import Progress
from pix2pixhd.engine.render import batches_on
from pix2pixhd.engine.run_log import StepLog, open_logger, what_is_next, where_results_are
from pix2pixhd.engine.sizes import search_kernels
from pix2pixhd.engine.step import train_step
from pix2pixhd.engine.stop_signal import StopSignal
from pix2pixhd.engine.training import (
    Run,
    build,
    opened_folder,
    save_options,
    saved_on_error,
)
from pix2pixhd.options.train_options import ScheduleOptions, TrainOptions
from pix2pixhd.util.logger import Logger
from pix2pixhd.util.words import counted


def train(options: TrainOptions) -> None:
    """Train until the last epoch, or until Ctrl-C, SIGTERM or an error; each of them saves the full
    state.

    Raises:
        UserError: the data, the weights or the run's folder are not as they should be.
    """
    run = build(options)
    schedule = options.schedule
    last_epoch = schedule.niter + schedule.niter_decay
    with opened_folder(run) as progress:
        if progress.epoch > last_epoch:
            done = f"{options.run.name} has finished its {counted(last_epoch, 'epoch')}"
            run.runtime.print_rank0(f"{done}; raise --niter to go on")
            return
        best = open_best(run)
        save_options(run)
        with (
            StopSignal(tells=run.runtime.world.is_main) as stop,
            open_logger(run, progress) as logger,
            saved_on_error(run.state),
        ):
            for epoch in range(progress.epoch, last_epoch + 1):
                set_learning_rates(run.optimizers, schedule, epoch)
                train_outermost_alone(run, epoch <= options.run.niter_fix_global)
                logger.start_epoch(epoch, last_epoch, run.order.epoch_size, progress.images_done)
                progress = train_epoch(run, progress, logger, stop, is_last=epoch == last_epoch)
                logger.end_epoch()
                # Before the state is saved: a run that is killed in between evaluates once more.
                texts = evaluate(run, epoch, progress.step, logger, best)
                save_epoch(run, progress, texts, is_last=epoch == last_epoch)
            run.state.wait()
            logger.end_run(is_finished=True)
            logger.say(f"finished: {counted(last_epoch, 'epoch')}; {where_results_are(run)}")
            logger.say(what_is_next(run, is_finished=True))
    run.vote.settle()


def set_learning_rates(optimizers: Optimizers, schedule: ScheduleOptions, epoch: int) -> None:
    """Those of an epoch: both fall by one schedule."""
    lr_D = schedule.lr if schedule.lr_D is None else schedule.lr_D
    optimizers.set_learning_rate(
        *(
            learning_rate(epoch, lr, schedule.niter, schedule.niter_decay)
            for lr in (schedule.lr, lr_D)
        )
    )


def train_epoch(
    run: Run, progress: Progress, logger: Logger, stop: StopSignal, is_last: bool
) -> Progress:
    """Train on what is left of an epoch; log, show and save as often as the options say, and in any
    case after the last step of all.

    Returns:
        Where the next epoch begins.
    """
    options, images = run.options, run.options.data.batchSize
    run.order.start(progress.epoch, progress.images_done)
    log = StepLog(run, logger, progress)
    for batch in batches_on(run.runtime.device, run.loader):
        search_kernels(run.sizes, batch)
        fake, terms = train_step(
            run.model, run.optimizers, run.runtime, batch, run.recipe, run.compiled
        )
        progress = dataclasses.replace(progress, images_done=progress.images_done + images)
        update_averages(run.model, options.schedule.ema_half_life, progress.step, images)
        run.state.reached = progress
        logger.advance(images)
        log.log(progress, batch, fake, terms)
        signal_number = run.vote.cast(stop.received or 0)
        if crossed(options.log.save_latest_freq, progress.step, images) or signal_number:
            run.state.save(progress)
        if signal_number or (is_last and progress.images_done == run.order.epoch_size):
            log.log(progress, batch, fake, terms, is_last=True)
        if signal_number:
            end_early(run, progress, logger, 128 + signal_number)
    return Progress(progress.epoch + 1, before=progress.step)


def end_early(run: Run, progress: Progress, logger: Logger, code: int) -> NoReturn:
    """End the program with this exit code as soon as what is being saved is on the disk."""
    run.state.wait()
    logger.end_run(is_finished=False)
    images = counted(progress.step, "image")
    logger.say(f"stopped and saved after {images}; --continue_train goes on")
    logger.say(where_results_are(run))
    logger.say(what_is_next(run, is_finished=False))
    logger.close()
    shut_down(code)
    sys.exit(code)


def train_outermost_alone(run: Run, alone: bool) -> None:
    """Train the outermost enhancer alone, or all; the processes then exchange those gradients."""
    is_change = run.model.train_outermost_alone(alone)
    by_ddp = run.runtime.world.size > 1 and run.compiled is None
    if by_ddp and (is_change or not run.model.is_wrapped):
        run.model.wrap_networks(lambda network: wrap_ddp(network, run.runtime.device))


def evaluate(
    run: Run, epoch: int, step: int, logger: Logger, best: Best | None = None
) -> dict[str, str]:
    """Take the metrics of the held-out images, where it is time to.

    Returns:
        The text of best.json by its name, in all processes, where no epoch before was as good.
    """
    if not run.options.log.eval_freq or epoch % run.options.log.eval_freq:
        return {}
    if run.state.reached:  # while images are evaluated, no signal is heeded
        run.state.save(run.state.reached)
    figures = run.validation.evaluate(run.model, run.runtime)
    values = {f"val_{name}": figure.value for name, figure in figures.items()}
    logger.log_scalars(step, values, epoch=epoch)
    if best is None:
        return {}
    is_best = bool(figures) and best.update(figures[best.metric], epoch)
    if is_best:
        logger.say(f"best {best.metric} so far, {best.value:.5g}: kept as best_net_*.pth")
    found: dict[str, str] = broadcast({BEST: best.text} if is_best else {}, run.runtime.world)
    return found


def save_epoch(run: Run, progress: Progress, best: Mapping[str, str], is_last: bool) -> None:
    """Save at the end of an epoch, where it is the last or its number says so, or the best."""
    finished = progress.epoch - 1
    epochs = ["best"] if best else []
    if finished % run.options.log.save_epoch_freq == 0:
        epochs += [str(finished), "latest"]
    elif is_last:
        epochs.append("latest")
    if epochs:
        run.state.save(progress, epochs, best)


def crossed(frequency: int, step: int, images: int) -> bool:
    """Whether the last `images` of `step` images brought a multiple of the frequency."""
    return step // frequency > (step - images) // frequency


if __name__ == "__main__":
    launch(train, OPTIONS, OPTIONS.run.gpu_ids)
