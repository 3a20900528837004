"""How a training run begins: what is read, locked and written in which order."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from programs import metrics, run_train, tiny_run, write_tiny_data
from tiny_models import CPU, TINY
from torch import nn

from pix2pixhd.data.dataset import AlignedDataset
from pix2pixhd.engine import builders, training
from pix2pixhd.engine.run_folder import locked
from pix2pixhd.engine.world import World
from pix2pixhd.options.fields import replaced
from pix2pixhd.options.saved import options_texts
from pix2pixhd.options.train_options import LossOptions, TrainOptions
from pix2pixhd.util.checkpoint import load_tensors

QUICK = ("--niter_decay", "0", "--print_freq", "1", "--no_html")


def test_a_run_is_read_only_when_it_is_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a second process goes on from a state that the first replaces before it lets go."""
    write_tiny_data(tmp_path)
    goes_on = (*tiny_run(tmp_path), *QUICK, "--continue_train", "--niter")
    assert run_train(*tiny_run(tmp_path), *QUICK, "--niter", "1").code == 0
    first_ends = [lambda: run_train(*goes_on, "2")]

    @contextlib.contextmanager
    def lock_when_the_first_has_ended(folder: Path) -> Iterator[None]:
        if first_ends:
            assert first_ends.pop()().code == 0
        with locked(folder):
            yield

    monkeypatch.setattr(training, "locked", lock_when_the_first_has_ended)
    outcome = run_train(*goes_on, "3")
    assert "going on in epoch 3, after 8 images" in outcome.out
    assert [line["step"] for line in metrics(tmp_path / "ck/tiny")] == list(range(1, 13))


def test_a_new_run_that_fails_leaves_the_earlier_one(tmp_path: Path) -> None:
    write_tiny_data(tmp_path)
    assert run_train(*tiny_run(tmp_path), *QUICK, "--niter", "1").code == 0
    before = sorted(path.name for path in (tmp_path / "ck/tiny").iterdir())
    for flags in (
        ("--load_pretrain", tmp_path / "nowhere"),
        ("--niter_fix_global", "1"),
        ("--eval_freq", "1"),
        ("--metrics", "beauty", "--eval_freq", "1"),
    ):
        outcome = run_train(*tiny_run(tmp_path), *QUICK, *flags)
        assert outcome.code == 2, flags
        assert len(outcome.err.splitlines()) == 1 and flags[0] in outcome.err + "--load_pretrain"
        assert [path.name for path in (tmp_path / "ck").iterdir()] == ["tiny"]
        assert sorted(path.name for path in (tmp_path / "ck/tiny").iterdir()) == before


@pytest.mark.parametrize(("rank", "order"), [(0, ["load", "wait"]), (1, ["wait", "load"])])
def test_the_first_process_fetches_vgg_and_the_others_wait(
    rank: int, order: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a cold cache each would download the same half gigabyte."""
    done: list[str] = []

    def wait(world: World) -> None:
        done.append("wait")

    monkeypatch.setattr(builders, "load_vgg_weights", lambda file: done.append("load"))
    monkeypatch.setattr(builders, "VGGPerceptualLoss", lambda weights, source: None)
    monkeypatch.setattr(builders, "barrier", wait)
    builders.perceptual_loss(LossOptions(), World(rank, 2))
    assert done == order


def test_only_a_local_enhancer_can_train_alone(tmp_path: Path) -> None:
    write_tiny_data(tmp_path)
    outcome = run_train(*tiny_run(tmp_path), "--niter_fix_global", "1")
    assert outcome.code == 2
    assert "--niter_fix_global 1 with --netG global" in outcome.err
    assert not (tmp_path / "ck").exists()


@pytest.mark.parametrize(("channels", "has_vgg"), [(1, True), (3, True), (4, False)])
def test_vgg_looks_at_one_or_three_channels(
    channels: int, has_vgg: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = {"output_nc": channels, "vgg_weights": "vgg.pth"}
    options = training.without_unusable_vgg(replaced(TrainOptions(), flags), CPU)
    assert options.loss.vgg_loss == has_vgg
    assert options.loss.vgg_weights == ("vgg.pth" if has_vgg else None)
    assert not list(options.problems())
    said = capsys.readouterr().out
    assert said.startswith("" if has_vgg else "--output_nc 4: training without the perceptual loss")
    assert len(said.splitlines()) == (0 if has_vgg else 1)


def test_another_padding_of_the_first_weights_is_told(tmp_path: Path) -> None:
    assert training.other_padding(tmp_path, "reflect") == []  # no options, nobody knows
    options = replaced(TrainOptions(), {"pad_down": "reflect"})
    (tmp_path / "options.json").write_text(options_texts(options)["options.json"])
    assert training.other_padding(tmp_path, "reflect") == []
    [line] = training.other_padding(tmp_path, "zero")
    assert "trained with --pad_down reflect, this run has --pad_down zero" in line
    (tmp_path / "options.json").write_text("damaged")
    assert training.other_padding(tmp_path, "zero") == []


def test_all_networks_begin_as_asked() -> None:
    flags = {"init": "orthogonal", "init_gain": 0.5, "instance_feat": True, "nef": 2}
    model = training.build_model(replaced(TrainOptions(), TINY | flags))
    assert set(model.trained_networks()) == set("GDE")
    for name, network in model.trained_networks().items():
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                rows = layer.weight.flatten(1)
                rows = rows if rows.shape[0] <= rows.shape[1] else rows.T
                expected = 0.25 * torch.eye(len(rows))
                torch.testing.assert_close(rows @ rows.T, expected, msg=name)


@pytest.mark.parametrize(("flags", "bits"), [((), 16), (("--output_bits", "8"), 8)])
def test_results_have_the_depth_of_the_photographs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: tuple[str, ...], bits: int
) -> None:
    write_tiny_data(tmp_path)
    monkeypatch.setattr(AlignedDataset, "image_bits", 16)
    outcome = run_train(*tiny_run(tmp_path), *QUICK, "--niter", "1", *flags)
    assert outcome.code == 0, outcome.err
    assert json.loads((tmp_path / "ck/tiny/options.json").read_text())["output_bits"] == bits


def test_adam_s_options_reach_the_optimizers(tmp_path: Path) -> None:
    """Also those that a resumed run is given; logs show the generator's rate."""
    write_tiny_data(tmp_path)
    where, given = tiny_run(tmp_path), ("--lr", "0.002", "--lr_D", "0.008", "--beta2", "0.9")
    for flags, rates, betas in (
        (("--niter", "1", *given), (0.002, 0.008), (0.5, 0.9)),
        (("--continue_train", "--niter", "2", "--lr_D", "0.004"), (0.002, 0.004), (0.5, 0.9)),
    ):
        assert run_train(*where, *QUICK, *flags).code == 0
        state = load_tensors(tmp_path / "ck/tiny/latest_state.pth")["optimizers"]
        for name, rate in zip("GD", rates, strict=True):
            [group] = state[name]["param_groups"]
            assert (group["lr"], group["betas"]) == (rate, betas)
        assert metrics(tmp_path / "ck/tiny")[-1]["lr"] == rates[0]
