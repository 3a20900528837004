"""The weights of the best evaluation are kept, whatever comes after it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from programs import run_test, run_train, tiny_run, write_tiny_data

import pix2pixhd.metrics as metrics_package
from pix2pixhd.engine.best import Best, read_best
from pix2pixhd.metrics import Figure, Measurement, Sample
from pix2pixhd.options.parsing import parse_train
from pix2pixhd.util.checkpoint import save_tensors
from pix2pixhd.util.errors import UserError

SHORT = ("--niter_decay", "0", "--no_html", "--eval_freq", "1", "--metrics", "l1, told")
Tell = Callable[..., None]


@pytest.fixture
def tell(monkeypatch: pytest.MonkeyPatch) -> Tell:
    """Sets what a metric, `told`, says of one epoch after another."""

    def set_values(*values: float, better: Any = "lower") -> None:
        left: Iterator[float] = iter(values)

        class Told:
            needs = ()

            def measure(self, sample: Sample) -> Measurement:
                return {"one": np.ones(1)}

            def figures(self, measurements: Sequence[Measurement]) -> dict[str, Figure]:
                return {"told": Figure(next(left), better)}

        monkeypatch.setitem(metrics_package.METRICS, "told", lambda settings: Told())

    return set_values


def train(root: Path, epochs: int, *flags: str, metric: str = "told") -> str:
    """What a run on tiny data prints."""
    named = (*tiny_run(root), *SHORT, "--best_metric", metric, "--niter", str(epochs))
    outcome = run_train(*named, "--save_epoch_freq", "1", *flags)
    assert outcome.code == 0, outcome.err
    return outcome.out


def kept(root: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((root / "ck/tiny/best.json").read_text())
    return found


def epoch_of_best(root: Path) -> list[str]:
    """The epochs that G's best weights are equal to; other networks' are of the same ones."""
    folder = root / "ck/tiny"
    found = []
    for letter in "GD":
        best = (folder / f"best_net_{letter}.pth").read_bytes()
        files = folder.glob(f"[0-9]*_net_{letter}.pth")
        found.append([f.name.split("_")[0] for f in files if f.read_bytes() == best])
    assert found[0] == found[1]
    return found[0]


def with_data(root: Path) -> None:
    write_tiny_data(root, count=2)
    write_tiny_data(root, phase="val", count=3)


@pytest.mark.parametrize(
    ("better", "values", "epoch"),
    [
        ("lower", [float("nan"), 3.0, 1.0, 2.0], 3),
        ("higher", [3.0, float("nan"), 1.0, 2.0], 1),
    ],
)
def test_the_best_is_kept_where_it_gets_worse_again(
    better: str, values: list[float], epoch: int, tmp_path: Path, tell: Tell
) -> None:
    with_data(tmp_path)
    tell(*values, better=better)
    said = train(tmp_path, 4)
    value = values[epoch - 1]
    assert kept(tmp_path) == {
        "metric": "told", "value": value, "epoch": epoch, "phase": "val", "images": 3
    }  # fmt: skip
    assert epoch_of_best(tmp_path) == [str(epoch)]
    assert f"best told so far, {value:.5g}: kept as best_net_*.pth" in said
    where = ("--name", "tiny", "--checkpoints_dir", tmp_path / "ck", "--results_dir", tmp_path)
    assert run_test(*where, "--gpu_ids", "-1", "--which_epoch", "best", "--phase", "val").code == 0
    assert (tmp_path / "tiny/val_best/index.html").is_file()


def test_a_run_that_goes_on_keeps_the_best(tmp_path: Path, tell: Tell) -> None:
    with_data(tmp_path)
    tell(2.0, 1.0)
    train(tmp_path, 2)
    tell(1.5, 1.0)  # as good is no better
    train(tmp_path, 4, "--continue_train")
    assert kept(tmp_path)["epoch"] == 2 and epoch_of_best(tmp_path) == ["2"]
    tell(0.5)
    train(tmp_path, 5, "--continue_train")
    assert kept(tmp_path)["epoch"] == 5 and epoch_of_best(tmp_path) == ["5"]
    said = train(tmp_path, 6, "--continue_train", "--metrics", "l1", metric="l1")
    assert "best.json: the best by told on 3 images of val; the best by l1 on 3 of val" in said
    assert (kept(tmp_path)["metric"], kept(tmp_path)["epoch"]) == ("l1", 6)
    tell(9.0)
    train(tmp_path, 1)  # a new run: the earlier one is set aside
    assert kept(tmp_path)["value"] == 9.0


@pytest.mark.parametrize(
    ("lost", "time", "known"),
    [("best_net_G.pth", 1, 1), ("latest_state.pth", 1, 1), ("latest_state.pth", 2, 2)],
)
def test_a_run_killed_in_a_save_evaluates_again(
    lost: str, time: int, known: int, tmp_path: Path, tell: Tell, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_data(tmp_path)
    tell(2.0)
    train(tmp_path, 1)

    saved: list[str] = []

    def save_or_fail(value: Any, path: Path) -> None:
        saved.append(path.name)
        if path.name == lost and saved.count(lost) == time:  # the first is before the evaluation
            raise UserError("killed")
        save_tensors(value, path)

    with monkeypatch.context() as patch:
        patch.setattr("pix2pixhd.engine.state.save_tensors", save_or_fail)
        tell(1.0)
        flags = (*tiny_run(tmp_path), *SHORT, "--best_metric", "told", "--niter", "2")
        assert run_train(*flags, "--continue_train").code == 2
    assert kept(tmp_path)["epoch"] == known  # never before its weights
    tell(1.0)
    train(tmp_path, 2, "--continue_train")
    assert kept(tmp_path)["epoch"] == 2 and epoch_of_best(tmp_path) == ["2"]


@pytest.mark.parametrize("text", ["", "[]", '{"metric": "l1"}', '{"value": "low"}', None])
def test_a_damaged_file_is_told(text: str | None, tmp_path: Path) -> None:
    file = tmp_path / "best.json"
    values = json.loads(Best("l1", "val", 3, 0.5, 2).text) | {"value": "low"}
    file.write_text(json.dumps(values) if text is None else text)
    with pytest.raises(UserError, match=r"best.json: .*; restore the file, or remove it"):
        read_best(file)


def test_of_infinities_none_is_the_best() -> None:
    best = Best("psnr", "val", 3)
    assert not best.update(Figure(float("inf"), "higher"), 1)
    assert best.update(Figure(1.0, "higher"), 2) and best.epoch == 2


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ("--best_metric l1", "--best_metric l1 with --eval_freq 0: nothing is measured"),
        ("--best_metric psnr --eval_freq 1", "--best_metric psnr: must be one of --metrics l1;"),
    ],
)
def test_flags_that_contradict_each_other(flags: str, said: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_train(flags.split())
    assert any(problem.startswith(said) for problem in caught.value.problems)
