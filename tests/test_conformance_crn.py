"""CRN's numbers, recorded from the original, within the tolerances recorded with them."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from shared_data import shared
from torch import Tensor
from torch.nn import functional as F

from pix2pixhd.models.conditioning import one_hot
from pix2pixhd.models.crn_loss import diversity, errors_by_class
from pix2pixhd.models.generators.crn import CRN, build_crn
from pix2pixhd.options.base_options import ModelOptions
from pix2pixhd.options.fields import replaced

WIDTHS = {"diverse": (12, 12, 8, 8), "single": (12, 12, 8, 4)}
IMAGES = {"diverse": 9, "single": 1}


@pytest.fixture(scope="module")
def recorded() -> dict[str, Any]:
    folder = shared("reference", "baselines", "crn")
    arrays = np.load(folder / "crn.npz")
    return {name: arrays[name] for name in arrays.files} | json.loads(
        (folder / "crn.json").read_text()
    )


def planes(array: np.ndarray) -> Tensor:
    """[N, H, W, C] as [N, C, H, W], in float32."""
    return torch.from_numpy(array).permute(0, 3, 1, 2).float()


def labels_of(recorded: dict[str, Any]) -> Tensor:
    return one_hot(torch.from_numpy(recorded["label_ids"])[:, None], 6)


def network(recorded: dict[str, Any], kind: str) -> CRN:
    generator = CRN(6, WIDTHS[kind], num_images=IMAGES[kind])
    weights = {
        name.removeprefix(f"{kind}/"): torch.from_numpy(value)
        for name, value in recorded.items()
        if name.startswith(f"{kind}/g_")
    }
    generator.load_state_dict(generator.renamed(weights))
    return generator


def levels(generator: CRN, maps: Tensor) -> Tensor:
    """The images in the scale of 8 bits, not clipped, [images, 3, H, W]."""
    outputs = generator(maps)
    images = [generator.image(outputs, number) for number in range(generator.num_images)]
    return (torch.cat(images) + 1) * 127.5


def expect(found: Tensor, array: np.ndarray, within: float) -> None:
    torch.testing.assert_close(found.detach(), planes(array), rtol=0, atol=within)


def test_label_maps_are_reduced_to_means(recorded: dict[str, Any]) -> None:
    maps = labels_of(recorded)
    for factor in (2, 4):
        expect(F.avg_pool2d(maps, factor), recorded[f"resize_area_1_{factor}"], 1e-6)


def test_enlargement_has_aligned_corners(recorded: dict[str, Any]) -> None:
    small = F.avg_pool2d(planes(recorded["real"]), 8)
    found = F.interpolate(small, (8, 16), mode="bilinear", align_corners=True)
    expect(found, recorded["real_area_1_8_then_bilinear_to_1_4"], 2e-3)


@pytest.mark.parametrize("kind", WIDTHS)
def test_outputs(recorded: dict[str, Any], kind: str) -> None:
    found = levels(network(recorded, kind), labels_of(recorded))
    expect(found, recorded[f"{kind}_output"], 2e-3)


def test_diversity_loss(recorded: dict[str, Any]) -> None:
    """Of pixels and of their 2x2 means; its gradient goes to those images that win somewhere."""
    fake = planes(recorded["diverse_output"]).requires_grad_()
    real, maps = planes(recorded["real"]), labels_of(recorded)
    p0 = errors_by_class(fake[None], real, maps)
    half = F.avg_pool2d(fake, 2)[None], F.avg_pool2d(real, 2)
    p1 = errors_by_class(*half, maps) * 10 / 0.8
    for found, name in ((p0, "p0"), (p1, "p1")):
        torch.testing.assert_close(found[0].detach(), torch.from_numpy(recorded[name]))
    assert (p0 + p1)[0].argmin(0).tolist() == recorded["winner_per_class"].tolist()
    loss = diversity(p0 + p1)
    assert loss.item() == pytest.approx(recorded["diversity loss of p0 + p1"], rel=1e-5)
    loss.backward()
    assert fake.grad is not None
    gradient = fake.grad[:1, :, ::4, ::4]
    expect(gradient, recorded["loss_gradient_of_output_0_s4"][None], 1e-6)


def test_three_steps(recorded: dict[str, Any]) -> None:
    generator, maps = network(recorded, "single"), labels_of(recorded)
    real = planes(recorded["real"])
    adam = torch.optim.Adam(generator.parameters(), lr=1e-4)
    losses = next(value for name, value in recorded.items() if "three Adam steps" in name)
    for expected, within in zip(losses, (1e-5, 1e-3, 5e-3), strict=True):
        loss = (levels(generator, maps) - real).abs().mean()
        assert loss.item() == pytest.approx(expected, rel=within)
        adam.zero_grad()
        loss.backward()
        adam.step()
    after = levels(generator, maps)[:, :, ::4, ::4]
    expect(after, recorded["single_output_after_3_steps_s4"][None], 2e-3)


@pytest.mark.parametrize(
    ("checkpoint", "height", "images"),
    [("256p", 256, 9), ("512p", 512, 1), ("1024p", 1024, 1), ("GTA", 256, 9)],
)
def test_published_names_and_shapes(checkpoint: str, height: int, images: int) -> None:
    """The shapes alone, as half a gigabyte of weights takes its time."""
    file = shared("reference", "baselines", "state_dict_keys_crn.json")
    found = json.loads(file.read_text())[f"result_{checkpoint}"]
    flags = {"netG": "crn", "crn_height": height, "num_images": images}
    classes = found["state_dict"]["g_4_conv1/weights"][2]
    with torch.device("meta"):
        generator = build_crn(replaced(ModelOptions(), flags), classes, 0)
        weights = {name: torch.empty(shape) for name, shape in found["state_dict"].items()}
        adams = {"g_4_conv1/weights/Adam": torch.empty(1), "beta1_power": torch.empty(())}
        renamed = generator.renamed(weights | adams)
    own = generator.state_dict()
    assert {name: value.shape for name, value in renamed.items()} == {
        name: value.shape for name, value in own.items()
    }
    assert sum(value.numel() for value in own.values()) == found["parameters"]
    assert generator.renamed(own) is own
