"""Samples of photographs of more than 8 bits, of any number of channels, and of further inputs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cached_sets import assert_same, forbid_reading
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from tiny_scenes import problems_of

from pix2pixhd.data import transforms
from pix2pixhd.data.dataset import AlignedDataset
from pix2pixhd.models.conditioning import image_to_float
from pix2pixhd.util.errors import UserError
from pix2pixhd.util.image import save_values

MakeSet = Callable[..., Path]
OpenSet = Callable[..., AlignedDataset]
BICUBIC = Image.Resampling.BICUBIC


@pytest.fixture
def deep_set(make_set: MakeSet) -> Callable[..., Path]:
    """One scene of labels, and these values [C,H,W] in a folder of photographs."""

    def make(values: np.ndarray, folder: str = "img") -> Path:
        root = make_set(count=1, size=(values.shape[2], values.shape[1]), folders=("label", "inst"))
        save_values(values, root / f"train_{folder}/000.tif")
        return root

    return make


def ramp(dtype: Any, channels: int = 1, size: tuple[int, int] = (16, 8)) -> np.ndarray:
    """[C,H,W] from black to white, evenly."""
    white = np.iinfo(dtype).max if np.dtype(dtype).kind == "u" else 1
    steps = np.linspace(0, white, channels * size[0] * size[1])
    return steps.reshape(channels, size[1], size[0]).astype(dtype)


FLOAT, DEEP, BYTES = ramp(np.float32), ramp(np.uint16), ramp(np.uint8)


@pytest.mark.parametrize(
    ("values", "value_range", "expected"),
    [
        (BYTES, None, BYTES),
        (BYTES, "0,4095", BYTES),  # bytes have one range
        (DEEP, None, DEEP),
        (DEEP // 16, "0,4095", DEEP // 16 / 2047.5 - 1),
        (DEEP, "0,65535", DEEP / 32767.5 - 1),
        (DEEP, "10000,20000", (DEEP / 5000 - 3).clip(-1, 1)),
        (FLOAT, None, FLOAT * 2 - 1),
        (FLOAT * 3 - 1, None, (FLOAT * 6 - 3).clip(-1, 1)),
        (FLOAT * 300 - 100, "-100,200", FLOAT * 2 - 1),
    ],
)
def test_ranges(
    deep_set: Callable[..., Path],
    open_set: OpenSet,
    values: np.ndarray,
    value_range: str | None,
    expected: np.ndarray,
) -> None:
    root = deep_set(values)
    image = open_set(root, output_nc=1, value_range=value_range, flip=False)[0].image
    assert image.numpy().dtype == (np.float32 if expected.dtype.kind == "f" else expected.dtype)
    np.testing.assert_allclose(image[0], expected, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16])
def test_floats_are_what_the_device_makes_of_whole_numbers(dtype: torch.dtype) -> None:
    largest = torch.iinfo(dtype).max
    pixels = torch.arange(largest + 1).to(dtype)
    assert torch.equal(transforms.to_float(pixels, 0, largest), image_to_float(pixels))


def test_inputs_have_a_range_of_their_own(make_set: MakeSet, open_set: OpenSet) -> None:
    root = make_set(count=1, folders=())
    for folder in ("A", "B", "extra"):
        save_values(DEEP, root / f"train_{folder}/000.png")
    nc = {"label_nc": 0, "instance": False, "input_nc": 1, "output_nc": 1, "extra_nc": 1}
    sample = open_set(root, **nc, value_range="0,65535", input_range="0,32767.5", flip=False)[0]
    np.testing.assert_allclose(sample.image[0], DEEP / 32767.5 - 1, atol=1e-6)
    for input_ in (sample.label, sample.extra):
        np.testing.assert_allclose(input_[0], (DEEP / 16383.75 - 1).clip(-1, 1), atol=1e-6)


@pytest.mark.parametrize("channels", [1, 2, 4, 7])
def test_further_input_images(make_set: MakeSet, open_set: OpenSet, channels: int) -> None:
    """They share size, crop and flip of the label maps."""
    root = make_set(count=1, size=(16, 16))
    place = np.arange(256, dtype=np.uint16).reshape(1, 16, 16)
    save_values(np.repeat(place, channels, axis=0), root / "train_extra/000.tif")
    dataset = open_set(root, extra_nc=channels, resize_or_crop="crop")
    for counter in range(9):
        sample = dataset[0, counter]
        assert sample.extra.shape == (1, channels, 8, 8)
        expected = (sample.inst.int() - 40000).expand(1, channels, -1, -1)
        assert torch.equal(sample.extra.int(), expected)


def test_without_the_option_the_folder_is_not_read(make_set: MakeSet, open_set: OpenSet) -> None:
    assert open_set(make_set(folders=("label", "inst", "img", "extra")))[0].extra is None


@pytest.mark.parametrize("values", [BYTES, DEEP, FLOAT], ids=lambda values: str(values.dtype))
def test_bits_of_the_first_real_image(
    deep_set: Callable[..., Path], open_set: OpenSet, values: np.ndarray
) -> None:
    dataset = open_set(deep_set(values), output_nc=1)
    assert dataset.image_bits == 8 * values.itemsize


def test_bits_without_real_images(make_set: MakeSet, open_set: OpenSet) -> None:
    root = make_set(folders=("label", "inst"))
    assert open_set(root, needs_image=False).image_bits == 8


@settings(deadline=None, max_examples=30)
@given(
    arrays(np.uint8, st.tuples(st.integers(1, 5), st.integers(1, 20), st.integers(1, 20))),
    st.tuples(st.integers(1, 24), st.integers(1, 24)),
)
def test_bytes_resize_plane_by_plane_as_pillow_does(planes: np.ndarray, size: Any) -> None:
    expected = [np.asarray(Image.fromarray(plane).resize(size, BICUBIC)) for plane in planes]
    np.testing.assert_array_equal(transforms.resize_planes(planes, size), expected)


def test_transparency_weighs_nothing(deep_set: Callable[..., Path], open_set: OpenSet) -> None:
    """As Pillow's own resizing of RGBA would have it."""
    values = ramp(np.uint8, 4, (32, 16))
    root = deep_set(values)
    image = open_set(root, output_nc=4, resize_or_crop="scale_width", flip=False)[0].image
    np.testing.assert_array_equal(image[0], transforms.resize_planes(values, (16, 8)))


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_deep_planes_keep_their_bits_when_resized(dtype: Any) -> None:
    planes = ramp(dtype, 5, (32, 16))
    result = transforms.resize_planes(planes, (16, 8))
    assert result.dtype == dtype and result.shape == (5, 8, 16)
    inner = (slice(None), slice(2, -2), slice(2, -2))
    mean = planes.reshape(5, 8, 2, 16, 2).astype(float).mean((2, 4))
    np.testing.assert_allclose(
        result[inner], mean[inner], rtol=1e-5, atol=0.5 * (dtype != np.float32)
    )
    edge = np.zeros((1, 4, 16), dtype)
    edge[..., 8:] = 65535 if dtype == np.uint16 else 1
    assert (transforms.resize_planes(edge, (64, 4))[0, 0, [0, -1]] == edge[0, 0, [0, -1]]).all()
    if dtype == np.uint16:  # bicubic overshoots at edges, which must not wrap around
        steps = np.diff(transforms.resize_planes(edge, (64, 4))[0, 0].astype(int))
        assert steps.min() > -20000


