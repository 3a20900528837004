"""loss_log.txt and metrics.jsonl: written, read, and rewound where a run goes on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from pix2pixhd.util.errors import UserError
from pix2pixhd.util.log_files import (
    LogFiles,
    append_record,
    parse_record,
    read_records,
    rewind_logs,
)
from pix2pixhd.util.logger import Logger

NO_RECORDS = (
    b"",
    b"[1, 2]",
    b"7",
    b"{}",
    b'{"step": "8", "G_GAN": 1.0}',
    b'{"step": null}',
    b'{"step": [8]}',
    b'{"step": NaN}',
    b'{"step": 1' + b"0" * 5000 + b"}",
    b'{"step": 8, "G_',
    b'{"step": 8, "G_GAN": 1.0} {"step": 9}',
    b"\xff\xfe\x00{",
    b"[" * 100_000,
)


def log(path: Path, *steps: int, **terms: float) -> None:
    for step in steps:
        append_record(path, {"epoch": 1, "iter": step, "step": step, "lr": 2e-4, **terms})


def run_epochs(folder: Path, *epochs: int) -> None:
    """Log a run of four images an epoch, each epoch with its validation."""
    with Logger([LogFiles(folder)]) as logger:
        for epoch in epochs:
            for iter in range(1, 5):
                logger.log_losses(
                    epoch=epoch,
                    iter=iter,
                    step=4 * (epoch - 1) + iter,
                    lr=2e-4,
                    terms={"G_GAN": epoch + iter / 10},
                    seconds_per_image=0.1,
                )
            logger.log_scalars(4 * epoch, {"FID": 100 / epoch}, epoch=epoch)


def logged(folder: Path, suffix: str = "") -> tuple[list[int], list[str]]:
    """The steps in metrics.jsonl, and the places in loss_log.txt."""
    metrics = (folder / f"metrics.jsonl{suffix}").read_text().splitlines()
    losses = (folder / f"loss_log.txt{suffix}").read_text().splitlines()
    places = [line[1 : line.index(", time")] for line in losses if line.startswith("(")]
    return [json.loads(line)["step"] for line in metrics], places


def places(*epochs: int, until: int = 4) -> list[str]:
    return [f"epoch: {epoch}, iters: {iter}" for epoch in epochs for iter in range(1, until + 1)]


def test_records_keep_full_precision_and_nan_is_null(tmp_path):
    path = tmp_path / "metrics.jsonl"
    append_record(path, {"step": 8, "G_GAN": 1 / 3, "G_VGG": float("nan"), "D": float("inf")})
    assert json.loads(path.read_text()) == {"step": 8, "G_GAN": 1 / 3, "G_VGG": None, "D": None}


@pytest.mark.parametrize("line", NO_RECORDS, ids=lambda line: repr(line[:20]))
def test_what_is_no_record(line):
    assert parse_record(line) is None


def test_values_that_are_no_numbers_are_nan():
    line = b'{"step": 8, "a": "1", "b": [2], "c": null, "d": 1' + b"0" * 400 + b', "e": 0.5}'
    record = parse_record(line)
    np.testing.assert_equal(record, {"step": 8.0} | dict.fromkeys("abcd", np.nan) | {"e": 0.5})


def test_a_run_that_goes_on_logs_nothing_twice(tmp_path):
    """It was killed two images ahead of its save, in the middle of a line."""
    assert rewind_logs(tmp_path, epoch=1, images_done=0, step=0) == []  # nothing logged yet
    run_epochs(tmp_path, 1, 2)
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"epoch": 3, "iter": 1, "st')
    with (tmp_path / "loss_log.txt").open("a") as file:
        file.write("(epoch: 2, iters: 1, time: 0.1")  # cut short, it reads as earlier than it is
    told = rewind_logs(tmp_path, epoch=2, images_done=2, step=6)
    assert logged(tmp_path) == ([1, 2, 3, 4, 4, 5, 6], places(1) + places(2, until=2))
    assert [line.split(": ")[0] for line in told] == [
        str(tmp_path / "metrics.jsonl"),
        str(tmp_path / "loss_log.txt"),
    ]
    assert "lines: 4" in told[0] and "lines: 3" in told[1]
    before = (tmp_path / "loss_log.txt").stat().st_mtime_ns
    assert rewind_logs(tmp_path, epoch=2, images_done=2, step=6) == []
    assert (tmp_path / "loss_log.txt").stat().st_mtime_ns == before


def test_going_back_to_an_earlier_epoch_keeps_the_later_ones_aside(tmp_path):
    run_epochs(tmp_path, 1, 2, 3)
    rewind_logs(tmp_path, epoch=2, images_done=0, step=4)
    assert logged(tmp_path) == ([1, 2, 3, 4, 4], places(1))
    first = [5, 6, 7, 8, 8, 9, 10, 11, 12, 12], places(2, 3)
    assert logged(tmp_path, ".aside") == first
    run_epochs(tmp_path, 2)
    rewind_logs(tmp_path, epoch=2, images_done=0, step=4)  # once more: nothing is overwritten
    steps, lines = logged(tmp_path, ".aside")
    assert steps == [*first[0], 5, 6, 7, 8, 8] and lines == first[1] + places(2)
    assert (tmp_path / "loss_log.txt").read_text().count("Training Loss") == 2  # headers stay


def test_lines_that_are_no_records_are_kept_aside(tmp_path):
    path = tmp_path / "metrics.jsonl"
    log(path, 1)
    with path.open("ab") as file:
        file.writelines(line + b"\n" for line in NO_RECORDS)
    log(path, 2, 3)
    assert [record["step"] for record in read_records(path)] == [1, 2, 3]
    rewind_logs(tmp_path, epoch=1, images_done=2, step=2)
    assert [record["step"] for record in read_records(path)] == [1, 2]
    aside = (tmp_path / "metrics.jsonl.aside").read_bytes()
    assert all(line in aside for line in NO_RECORDS) and b'"step": 3' in aside


def test_what_others_wrote_into_the_loss_log_stays(tmp_path):
    path = tmp_path / "loss_log.txt"
    path.write_bytes(b"=== Training Loss ===\n\xff mine\n(epoch: 9, iters: 1, time: 0.1) G: 1.0 \n")
    rewind_logs(tmp_path, epoch=2, images_done=0, step=100)
    assert path.read_bytes() == b"=== Training Loss ===\n\xff mine\n"


def test_a_log_that_cannot_be_read_is_a_users_error(tmp_path):
    (tmp_path / "metrics.jsonl").mkdir()
    with pytest.raises(UserError, match=r"metrics\.jsonl"):
        rewind_logs(tmp_path, epoch=1, images_done=0, step=0)


def test_a_long_log_is_thinned_evenly_but_not_what_is_rare_in_it(tmp_path):
    path = tmp_path / "metrics.jsonl"
    for step in range(1000):
        log(path, step, G_GAN=0.5)
        if step % 100 == 0:
            append_record(path, {"step": step, "FID": 30.0})
    records = read_records(path, most=path.stat().st_size // 9)
    assert [r["step"] for r in records if "FID" in r] == list(range(0, 1000, 100))
    losses = [r["step"] for r in records if "G_GAN" in r]
    assert len(losses) == 100 and set(np.diff(losses)) == {10}
