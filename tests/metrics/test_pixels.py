from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from stand_ins import vgg16_stand_in
from torchmetrics.image import PeakSignalNoiseRatio, StructuralSimilarityIndexMeasure
from torchmetrics.image.dists import DeepImageStructureAndTextureSimilarity

from pix2pixhd.metrics import Figure, MetricSettings, Sample, build_metrics
from pix2pixhd.metrics.pixels import levels
from pix2pixhd.util.errors import UserError

DRAWN = torch.rand(2, 3, 24, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
FAKE, REAL = DRAWN.split(1)


def figure(name: str, fake: torch.Tensor, real: torch.Tensor) -> Figure:
    [metric] = build_metrics([name], MetricSettings())
    return metric.figures([metric.measure(Sample(fake, real))])[name]


def test_l1_and_psnr_by_hand() -> None:
    black, gray = torch.full((1, 3, 4, 4), -1.0), torch.zeros(1, 3, 4, 4)
    assert figure("l1", gray, black).value == pytest.approx(0.5)
    assert figure("l1", black, black).value == 0
    assert figure("psnr", black, black).value == 100
    assert figure("psnr", gray, black).value == pytest.approx(10 * math.log10(255**2 / 128**2))


def test_psnr_and_ssim_are_torchmetrics() -> None:
    pair = levels(FAKE), levels(REAL)
    psnr, ssim = figure("psnr", FAKE, REAL), figure("ssim", FAKE, REAL)
    assert psnr.value == pytest.approx(PeakSignalNoiseRatio(data_range=255.0)(*pair).item())
    assert ssim.value == pytest.approx(
        StructuralSimilarityIndexMeasure(data_range=255.0)(*pair).item()
    )
    assert ssim.protocol["data_range"] == 255


def test_ssim_is_the_formula() -> None:
    def blur(image: np.ndarray) -> np.ndarray:  # 5 pixels to each side, border reflected
        return gaussian_filter(image, 1.5, mode="mirror", truncate=3.5, axes=(1, 2))

    x, y = (levels(image)[0].double().numpy() for image in (FAKE, (FAKE + REAL) / 2))
    mx, my = blur(x), blur(y)
    vx, vy, cov = blur(x * x) - mx**2, blur(y * y) - my**2, blur(x * y) - mx * my
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    ssim = (2 * mx * my + c1) * (2 * cov + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))
    assert figure("ssim", FAKE, (FAKE + REAL) / 2).value == pytest.approx(ssim.mean(), abs=1e-4)


def test_ssim_sees_8_bits() -> None:
    assert figure("ssim", levels(FAKE) / 127.5 - 1, FAKE).value == 1


def test_images_smaller_than_the_window() -> None:
    with pytest.raises(UserError, match=r"^ssim: images of 32x10 pixels, .* 11 and more"):
        figure("ssim", FAKE[:, :, :10], REAL[:, :, :10])


@pytest.fixture
def dists(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    vgg16_stand_in(monkeypatch, tmp_path)


@pytest.mark.usefixtures("dists")
def test_dists_is_torchmetrics() -> None:
    found = figure("dists", FAKE, REAL)
    theirs = DeepImageStructureAndTextureSimilarity()((FAKE + 1) / 2, (REAL + 1) / 2)
    assert found.value == pytest.approx(theirs.item())
    assert figure("dists", FAKE, FAKE).value == pytest.approx(0, abs=1e-5)
    assert len(found.protocol["backbone"]) == 12


@pytest.mark.usefixtures("dists")
def test_one_channel_is_gray() -> None:
    gray = FAKE[:, :1], REAL[:, :1]
    expected = figure("dists", *(image.repeat(1, 3, 1, 1) for image in gray))
    assert figure("dists", *gray).value == pytest.approx(expected.value)
    with pytest.raises(UserError, match=r"^dists: images of 2 channels, this metric takes 1 or 3"):
        figure("dists", FAKE[:, :2], REAL[:, :2])


def test_dists_fetches_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", pytest.fail)
    with pytest.raises(UserError) as raised:
        build_metrics(["dists"], MetricSettings())
    assert str(raised.value).startswith(f"dists: there is no file {tmp_path}/checkpoints/vgg16-")
    assert "\n" not in str(raised.value)


def test_a_damaged_vgg16(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    vgg16_stand_in(monkeypatch, tmp_path)

    def damaged(weights: object) -> object:
        raise RuntimeError("many\nlines")

    monkeypatch.setattr("torchmetrics.functional.image.dists.vgg16", damaged)
    with pytest.raises(UserError, match=r"not VGG16's weights \(RuntimeError\)"):
        build_metrics(["dists"], MetricSettings())
