from __future__ import annotations

import dataclasses
import math
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pix2pixhd.metrics import Figure, MetricSettings, Sample, build_metrics
from pix2pixhd.metrics.base import weights_hash
from pix2pixhd.metrics.segmentation import Segmentation, mean_colours
from pix2pixhd.metrics.segmenters import IMAGENET, TRAINING_CLASSES, build_network, normalised
from pix2pixhd.util.errors import UserError
from pix2pixhd.util.labels import LabelSet, label_set

CPU = torch.device("cpu")
THREE = LabelSet(np.eye(3, dtype=np.uint8) * 255, ("red", "green", "blue"))


class ByColour(nn.Module):
    """A pixel is of the class whose colour is the nearest; undoes ImageNet's normalisation."""

    def __init__(self, colours: np.ndarray, stride: int = 1) -> None:
        super().__init__()
        self.stride = stride
        self.colours = torch.from_numpy(colours).float()
        self.mean, self.std = (torch.tensor(IMAGENET[key]).view(3, 1, 1) for key in ("mean", "std"))

    def forward(self, image: Tensor) -> Tensor:
        levels = (image * self.std + self.mean)[:, :, :: self.stride, :: self.stride] * 255
        distance = levels[:, None] - self.colours[:, :, None, None]
        return -distance.square().sum(2)


class Without(nn.Module):
    """Gives some rows of the image, times a number."""

    def __init__(self, rows: int, times: float) -> None:
        super().__init__()
        self.rows, self.times = rows, times

    def forward(self, image: Tensor) -> Tensor:
        return image[:, :, : self.rows, :8] * self.times


@pytest.fixture
def script(tmp_path: Path) -> Callable[..., Path]:
    """Writes a TorchScript file of a network."""

    def write(network: nn.Module, name: str = "segmenter.pt") -> Path:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            traced = torch.jit.trace(network, torch.zeros(1, 3, 8, 8))
            torch.jit.save(traced, str(tmp_path / name))
        return tmp_path / name

    return write


@pytest.fixture
def settings(script: Callable[..., Path]) -> MetricSettings:
    return MetricSettings(labels=THREE, segmenter=script(ByColour(THREE.colours)))


def painted(label: Tensor, labels: LabelSet = THREE) -> Tensor:
    """A picture in the labels' colours, [1, 3, H, W] in [-1, 1]."""
    colours = torch.from_numpy(labels.colours).float() / 127.5 - 1
    return colours[label[0, 0].long()].permute(2, 0, 1)[None]


def maps(*rows: list[int]) -> Tensor:
    return torch.tensor(rows)[None, None]


def figures(settings: MetricSettings, *samples: Sample) -> dict[str, Figure]:
    [metric] = build_metrics(["mean_iou", "pixel_accuracy"], settings)
    return metric.figures([metric.measure(sample) for sample in samples])


def test_label_maps_of_another_shape_and_without_labels_are_told(settings: MetricSettings) -> None:
    label = torch.randint(3, (1, 1, 12, 16))
    for shape, is_told in (((24, 32), False), ((12, 15), False), ((16, 12), True)):
        fitting, other = Sample(painted(label), label=label), Sample(painted(label))
        other = dataclasses.replace(other, label=label.flatten()[:1].expand(1, 1, *shape))
        for figure in figures(settings, fitting, other).values():
            assert ("1 of 2 label maps differ" in figure.warning) == is_told
    found = figures(settings, Sample(painted(label), label=torch.full_like(label, 255)))
    assert found["mean_iou"].warning == "no pixel has a label that counts"


def test_perfect_predictions(settings: MetricSettings) -> None:
    label = torch.randint(3, (1, 1, 12, 16), dtype=torch.uint8)
    found = figures(settings, Sample(painted(label), painted(label), label))
    for figure in found.values():
        assert figure.value == 1 and figure.per_image == [1]
        assert figure.beside == {"real": 1, "floor": 1}
    assert found["mean_iou"].by_class == {"red": 1, "green": 1, "blue": 1}