@pytest.mark.parametrize("values", [DEEP, FLOAT, ramp(np.uint8, 5)], ids=lambda v: str(v.dtype))
@pytest.mark.parametrize("value_range", [None, "0,4095"])
def test_same_with_a_cache(
    deep_set: Callable[..., Path],
    open_set: OpenSet,
    tmp_path: Path,
    values: np.ndarray,
    value_range: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is kept does not depend on the range."""
    root = deep_set(values)
    usual = {"output_nc": len(values), "resize_or_crop": "scale_width", "loadSize": 12}
    open_set(root, cache=str(tmp_path / "cache"), **usual)[0]
    cached = open_set(root, cache=str(tmp_path / "cache"), value_range=value_range, **usual)
    forbid_reading(cached, monkeypatch)
    assert_same(cached, open_set(root, value_range=value_range, **usual))


def test_floats_of_sixteen_bits_come_back_as_float32(
    deep_set: Callable[..., Path], open_set: OpenSet, tmp_path: Path
) -> None:
    """A cache keeps them so where that loses nothing."""
    cached = open_set(deep_set(np.float32(FLOAT > 0.5)), output_nc=1, cache=str(tmp_path / "cache"))
    for _ in range(2):
        assert cached[0].image.dtype == torch.float32


SIZES = [
    ("scale_width", (32, 16), (32, 16), (16, 8)),
    ("resize_and_crop", (32, 16), (32, 16), (8, 8)),
    ("scale_width", (33, 17), (33, 17), (16, 8)),  # but for a pixel
    ("scale_width_and_crop", (8, 4), (48, 24), (8, 8)),
]


@pytest.mark.parametrize(("mode", "photo", "inst", "result"), SIZES)
@pytest.mark.parametrize("cached", [False, True])
def test_each_map_is_scaled_on_its_own(
    make_set: MakeSet,
    open_set: OpenSet,
    mode: str,
    photo: tuple[int, int],
    inst: tuple[int, int],
    result: tuple[int, int],
    cached: bool,
) -> None:
    root = make_set(count=1)  # of 16x8
    colours = np.random.default_rng(0).integers(0, 256, (*photo[::-1], 3), np.uint8)
    ids = np.random.default_rng(0).integers(0, 9000, inst[::-1], np.uint16)
    Image.fromarray(colours).save(root / "train_img/000.png")
    Image.fromarray(ids).save(root / "train_inst/000.png")
    cache = str(root / "cache") if cached else None
    dataset = open_set(root, resize_or_crop=mode, fineSize=8, flip=False, cache=cache)
    assert problems_of(dataset) == []
    resized = (16, 16) if mode == "resize_and_crop" else (16, 8)
    for _ in range(2):
        sample = dataset[0]
        assert {t.shape[2:] for t in sample.tensors().values()} == {torch.Size(result[::-1])}
        image = np.asarray(Image.fromarray(colours).resize(resized, BICUBIC)).transpose(2, 0, 1)
        nearest = Image.fromarray(ids.astype(np.int32)).resize(resized, Image.Resampling.NEAREST)
        crops = [
            (x, y)
            for x in range(resized[0] - result[0] + 1)
            for y in range(resized[1] - result[1] + 1)
            if np.array_equal(sample.image[0], image[:, y : y + result[1], x : x + result[0]])
        ]
        (crop,) = crops
        x, y = crop
        np.testing.assert_array_equal(
            sample.inst[0, 0], np.asarray(nearest)[y : y + result[1], x : x + result[0]]
        )


@pytest.mark.parametrize(
    ("mode", "size", "message"),
    [
        ("none", (32, 16), "32x16 pixels, .*16x8 as in .*; give --resize_or_crop scale_width, "),
        ("crop", (32, 16), "; give --resize_or_crop scale_width_and_crop, which scales each map"),
        ("none", (32, 20), "; all maps of a sample must show the same scene whole"),
        (
            "scale_width",
            (32, 20),
            "expected 16x8 .* or the same aspect ratio; all maps of a sample",
        ),
        ("resize_and_crop", (16, 16), "16x16 .* or the same aspect ratio; "),
    ],
)
def test_sizes_that_do_not_agree(
    make_set: MakeSet, open_set: OpenSet, mode: str, size: tuple[int, int], message: str
) -> None:
    root = make_set(count=1)
    Image.new("RGB", size).save(root / "train_img/000.png")
    dataset = open_set(root, resize_or_crop=mode)
    with pytest.raises(UserError, match=rf"train_img/000\.png: .*{message}") as caught:
        dataset[0]
    assert problems_of(dataset) == caught.value.problems


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ((480, 360), (960, 720), True),
        ((1000, 333), (500, 166), True),
        ((1000, 333), (500, 167), True),
        ((1000, 333), (500, 168), False),
        ((640, 480), (640, 482), False),
        ((1, 1), (1, 1), True),
    ],
)
def test_same_aspect(one: Any, other: Any, same: bool) -> None:
    assert transforms.same_aspect(one, other) == transforms.same_aspect(other, one) == same
