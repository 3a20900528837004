"""Mistakes a user can make: one line that names the culprit, exit code 2, no traceback."""

from __future__ import annotations

import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from programs import Outcome, run_test, run_train, tiny_run, write_tiny_data

LABEL = "train_label/scene_1.png"
IMAGE = "train_img/scene_1.png"


def complaint(outcome: Outcome) -> str:
    """The one line of stderr; fails if there is more, or less."""
    assert outcome.code == 2, outcome
    lines = outcome.err.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: "), outcome.err
    return lines[0]


def remove_folder(data: Path) -> None:
    shutil.rmtree(data / "train_img")


def empty_folder(data: Path) -> None:
    for file in (data / "train_img").iterdir():
        file.unlink()


def remove_partner(data: Path) -> None:
    (data / IMAGE).unlink()


def other_size(data: Path) -> None:
    Image.new("RGB", (30, 16)).save(data / IMAGE)


def label_too_large(data: Path) -> None:
    Image.fromarray(np.full((16, 32), 7, np.uint8)).save(data / LABEL)


def mask_of_255(data: Path) -> None:
    Image.fromarray(np.tile(np.uint8([0, 255]), (16, 16))).save(data / LABEL)


def colour_label(data: Path) -> None:
    Image.new("RGB", (32, 16), "red").save(data / LABEL)


def truncated(data: Path) -> None:
    whole = (data / IMAGE).read_bytes()
    (data / IMAGE).write_bytes(whole[: len(whole) // 2])


def no_bytes(data: Path) -> None:
    (data / IMAGE).write_bytes(b"")


def text(data: Path) -> None:
    (data / IMAGE).write_text("not a picture")


DATA_FAULTS: list[tuple[Callable[[Path], None], tuple[str, ...]]] = [
    (remove_folder, ("train_img", "--dataroot")),
    (empty_folder, ("train_img",)),
    (remove_partner, ("scene_1", "train_img")),
    (other_size, (IMAGE, "30x16", "32x16")),
    (label_too_large, (LABEL, "7", "--label_nc")),
    (mask_of_255, (LABEL, "255", "--label_nc 2")),
    (colour_label, (LABEL, "prepare_labels.py", "--label_nc 0")),
    (truncated, (IMAGE,)),
    (no_bytes, (IMAGE, "empty")),
    (text, (IMAGE,)),
]


@pytest.mark.parametrize(("spoil", "words"), DATA_FAULTS, ids=lambda v: getattr(v, "__name__", ""))
def test_faulty_data(tmp_path: Path, spoil: Callable[[Path], None], words: tuple[str, ...]) -> None:
    data = write_tiny_data(tmp_path)
    spoil(data)
    line = complaint(run_train(*tiny_run(tmp_path)))
    for word in words:
        assert word in line
    assert not (tmp_path / "ck").exists(), "a run that cannot start must leave nothing behind"


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--batch_size", "2"], ["--batch_size", "--batchSize"]),
        (["--netG", "locl"], ["locl", "--netG", "local"]),
        (["--ngf", "many"], ["many", "--ngf"]),
        (["--niter"], ["--niter"]),
        (["--batchSize", "5"], ["--batchSize 5", "4"]),
        (["--which_epoch", "latest", "--continue_train"], ["ck/tiny"]),
        (["--vgg_loss", "--vgg_weights", "/no/such.pth"], ["/no/such.pth", "--vgg_weights"]),
        (["--load_pretrain", "/no/such"], ["/no/such"]),
        (["--gpu_ids", "first"], ["first", "--gpu_ids"]),
    ],
)
def test_faulty_flags(tmp_path: Path, flags: list[str], words: list[str]) -> None:
    write_tiny_data(tmp_path)
    line = complaint(run_train(*tiny_run(tmp_path), *flags))
    for word in words:
        assert word in line


def test_all_contradictions_are_reported_at_once(tmp_path: Path) -> None:
    flags = ("--gan_loss", "hinge", "--no_lsgan", "--continue_train", "--load_pretrain", "x")
    outcome = run_train(*tiny_run(tmp_path), *flags, "--ngf", "0")
    assert outcome.code == 2
    lines = outcome.err.strip().splitlines()
    assert len(lines) == 3 and all(line.startswith("error: ") for line in lines)
    for flag in ("--gan_loss hinge", "--load_pretrain", "--ngf 0"):
        assert any(flag in line for line in lines)


def test_unwritable_checkpoint_folder(tmp_path: Path) -> None:
    write_tiny_data(tmp_path)
    (tmp_path / "ck").write_text("a file where a folder should be")
    line = complaint(run_train(*tiny_run(tmp_path)))
    assert str(tmp_path / "ck") in line and "cannot be written" in line


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("trained")
    write_tiny_data(root)
    write_tiny_data(root, phase="test", count=2)
    flags = ("--niter", "1", "--niter_decay", "0", "--save_epoch_freq", "1", "--no_html")
    assert run_train(*tiny_run(root), *flags).code == 0
    return root


def as_test(root: Path, *flags: str | Path) -> Outcome:
    where = ("--name", "tiny", "--checkpoints_dir", root / "ck", "--results_dir", root / "results")
    return run_test(*where, "--gpu_ids", "-1", "--nThreads", "0", *flags)


def test_an_epoch_that_was_not_saved_lists_those_that_were(trained: Path) -> None:
    line = complaint(as_test(trained, "--which_epoch", "7"))
    assert "'7'" in line and "1, latest" in line


def test_a_flag_that_contradicts_the_run(trained: Path) -> None:
    line = complaint(as_test(trained, "--ngf", "8"))
    assert "--ngf 8" in line and "4" in line


def test_weights_of_another_architecture_list_tensors(trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained / "ck", tmp_path / "ck")
    for name in ("options.json", "opt.txt"):
        (tmp_path / "ck/tiny" / name).unlink()
    flags = ("--dataroot", trained / "data", "--label_nc", "5", "--ngf", "8")
    line = complaint(as_test(tmp_path, *flags))
    assert "latest_net_G.pth" in line and "model.1.weight: [4, 6, 7, 7], expected [8, 6" in line


class Malicious:
    """A pickle that leaves a file when it is executed."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return os.mkdir, (str(self.trace),)


@pytest.mark.parametrize(
    "save", [torch.save, lambda value, file: file.write_bytes(pickle.dumps(value))]
)
def test_a_malicious_checkpoint_is_refused_and_not_executed(
    trained: Path, tmp_path: Path, save: Callable[[object, Path], None]
) -> None:
    shutil.copytree(trained / "ck", tmp_path / "ck")
    trace = tmp_path / "executed"
    save({"model.1.weight": Malicious(trace)}, tmp_path / "ck/tiny/latest_net_G.pth")
    line = complaint(as_test(tmp_path))
    assert "latest_net_G.pth" in line and "refused" in line
    assert not trace.exists()


def test_results_folder_that_cannot_be_written(trained: Path) -> None:
    (trained / "a_file").write_text("")
    line = complaint(as_test(trained, "--results_dir", trained / "a_file"))
    assert "a_file" in line
