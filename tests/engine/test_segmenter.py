"""A segmentation network that learns blocks of plain colours, in seconds."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from pix2pixhd.engine import segmenter
from pix2pixhd.engine.crops import IGNORED, Crops, open_pairs
from pix2pixhd.engine.segmenter import load_weights, run, train_step
from pix2pixhd.metrics import MetricSettings, Sample, build_metrics
from pix2pixhd.metrics.segmenters import TRAINING_CLASSES, build_network, counted
from pix2pixhd.options.segmenter_options import SegmenterOptions, parse_segmenter
from pix2pixhd.util.batch import Batch
from pix2pixhd.util.errors import UserError
from pix2pixhd.util.labels import label_set

COLOURS = np.array([[220, 40, 40], [40, 200, 40], [40, 40, 220], [230, 230, 40]], np.uint8)
LABELS = len(COLOURS)


def write_blocks(root: Path, phase: str, count: int) -> None:
    """Pictures of 64x64 pixels, four blocks in the colours of their labels, some noise over them;
    a frame of 4 pixels is unknown, 255."""
    random = np.random.default_rng(len(phase))
    for what in ("label", "img"):
        (root / f"{phase}_{what}").mkdir(parents=True)
    for number in range(count):
        label = random.integers(0, LABELS, (2, 2)).repeat(32, 0).repeat(32, 1)
        image = (COLOURS[label] + random.integers(-20, 21, (64, 64, 3))).clip(0, 255)
        known = np.pad(label[4:-4, 4:-4], 4, constant_values=255).astype(np.uint8)
        Image.fromarray(known).save(root / f"{phase}_label" / f"{number}.png")
        Image.fromarray(image.astype(np.uint8)).save(root / f"{phase}_img" / f"{number}.png")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("blocks")
    write_blocks(root, "train", 32)
    write_blocks(root, "test", 4)
    return root


def options(data: Path, out: Path, *argv: str) -> SegmenterOptions:
    usual = ("--label_nc", str(LABELS), "--ignore_label", "255", "--gpu_ids", "-1")
    where = ("--dataroot", str(data), "--out", str(out), "--nThreads", "0")
    return parse_segmenter([*where, *usual, *argv])


@pytest.mark.slow
def test_blocks_of_colours_are_learnt(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "blocks.pt"
    flags = ("--epochs", "6", "--fineSize", "64", "--batchSize", "4", "--lr", "0.003")
    run(options(data, file, *flags))
    saved = torch.load(file, weights_only=True)
    held_out = saved["held_out"]
    assert held_out["phase"] == "test" and held_out["images"] == 4
    assert held_out["pixel_accuracy"] > 0.85 and held_out["mean_iou"] > 0.7
    printed = capsys.readouterr().out
    assert f"pixel accuracy {held_out['pixel_accuracy']:.4f}" in printed
    assert "label 3" in printed  # IoU by class
    assert "optimizer" not in saved

    # What it says of itself is what an evaluation says of the real images.
    settings = MetricSettings(labels=label_set(LABELS), segmenter=file)
    [metric] = build_metrics(["pixel_accuracy", "mean_iou"], settings)
    measured = []
    for number in range(4):
        image, label = (
            torch.from_numpy(np.array(Image.open(data / f"test_{what}" / f"{number}.png")))
            for what in ("img", "label")
        )
        real = (image.float() / 127.5 - 1).permute(2, 0, 1)[None]
        measured.append(metric.measure(Sample(-real, real, label[None, None])))
    figure = metric.figures(measured)["mean_iou"]
    assert figure.beside["real"] == pytest.approx(held_out["mean_iou"], abs=1e-3)
    assert figure.protocol["segmenter_held_out"] == held_out
    assert figure.value < figure.beside["real"]

    run(options(data, file, *flags))
    assert "has finished its 6 epochs" in capsys.readouterr().out


def test_stopped_and_resumed_equals_unbroken(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = ("--epochs", "2", "--fineSize", "32", "--max_dataset_size", "16")
    run(options(data, tmp_path / "unbroken.pt", *short))
    steps = 0

    def interrupted(*args: Any) -> torch.Tensor:
        nonlocal steps
        steps += 1
        if steps == 4:  # within the second epoch
            raise KeyboardInterrupt
        return train_step(*args)

    file = tmp_path / "stopped.pt"
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(segmenter, "train_step", interrupted)
        run(options(data, file, *short))
    assert torch.load(file, weights_only=True)["epoch"] == 1
    [metric] = build_metrics(["mean_iou"], MetricSettings(segmenter=file))  # can be used already
    assert "1 of 2 epochs" in metric.figures([])["mean_iou"].warning

    with pytest.raises(UserError, match=r"--lr 0.5: .*was begun with --lr 0.001"):
        run(options(data, file, *short, "--lr", "0.5"))
    run(options(data, file, *short))
    one, other = (
        torch.load(tmp_path / f"{n}.pt", weights_only=True) for n in ("unbroken", "stopped")
    )
    assert one["held_out"] == other["held_out"]
    for name, value in one["state"].items():
        assert torch.equal(value, other["state"][name]), name


def test_crops_keep_pictures_and_labels_together(data: Path, tmp_path: Path) -> None:
    given = options(data, tmp_path / "x.pt", "--fineSize", "48")
    crops = Crops(open_pairs(given, "train"), range(LABELS), given)
    colours = torch.from_numpy(COLOURS).float() / 127.5 - 1
    right, scenes = [], set()
    for counter in range(12):
        sample = crops[0, counter]
        assert sample.image is not None and sample.image.shape == (1, 3, 48, 48)
        assert sample.image.dtype == torch.float32 and sample.label.dtype == torch.int64
        assert set(sample.label.unique().tolist()) <= {IGNORED, *range(LABELS)}
        pixels = sample.image[0].permute(1, 2, 0)
        nearest = (pixels[:, :, None] - colours).square().sum(3).argmin(2)
        known = sample.label[0, 0] != IGNORED
        right.append((nearest == sample.label[0, 0])[known].float().mean().item())
        scenes.add(sample.image.sum().item())
        assert torch.equal(crops[0, counter].image, sample.image)  # the counter is all it takes
    assert np.mean(right) > 0.9 and len(scenes) == 12


def test_a_batch_of_ignored_pixels_changes_no_weight_to_nan() -> None:
    network = build_network("lraspp_mobilenet_v3_large", 2)
    optimizer = torch.optim.AdamW(network.parameters())
    label = torch.full((2, 1, 32, 32), IGNORED)
    loss = train_step(network, optimizer, Batch(label, [], image=torch.rand(2, 3, 32, 32)))
    assert loss == 0
    assert all(value.isfinite().all() for value in network.parameters())


def test_of_cityscapes_labels_19_are_learnt_and_ignored_ones_never() -> None:
    assert counted(label_set(35)) == list(TRAINING_CLASSES)
    assert counted(label_set(35), [7]) == list(TRAINING_CLASSES[1:])
    assert counted(label_set(LABELS), [2, 255]) == [0, 1, 3]


def test_weights_to_start_from(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    network = build_network("lraspp_mobilenet_v3_large", 21)
    backbone = {
        name.replace("backbone.", "features."): value + 1
        for name, value in network.state_dict().items()
        if name.startswith("backbone.")
    }
    for saved in (backbone, {name: v + 1 for name, v in network.state_dict().items()}):
        torch.save(saved, tmp_path / "weights.pth")
        other = build_network("lraspp_mobilenet_v3_large", LABELS)
        load_weights(other, tmp_path / "weights.pth")
        name = "backbone.0.0.weight"
        assert torch.equal(other.state_dict()[name], network.state_dict()[name] + 1)
    assert re.search(r"weights.pth: \d+ of \d+ tensors taken", capsys.readouterr().out)
    for saved in ({"else": torch.zeros(1)}, {"state": 1}):
        torch.save(saved, tmp_path / "weights.pth")
        with pytest.raises(UserError, match="holds nothing of this network"):
            run(options(data, tmp_path / "x.pt", "--weights", str(tmp_path / "weights.pth")))


def test_what_cannot_be_learnt_from_is_told(data: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="1 image to train on, expected 2 or more"):
        run(options(data, tmp_path / "x.pt", "--max_dataset_size", "1"))
    root = tmp_path / "unknown"
    write_blocks(root, "train", 2)
    for file in (root / "train_label").iterdir():
        Image.new("L", (64, 64), 255).save(file)
    with pytest.raises(UserError, match="no pixel of an epoch has one of the labels to learn"):
        run(options(root, tmp_path / "x.pt", "--batchSize", "2", "--fineSize", "32"))
    assert not (tmp_path / "x.pt").exists()


@pytest.mark.parametrize(
    ("argv", "problem"),
    [
        (["--out="], "--out: not given"),
        (["--out", "."], "--out .: is a folder"),
        (["--batchSize", "1"], "--batchSize 1: must be 2 or more"),
        (["--augment"], "--augment: is for train.py"),
        (["--fineSize", "16"], "--fineSize 16: must be 32 or more"),
        (["--gpu_ids", "0,1"], "--gpu_ids '0,1': must be one"),
        (["--label_nc", "0"], "--label_nc 0: must be a whole number from 2"),
        (["--epochs", "0"], "--epochs 0: must be"),
        (["--lr", "nan"], "--lr nan: must be"),
        (["--network", "unet"], "network"),
    ],
)
def test_bad_flags(argv: list[str], problem: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        options(tmp_path, tmp_path / "x.pt", *argv)
    assert any(problem in line for line in error.value.problems)


def test_bad_files(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "other.pth"
    torch.save({"weight": torch.zeros(1)}, file)
    with pytest.raises(UserError, match="is no file of train-segmenter"):
        run(options(data, file))
    assert torch.load(file)["weight"] == 0
    with pytest.raises(UserError, match="batchSize 40: the data set has only 32"):
        run(options(data, tmp_path / "x.pt", "--batchSize", "40"))
    with pytest.raises(UserError, match="val_label"):
        run(options(data, tmp_path / "x.pt", "--phase", "val"))
    monkeypatch.setattr(segmenter, "train", None)  # is not come to
    with pytest.raises(UserError, match=r"/proc/x\.pt: cannot be written"):
        run(options(data, Path("/proc/x.pt")))


def test_without_held_out_images(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_blocks(tmp_path, "train", 2)
    run(options(tmp_path, tmp_path / "x.pt", "--epochs", "1", "--batchSize", "2", "--seed", "3"))
    assert "no held-out images (val or test)" in capsys.readouterr().out
