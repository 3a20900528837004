"""The logger and its sinks."""

from __future__ import annotations

import inspect
import json
import re
import sys
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
import torch

from pix2pixhd.util.errors import UserError
from pix2pixhd.util.log_files import LogFiles
from pix2pixhd.util.logger import Console, Logger, Sink
from pix2pixhd.util.tensorboard import TensorBoard, require_tensorboard

TERMS = {"G_GAN": 1 / 3, "G_VGG": 2.5, "D_real": 0.0}


def log(logger: Logger, step: int, **terms: float) -> None:
    logger.log_losses(
        epoch=1, iter=step, step=step, lr=2e-4, terms=terms or TERMS, seconds_per_image=0.1
    )


def records(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_losses_go_to_both_logs_and_the_terminal(tmp_path, capsys):
    with Logger([Console(), LogFiles(tmp_path / "run")]) as logger:
        log(logger, 8)
    header, line = (tmp_path / "run" / "loss_log.txt").read_text().splitlines()
    assert re.fullmatch(r"================ Training Loss \(.+\) ================", header)
    assert line == "(epoch: 1, iters: 8, time: 0.100) G_GAN: 0.333 G_VGG: 2.500 D_real: 0.000 "
    assert records(tmp_path / "run") == [
        {"epoch": 1, "iter": 8, "step": 8, "time": 0.1, "lr": 2e-4, **TERMS}
    ]
    assert capsys.readouterr().out == line.rstrip() + "\n"


def test_gpu_memory_goes_beside_the_losses_and_not_into_the_references_log(tmp_path, capsys):
    with Logger([Console(), LogFiles(tmp_path)]) as logger:
        losses = {"terms": TERMS, "seconds_per_image": 0.1, "gpu_memory_gib": 5.25}
        logger.log_losses(epoch=1, iter=8, step=8, lr=2e-4, **losses)
    place = {"epoch": 1, "iter": 8, "step": 8, "time": 0.1, "lr": 2e-4, "gpu_memory_gib": 5.25}
    assert records(tmp_path) == [{**place, **TERMS}]
    assert "gpu" not in capsys.readouterr().out + (tmp_path / "loss_log.txt").read_text()


def test_any_scalar_at_any_step(tmp_path, capsys):
    with Logger([Console(), LogFiles(tmp_path)]) as logger:
        logger.log_scalars(1200, {"FID": np.float32(31.25), "mIoU": torch.tensor(0.5)}, epoch=3)
        logger.log_scalars(1201, {"FID": float("nan")})
    assert records(tmp_path) == [
        {"epoch": 3, "step": 1200, "FID": 31.25, "mIoU": 0.5},
        {"step": 1201, "FID": None},
    ]
    assert capsys.readouterr().out.splitlines() == [
        "(epoch: 3, step: 1200) FID: 31.25 mIoU: 0.5",
        "(step: 1201) FID: nan",
    ]
    assert len((tmp_path / "loss_log.txt").read_text().splitlines()) == 1  # the reference's losses
    with pytest.raises(AssertionError, match="step"):
        logger.log_scalars(1, {"step": 2.0})


def test_not_finite_losses_are_valid_json_and_said_once(tmp_path, capsys):
    with Logger([Console(), LogFiles(tmp_path)]) as logger:
        log(logger, 1, G_GAN=float("nan"), G_VGG=float("inf"), D_real=1.0)
        log(logger, 2, G_GAN=float("nan"))
    first = records(tmp_path)[0]
    assert first["G_GAN"] is None and first["G_VGG"] is None and first["D_real"] == 1.0
    warnings = [line for line in capsys.readouterr().out.splitlines() if "warning" in line]
    assert len(warnings) == 1 and "G_GAN, G_VGG not finite in epoch 1" in warnings[0]


def test_a_closed_standard_output_is_no_terminal(monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdout", None)
    with Logger([Console()]) as logger:
        logger.start_epoch(1, 1, images_total=4)
        log(logger, 4)
        logger.end_epoch()


def test_on_a_terminal_an_epoch_is_a_bar_with_the_losses(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    with Logger([Console()]) as logger:
        logger.start_epoch(3, 200, images_total=40, images_done=10)
        log(logger, 8)
        logger.log_scalars(8, {"FID": 30.0})
        logger.advance(5)
        logger.end_epoch()
    shown = capsys.readouterr()
    assert "epoch 3/200" in shown.err and "15/40" in shown.err and "img/s" in shown.err
    assert "G_GAN=0.333" in shown.err and "iters" not in shown.out
    assert "FID: 30" in shown.out and "End of epoch 3 / 200" in shown.out


def test_piped_output_has_plain_lines_and_no_bar(capsys):
    with Logger([Console()]) as logger:
        logger.start_epoch(1, 2, images_total=40)
        logger.advance(5)
        log(logger, 5)
    shown = capsys.readouterr()
    assert shown.err == "" and "(epoch: 1, iters: 5" in shown.out


def test_every_sink_gets_everything_and_need_take_nothing(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    recorders = [Mock(spec=Sink), Mock(spec=Sink)]
    with Logger([Sink(), *recorders]) as logger:
        logger.start_epoch(1, 2, images_total=40)
        logger.advance(5)
        log(logger, 5)
        logger.log_scalars(5, {"FID": 1.0})
        logger.log_pictures(1, 5, {})
        logger.say("hello")
        logger.end_epoch()
        logger.end_run(True)
    methods = {name for name, _ in inspect.getmembers(Sink, inspect.isfunction)}
    for recorder in recorders:
        assert {call[0] for call in recorder.method_calls} == methods
    assert capsys.readouterr() == ("", "") and not list(tmp_path.iterdir())


def test_tensorboard_gets_scalars_pictures_and_options(tmp_path):
    accumulators = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    for resumed_at in (None, 1):
        with Logger([TensorBoard(tmp_path, {"ngf": 64}, resumed_at)]) as logger:
            for step in (2,) if resumed_at else (1, 2, 3):
                log(logger, step)
            logger.log_scalars(2, {"FID": 30.0})
            logger.log_values({"step": 2, "gpu_memory_gib": 5.25}, {})
            logger.log_pictures(1, 1, {"real_image": np.zeros((4, 4, 3), np.uint8)})
    events = accumulators.EventAccumulator(str(tmp_path)).Reload()
    # What was logged ahead of the save, steps 2 and 3, is gone.
    assert [event.step for event in events.Scalars("G_GAN")] == [1, 2]
    assert {"lr", "FID", "gpu_memory_gib"} <= set(events.Tags()["scalars"])
    assert events.Tags()["images"] == ["real_image"]
    assert any("options" in tag for tag in events.Tags()["tensors"])


def test_tensorboard_not_installed_is_a_users_error(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(UserError, match="pip install tensorboard"):
        require_tensorboard()


def test_an_unwritable_folder_is_a_users_error(tmp_path):
    (tmp_path / "run").touch()
    with pytest.raises(UserError, match=r"loss_log.txt: cannot be written"):
        LogFiles(tmp_path / "run")
