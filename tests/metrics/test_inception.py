from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import scipy.linalg
import torch
import torch.nn.functional as F
from PIL import Image
from shared_data import shared
from stand_ins import Inception, settings
from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance, NoTrainInceptionV3
from torchmetrics.image.kid import KernelInceptionDistance, poly_mmd

from pix2pixhd.metrics import Figure, Metric, MetricSettings, Sample, build_metrics, inception
from pix2pixhd.metrics.base import weights_hash
from pix2pixhd.metrics.inception import fid, kid, kid_standard_error
from pix2pixhd.util.errors import UserError

NAMES = ("fid_legacy", "fid_clean", "kid")
DRAWN = torch.rand(10, 3, 400, 380, generator=torch.Generator().manual_seed(0)) * 2 - 1
FAKE, REAL = DRAWN.split(5)
REAL = F.avg_pool2d(REAL, 5, 1, 2)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> MetricSettings:
    return settings(tmp_path_factory.mktemp("weights"))


def built(made: MetricSettings) -> Metric:
    [metric] = build_metrics(NAMES, made)  # one, for all three
    return metric


def figures(made: MetricSettings, fake: Tensor, real: Tensor) -> Mapping[str, Figure]:
    metric = built(made)
    pairs = zip(fake.split(1), real.split(1), strict=True)
    return metric.figures([metric.measure(Sample(*pair)) for pair in pairs])


class Network(nn.Module):
    """What torchmetrics is given: levels of the right size."""

    num_features = 2048

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        features: Tensor = self.network((image - 128) / 128)
        return features


def bicubic(image: Tensor) -> Tensor:
    """As clean-fid: each channel by Pillow, in floating point."""
    levels = ((image[0] + 1) * 127.5).round().numpy()
    channels = [
        np.asarray(Image.fromarray(one).resize((299, 299), Image.Resampling.BICUBIC))
        for one in levels
    ]
    return torch.from_numpy(np.stack(channels))[None]


def bilinear(image: Tensor) -> Tensor:
    """As pytorch-fid, of images read from files."""
    levels = ((image + 1) * 127.5).round()
    resized = F.interpolate(levels / 255, (299, 299), mode="bilinear", align_corners=False)
    return resized * 255


def test_figures_are_of_features_as_published(made: MetricSettings) -> None:
    found = figures(made, FAKE, REAL)
    network = Network(Inception())
    for name, resize, distance in (
        ("fid_legacy", bilinear, fid),
        ("fid_clean", bicubic, fid),
        ("kid", bicubic, kid),
    ):
        fake, real = (
            torch.cat([network(resize(image)) for image in images.split(1)]).detach().double()
            for images in (FAKE, REAL)
        )
        assert found[name].value == pytest.approx(distance(fake, real), rel=1e-3)
    assert found["fid_legacy"].value != pytest.approx(found["fid_clean"].value, rel=0.1)


