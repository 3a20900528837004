"""The logs of a run: `loss_log.txt` as the reference writes it, `metrics.jsonl` in full precision.

`metrics.jsonl` has one JSON object a line: one for each printed iteration, which has `iter`, and
one for each time that other scalars, such as those of a validation, are logged.
"""

from __future__ import annotations

import json
import math
import os
import re
import time
from collections.abc import Callable
from pathlib import Path

from pix2pixhd.util.files import replacing, writing
from pix2pixhd.util.logger import Scalars, Sink, in_a_line

LOSS_LOG = "loss_log.txt"
METRICS = "metrics.jsonl"
LARGEST = 1e100  # in size; a chart's axes overflow beyond, and no float32 gets there

Record = dict[str, float]


class LogFiles(Sink):
    """Appends to both logs in the run's folder, which is made if it is not there."""

    def __init__(self, folder: Path) -> None:
        self._loss_log, self._metrics = folder / LOSS_LOG, folder / METRICS
        with writing(self._loss_log):
            folder.mkdir(parents=True, exist_ok=True)
        title = f"Training Loss ({time.strftime('%c')})"
        append_line(self._loss_log, f"================ {title} ================")

    def log_values(self, place: Scalars, values: Scalars) -> None:
        if "iter" in place:  # the reference ends its lines with a blank
            append_line(self._loss_log, f"{in_a_line(place, values)} ")
        append_record(self._metrics, {**place, **values})


def append_line(path: Path, line: str) -> None:
    """Append a line; raises UserError where the file cannot be written."""
    with writing(path), path.open("a", encoding="utf-8") as file:
        file.write(f"{line}\n")


def append_record(path: Path, record: Scalars) -> None:
    """Append a line of JSON, which knows no NaN and infinity: they become null."""
    finite = {name: value if math.isfinite(value) else None for name, value in record.items()}
    append_line(path, json.dumps(finite, allow_nan=False))


def parse_record(line: bytes) -> Record | None:
    """Return a line's values, NaN where one is null or no number; None if it is no record.

    A record is a JSON object whose `step` is a number; a line cut short by a crash is none.
    """
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):  # no JSON, no text, or brackets without end
        return None
    if not isinstance(record, dict) or math.isnan(_number(record.get("step"))):
        return None
    return {name: _number(value) for name, value in record.items()}


def read_records(path: Path, most: int = 2**20) -> list[Record]:
    """Return the records of a file in order of their steps; lines that are none are skipped.

    Of a file of more than `most` bytes, a megabyte being 5000 losses and plenty for a picture, the
    losses are thinned evenly. What is rarer, such as validations, is taken whole.
    """
    every, losses, records = path.stat().st_size // most + 1, 0, []
    with path.open("rb") as file:
        for line in file:
            is_loss = b'"iter"' in line
            losses += is_loss
            if not (is_loss and losses % every) and (record := parse_record(line)):
                records.append(record)
    return sorted(records, key=lambda record: record["step"])


def rewind_logs(folder: Path, *, epoch: int, images_done: int, step: int) -> list[str]:
    """Take out of both logs what is after the place that a run goes on from, and set it aside.

    A run that was killed has logged more than it saved, and logs that again; one that goes back to
    an earlier epoch may take another course. What is taken out is appended to `<log>.aside`, as is
    what cannot be read.

    Args:
        folder: of the run.
        epoch, images_done: the run goes on in this epoch, after so many of its images.
        step: images seen in all epochs until then.

    Returns:
        Lines that tell what was set aside.

    Raises:
        UserError: a file cannot be read or written.
    """

    def is_earlier_record(line: bytes) -> bool:
        return (record := parse_record(line)) is not None and record["step"] <= step

    def is_earlier_loss(line: bytes) -> bool:
        place = re.match(rb"\(epoch: (\d{1,18}), iters: (\d{1,18}),", line)
        # What tells no losses, such as a header, stays where it is.
        return not place or (int(place[1]), int(place[2])) <= (epoch, images_done)

    return [
        *_set_aside(folder / METRICS, is_earlier_record),
        *_set_aside(folder / LOSS_LOG, is_earlier_loss),
    ]


def _set_aside(path: Path, is_kept: Callable[[bytes], bool]) -> list[str]:
    with writing(path):
        if not path.exists():
            return []
        # What follows the last newline was cut short; what is logged next would continue it.
        *lines, cut_short = path.read_bytes().split(b"\n")
    kept: list[bytes] = []
    others: list[bytes] = []
    for line in lines:
        (kept if is_kept(line) else others).append(line + b"\n")
    if cut_short:
        others.append(cut_short + b"\n")
    if not others:
        return []
    aside = path.with_name(f"{path.name}.aside")
    with writing(aside), aside.open("ab") as log:
        log.writelines(others)
        log.flush()
        os.fsync(log.fileno())  # before they go from the log
    with replacing(path, durable=True) as file:
        file.writelines(kept)
    told = f"what came after that, or cannot be read, is now in {aside}"
    return [f"{path}: {told} (lines: {len(others)})"]


def _number(value: object) -> float:
    if isinstance(value, int | float) and abs(value) <= LARGEST:
        return float(value)
    return math.nan
