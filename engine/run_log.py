"""What a run tells: the sinks of its logs, its first and last words, losses and pictures."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from pix2pixhd.engine.distributed import mean
from pix2pixhd.engine.memory import peak_gpu_memory
from pix2pixhd.engine.progress import Progress
from pix2pixhd.engine.render import Pictures, Rendering
from pix2pixhd.engine.training import Run
from pix2pixhd.options.fields import flat
from pix2pixhd.options.flags import changed_flags
from pix2pixhd.options.train_options import defaults_beside
from pix2pixhd.pages.training_page import TrainingPage
from pix2pixhd.util.batch import Batch
from pix2pixhd.util.log_files import METRICS, LogFiles, rewind_logs
from pix2pixhd.util.logger import Console, Logger, Sink
from pix2pixhd.util.tensorboard import TensorBoard
from pix2pixhd.util.words import counted


def open_logger(run: Run, progress: Progress) -> Logger:
    """The run's logger, which has said what begins; on resume, what was logged after the progress
    is set aside.

    Raises:
        UserError: a file cannot be written.
    """
    if not run.runtime.world.is_main:
        return Logger()
    options, folder = run.options, run.state.folder
    is_resumed = options.schedule.continue_train
    told = what_begins(run)
    if is_resumed:
        told += [
            f"going on in epoch {progress.epoch}, after {counted(progress.step, 'image')}",
            *rewind_logs(
                folder, epoch=progress.epoch, images_done=progress.images_done, step=progress.step
            ),
        ]
    sinks: list[Sink] = [Console(), LogFiles(folder)]
    if options.run.tf_log:
        resumed_at = progress.step if is_resumed else None
        sinks.append(TensorBoard(folder / "logs", flat(options), resumed_at))
    if options.log.html:
        sinks.append(
            TrainingPage(
                page_of(run).parent,
                title=options.run.name,
                image_width=options.run.display_winsize,
                metrics_file=folder / METRICS,
                labels=run.labels,
                command=command_of(run),
            )
        )
    logger = Logger(sinks)
    for line in told:
        logger.say(line)
    return logger


def what_begins(run: Run) -> list[str]:
    """Lines on how much there is to train, and where to look at it."""
    options, size = run.options, run.order.epoch_size
    epochs = counted(options.schedule.niter + options.schedule.niter_decay, "epoch")
    steps = counted(size // options.data.batchSize, "step")
    lines = [f"training on {counted(size, 'image')}: {steps} an epoch, {epochs}"]
    return [*lines, f"page of the run: {page_of(run)}"] if options.log.html else lines


def where_results_are(run: Run) -> str:
    """A line on the weights, and on the page if there is one."""
    weights = f"weights: {run.state.folder.absolute() / 'latest_net_G.pth'}"
    return f"{weights}; page: {page_of(run)}" if run.options.log.html else weights


def what_is_next(run: Run, is_finished: bool) -> str:
    """A line with the command to type."""
    flags = run.options.run.flags
    if not is_finished:
        return f"next: python train.py {flags} --continue_train"
    # Features of an encoder are first to be clustered.
    encodes = run.model.use_features and run.model.netE
    program = "encode_features" if encodes else "test"
    return f"next: python {program}.py {flags}"


def page_of(run: Run) -> Path:
    return run.state.folder.absolute() / "web/index.html"


def command_of(run: Run) -> str:
    """What starts such a run anew: the flags that are not as by default."""
    values, defaults = flat(run.options), flat(defaults_beside(run.options))
    of_one_call = {"continue_train", "local_rank", "verbose"}
    if values["continue_train"]:
        of_one_call.add("which_epoch")
    defaults |= {name: values[name] for name in of_one_call} | {"output_bits": run.image_bits}
    return f"python train.py {changed_flags(values, defaults, always=('name', 'dataroot'))}"


class StepLog:
    """The steps of an epoch, as they come, to the run's logger. All processes have one, and tell it
    the same: losses are means over them."""

    def __init__(self, run: Run, logger: Logger, progress: Progress) -> None:
        """`progress`: where in the epoch the steps begin."""
        self._run, self._logger = run, logger
        self._logged_at = self._shown_at = progress.step
        self._lap = time.monotonic(), progress.step

    def log(
        self,
        progress: Progress,
        batch: Batch,
        fake: Tensor,
        terms: Mapping[str, Tensor],
        *,
        is_last: bool = False,
    ) -> None:
        """Log the losses and the pictures of a step, each where it is time to.

        Args:
            progress: after the step.
            batch, fake, terms: the images it saw, those it made of them, and its losses.
            is_last: no step follows, so that it is time for what was not logged of this one.
        """
        options, step = self._run.options.log, progress.step
        if _is_due(options.print_freq, self._logged_at, step, is_last):
            self._logged_at = step
            values = mean(terms, self._run.runtime.world)
            self._log_losses(progress, values)
            for warning in (self._run.optimizers.warning(), self._run.watch.losses(values)):
                if warning:
                    self._logger.say(warning)
        if _is_due(options.display_freq, self._shown_at, step, is_last):
            self._shown_at = step
            if self._run.runtime.world.is_main:
                pictures = progress_pictures(self._run, batch, fake)
                self._logger.log_pictures(progress.epoch, step, pictures)
                if warning := self._run.watch.pictures(pictures):
                    self._logger.say(warning)

    def _log_losses(self, progress: Progress, values: Mapping[str, float]) -> None:
        now = time.monotonic(), progress.step
        self._logger.log_losses(
            epoch=progress.epoch,
            iter=progress.images_done,
            step=progress.step,
            lr=self._run.optimizers.learning_rate,
            terms=values,
            seconds_per_image=(now[0] - self._lap[0]) / (now[1] - self._lap[1]),
            gpu_memory_gib=peak_gpu_memory(self._run.runtime.device),
        )
        self._lap = now


def progress_pictures(run: Run, batch: Batch, fake: Tensor) -> Pictures:
    """The first sample of a training batch, and the held-out one as the generator is now."""
    shown = Rendering(batch, fake).pictures(run.labels)
    return shown | run.validation.pictures(run.model, run.runtime, run.labels)


def _is_due(frequency: int, last: int, step: int, is_last: bool) -> bool:
    """Whether a multiple of the frequency lies behind `last`, the step that was logged last."""
    return step // frequency > last // frequency or (is_last and step > last)
