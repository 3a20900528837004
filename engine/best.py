"""The best evaluation of a run, whose weights are kept as `best_net_*.pth`."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path

from pix2pixhd.engine.checkpoint_choice import BEST
from pix2pixhd.engine.training import Run
from pix2pixhd.metrics import Figure
from pix2pixhd.options.fields import fits, types_of
from pix2pixhd.util.errors import UserError


@dataclass
class Best:
    """The best figure so far, and what it is of."""

    metric: str
    phase: str
    images: int
    value: float = math.nan  # until there is one
    epoch: int = 0

    def update(self, figure: Figure, epoch: int) -> bool:
        """Take a figure that is better than all before, which NaN and infinity never are.

        Returns:
            Whether it was.
        """
        sign = 1 if figure.better == "higher" else -1
        is_better = math.isnan(self.value) or sign * (figure.value - self.value) > 0
        if not math.isfinite(figure.value) or not is_better:
            return False
        self.value, self.epoch = float(figure.value), epoch
        return True

    @property
    def text(self) -> str:
        """What the file holds."""
        return json.dumps(asdict(self)) + "\n"


def open_best(run: Run) -> Best | None:
    """The best evaluation by --best_metric: a run that goes on has that of its earlier part.

    It begins anew, and a line says so, where the earlier one is of another metric or of other
    images.

    Raises:
        UserError: what the run says of it cannot be read.
    """
    metric, validation, file = run.options.log.best_metric, run.validation, run.state.folder / BEST
    if metric is None:
        return None
    best = Best(metric, validation.phase, validation.images)
    if not run.options.schedule.continue_train or not file.is_file():
        return best
    earlier = read_best(file)
    if (earlier.metric, earlier.phase, earlier.images) == (metric, best.phase, best.images):
        return earlier
    run.runtime.print_rank0(
        f"{file}: the best by {earlier.metric} on {earlier.images} images of {earlier.phase}; "
        f"the best by {metric} on {best.images} of {best.phase} is found anew and replaces it"
    )
    return best


def read_best(file: Path) -> Best:
    """What a run kept of its best evaluation.

    Raises:
        UserError: the file is damaged.
    """
    types = types_of(Best)
    try:
        values = json.loads(file.read_text())
        values = {name: values[name] for name in types}
        if wrong := [name for name, value in values.items() if not fits(value, types[name])]:
            raise ValueError(f"{wrong[0]} is {values[wrong[0]]!r}")
        return Best(**values)
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise UserError(
            f"{file}: not the best evaluation as training writes it ({error!r}); restore the file, "
            "or remove it to find the best anew"
        ) from None
