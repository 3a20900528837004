import json
import re
import sys

import numpy as np
import pytest

from util.errors import UserError
from util.logger import SilentLogger, TrainingLogger

TERMS = {"G_GAN": 1 / 3, "G_VGG": 2.5, "D_real": 0.0}


def log(logger, step, **terms):
    logger.log_losses(
        epoch=1, iter=step, step=step, lr=2e-4, terms=terms or TERMS, seconds_per_image=0.1
    )


def steps(run_dir):
    lines = (run_dir / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line)["step"] for line in lines]


def test_both_logs_and_the_terminal(tmp_path, capsys):
    with TrainingLogger(run_dir=tmp_path / "run", name="run") as logger:
        log(logger, 8)
    header, line = (tmp_path / "run" / "loss_log.txt").read_text().splitlines()
    assert re.fullmatch(r"================ Training Loss \(.+\) ================", header)
    assert line == "(epoch: 1, iters: 8, time: 0.100) G_GAN: 0.333 G_VGG: 2.500 D_real: 0.000 "
    assert json.loads((tmp_path / "run" / "metrics.jsonl").read_text()) == {
        "epoch": 1, "iter": 8, "step": 8, "time": 0.1, "lr": 2e-4, **TERMS
    }  # fmt: skip
    assert capsys.readouterr().out == line.rstrip() + "\n"


def test_resume_leaves_neither_hole_nor_duplicate(tmp_path):
    with TrainingLogger(run_dir=tmp_path, name="run") as logger:
        for step in (10, 20, 30):
            log(logger, step)
        logger.log_pictures(1, 30, {"real_image": np.zeros((4, 4, 3), np.uint8)})
    with TrainingLogger(run_dir=tmp_path, name="run") as logger:
        logger.resume_at(20)
        log(logger, 30)
    assert steps(tmp_path) == [10, 20, 30]
    assert "epoch001_real_image.jpg" in (tmp_path / "web" / "index.html").read_text()


def test_not_finite_losses_are_valid_json_and_said_once(tmp_path, capsys):
    with TrainingLogger(run_dir=tmp_path, name="run") as logger:
        log(logger, 1, G_GAN=float("nan"), G_VGG=float("inf"), D_real=1.0)
        log(logger, 2, G_GAN=float("nan"))
    first = json.loads((tmp_path / "metrics.jsonl").read_text().splitlines()[0])
    assert first["G_GAN"] is None and first["G_VGG"] is None and first["D_real"] == 1.0
    warnings = [line for line in capsys.readouterr().out.splitlines() if "warning" in line]
    assert len(warnings) == 1 and "G_GAN, G_VGG not finite in epoch 1" in warnings[0]


def test_on_a_terminal_an_epoch_is_a_bar_with_the_losses(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    with TrainingLogger(run_dir=tmp_path, name="run", write_html=False) as logger:
        logger.start_epoch(3, 200, images_total=40, images_done=10)
        log(logger, 8)
        logger.advance(5)
        logger.end_epoch()
    shown = capsys.readouterr()
    assert "epoch 3/200" in shown.err and "15/40" in shown.err and "img/s" in shown.err
    assert "G_GAN: 0.333" in shown.err and "iters" not in shown.out
    assert shown.out.startswith("End of epoch 3 / 200")


def test_piped_output_has_plain_lines_and_no_bar(tmp_path, capsys):
    with TrainingLogger(run_dir=tmp_path, name="run", write_html=False) as logger:
        logger.start_epoch(1, 2, images_total=40)
        logger.advance(5)
        log(logger, 5)
    shown = capsys.readouterr()
    assert shown.err == "" and "(epoch: 1, iters: 5" in shown.out
    assert not (tmp_path / "web").exists()


def test_the_silent_logger_takes_everything_and_writes_nothing(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with SilentLogger() as logger:
        logger.resume_at(3)
        logger.start_epoch(1, 2, images_total=40)
        logger.advance(5)
        log(logger, 5)
        logger.log_pictures(1, 5, {})
        logger.say("hello")
        logger.end_epoch()
    assert capsys.readouterr() == ("", "")
    assert not list(tmp_path.iterdir())
    # Whoever adds a method to the one adds it to the other.
    public = {name for name in vars(TrainingLogger) if not name.startswith("_")}
    assert public <= vars(SilentLogger).keys()


@pytest.mark.parametrize(("every", "times"), [(0, 5), (3600, 0)])
def test_curves_are_drawn_now_and_then_and_at_the_end(tmp_path, monkeypatch, every, times):
    drawn = []
    monkeypatch.setattr("util.logger.CURVES_EVERY", every)
    monkeypatch.setattr("util.logger.CURVES_SHARE", 1e9)
    monkeypatch.setattr("util.logger.draw_loss_curves", lambda *args: drawn.append(args))
    logger = TrainingLogger(run_dir=tmp_path, name="run")
    for step in range(5):
        log(logger, step)
    assert len(drawn) == times
    logger.close()
    assert drawn[times:] == [(tmp_path / "metrics.jsonl", tmp_path / "web" / "loss_curves.png")]
    assert "http-equiv" not in (tmp_path / "web" / "index.html").read_text()


def test_tensorboard_gets_scalars_pictures_and_options(tmp_path):
    accumulators = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    arguments = {"run_dir": tmp_path, "name": "run", "write_html": False}
    for resume in (False, True):
        options = {"ngf": 64}
        with TrainingLogger(**arguments, tensorboard=True, options=options) as logger:
            if resume:
                logger.resume_at(1)
            for step in (2,) if resume else (1, 2, 3):
                log(logger, step)
            logger.log_pictures(1, 1, {"real_image": np.zeros((4, 4, 3), np.uint8)})
    events = accumulators.EventAccumulator(str(tmp_path / "logs")).Reload()
    # What was logged ahead of the save, steps 2 and 3, is gone.
    assert [event.step for event in events.Scalars("G_GAN")] == [1, 2]
    assert "lr" in events.Tags()["scalars"] and events.Tags()["images"] == ["real_image"]
    assert any("options" in tag for tag in events.Tags()["tensors"])


def test_tensorboard_not_installed_is_a_users_error(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(UserError, match="pip install tensorboard"):
        TrainingLogger(run_dir=tmp_path, name="run", tensorboard=True)
    TrainingLogger(run_dir=tmp_path, name="run")


def test_an_unwritable_folder_is_a_users_error(tmp_path):
    (tmp_path / "run").touch()
    with pytest.raises(UserError, match=r"loss_log.txt: cannot be written"):
        TrainingLogger(run_dir=tmp_path / "run", name="run")
