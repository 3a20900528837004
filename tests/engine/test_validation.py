"""Held-out images are evaluated as training goes on, whoever renders them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from programs import metrics, run_test, run_train, tiny_run, write_tiny_data

import pix2pixhd.metrics as metrics_package
from pix2pixhd.engine.builders import build_model
from pix2pixhd.engine.runtime import Runtime
from pix2pixhd.engine.validation import metric_names, open_validation
from pix2pixhd.engine.world import World
from pix2pixhd.metrics import Figure, Measurement, MetricSettings, Sample
from pix2pixhd.metrics.base import mean_figure
from pix2pixhd.options.parsing import parse_train
from pix2pixhd.util.errors import UserError

FEATURES = ("--instance_feat", "--nef", "2", "--n_downsample_E", "1")
ONE_EPOCH = ("--niter", "1", "--niter_decay", "0", "--no_html")


class Whiteness:
    """A metric of a test's own: the mean level of the images, from 0 to 1."""

    needs = ()

    def __init__(self, settings: MetricSettings) -> None:
        pass

    def measure(self, sample: Sample) -> Measurement:
        return {"level": ((sample.fake.mean() + 1) / 2).numpy()}

    def figures(self, measurements: Sequence[Measurement]) -> dict[str, Figure]:
        levels = [float(measurement["level"]) for measurement in measurements]
        return {"white": mean_figure(levels, "higher")}


def test_figures_are_those_of_the_files_that_are_rendered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(metrics_package.METRICS, "white", Whiteness)
    write_tiny_data(tmp_path)
    write_tiny_data(tmp_path, phase="test", count=3)
    flags = ("--print_freq", "2", "--eval_freq", "2", "--metrics", "white, l1")
    outcome = run_train(
        *tiny_run(tmp_path), *flags, "--niter", "2", "--niter_decay", "1", "--no_html"
    )
    assert outcome.code == 0, outcome.err
    records = [line for line in metrics(tmp_path / "ck/tiny") if "val_white" in line]
    assert [record["step"] for record in records] == [8]  # of three epochs of four images

    monkeypatch.setattr("train.learning_rate", lambda *_: 0.0)
    again = (*tiny_run(tmp_path, "still"), "--load_pretrain", tmp_path / "ck/tiny", "--eval_freq")
    assert run_train(*again, "1", *flags[4:], *ONE_EPOCH).code == 0
    [record] = [line for line in metrics(tmp_path / "ck/still") if "val_l1" in line]
    where = ("--name", "still", "--checkpoints_dir", tmp_path / "ck", "--results_dir", tmp_path)
    assert run_test(*where, "--gpu_ids", "-1").code == 0
    shown = [
        np.asarray(Image.open(file)) / 255
        for file in sorted((tmp_path / "still/test_latest/images").glob("*synthesized_image.png"))
    ]
    real = [
        np.asarray(Image.open(file)) / 255
        for file in sorted((tmp_path / "data/test_img").glob("*.png"))
    ]
    assert record["val_white"] == pytest.approx(np.mean(shown), abs=1e-3)
    assert record["val_l1"] == pytest.approx(np.abs(np.array(shown) - real).mean(), abs=2e-3)


