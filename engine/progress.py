"""Where a training run is, and the reference's file that says so beside the weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pix2pixhd.util.checkpoint import save_text
from pix2pixhd.util.errors import UserError

PROGRESS = "iter.txt"


@dataclass(frozen=True)
class Progress:
    """Where a run is: epochs count from 1. Raises ValueError where there is no such place."""

    epoch: int = 1
    images_done: int = 0  # in this epoch
    before: int | None = None  # in all epochs before; None where nobody counted

    def __post_init__(self) -> None:
        if self.epoch < 1 or self.images_done < 0:
            raise ValueError(f"epoch {self.epoch}, {self.images_done} images")

    @property
    def step(self) -> int:
        """Images since the start of the training."""
        assert self.before is not None
        return self.before + self.images_done


def read_progress(folder: Path) -> Progress:
    """Of the latest weights in a run's folder; the start of the training where there is no file.

    Raises:
        UserError: the file cannot be read, or holds something else.
    """
    file = folder / PROGRESS
    try:
        epoch, images_done = (int(word) for word in file.read_text().split())
        return Progress(epoch, images_done)
    except FileNotFoundError:
        return Progress()
    except (OSError, ValueError) as error:
        raise UserError(f"{file}: expected two numbers, epoch and images ({error})") from error


def write_progress(progress: Progress, folder: Path) -> None:
    """Raises UserError where the file cannot be written."""
    save_text(f"{progress.epoch}\n{progress.images_done}\n", folder / PROGRESS)


def epoch_after(epoch: str) -> Progress:
    """Where to go on from an epoch's weights.

    Raises:
        UserError: it is no number.
    """
    if not (epoch.isascii() and epoch.isdigit()):
        raise UserError(f"--which_epoch {epoch}: --continue_train needs latest or a number")
    return Progress(int(epoch) + 1)
