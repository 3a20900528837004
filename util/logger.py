"""What a run in training says, and the sinks that it goes to.

Here is the terminal; others are files (log_files.py), TensorBoard (tensorboard.py) and the run's
page (pages/training_page.py).
"""

from __future__ import annotations

import errno
import math
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager

import numpy as np
from tqdm import tqdm

from pix2pixhd.util.words import counted

# What is said of scalars beside their values. Only those of a training step have `iter`.
PLACE = ("epoch", "iter", "step", "time", "lr", "gpu_memory_gib")

Scalars = Mapping[str, float]
Images = Mapping[str, np.ndarray]  # uint8 [H,W,3] by name


class Sink:
    """A place where logs go; it overrides what it has a use for.

    What it does not, it hands on to its own sinks, in their order: a file has none, a Logger has
    nothing else. What cannot be written, as on a full disk, is a UserError.
    """

    sinks: Sequence[Sink] = ()

    def start_epoch(
        self, epoch: int, total_epochs: int, images_total: int, images_done: int = 0
    ) -> None:
        """Begin an epoch (from 1) of `images_total` images, of which some are done on resume."""
        for sink in self.sinks:
            sink.start_epoch(epoch, total_epochs, images_total, images_done)

    def advance(self, images: int) -> None:
        """Count images as seen."""
        for sink in self.sinks:
            sink.advance(images)

    def end_epoch(self) -> None:
        """Close the epoch and say how long it took."""
        for sink in self.sinks:
            sink.end_epoch()

    def log_values(self, place: Scalars, values: Scalars) -> None:
        """Log values by name; `place` has those of PLACE that are known, `step` always."""
        for sink in self.sinks:
            sink.log_values(place, values)

    def log_pictures(self, epoch: int, step: int, pictures: Images) -> None:
        """Show pictures in place of the epoch's earlier ones."""
        for sink in self.sinks:
            sink.log_pictures(epoch, step, pictures)

    def say(self, message: str) -> None:
        """Print a message."""
        for sink in self.sinks:
            sink.say(message)

    def end_run(self, is_finished: bool) -> None:
        """The run has trained its last epoch, or else was asked to stop; and all is saved.

        A run that is closed without being told so ended over an error.
        """
        for sink in self.sinks:
            sink.end_run(is_finished)

    def close(self) -> None:
        """Write what is pending; closing twice does no harm."""
        for sink in self.sinks:
            sink.close()


class Logger(Sink, AbstractContextManager["Logger"]):
    """What a run logs to: a context manager that closes its sinks.

    Of several processes the first one has the sinks: the others have a logger without any.
    """

    def __init__(self, sinks: Sequence[Sink] = ()) -> None:
        self.sinks = sinks

    def __exit__(self, *error: object) -> None:
        self.close()

    def log_losses(
        self,
        *,
        epoch: int,
        iter: int,
        step: int,
        lr: float,
        terms: Scalars,
        seconds_per_image: float,
        gpu_memory_gib: float | None = None,
    ) -> None:
        """Log the losses of a training step.

        Args:
            epoch: from 1.
            iter, step: images seen in this epoch, and since the start.
            lr: learning rate.
            terms: losses by name, in the order to show them; they may be NaN.
            seconds_per_image: time of a training step over its images.
            gpu_memory_gib: the most that was taken of the GPU's memory until now.
        """
        known = (epoch, iter, step, seconds_per_image, lr, gpu_memory_gib)
        place = {name: v for name, v in zip(PLACE, known, strict=True) if v is not None}
        self.log_values(place, terms)

    def log_scalars(self, step: int, values: Scalars, *, epoch: int | None = None) -> None:
        """Log any other scalars by name, such as those of a validation, after `step` images."""
        assert not values.keys() & set(PLACE), f"{list(values)}: one of {PLACE}"
        place = {"step": step} if epoch is None else {"epoch": epoch, "step": step}
        plain = {name: float(value) for name, value in values.items()}  # of NumPy or PyTorch too
        self.log_values(place, plain)


def in_a_line(place: Scalars, values: Scalars) -> str:
    """Write scalars as the terminal shows them; losses in the reference's format."""
    if "iter" in place:
        at = "epoch: {epoch}, iters: {iter}, time: {time:.3f}".format(**place)
        return f"({at}) {' '.join(f'{name}: {value:.3f}' for name, value in values.items())}"
    at = ", ".join(f"{name}: {value}" for name, value in place.items())
    return f"({at}) {' '.join(f'{name}: {value:.5g}' for name, value in values.items())}"


class Console(Sink):
    """On a terminal an epoch is a bar that shows the losses; elsewhere losses are plain lines."""

    def __init__(self) -> None:
        self._bar: tqdm = tqdm(disable=True)  # disabled, it takes everything and shows nothing
        self._epoch, self._began = "", 0.0  # its number and of how many; when it began
        self._said_not_finite = False

    def start_epoch(
        self, epoch: int, total_epochs: int, images_total: int, images_done: int = 0
    ) -> None:
        self._epoch, self._began = f"{epoch} / {total_epochs}", time.monotonic()
        self._bar = tqdm(
            desc=f"epoch {epoch}/{total_epochs}",
            total=images_total,
            initial=images_done,
            unit="img",
            dynamic_ncols=True,
            disable=not sys.stderr.isatty(),
        )

    def advance(self, images: int) -> None:
        self._bar.update(images)

    def end_epoch(self) -> None:
        self.close()
        self.say(f"End of epoch {self._epoch}, {time.monotonic() - self._began:.0f} s")

    def log_values(self, place: Scalars, values: Scalars) -> None:
        is_of_step = "iter" in place
        if is_of_step:
            self._bar.set_postfix(values, refresh=False)
        # `train.py | tee log` has both: the bar on the terminal, the lines in the pipe.
        if self._bar.disable or not is_of_step or not (sys.stdout and sys.stdout.isatty()):
            self.say(in_a_line(place, values))
        bad = [name for name, value in values.items() if not math.isfinite(value)]
        if bad and is_of_step and not self._said_not_finite:
            self._said_not_finite = True
            images = counted(int(place["step"]), "image")
            self.say(
                f"warning: {', '.join(bad)} not finite in epoch {place['epoch']}, after {images}; "
                "training has probably diverged: go back to an earlier checkpoint, with a lower "
                "learning rate or full precision"
            )

    def say(self, message: str) -> None:
        try:
            with tqdm.external_write_mode(file=sys.stdout):  # above the bar
                print(message, flush=True)
        except BrokenPipeError:
            pass  # nobody reads: that has also come as SIGPIPE, over which the run stops and saves
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            # A closed terminal, of which a process that a launcher started is told only later.
            signal.raise_signal(signal.SIGHUP)

    def close(self) -> None:
        self._bar.close()  # which disables it