@pytest.mark.parametrize("images", [1, 3, 5])
def test_processes_share_the_images(
    images: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_tiny_data(tmp_path)
    write_tiny_data(tmp_path, phase="val", count=5)
    flags = [*map(str, tiny_run(tmp_path)), "--eval_freq", "1", "--metrics", "l1,psnr"]
    options = parse_train([*flags, "--eval_images", str(images)])
    model = build_model(options)
    cpu = torch.device("cpu")
    alone = Runtime(cpu)
    whole = open_validation(options, alone).evaluate(model, alone)

    monkeypatch.setattr("pix2pixhd.engine.render.barrier", lambda world: None)
    runtimes = [Runtime(cpu, world=World(rank, 2)) for rank in range(2)]
    shares = [open_validation(options, runtime) for runtime in runtimes]
    assert [share.sample is None for share in shares] == [False, True]
    gathered: list[object] = []
    monkeypatch.setattr(
        "pix2pixhd.engine.validation.gather", lambda value, world: gathered.append(value) or []
    )
    for share, runtime in zip(shares, runtimes, strict=True):
        assert share.evaluate(model, runtime) == {}
    monkeypatch.setattr("pix2pixhd.engine.validation.gather", lambda value, world: gathered)
    shares[1].loader.dataset.dataset.files.clear()
    gathered_again = shares[0].evaluate(model, runtimes[0])
    assert [(share.phase, share.images) for share in shares] == [("val", images)] * 2
    for name, figure in whole.items():
        assert gathered_again[name].value == pytest.approx(figure.value, rel=1e-6)


def test_metrics_are_built_from_the_flags(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[MetricSettings] = []
    monkeypatch.setitem(
        metrics_package.METRICS, "white", lambda given: built.append(given) or Whiteness(given)
    )
    write_tiny_data(tmp_path)
    write_tiny_data(tmp_path, phase="val")
    weights = tmp_path / "weights.pth"
    weights.touch()
    flags = f"--eval_freq 1 --metrics white --lpips_backbone {weights} --eval_size 8x16".split()
    given = [*map(str, tiny_run(tmp_path)), *flags, "--ignore_label", "4"]
    open_validation(parse_train(given), Runtime(torch.device("cpu")))
    [settings] = built
    assert (settings.lpips_backbone, settings.eval_size) == (weights, (8, 16))
    assert tuple(settings.ignore_label) == (4,) and len(settings.labels or ()) == 5
    with pytest.raises(UserError) as caught:
        parse_train(["--segmenter", str(tmp_path / "no"), "--eval_size", "8"])
    assert [p.split()[0] for p in caught.value.problems] == ["--segmenter", "--eval_size"]


def test_unknown_metrics_are_listed() -> None:
    with pytest.raises(UserError, match=r"--metrics 'l1,beauty': beauty; expected .* l1, psnr"):
        metric_names("l1,beauty")
    with pytest.raises(UserError, match="none named"):
        metric_names(" , ")


@pytest.mark.parametrize(
    ("name", "said"), [("few", "compares several renderings"), ("lost", "there are no weights")]
)
def test_metrics_that_cannot_be_had_are_told_before_training(
    name: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class OfSeveral(Whiteness):
        needs = ("others",)

    def without_weights(settings: MetricSettings) -> Whiteness:
        raise UserError("there are no weights")

    monkeypatch.setitem(metrics_package.METRICS, "few", OfSeveral)
    monkeypatch.setitem(metrics_package.METRICS, "lost", without_weights)
    write_tiny_data(tmp_path)
    write_tiny_data(tmp_path, phase="test")
    flags = ("--eval_freq", "1", "--metrics", f"l1,{name}")
    outcome = run_train(*tiny_run(tmp_path), *flags, *ONE_EPOCH)
    assert outcome.code == 2
    assert said in outcome.err
    assert not (tmp_path / "ck").exists()


def test_without_photographs_there_is_nothing_to_evaluate(tmp_path: Path) -> None:
    write_tiny_data(tmp_path)
    held_out = write_tiny_data(tmp_path, phase="test")
    for file in (held_out / "test_img").iterdir():
        file.unlink()
    outcome = run_train(*tiny_run(tmp_path), "--eval_freq", "1", *ONE_EPOCH)
    assert outcome.code == 2
    assert "--eval_freq 1: there are no held-out images" in outcome.err
    assert "test_img" in outcome.err


@pytest.mark.parametrize("with_test", [False, True])
def test_damaged_held_out_images_are_told_before_training(with_test: bool, tmp_path: Path) -> None:
    """An evaluation after hours would end the run, and each time it is resumed. Nor is another
    phase taken: the process that checks would take it, and the others this one."""
    write_tiny_data(tmp_path)
    if with_test:
        write_tiny_data(tmp_path, phase="test")
    file = write_tiny_data(tmp_path, phase="val") / "val_img/scene_2.png"
    file.write_bytes(file.read_bytes()[:-30])
    outcome = run_train(*tiny_run(tmp_path), "--eval_freq", "1", *ONE_EPOCH)
    assert outcome.code == 2
    assert "scene_2.png" in outcome.err
    assert not (tmp_path / "ck").exists()


def without_photographs(held_out: Path) -> None:
    shutil.rmtree(held_out / "test_img")


def without_instances(held_out: Path) -> None:
    shutil.rmtree(held_out / "test_inst")


def damaged(held_out: Path) -> None:
    file = held_out / "test_label/scene_0.png"
    file.write_bytes(file.read_bytes()[:-30])


@pytest.mark.parametrize(
    ("spoil", "flags", "said"),
    [
        (without_photographs, (), ""),  # the page shows them without
        (without_photographs, FEATURES, "{data}/test_img: no such folder"),
        (without_instances, (), "{data}/test_inst: no such folder"),
        (damaged, (), "{data}/test_label/scene_0.png: "),
    ],
)
def test_held_out_images_that_cannot_be_shown_are_told_calmly(
    tmp_path: Path, spoil: Callable[[Path], None], flags: tuple[str, ...], said: str
) -> None:
    write_tiny_data(tmp_path)
    spoil(write_tiny_data(tmp_path, phase="test"))
    outcome = run_train(*tiny_run(tmp_path), *ONE_EPOCH, *flags)
    assert outcome.code == 0
    lines = [line for line in outcome.out.splitlines() if "held-out" in line]
    assert len(lines) == bool(said)
    for line in lines:
        reason = said.format(data=tmp_path / "data")
        assert line.startswith(f"no held-out images are shown while training ({reason}")
        assert line.endswith(")") and "check" not in line and ";" not in line


def test_images_that_a_generator_of_one_size_cannot_make(tmp_path: Path) -> None:
    write_tiny_data(tmp_path, size=(64, 32), count=1)
    write_tiny_data(tmp_path, size=(96, 32), phase="test", count=1)
    flags = ("--netG", "spade", "--use_vae", "--crop_size", "64x32", "--ngf", "1", "--z_dim", "2")
    outcome = run_train(*tiny_run(tmp_path), *flags, *ONE_EPOCH)
    assert outcome.code == 0, outcome.err
    reason = "scene_0.png: scaled to 96x32, and --use_vae makes images of --crop_size 64x32)"
    assert "no held-out images are shown while training (" in outcome.out and reason in outcome.out
    before = sorted(tmp_path.glob("ck/**/*"))
    other = ("--crop_size", "96x32")
    outcome = run_train(*tiny_run(tmp_path), *flags, *other, *ONE_EPOCH)
    assert outcome.code == 2 and "scaled to 64x32, and --use_vae makes" in outcome.err
    assert sorted(tmp_path.glob("ck/**/*")) == before  # the earlier run is not set aside
