"""Training as a user sees it: files, resuming, stopping."""

from __future__ import annotations

import errno
import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import torch
from PIL import Image
from programs import metrics, run_test, run_train, same_weights, tiny_run, write_tiny_data
from shared_data import shared

import train
from pix2pixhd.engine.progress import Progress
from pix2pixhd.engine.run_log import StepLog
from pix2pixhd.engine.validation import Validation
from pix2pixhd.util.checkpoint import load_tensors
from pix2pixhd.util.errors import UserError
from pix2pixhd.util.logger import Logger

# Everything random that a run may use: order, flips, crops, dropout, the pool; and a frozen part.
RANDOM_PARTS = (
    *("--use_dropout", "--pool_size", "2", "--seed", "3", "--niter", "1", "--niter_decay", "2"),
    *("--netG", "local", "--n_blocks_local", "1", "--niter_fix_global", "1"),
    *("--resize_or_crop", "crop", "--fineSize", "16", "--print_freq", "1", "--no_html"),
    *("--tf_log", "--display_freq", "1"),  # pictures of the held-out sample, in between
    *("--ema_half_life", "2", "--spectral_norm", "GD", "--upsample", "resize"),
    *("--augment", "--diffaug", "color,translation,cutout", "--lambda_L1", "1"),
)
FEATURES = ("--instance_feat", "--nef", "2", "--n_downsample_E", "1")
NOISE = ("--z_dim", "2")


def stop_after(monkeypatch: pytest.MonkeyPatch, step: int, number: signal.Signals) -> None:
    """Send the signal while the losses of that step are logged."""
    log_losses = Logger.log_losses

    def log_and_stop(self: Logger, **values: object) -> None:
        log_losses(self, **values)  # type: ignore[arg-type]
        if values["step"] == step:
            os.kill(os.getpid(), number)

    monkeypatch.setattr(Logger, "log_losses", log_and_stop)


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data and with runs that were never stopped: 3 epochs of 4 images."""
    root = tmp_path_factory.mktemp("whole")
    write_tiny_data(root)
    write_tiny_data(root, phase="test", count=1)
    assert run_train(*tiny_run(root, "whole"), *RANDOM_PARTS, *NOISE).code == 0
    assert run_train(*tiny_run(root, "whole_feat"), *RANDOM_PARTS, *FEATURES).code == 0
    return root


@pytest.mark.parametrize(
    ("step", "more"),
    [*((step, NOISE) for step in (1, 3, 4, 5, 8, 11)), (3, FEATURES), (8, FEATURES)],
)
def test_a_run_stopped_after_any_step_ends_as_one_never_stopped(
    whole_run: Path, step: int, more: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within the first epoch, at its end, at the start of the next, and before the last step."""
    whole = whole_run / "ck" / ("whole_feat" if more == FEATURES else "whole")
    run_dir = whole_run / "ck" / f"{whole.name}_stopped_{step}"
    with monkeypatch.context() as patch:
        stop_after(patch, step, signal.SIGTERM)
        stopped = run_train(*tiny_run(whole_run, run_dir.name), *RANDOM_PARTS, *more)
    assert stopped.code == 143
    assert [line["step"] for line in metrics(run_dir)] == list(range(1, step + 1))
    where = ("--name", run_dir.name, "--checkpoints_dir", whole_run / "ck")
    resumed = run_train(*where, "--continue_train")
    assert resumed.code == 0, resumed.err
    assert same_weights(whole, run_dir)
    last, average = (load_tensors(whole / f"latest_net_G{end}.pth") for end in ("", "_ema"))
    assert not torch.equal(average["model.1.weight"], last["model.1.weight"])
    assert without_time(metrics(run_dir)) == without_time(metrics(whole))