def test_damage_makes_all_three_worse(made: MetricSettings) -> None:
    real = REAL[:3, :, :200, :200]
    blurred = [figures(made, F.avg_pool2d(real, k, 1, k // 2), real) for k in (1, 5, 25)]
    for name in NAMES:
        values = [found[name].value for found in blurred]
        assert values == sorted(set(values))
    assert blurred[0]["fid_clean"].value == pytest.approx(0, abs=1e-9)


class AsItIs(nn.Identity):
    num_features = 40


def test_fid_of_few_and_of_many_images() -> None:
    draw = torch.Generator().manual_seed(0)
    spread = torch.randn(40, 40, generator=draw, dtype=torch.float64)
    for count in (2, 10, 100):
        fake, real = (
            torch.randn(2, count, 40, generator=draw, dtype=torch.float64) @ spread
        ).unbind()
        one, other = np.cov(fake.T), np.cov(real.T)
        root = scipy.linalg.sqrtm(one @ other + 1e-12 * np.eye(40)).real
        shift = (fake.mean(0) - real.mean(0)).square().sum().item()
        expected = shift + np.trace(one) + np.trace(other) - 2 * np.trace(root)
        assert fid(fake, real) == pytest.approx(float(expected), rel=1e-5)
        theirs = FrechetInceptionDistance(AsItIs())
        theirs.update(fake, real=False)
        theirs.update(real, real=True)
        assert fid(fake, real) == pytest.approx(theirs.compute().item(), rel=1e-5)
        assert fid(fake, fake) == pytest.approx(0, abs=1e-9)


def pairs(count: int) -> tuple[Tensor, Tensor]:
    """Features of pairs whose images resemble each other."""
    draw = torch.Generator().manual_seed(0)
    common, one, other = torch.rand(3, count, 8, generator=draw, dtype=torch.float64)
    return common + one, 1.2 * common + other


def test_kid_standard_error_is_the_jackknife() -> None:
    fake, real = pairs(12)
    kept = [[j for j in range(12) if j != i] for i in range(12)]
    left = [poly_mmd(real[rows], fake[rows]).item() for rows in kept]
    expected = math.sqrt(11 * np.var(left))
    assert kid_standard_error(fake, real) == pytest.approx(expected)


def test_kid_standard_error_is_how_kid_varies() -> None:
    sets = list(zip(*(features.split(50) for features in pairs(15000)), strict=True))
    spread = np.std([kid(*one) for one in sets])
    told = np.sqrt(np.mean([kid_standard_error(*one) ** 2 for one in sets]))
    assert told == pytest.approx(spread, rel=0.2)


def test_kid_of_subsets(monkeypatch: pytest.MonkeyPatch, made: MetricSettings) -> None:
    monkeypatch.setattr(inception, "SUBSET_SIZE", 50)
    features = pairs(60)
    state = torch.random.get_rng_state()
    value = kid(*features)
    assert value == kid(*features)
    assert torch.equal(state, torch.random.get_rng_state())
    theirs = KernelInceptionDistance(AsItIs(), subset_size=50)
    theirs.update(features[0], real=False)
    theirs.update(features[1], real=True)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        assert value == theirs.compute()[0].item()
    whole = poly_mmd(features[1], features[0]).item()
    assert 0 < abs(value - whole) < kid_standard_error(*features)

    fake, real = (of.float().numpy() for of in features)
    names = ("fake_clean", "real_clean", "fake_legacy", "real_legacy")
    measured = [dict(zip(names, pair * 2, strict=True)) for pair in zip(fake, real, strict=True)]
    there, back = (built(made).figures(one)["kid"] for one in (measured, measured[::-1]))
    assert there.value == back.value == pytest.approx(value, abs=kid_standard_error(*features))
    assert there.protocol["over"] == "100 subsets of 50 images, seed 0"


def test_protocol(made: MetricSettings) -> None:
    found = figures(made, FAKE, REAL)
    assert made.inception is not None
    assert set(found) == set(NAMES)
    for name, resampling in (
        ("fid_legacy", "bilinear without antialiasing, to 299x299"),
        ("fid_clean", "bicubic with antialiasing, to 299x299"),
        ("kid", "bicubic with antialiasing, to 299x299"),
    ):
        assert found[name].protocol["resampling"] == resampling
        assert found[name].protocol["weights"] == weights_hash(made.inception)
        assert found[name].protocol["batch_size"] == 1
        assert found[name].better == "lower"
    assert "5 images: FID is biased upwards" in found["fid_clean"].warning
    assert found["kid"].warning == ""
    assert found["kid"].beside["standard_error"] > 0
    assert found["kid"].protocol["over"] == "all images"


def test_one_image_is_not_enough(made: MetricSettings) -> None:
    for count in (0, 1):
        measured = [built(made).measure(Sample(FAKE[:1], REAL[:1]))] * count
        for found in built(made).figures(measured).values():
            assert math.isnan(found.value)
            assert found.warning == f"{count} images: FID and KID need two or more"
    two = figures(made, FAKE[:2], REAL[:2])
    assert all(math.isfinite(found.value) for found in two.values())
    assert not two["kid"].beside


def test_one_channel_is_gray(made: MetricSettings) -> None:
    gray = FAKE[:2, :1]
    found = figures(made, gray, REAL[:2])
    assert found == figures(made, gray.repeat(1, 3, 1, 1), REAL[:2])
    with pytest.raises(UserError, match=r"^FID and KID: images of 2 channels, .* 1 or 3"):
        figures(made, FAKE[:2, :2], REAL[:2])


def test_the_inception_of_the_papers() -> None:
    file = shared("weights", "fid_inception_v3.pt")
    found = figures(MetricSettings(inception=file), FAKE[:2], REAL[:2])
    network = Network(torch.jit.load(file))
    with torch.no_grad():
        fake, real = (
            torch.cat([network(bicubic(image)) for image in images.split(1)]).double().numpy()
            for images in (FAKE[:2], REAL[:2])
        )
    # The roots of the eigenvalues of the covariances' product, as singular values: few images.
    one, other = ((of - of.mean(0)) / math.sqrt(len(of) - 1) for of in (fake, real))
    root = np.linalg.svd(one @ other.T, compute_uv=False).sum()
    expected = np.square(fake.mean(0) - real.mean(0)).sum() - 2 * root
    expected += np.square(one).sum() + np.square(other).sum()
    assert found["fid_clean"].value == pytest.approx(expected, rel=1e-3)


def test_files_that_are_no_inception(tmp_path: Path) -> None:
    file = tmp_path / "network.pt"

    def problem() -> str:
        with pytest.raises(UserError) as raised:
            build_metrics(["kid"], MetricSettings(inception=file))
        [line] = raised.value.problems
        assert line.startswith(f"--inception {file}: ")
        assert line.endswith("expected TorchScript that makes [N, 2048] of [N, 3, 299, 299]")
        assert "\n" not in line
        return line

    assert "no such file" in problem()
    torch.save({"weight": torch.zeros(1)}, file)
    assert "holds no TorchScript" in problem()
    file.write_bytes(b"nothing")
    assert "holds no TorchScript" in problem()
    for network, found in (
        (nn.AdaptiveAvgPool2d(1), "[2, 3, 1, 1]"),
        (nn.Conv2d(4, 1, 1), "channels"),
    ):
        torch.jit.script(network).save(file)
        assert found in problem()


def test_without_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise OSError("unreachable")

    monkeypatch.setattr(
        "torch_fidelity.feature_extractor_inceptionv3.load_state_dict_from_url", unreachable
    )
    monkeypatch.setattr(torch.hub, "load", unreachable)
    for extractor in ("inception", "dinov2"):
        with pytest.raises(UserError, match=rf"^the {extractor} network .*give --inception FILE"):
            build_metrics(["kid"], MetricSettings(extractor=extractor))
    monkeypatch.setitem(sys.modules, "torch_fidelity.feature_extractor_dinov2", None)
    with pytest.raises(UserError, match="install torch-fidelity"):
        build_metrics(["kid"], MetricSettings(extractor="dinov2"))


def cached(monkeypatch: pytest.MonkeyPatch, folder: Path, name: str) -> Path:
    file = folder / "checkpoints" / name
    file.parent.mkdir()
    file.write_bytes(b"weights")
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(folder))
    return file


def test_the_inception_of_torchmetrics(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = cached(monkeypatch, tmp_path, "weights-inception-2015-12-05-6726825d.pth")
    module = "torch_fidelity.feature_extractor_inceptionv3"
    monkeypatch.setattr(f"{module}.load_state_dict_from_url", lambda *_, **__: {})
    with monkeypatch.context() as patch:
        patch.setattr(nn.Module, "load_state_dict", lambda *_: None)
        torch.manual_seed(0)
        metric = built(MetricSettings())
        torch.manual_seed(0)
        theirs = NoTrainInceptionV3("inception-v3-compat", ["2048"], antialias=False)
    features = metric.measure(Sample(FAKE[:1], REAL[:1]))["fake_legacy"]
    assert np.allclose(features, theirs(bilinear(FAKE[:1]).round().byte())[0], rtol=1e-3)
    protocol = metric.figures([])["fid_legacy"].protocol
    assert protocol["weights"] == weights_hash(file)
    assert protocol["levels"] == "rounded to 8 bits after resampling"


def test_dinov2(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, made: MetricSettings) -> None:
    cached(monkeypatch, tmp_path, "dinov2_vitl14_pretrain.pth")
    monkeypatch.setattr(torch.hub, "load", lambda *_: nn.Flatten())
    found = figures(
        MetricSettings(inception=made.inception, extractor="dinov2"), FAKE[:3], REAL[:3]
    )
    assert found["kid"].value > 0
    assert found["kid"].protocol["extractor"] == "dinov2 (torch-fidelity's dinov2-vit-l-14)"
    assert found["kid"].protocol["resampling"].endswith("to 224x224")