def test_by_hand(settings: MetricSettings) -> None:
    label, taken_for = maps([0, 0, 0, 1], [0, 1, 1, 1]), maps([0, 0, 1, 1], [0, 1, 2, 0])
    [metric] = build_metrics(["mean_iou"], settings)
    one = metric.measure(Sample(painted(taken_for), label=label))
    assert one["fake"].dtype == np.int64 and set(one) == {"fake", "size", "stretched"}
    assert one["fake"].tolist() == [[3, 1, 0, 0], [1, 2, 1, 0], [0, 0, 0, 0]]
    # In the second image all is blue, and right: counts are summed before the quotient.
    blue = maps([2, 2])
    two = metric.measure(Sample(painted(blue), label=blue))
    found = metric.figures([one, two])
    assert found["pixel_accuracy"].value == pytest.approx(7 / 10)
    ious = {"red": 3 / 5, "green": 2 / 5, "blue": 2 / 3}
    assert found["mean_iou"].by_class == pytest.approx(ious)
    assert found["mean_iou"].value == pytest.approx(sum(ious.values()) / 3)
    # By itself the first image has no blue: that is no class of its mean.
    assert found["mean_iou"].per_image == pytest.approx([(3 / 5 + 2 / 5) / 2, 1])
    assert found["pixel_accuracy"].per_image == pytest.approx([5 / 8, 1])
    assert found["mean_iou"].beside == {}


def test_ignored_labels_and_those_out_of_range_are_left_out(settings: MetricSettings) -> None:
    wrong = painted(maps([0, 1, 1, 1]))
    for left_out in (255, -1, 3):
        found = figures(settings, Sample(wrong, label=maps([0, 1, left_out, left_out])))
        assert found["pixel_accuracy"].value == 1
    ignoring = MetricSettings(labels=THREE, ignore_label=[2], segmenter=settings.segmenter)
    label = maps([0, 0, 2, 2])
    found = figures(ignoring, Sample(painted(maps([0, 2, 0, 0])), label=label))
    # Taking red for what is ignored is a mistake; what ignored pixels are taken for is none.
    assert found["pixel_accuracy"].value == 0.5
    assert found["mean_iou"].by_class == {"red": 0.5}
    assert found["mean_iou"].protocol["left_out"] == ["blue"]


@pytest.mark.parametrize("classes", [range(35), TRAINING_CLASSES], ids=["35", "19"])
def test_of_35_labels_the_19_training_classes_count(
    script: Callable[..., Path], classes: tuple[int, ...]
) -> None:
    cityscapes = label_set(35)
    # Several of its labels are black: other colours, which are told apart.
    colours = np.random.default_rng(0).integers(0, 256, (35, 3)).astype(np.uint8)
    labels = LabelSet(colours, cityscapes.names)
    made = MetricSettings(labels=labels, segmenter=script(ByColour(colours[list(classes)])))
    label = torch.arange(35).view(1, 1, 5, 7)
    found = figures(made, Sample(painted(label, labels), label=label))
    assert found["pixel_accuracy"].value == 1
    assert list(found["mean_iou"].by_class) == [cityscapes.names[n] for n in TRAINING_CLASSES]
    assert found["mean_iou"].protocol["classes"] == 19
    assert len(found["mean_iou"].protocol["left_out"]) == 16
    # 35 labels of somebody else's are all classes.
    others = LabelSet(colours, tuple(f"thing {number}" for number in range(35)))
    if len(classes) == 35:
        made = MetricSettings(labels=others, segmenter=made.segmenter)
        assert (
            figures(made, Sample(painted(label, others), label=label))["mean_iou"].protocol[
                "left_out"
            ]
            == []
        )


def test_damage_is_worse(settings: MetricSettings) -> None:
    draw = torch.Generator().manual_seed(0)
    label = torch.randint(3, (1, 1, 16, 16), generator=draw)
    noise = torch.randn(1, 3, 16, 16, generator=draw)
    values = [
        figures(settings, Sample(painted(label) + much * noise, label=label))["mean_iou"].value
        for much in (0, 1, 4)
    ]
    assert values == sorted(set(values), reverse=True)