QUOTA = OSError(errno.EDQUOT, "Disk quota exceeded")
FULL = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB\nmore")


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (QUOTA, 2, "error: standard output cannot be written ([Errno 122] Disk quota exceeded)\n"),
        (FULL, 2, "error: the device's memory is full (CUDA out of memory. Tried to allocate 2."),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_a_run_that_an_error_ends_goes_on_from_its_last_step(
    whole_run: Path,
    error: BaseException,
    code: int,
    line: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run_dir, log = whole_run / f"ck/ended_by_{type(error).__name__}", StepLog.log

    def log_and_fail(self: StepLog, progress: Progress, *args: Any, **values: Any) -> None:
        log(self, progress, *args, **values)
        if progress.step == 6:
            raise error

    with monkeypatch.context() as patch:
        patch.setattr(StepLog, "log", log_and_fail)
        ended = run_train(*tiny_run(whole_run, run_dir.name), *RANDOM_PARTS, *NOISE)
    assert ended.code == code and ended.err.startswith(line) and ended.err.count("\n") == bool(line)
    assert ended.out.endswith("saved after 6 images; --continue_train goes on\n")
    where = ("--name", run_dir.name, "--checkpoints_dir", whole_run / "ck")
    resumed = run_train(*where, "--continue_train")
    assert resumed.code == 0, resumed.err
    assert same_weights(whole_run / "ck/whole", run_dir)
    assert without_time(metrics(run_dir)) == without_time(metrics(whole_run / "ck/whole"))


def test_an_epoch_is_saved_before_it_is_evaluated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_tiny_data(tmp_path)
    write_tiny_data(tmp_path, phase="test", count=1)
    flags = ("--eval_freq", "1", "--niter", "2", "--niter_decay", "0", "--print_freq", "1")
    for name in ("whole", "failed"):
        with monkeypatch.context() as patch:
            if name == "failed":
                error = UserError("scene_0.png: gone")
                patch.setattr(Validation, "evaluate", Mock(side_effect=error))
            outcome = run_train(*tiny_run(tmp_path, name), *flags, "--no_html")
        assert outcome.code == (2 if name == "failed" else 0)
    failed = tmp_path / "ck/failed"
    assert (failed / "iter.txt").read_text().split() == ["1", "4"]
    where = ("--name", "failed", "--checkpoints_dir", tmp_path / "ck", "--continue_train")
    assert run_train(*where).code == 0
    assert same_weights(tmp_path / "ck/whole", failed)
    assert without_time(metrics(tmp_path / "ck/whole")) == without_time(metrics(failed))


def test_with_the_segmentation_discriminator_and_diffaug(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its scalars are logged, its page says how to train it, and it goes on bit for bit."""
    write_tiny_data(tmp_path)
    flags = ("--netD", "segmentation", "--ndf", "1", "--diffaug", "color,translation,cutout")
    flags = (*flags, "--ganFeat_loss", "--niter", "1", "--niter_decay", "0", "--print_freq", "1")
    flags = (*flags, "--max_dataset_size", "2")
    outcome = run_train(*tiny_run(tmp_path, "whole"), *flags)
    assert outcome.code == 0, outcome.err
    assert "--num_D 1: it has no effect; --netD segmentation is one network" in outcome.out
    whole, stopped = tmp_path / "ck/whole", tmp_path / "ck/stopped"
    assert len(metrics(whole)) == outcome.out.count(" D_mIoU: ") == 2
    names = {"G_GAN", "G_GAN_Feat", "D_real", "D_fake", "D_mix", "D_mIoU", "G_mIoU"}
    assert all(names <= line.keys() and 0 <= line["D_mIoU"] <= 1 for line in metrics(whole))
    page = (whole / "web/index.html").read_text()
    assert "--netD segmentation" in page and "--ganFeat_loss" in page
    stop_after(monkeypatch, 1, signal.SIGTERM)
    assert run_train(*tiny_run(tmp_path, "stopped"), *flags, "--no_html").code == 143
    where = ("--name", "stopped", "--checkpoints_dir", tmp_path / "ck")
    assert run_train(*where, "--continue_train").code == 0
    assert same_weights(whole, stopped)
    assert without_time(metrics(whole)) == without_time(metrics(stopped))


def without_time(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in line.items() if name != "time"} for line in lines]


def test_ctrl_c_saves_and_exits_with_130(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_tiny_data(tmp_path)
    stop_after(monkeypatch, 2, signal.SIGINT)
    outcome = run_train(*tiny_run(tmp_path), "--print_freq", "1", "--niter", "3")
    assert outcome.code == 130
    assert "--continue_train" in outcome.out
    assert (tmp_path / "ck/tiny/iter.txt").read_text().split() == ["1", "2"]


@pytest.mark.slow
def test_a_killed_run_goes_on_from_its_last_save(tmp_path: Path) -> None:
    """kill -9 at an arbitrary moment: the resumed run has no hole and no line twice."""
    write_tiny_data(tmp_path)
    often = ("--niter", "20", "--niter_decay", "0", "--print_freq", "1", "--save_latest_freq", "3")
    flags = [*tiny_run(tmp_path, "killed"), *often, "--nThreads", "1"]
    process = subprocess.Popen([sys.executable, train.__file__, *flags], stdout=subprocess.DEVNULL)
    state = tmp_path / "ck/killed/latest_state.pth"
    deadline = time.monotonic() + 120
    while not state.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert run_train(*flags, "--continue_train").code == 0
    assert run_train(*tiny_run(tmp_path, "whole"), *often).code == 0
    assert same_weights(tmp_path / "ck/whole", tmp_path / "ck/killed")
    assert [line["step"] for line in metrics(tmp_path / "ck/killed")] == list(range(1, 81))


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow)],
)
def test_a_signal_to_all_processes_of_a_run_saves_it(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    """Terminals and batch systems signal the loading processes too."""
    write_tiny_data(tmp_path)
    flags = [*tiny_run(tmp_path), "--niter", "100000", "--nThreads", "2", "--print_freq", "1"]
    process = subprocess.Popen(
        [sys.executable, train.__file__, *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    while "epoch: 2" not in process.stdout.readline():
        assert process.poll() is None
    os.killpg(process.pid, number)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (code, "")
    assert "stopped and saved" in out
    assert (tmp_path / "ck/tiny/latest_state.pth").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("gpu_ids", ["-1", "-1,-1"])
def test_a_run_whose_words_nobody_reads_is_saved(gpu_ids: str, tmp_path: Path) -> None:
    """`train.py | head -1`."""
    write_tiny_data(tmp_path)
    flags = ("--niter", "100000", "--print_freq", "4", "--batchSize", "2", f"--gpu_ids={gpu_ids}")
    process = subprocess.Popen(
        [sys.executable, train.__file__, *tiny_run(tmp_path), *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None and process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(60) == 141
    assert process.stderr.read() == b""
    assert (tmp_path / "ck/tiny/latest_state.pth").is_file()


def test_files_of_a_run(tmp_path: Path) -> None:
    write_tiny_data(tmp_path)
    write_tiny_data(tmp_path, phase="val", count=1)
    flags = ("--niter", "2", "--niter_decay", "0", "--print_freq", "2", "--display_freq", "4")
    assert run_train(*tiny_run(tmp_path), *flags, "--save_epoch_freq", "1").code == 0
    run_dir = tmp_path / "ck/tiny"
    there = {str(path.relative_to(run_dir)) for path in run_dir.rglob("*") if path.is_file()}
    weights = {f"{epoch}_net_{net}.pth" for epoch in ("1", "2", "latest") for net in "GD"}
    pictures = {
        f"web/images/epoch{epoch:03d}_{held_out}{what}.jpg"
        for epoch in (1, 2)
        for held_out in ("", "held_out_")
        for what in ("input_label", "synthesized_image", "real_image")
    }
    logs = {"opt.txt", "options.json", "iter.txt", "loss_log.txt", "metrics.jsonl"}
    page = {"web/index.html", "web/loss_curves.png"}
    assert there == weights | pictures | logs | page | {"latest_state.pth"}
    assert [(line["epoch"], line["iter"], line["step"]) for line in metrics(run_dir)] == [
        (1, 2, 2),
        (1, 4, 4),
        (2, 2, 6),
        (2, 4, 8),
    ]
    assert (run_dir / "iter.txt").read_text() == "3\n0\n"


LAST_ONLY = (
    "--niter",
    "2",
    "--niter_decay",
    "0",
    "--pool_size",
    "2",
)  # frequencies: 100
TEXTS = {
    0: ("finished, 2 epochs", "finished: 2 epochs; weights: {run}/latest_net_G.pth; page: {page}"),
    6: (
        "stopped after 2 of 4 images of epoch 2 of 2; --continue_train goes on",
        "stopped and saved after 6 images; --continue_train goes on\n"
        "weights: {run}/latest_net_G.pth; page: {page}",
    ),
}


@pytest.mark.parametrize("stop_at", TEXTS)
def test_a_short_run_has_its_last_losses_and_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop_at: int
) -> None:
    write_tiny_data(tmp_path)
    with monkeypatch.context() as patch:
        if stop_at:
            stop_at_step(patch, stop_at)
        outcome = run_train(*tiny_run(tmp_path), *LAST_ONLY)
    run_dir, last = tmp_path / "ck/tiny", stop_at or 8
    page = run_dir / "web/index.html"
    assert outcome.out.startswith(
        f"training on 4 images: 4 steps an epoch, 2 epochs\npage of the run: {page}\n"
    )
    state, words = TEXTS[stop_at]
    flags = f"--name tiny --checkpoints_dir {run_dir.parent}"
    command = f"train.py {flags} --continue_train" if stop_at else f"test.py {flags}"
    assert f"{words.format(run=run_dir, page=page)}\nnext: python {command}\n" in outcome.out
    assert f" tiny {state} Epoch 2, {last} images seen " in page_words(run_dir)
    assert [line["step"] for line in metrics(run_dir)] == [last]
    assert len(list(run_dir.glob("web/images/epoch002_*.jpg"))) == 3
    losses = (run_dir / "loss_log.txt").read_text().splitlines()[1:]
    assert [line.partition(", time")[0] for line in losses] == [f"(epoch: 2, iters: {last - 4}"]
    if stop_at:
        where = ("--name", "tiny", "--checkpoints_dir", tmp_path / "ck")
        assert run_train(*where, "--continue_train").code == 0
        assert run_train(*tiny_run(tmp_path, "whole"), *LAST_ONLY).code == 0
        assert same_weights(run_dir, tmp_path / "ck/whole")
        assert [line["step"] for line in metrics(run_dir)] == [6, 8]
        assert without_time(metrics(run_dir))[1:] == without_time(metrics(tmp_path / "ck/whole"))
        assert "finished, 2 epochs" in page_words(run_dir)


def test_a_step_that_was_logged_and_shown_is_not_again_at_the_end(tmp_path: Path) -> None:
    write_tiny_data(tmp_path)
    flags = ("--print_freq", "4", "--display_freq", "8", "--niter", "2", "--niter_decay", "0")
    assert run_train(*tiny_run(tmp_path), *flags, "--no_html").code == 0
    assert [line["step"] for line in metrics(tmp_path / "ck/tiny")] == [4, 8]


def test_the_page_of_a_run_that_an_error_ended(tmp_path: Path) -> None:
    write_tiny_data(tmp_path, count=1)
    (tmp_path / "ck/tiny/iter.txt").mkdir(parents=True)  # so that saving fails
    outcome = run_train(*tiny_run(tmp_path), "--niter", "1", "--niter_decay", "0")
    assert outcome.code == 2
    assert "training on 1 image: 1 step an epoch, 1 epoch\n" in outcome.out
    assert "broken off after 1 of 1 image of epoch 1 of 1; " in page_words(tmp_path / "ck/tiny")


def test_gpu_memory_and_the_options_that_were_given_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pix2pixhd.engine.run_log.peak_gpu_memory", lambda device: 3.25)
    write_tiny_data(tmp_path)
    flags = (*tiny_run(tmp_path), "--niter", "1", "--niter_decay", "0", "--debug")
    for more in ((), ("--continue_train", "--no_debug", "--niter", "2")):
        assert run_train(*flags, *more).code == 0
    lines = metrics(tmp_path / "ck/tiny")
    assert [line["gpu_memory_gib"] for line in lines] == 8 * [3.25]
    assert "gpu" not in (tmp_path / "ck/tiny/loss_log.txt").read_text()
    words = page_words(tmp_path / "ck/tiny")
    assert "3.2 GiB of GPU memory at most" in words
    networks = "--ngf 4 --n_downsample_global 2 --n_blocks_global 1"
    assert f"python train.py --name tiny --dataroot {tmp_path}/data" in words
    assert networks in words and "--no_vgg_loss" in words
    assert "--continue_train" not in words and "--output_bits" not in words


def page_words(run_dir: Path) -> str:
    """The text of a run's page, without markup."""
    return " ".join(re.sub("<.*?>", "", (run_dir / "web/index.html").read_text()).split())


def stop_at_step(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """SIGTERM once that many images are seen, whether or not anything is logged of them."""
    advance, seen = Logger.advance, [0]

    def advance_and_stop(self: Logger, images: int) -> None:
        advance(self, images)
        seen[0] += images
        if seen[0] == step:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(Logger, "advance", advance_and_stop)


def test_a_finished_run_says_so(tmp_path: Path) -> None:
    write_tiny_data(tmp_path)
    assert run_train(*tiny_run(tmp_path), "--niter", "1", "--niter_decay", "0").code == 0
    run = ("--name", "tiny", "--checkpoints_dir", tmp_path / "ck", "--continue_train")
    again = run_train(*run)
    assert again.code == 0
    assert "raise --niter" in again.out
    assert "epoch: 2" not in again.out
    longer = run_train(*run, "--niter", "2", "--print_freq", "4")
    assert "(epoch: 2, iters: 4" in longer.out


def test_a_new_run_of_an_old_name_loses_nothing(tmp_path: Path) -> None:
    write_tiny_data(tmp_path)
    flags = (*tiny_run(tmp_path), "--niter", "1", "--niter_decay", "0")
    run_train(*flags)
    before = (tmp_path / "ck/tiny/latest_net_G.pth").read_bytes()
    out = run_train(*flags, "--seed", "1").out
    [aside] = tmp_path.glob("ck/tiny.*")
    assert str(aside) in out
    assert (aside / "latest_net_G.pth").read_bytes() == before
    assert (tmp_path / "ck/tiny/latest_net_G.pth").read_bytes() != before


def test_the_global_generator_trains_after_it_was_fixed(tmp_path: Path) -> None:
    write_tiny_data(tmp_path)
    flags = ("--netG", "local", "--n_blocks_local", "1", "--niter_fix_global", "1")
    flags += ("--niter", "2", "--niter_decay", "0", "--save_epoch_freq", "1")
    assert run_train(*tiny_run(tmp_path), *flags).code == 0
    epochs = [
        torch.load(tmp_path / f"ck/tiny/{epoch}_net_G.pth", weights_only=True) for epoch in (1, 2)
    ]
    changed = {k for k in epochs[0] if not torch.equal(epochs[0][k], epochs[1][k])}
    assert any(name.startswith("model.") for name in changed)
    assert any(name.startswith("model1_") for name in changed)


def test_debug_is_one_short_epoch_with_everything(tmp_path: Path) -> None:
    write_tiny_data(tmp_path, count=12)
    assert run_train(*tiny_run(tmp_path), "--debug").code == 0
    assert [line["step"] for line in metrics(tmp_path / "ck/tiny")] == list(range(1, 11))


def test_load_pretrain_tells_what_it_took(tmp_path: Path) -> None:
    write_tiny_data(tmp_path)
    short = ("--niter", "1", "--niter_decay", "0")
    run_train(*tiny_run(tmp_path, "global"), *short)
    local = ("--netG", "local", "--ngf", "2", "--n_blocks_local", "1")
    outcome = run_train(
        *tiny_run(tmp_path, "local"), *short, *local, "--load_pretrain", tmp_path / "ck/global"
    )
    assert outcome.code == 0, outcome.err
    generator, discriminators = outcome.out.splitlines()[:2]
    assert re.fullmatch(r"G: 14 of 26 tensors taken from \S+latest_net_G.pth; 12 new", generator)
    assert re.fullmatch(r"D: 8 of 8 tensors taken from \S+latest_net_D.pth; 0 new", discriminators)
    assert "model.1.weight" not in outcome.out


@pytest.mark.parametrize("option", ["--no_lsgan", "--no_ganFeat_loss", "--norm=batch"])
def test_variants_of_the_losses_train(tmp_path: Path, option: str) -> None:
    write_tiny_data(tmp_path)
    flags = ("--niter", "1", "--niter_decay", "0", "--batchSize", "2", *option.split("="))
    assert run_train(*tiny_run(tmp_path), *flags).code == 0


def test_image_to_image_with_one_channel(tmp_path: Path) -> None:
    write_tiny_data(tmp_path)
    data = tmp_path / "data"
    (data / "train_img").rename(data / "train_A")
    write_tiny_data(tmp_path)
    (data / "train_img").rename(data / "train_B")
    vgg = ("--vgg_loss", "--vgg_weights", str(shared("weights", "vgg19_features_fp16.pth")))
    flags = ("--label_nc", "0", "--no_instance", "--input_nc", "1", "--output_nc", "1", *vgg)
    outcome = run_train(*tiny_run(tmp_path), *flags, "--niter", "1", "--niter_decay", "0")
    assert outcome.code == 0, outcome.err
    for what in "AB":
        (data / f"train_{what}").rename(data / f"test_{what}")
    where = ("--name", "tiny", "--checkpoints_dir", tmp_path / "ck", "--results_dir", tmp_path)
    outcome = run_test(*where, "--gpu_ids", "-1")
    assert outcome.code == 0, outcome.err
    image = Image.open(tmp_path / "tiny/test_latest/images/scene_0_synthesized_image.png")
    assert image.mode == "L"


def test_an_incomplete_batch_is_left_out_with_a_note(tmp_path: Path) -> None:
    write_tiny_data(tmp_path, count=5)
    flags = ("--batchSize", "2", "--niter", "1", "--niter_decay", "0", "--print_freq", "2")
    outcome = run_train(*tiny_run(tmp_path), *flags)
    assert "1 of 5 images" in outcome.out
    assert [line["step"] for line in metrics(tmp_path / "ck/tiny")] == [2, 4]


def test_tensorboard_holds_losses_pictures_and_options(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    write_tiny_data(tmp_path)
    flags = ("--tf_log", "--debug")
    assert run_train(*tiny_run(tmp_path), *flags).code == 0
    events = EventAccumulator(str(tmp_path / "ck/tiny/logs"))
    events.Reload()
    assert "G_GAN" in events.Tags()["scalars"]
    assert "synthesized_image" in events.Tags()["images"]
    assert any("options" in name for name in events.Tags()["tensors"])


def test_a_refused_resume_leaves_the_run_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_tiny_data(tmp_path)
    flags = ("--niter", "2", "--niter_decay", "0", "--print_freq", "1")
    with monkeypatch.context() as patch:
        stop_after(patch, 3, signal.SIGTERM)
        run_train(*tiny_run(tmp_path), *flags)
    run_dir = tmp_path / "ck/tiny"
    before = {file.name: file.read_bytes() for file in run_dir.iterdir() if file.is_file()}
    resume = ("--name", "tiny", "--checkpoints_dir", tmp_path / "ck", "--continue_train")
    refused = run_train(*resume, "--batchSize", "2")
    assert refused.code == 2 and "--batchSize" in refused.err
    assert run_train(*resume, "--debug").code == 2
    after = {file.name: file.read_bytes() for file in run_dir.iterdir() if file.is_file()}
    assert after == before
    assert run_train(*resume).code == 0
    assert [line["step"] for line in metrics(run_dir)] == list(range(1, 9))


def test_a_run_killed_before_its_first_save_is_set_aside_too(tmp_path: Path) -> None:
    write_tiny_data(tmp_path)
    run_dir = tmp_path / "ck/tiny"
    run_dir.mkdir(parents=True)
    (run_dir / "metrics.jsonl").write_text("{}\n")
    run_train(*tiny_run(tmp_path), "--niter", "1", "--niter_decay", "0", "--print_freq", "4")
    [aside] = tmp_path.glob("ck/tiny.*")
    assert (aside / "metrics.jsonl").read_text() == "{}\n"
    assert len(metrics(run_dir)) == 1


def test_a_run_that_goes_back_keeps_what_it_had_logged_since(tmp_path: Path) -> None:
    write_tiny_data(tmp_path)
    flags = [*tiny_run(tmp_path), "--niter", "3", "--niter_decay", "0", "--print_freq", "1"]
    assert run_train(*flags, "--save_epoch_freq", "1").code == 0
    run_dir = tmp_path / "ck/tiny"
    later = metrics(run_dir)[4:]
    outcome = run_train(*flags, "--continue_train", "--which_epoch", "1")
    assert outcome.code == 0 and "metrics.jsonl.aside (lines: 8)" in outcome.out
    assert [line["step"] for line in metrics(run_dir)] == list(range(1, 13))
    aside = (run_dir / "metrics.jsonl.aside").read_text().splitlines()
    assert [json.loads(line) for line in aside] == later
    for name, count in (("loss_log.txt", 12), ("loss_log.txt.aside", 8)):
        lines = [line for line in (run_dir / name).read_text().splitlines() if line[0] == "("]
        assert len({line[: line.index("time")] for line in lines}) == len(lines) == count


def test_tf_log_without_tensorboard_leaves_an_earlier_run_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_tiny_data(tmp_path)
    log = tmp_path / "ck/tiny/metrics.jsonl"
    log.parent.mkdir(parents=True)
    log.write_text("{}\n")
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    outcome = run_train(*tiny_run(tmp_path), "--tf_log")
    assert outcome.code == 2 and "pip install tensorboard" in outcome.err
    assert [file for file in tmp_path.glob("ck/**/*") if file.is_file()] == [log]


def test_an_error_ends_the_loading_processes_too(tmp_path: Path) -> None:
    write_tiny_data(tmp_path)
    (tmp_path / "ck/tiny/iter.txt").mkdir(parents=True)  # so that saving fails
    flags = [*tiny_run(tmp_path), "--nThreads", "2", "--niter", "1", "--niter_decay", "0"]
    done = subprocess.run(
        [sys.executable, train.__file__, *flags], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: ") and "iter.txt" in done.stderr


def test_steps_go_on_counting_when_the_images_become_fewer(tmp_path: Path) -> None:
    write_tiny_data(tmp_path)
    flags = ("--niter", "2", "--niter_decay", "0", "--print_freq", "1", "--no_html")
    assert run_train(*tiny_run(tmp_path), *flags).code == 0
    where = ("--name", "tiny", "--checkpoints_dir", tmp_path / "ck", "--continue_train")
    outcome = run_train(*where, "--max_dataset_size", "2", "--niter", "3")
    assert outcome.code == 0, outcome.err
    assert [line["step"] for line in metrics(tmp_path / "ck/tiny")] == list(range(1, 11))


@pytest.mark.slow
@pytest.mark.parametrize("gpu_ids", ["-1", "-1,-1"])
def test_a_run_is_saved_when_its_terminal_is_closed(gpu_ids: str, tmp_path: Path) -> None:
    write_tiny_data(tmp_path)
    flags = ("--niter", "100000", "--print_freq", "4", "--batchSize", "2", f"--gpu_ids={gpu_ids}")
    process, terminal = pty.fork()
    if process == 0:
        os.execv(sys.executable, [sys.executable, train.__file__, *tiny_run(tmp_path), *flags])
    shown = b""
    while b"End of epoch 2 " not in shown:
        shown += os.read(terminal, 4096)
    os.close(terminal)
    _, status = os.waitpid(process, 0)
    assert os.waitstatus_to_exitcode(status) == 129
    assert (tmp_path / "ck/tiny/latest_state.pth").is_file()


@pytest.mark.slow
def test_a_second_ctrl_c_ends_a_save_that_takes_long(tmp_path: Path) -> None:
    write_tiny_data(tmp_path)
    slow = "import os, time\nos.fsync = lambda descriptor: time.sleep(20)\n"
    (tmp_path / "sitecustomize.py").write_text(slow)
    flags = [*tiny_run(tmp_path), "--niter", "100000", "--save_latest_freq", "1000000", "--no_html"]
    process = subprocess.Popen(
        [sys.executable, train.__file__, *flags],
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    while "End of epoch 2 " not in process.stdout.readline():
        pass
    process.send_signal(signal.SIGINT)
    time.sleep(1.5)  # sooner, it would be taken for the first
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=15)
    assert process.returncode == 130
    assert out.splitlines()[-1].startswith("a save was cut short; --continue_train")
    assert err == ""
