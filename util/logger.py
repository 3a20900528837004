"""Everything that a run in training says: to the terminal, to files, to its page."""

from __future__ import annotations

import functools
import math
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from tqdm import tqdm

from pages.loss_curves import draw_loss_curves
from pages.training_page import TrainingPage
from util.errors import UserError
from util.files import writing
from util.metrics import append_record, drop_records_after

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

CURVES_EVERY = 20.0  # seconds; less often where drawing is slow
CURVES_SHARE = 0.02  # of the time, at most, goes into drawing curves


class TrainingLogger:
    """The only one who writes a run's logs; make one, in the process of rank 0.

    On a terminal, an epoch is a bar that shows the losses; elsewhere the losses are plain lines.
    The folder is the run's own: that of an earlier run is set aside before (`util/run_folder.py`).

    Args:
        run_dir: checkpoints/<name>.
        name: of the experiment.
        write_html: keep the page in `run_dir/web`.
        display_width: of pictures in the page, in pixels.
        tensorboard: write scalars, pictures and options to `run_dir/logs`.
        options: shown in TensorBoard.

    Raises:
        UserError: the folder cannot be written, or TensorBoard is not installed. All methods that
            write raise it too, when the disk is full.
    """

    def __init__(
        self,
        *,
        run_dir: Path,
        name: str,
        write_html: bool = True,
        display_width: int = 512,
        tensorboard: bool = False,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self.run_dir = run_dir
        self._loss_log = run_dir / "loss_log.txt"
        self._metrics = run_dir / "metrics.jsonl"
        self._tensorboard_on = tensorboard
        self._options = dict(options or {})
        self._purge_step: int | None = None
        self._bar: tqdm | None = None
        self._epoch = (0, 0, 0.0)  # number, of how many, when it began
        self._said_not_finite = False
        self._next_curves = time.monotonic() + CURVES_EVERY  # a lone point is no curve
        if tensorboard:
            _check_tensorboard()
        with writing(self._loss_log):
            run_dir.mkdir(parents=True, exist_ok=True)
        header = f"================ Training Loss ({time.strftime('%c')}) ================"
        self._append_to_loss_log(header)
        self._page = TrainingPage(run_dir / "web", name, display_width) if write_html else None

    def resume_at(self, step: int) -> None:
        """Forget what was logged of images after `step`: a continued run sees them again."""
        drop_records_after(self._metrics, step)
        self._purge_step = step + 1

    def start_epoch(
        self, epoch: int, total_epochs: int, images_total: int, images_done: int = 0
    ) -> None:
        """Begin an epoch (from 1) of `images_total` images, of which some are done on resume."""
        self._epoch = (epoch, total_epochs, time.monotonic())
        if sys.stderr.isatty():
            self._bar = tqdm(
                desc=f"epoch {epoch}/{total_epochs}",
                total=images_total,
                initial=images_done,
                unit="img",
                dynamic_ncols=True,
            )

    def advance(self, images: int) -> None:
        """Count images as seen."""
        if self._bar is not None:
            self._bar.update(images)

    def end_epoch(self) -> None:
        """Close the epoch's bar and say how long it took."""
        self._close_bar()
        epoch, total_epochs, began = self._epoch
        self.say(f"End of epoch {epoch} / {total_epochs}, {time.monotonic() - began:.0f} s")

    def log_losses(
        self,
        *,
        epoch: int,
        iter: int,
        step: int,
        lr: float,
        terms: Mapping[str, float],
        seconds_per_image: float,
    ) -> None:
        """Log the losses to the terminal, both files and TensorBoard; redraw the curves if due.

        Args:
            epoch: from 1.
            iter: images seen in this epoch.
            step: images seen since the start.
            lr: learning rate.
            terms: losses by name, in the order to show them; NaN is logged as null.
            seconds_per_image: time of a training step over its images.
        """
        losses = " ".join(f"{name}: {value:.3f}" for name, value in terms.items())
        line = f"(epoch: {epoch}, iters: {iter}, time: {seconds_per_image:.3f}) {losses}"
        self._append_to_loss_log(f"{line} ")  # the reference ends its lines with a blank
        place = {"epoch": epoch, "iter": iter, "step": step, "time": seconds_per_image, "lr": lr}
        append_record(self._metrics, {**place, **terms})
        self._show_losses(line, losses)
        self._warn_not_finite(epoch, step, terms)
        if self._tensorboard is not None:
            for name, value in {**terms, "lr": lr}.items():
                self._tensorboard.add_scalar(name, value, step)
        self._draw_curves()

    def log_pictures(self, epoch: int, step: int, pictures: Mapping[str, np.ndarray]) -> None:
        """Put pictures, uint8 [H,W,3] by name, on the page and into TensorBoard."""
        if self._page is not None:
            self._page.add(epoch, step, pictures)
        if self._tensorboard is not None:
            for what, image in pictures.items():
                self._tensorboard.add_image(what, image, step, dataformats="HWC")

    def say(self, message: str) -> None:
        """Print a message, above the bar where there is one."""
        with tqdm.external_write_mode(file=sys.stdout):
            print(message, flush=True)

    def close(self) -> None:
        """Draw the curves and write the page for the last time; closing twice does no harm."""
        self._close_bar()
        if self._page is not None:
            self._draw_curves(force=True)
            self._page.finish()
        if self._tensorboard is not None:
            self._tensorboard.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @functools.cached_property
    def _tensorboard(self) -> SummaryWriter | None:
        # Made at the first use: only then is it known which step a resumed run goes on from.
        if not self._tensorboard_on:
            return None
        from torch.utils.tensorboard import SummaryWriter

        folder = self.run_dir / "logs"
        with writing(folder):
            writer = SummaryWriter(str(folder), purge_step=self._purge_step)
        rows = [f"| {name} | {value} |" for name, value in self._options.items()]
        writer.add_text("options", "\n".join(["| option | value |", "| --- | --- |", *rows]))
        return writer

    def _append_to_loss_log(self, line: str) -> None:
        with writing(self._loss_log), self._loss_log.open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")

    def _show_losses(self, line: str, losses: str) -> None:
        if self._bar is not None:
            self._bar.set_postfix_str(losses, refresh=False)
        # `train.py | tee log` has both: the bar on the terminal, the lines in the pipe.
        if self._bar is None or not sys.stdout.isatty():
            self.say(line)

    def _warn_not_finite(self, epoch: int, step: int, terms: Mapping[str, float]) -> None:
        bad = [name for name, value in terms.items() if not math.isfinite(value)]
        if bad and not self._said_not_finite:
            self._said_not_finite = True
            self.say(
                f"warning: {', '.join(bad)} not finite in epoch {epoch}, after {step} images; "
                "training has probably diverged: go back to an earlier checkpoint, with a lower "
                "learning rate or full precision"
            )

    def _draw_curves(self, force: bool = False) -> None:
        began = time.monotonic()
        if self._page is None or (began < self._next_curves and not force):
            return
        draw_loss_curves(self._metrics, self._page.curves)
        self._page.write()
        now = time.monotonic()
        self._next_curves = now + max(CURVES_EVERY, (now - began) / CURVES_SHARE)

    def _close_bar(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


class SilentLogger(TrainingLogger):
    """For the processes beside the one that writes: takes everything and keeps nothing."""

    def __init__(self) -> None:
        pass

    def resume_at(self, step: int) -> None:
        pass

    def start_epoch(
        self, epoch: int, total_epochs: int, images_total: int, images_done: int = 0
    ) -> None:
        pass

    def advance(self, images: int) -> None:
        pass

    def end_epoch(self) -> None:
        pass

    def log_losses(self, **values: Any) -> None:
        pass

    def log_pictures(self, epoch: int, step: int, pictures: Mapping[str, np.ndarray]) -> None:
        pass

    def say(self, message: str) -> None:
        pass

    def close(self) -> None:
        pass


def _check_tensorboard() -> None:
    try:
        import torch.utils.tensorboard  # noqa: F401
    except ImportError as error:
        raise UserError(f"--tf_log needs TensorBoard ({error}); pip install tensorboard") from error