def test_logits_are_upsampled_to_the_labels(script: Callable[..., Path]) -> None:
    made = MetricSettings(labels=THREE, segmenter=script(ByColour(THREE.colours, stride=4)))
    label = maps([0, 2]).repeat_interleave(8, 2).repeat_interleave(8, 3)  # 8x16
    found = figures(made, Sample(painted(label), label=label))["pixel_accuracy"]
    # Bilinear: between the columns 4 and 8 of the logits it changes within the label's border.
    assert 0.8 < found.value <= 1
    assert (
        found.protocol["segmented_at"] == "8x16" and "labels' size" in found.protocol["resampling"]
    )
    half = figures(made, Sample(painted(label)[..., ::2, ::2], label=label))["pixel_accuracy"]
    assert half.protocol["segmented_at"] == "8x16"


def test_eval_size(settings: MetricSettings) -> None:
    label = maps([0, 2]).repeat_interleave(8, 2).repeat_interleave(8, 3)
    made = MetricSettings(labels=THREE, segmenter=settings.segmenter, eval_size=(4, 8))
    [metric] = build_metrics(["mean_iou"], made)
    measured = metric.measure(Sample(painted(label), painted(label), label))
    assert measured["fake"].sum() == 32
    found = metric.figures([measured])["mean_iou"]
    assert found.value == 1 and found.beside["real"] == 1
    assert found.protocol["segmented_at"] == "4x8" and "--eval_size" in found.protocol["resampling"]


def test_ceiling_and_floor(settings: MetricSettings) -> None:
    label = maps([0, 0, 0, 1])
    # The mean of red, red and blue is rather red: the floor is right where the real image is not.
    real = painted(maps([0, 0, 2, 1]))
    found = figures(settings, Sample(painted(maps([1, 1, 0, 1])), real, label))["pixel_accuracy"]
    assert found.value == 0.5
    assert found.beside == {"real": 0.75, "floor": 1}
    both = figures(settings, Sample(real, real, label), Sample(real, label=label))
    assert both["pixel_accuracy"].beside == {}  # they would not be of the same images


def test_mean_colours() -> None:
    image = torch.tensor([[1.0, 0.0], [0.5, -1.0]])[None, None]
    label = maps([255, 255], [7, 7])
    assert mean_colours(image, label)[0, 0].tolist() == [[0.5, 0.5], [-0.25, -0.25]]
    twice = mean_colours(image.repeat_interleave(2, 2).repeat_interleave(2, 3), label)
    assert twice[0, 0, 0].tolist() == [0.5] * 4  # labels of another size


def test_protocol(settings: MetricSettings) -> None:
    label = maps([0, 1])
    protocol = figures(settings, Sample(painted(label), label=label))["mean_iou"].protocol
    assert settings.segmenter is not None
    assert protocol["weights"] == weights_hash(settings.segmenter)
    assert protocol["file"] == "segmenter.pt"
    assert protocol["left_out"] == [] and protocol["segmented_at"] == "1x2"


def saved(path: Path, **changes: Any) -> Path:
    """A file as train-segmenter writes it."""
    state = {
        "architecture": "lraspp_mobilenet_v3_large",
        "state": build_network("lraspp_mobilenet_v3_large", 2).state_dict(),
        "classes": [0, 2],
        "normalisation": IMAGENET,
        "label_nc": 3,
        "epoch": 2,
        "epochs": 2,
        "held_out": {"phase": "test", "images": 1, "mean_iou": 0.5},
    }
    torch.save(state | changes, path)
    return path


