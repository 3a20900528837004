from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
from shared_data import shared
from stand_ins import alexnet_weights
from torch.nn import functional as F

from pix2pixhd.metrics import Figure, MetricSettings, Sample, build_metrics
from pix2pixhd.metrics.base import weights_hash
from pix2pixhd.util.errors import UserError

IMAGES = torch.rand(3, 3, 40, 56, generator=torch.Generator().manual_seed(0)) * 2 - 1
FAKE, REAL, _ = IMAGES.split(1)


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("weights") / "alexnet.pth"
    torch.save(alexnet_weights(), file)
    return file


def figure(name: str, file: Path, sample: Sample) -> Figure:
    [metric] = build_metrics([name], MetricSettings(lpips_backbone=file))
    return metric.figures([metric.measure(sample)])[name]


def independent(one: torch.Tensor, other: torch.Tensor, file: Path) -> float:
    """Formula 1 of the paper, with the heads that torchmetrics has."""
    import torchmetrics.functional.image as theirs

    heads = torch.load(Path(theirs.__file__).parent / "lpips_models" / "alex.pth", "cpu")
    weights = torch.load(file)
    shift, scale = (
        torch.tensor(v).view(3, 1, 1) for v in ([-0.03, -0.088, -0.188], [0.458, 0.448, 0.45])
    )
    x = (torch.cat([one, other]) - shift) / scale
    total = 0.0
    strides = {0: (4, 2), 3: (1, 2), 6: (1, 1), 8: (1, 1), 10: (1, 1)}
    for head, (index, (stride, padding)) in enumerate(strides.items()):
        if index in (3, 6):
            x = F.max_pool2d(x, 3, 2)
        weight, bias = (weights[f"features.{index}.{what}"].float() for what in ("weight", "bias"))
        x = F.conv2d(x, weight, bias, stride, padding).relu()
        unit = x / (x.square().sum(1, keepdim=True) + 1e-8).sqrt()
        difference = (unit[:1] - unit[1:]).square()
        total += (difference * heads[f"lin{head}.model.1.weight"]).sum(1).mean().item()
    return total


def test_lpips_is_the_formula(backbone: Path) -> None:
    found = figure("lpips", backbone, Sample(FAKE, REAL))
    assert found.value == pytest.approx(independent(FAKE, REAL, backbone), rel=1e-4)
    assert figure("lpips", backbone, Sample(FAKE, FAKE)).value == 0
    assert found.protocol["backbone"] == weights_hash(backbone)
    assert found.protocol["network"] == "alexnet"


def test_a_trained_backbone() -> None:
    file = shared("weights", "alexnet_features.pth")
    found = figure("lpips", file, Sample(FAKE, REAL))
    assert found.value == pytest.approx(independent(FAKE, REAL, file), rel=1e-4)
    little = figure("lpips", file, Sample((REAL + 0.1 * FAKE).clamp(-1, 1), REAL))
    assert 0 < little.value < found.value < 1


def test_half_precision_of_the_file(backbone: Path, tmp_path: Path) -> None:
    torch.save(alexnet_weights(torch.float16), tmp_path / "half.pth")
    half = figure("lpips", tmp_path / "half.pth", Sample(FAKE, REAL))
    full = figure("lpips", backbone, Sample(FAKE, REAL))
    assert half.value == pytest.approx(full.value, rel=1e-2)
    assert half.protocol["backbone"] != full.protocol["backbone"]


def test_one_channel_is_gray(backbone: Path) -> None:
    gray = FAKE[:, :1], REAL[:, :1]
    expected = figure("lpips", backbone, Sample(*(image.repeat(1, 3, 1, 1) for image in gray)))
    assert figure("lpips", backbone, Sample(*gray)).value == expected.value
    with pytest.raises(UserError, match=r"^lpips: images of 2 channels, this metric takes 1 or 3"):
        figure("lpips", backbone, Sample(FAKE[:, :2], REAL[:, :2]))


def test_small_images(backbone: Path) -> None:
    figure("lpips", backbone, Sample(FAKE[..., :31, :31], REAL[..., :31, :31]))
    with pytest.raises(UserError, match=r"^lpips: images of 30x40 pixels, .* 31 and more"):
        figure("lpips", backbone, Sample(FAKE[..., :30], REAL[..., :30]))


def test_diversity_is_the_mean_of_all_pairs(backbone: Path) -> None:
    found = figure("diversity", backbone, Sample(FAKE, others=IMAGES))
    pairs = combinations(IMAGES.split(1), 2)
    distances = [figure("lpips", backbone, Sample(*pair)).value for pair in pairs]
    assert len(distances) == 3
    assert found.value == pytest.approx(np.mean(distances))
    assert found.better == "higher"
    assert found.protocol["renderings"] == 3
    assert figure("diversity", backbone, Sample(FAKE, others=FAKE.repeat(2, 1, 1, 1))).value == 0
    with pytest.raises(UserError, match="diversity: 1 renderings of an input, expected at least 2"):
        figure("diversity", backbone, Sample(FAKE, others=FAKE))


def test_both_metrics_have_one_network(backbone: Path) -> None:
    lpips, diversity = build_metrics(
        ["lpips", "diversity"], MetricSettings(lpips_backbone=backbone)
    )
    assert lpips.network is diversity.network  # type: ignore[attr-defined]


def test_a_file_of_other_tensors(tmp_path: Path) -> None:
    file = tmp_path / "other.pth"
    wrong = alexnet_weights() | {"features.3.weight": torch.zeros(1)}
    for state, problem in (({}, "missing"), (wrong, r"\[1\], expected \[192, 64, 5, 5\]")):
        torch.save(state, file)
        with pytest.raises(UserError, match=rf"^--lpips_backbone .*{problem}"):
            build_metrics(["lpips"], MetricSettings(lpips_backbone=file))
    with pytest.raises(UserError, match=r"^--lpips_backbone: there is no file"):
        build_metrics(["lpips"], MetricSettings(lpips_backbone=tmp_path / "none.pth"))


def test_without_a_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise OSError("unreachable")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", unreachable)
    with pytest.raises(UserError, match=r"cannot be fetched .*; give --lpips_backbone FILE"):
        build_metrics(["lpips"], MetricSettings())


def test_published_weights_lie_in_the_cache(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, backbone: Path
) -> None:
    cached = tmp_path / "checkpoints" / "alexnet-owt-7be5be79.pth"
    cached.parent.mkdir()
    cached.write_bytes(backbone.read_bytes())
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    [metric] = build_metrics(["lpips"], MetricSettings())
    assert metric.figures([])["lpips"].protocol["backbone"] == weights_hash(backbone)