def test_a_trained_file_says_its_own_classes(tmp_path: Path) -> None:
    file = saved(tmp_path / "trained.pt")
    made = MetricSettings(labels=THREE, segmenter=file)
    label = torch.tensor([0, 2]).repeat(32, 16)[None, None]
    found = figures(made, Sample(painted(label), label=label))["mean_iou"]
    assert set(found.by_class) == {"red", "blue"} and not found.warning
    assert found.protocol["left_out"] == ["green"]
    assert found.protocol["segmenter_held_out"]["mean_iou"] == 0.5
    half = MetricSettings(labels=THREE, segmenter=saved(file, epoch=1))
    [metric] = build_metrics(["mean_iou"], half)
    assert "1 of 2 epochs" in metric.figures([])["mean_iou"].warning


def test_a_folder_of_hugging_face(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = MetricSettings(labels=THREE, segmenter=tmp_path)
    monkeypatch.setitem(sys.modules, "transformers", None)  # not installed
    with pytest.raises(UserError, match="needs the package transformers") as error:
        build_metrics(["mean_iou"], made)
    assert len(error.value.problems) == 1
    half = {"mean": [0.5] * 3, "std": [0.5] * 3}  # the image in [-1, 1] itself
    (tmp_path / "preprocessor_config.json").write_text(
        '{"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}'
    )
    (tmp_path / "model.safetensors").write_bytes(b"weights")

    class Model(nn.Module):
        @classmethod
        def from_pretrained(cls, folder: str, local_files_only: bool) -> Model:
            assert local_files_only and folder == str(tmp_path)
            return cls()

        def forward(self, pixel_values: Tensor) -> SimpleNamespace:
            return SimpleNamespace(logits=pixel_values)

    module = SimpleNamespace(AutoModelForSemanticSegmentation=Model)
    monkeypatch.setitem(sys.modules, "transformers", module)
    label = torch.randint(3, (1, 1, 4, 4))
    found = figures(made, Sample(painted(label), label=label))["pixel_accuracy"]
    assert found.value == 1
    assert found.protocol["weights"] == weights_hash(tmp_path / "model.safetensors")
    assert torch.allclose(normalised(painted(label), half), painted(label), atol=1e-6)


def test_bad_segmenters(
    settings: MetricSettings, script: Callable[..., Path], tmp_path: Path
) -> None:
    def problem(file: Path | None, labels: LabelSet | None = THREE) -> str:
        with pytest.raises(UserError) as error:
            Segmentation(MetricSettings(labels=labels, segmenter=file))
        [line] = error.value.problems
        assert "\n" not in line
        return line

    text = tmp_path / "text.pt"
    text.write_text("no weights")
    assert "--segmenter FILE" in problem(None)
    assert "no such file" in problem(tmp_path / "missing.pt")
    assert "text.pt" in problem(text)
    torch.save({"weight": torch.zeros(1)}, text)
    assert "holds no segmentation network" in problem(text)
    assert "holds no segmentation network" in problem(saved(text, architecture="getattr"))
    assert "not the weights" in problem(saved(text, classes=[0, 1, 2]))
    assert "trained for 4 labels" in problem(saved(text, label_nc=4))
    line = problem(settings.segmenter, label_set(35))
    assert "gives 3 classes" in line and "35" in line and "Cityscapes' 19" in line
    line = problem(settings.segmenter, label_set(12))
    assert "gives 3 classes" in line and "12" in line and "Cityscapes" not in line
    assert "expected [N, classes, h, w]" in problem(script(nn.Flatten()))
    assert "gives [1, 3, 0, 8]" in problem(script(Without(rows=0, times=1)))
    assert "gives not-a-number" in problem(script(Without(rows=8, times=math.nan)))
    assert "fails on images" in problem(script(nn.Linear(8, 8)))
    damaged = script(ByColour(THREE.colours), "damaged.pt")
    content = bytearray(damaged.read_bytes())
    middle = content.index(b"constants.pkl") + 40
    content[middle : middle + 200] = bytes(200)
    damaged.write_bytes(bytes(content))
    assert "damaged, its record" in problem(damaged)
    content[content.index(b"PK\x01\x02")] = 0  # of the list of records
    damaged.write_bytes(bytes(content))
    assert "cannot be read" in problem(damaged)
