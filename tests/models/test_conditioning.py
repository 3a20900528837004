"""What the networks see of the maps, against loops over pixels."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from pix2pixhd.models import map_channels, palette_of
from pix2pixhd.models.conditioning import (
    condition,
    condition_channels,
    image_to_float,
    instance_boundaries,
    one_hot,
    pad_to_stride,
)
from pix2pixhd.options.base_options import ModelOptions
from pix2pixhd.options.fields import replaced
from pix2pixhd.util.image import label_to_image
from pix2pixhd.util.labels import label_palette

formats = pytest.mark.parametrize(
    "memory_format", [torch.contiguous_format, torch.channels_last], ids=["first", "last"]
)
shapes = array_shapes(min_dims=4, max_dims=4, max_side=5).map(lambda s: (s[0], 1, s[2], s[3]))


@settings(deadline=None, max_examples=60)
@given(
    label=arrays(np.uint8, shapes, elements=st.sampled_from([0, 1, 2, 3, 4, 255])),
    memory_format=st.sampled_from([torch.contiguous_format, torch.channels_last]),
)
def test_one_hot_sets_the_label_s_channel_and_none_for_others(
    label: np.ndarray, memory_format: torch.memory_format
) -> None:
    result = one_hot(torch.from_numpy(label), label_nc=4, memory_format=memory_format)
    assert result.is_contiguous(memory_format=memory_format)
    expected = np.zeros((label.shape[0], 4, *label.shape[2:]), np.float32)
    for n, _, y, x in np.ndindex(*label.shape):
        if label[n, 0, y, x] < 4:
            expected[n, label[n, 0, y, x], y, x] = 1
    assert result.dtype == torch.float32
    assert np.array_equal(result.numpy(), expected)


@formats
def test_one_hot_of_negative_and_large_int32_labels(memory_format: torch.memory_format) -> None:
    label = torch.tensor([[[[-1, 2, 40000, -(2**31), 2**31 - 1]]]], dtype=torch.int32)
    assert one_hot(label, 3, memory_format=memory_format).sum(dim=1).tolist() == [
        [[0.0, 1.0, 0.0, 0.0, 0.0]]
    ]


@formats
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("label_nc", [4, 0])
def test_condition_in_any_type_and_memory_format(
    label_nc: int, dtype: torch.dtype, memory_format: torch.memory_format
) -> None:
    random = torch.Generator().manual_seed(0)
    label, inst = torch.randint(0, 6, (2, 2, 1, 5, 6), generator=random, dtype=torch.int32)
    photograph = torch.rand(2, 3, 5, 6, generator=random)
    extra = torch.randint(0, 256, (2, 2, 5, 6), generator=random, dtype=torch.uint8)
    maps = condition(label if label_nc else photograph, inst, label_nc, extra, dtype, memory_format)
    assert maps.dtype == dtype
    assert maps.is_contiguous(memory_format=memory_format)
    first = one_hot(label, label_nc) if label_nc else photograph
    parts = [first, instance_boundaries(inst).float(), image_to_float(extra)]
    assert torch.equal(maps, torch.cat(parts, dim=1).to(dtype))


@settings(deadline=None, max_examples=80)
@given(inst=arrays(np.int32, shapes, elements=st.sampled_from([0, 1, 1000, 1001, 26001])))
def test_boundaries_are_where_a_4_neighbour_differs(inst: np.ndarray) -> None:
    result = instance_boundaries(torch.from_numpy(inst))
    expected = np.zeros(inst.shape, bool)
    height, width = inst.shape[2:]
    for n, _, y, x in np.ndindex(*inst.shape):
        around = [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
        inside = [(v, u) for v, u in around if 0 <= v < height and 0 <= u < width]
        expected[n, 0, y, x] = any(inst[n, 0, v, u] != inst[n, 0, y, x] for v, u in inside)
    assert np.array_equal(result.numpy(), expected)


def test_boundaries_of_ids_of_16_bits() -> None:
    ids = torch.tensor([[[[0, 65535], [0, 32768]]]], dtype=torch.int32)
    assert torch.equal(instance_boundaries(ids.to(torch.uint16)), instance_boundaries(ids))


def test_condition_is_labels_then_boundaries() -> None:
    label = torch.tensor([[[[0, 1], [1, 1]]]], dtype=torch.uint8)
    inst = torch.tensor([[[[7, 7], [7, 8]]]], dtype=torch.int32)
    both = condition(label, inst, label_nc=2)
    assert torch.equal(both[:, :2], one_hot(label, 2))
    assert torch.equal(both[:, 2:], instance_boundaries(inst).float())
    assert torch.equal(condition(label, None, label_nc=2), one_hot(label, 2))


def test_condition_of_an_image_is_the_image() -> None:
    image = torch.rand(2, 3, 4, 4)
    assert torch.equal(condition(image, None, label_nc=0), image)


@pytest.mark.parametrize(("label_nc", "input_nc"), [(5, 3), (0, 3), (0, 1)])
@pytest.mark.parametrize("use_instance", [True, False])
def test_condition_channels(label_nc: int, input_nc: int, use_instance: bool) -> None:
    label = torch.zeros(1, 1, 2, 2).int() if label_nc else torch.zeros(1, input_nc, 2, 2)
    inst = torch.zeros(1, 1, 2, 2).int() if use_instance else None
    channels = condition(label, inst, label_nc).shape[1]
    assert condition_channels(label_nc, input_nc, use_instance) == channels


@pytest.mark.parametrize(
    ("size", "stride", "padded"),
    [
        ((8, 12), 4, (8, 12)),
        ((9, 11), 4, (12, 12)),
        ((1, 8), 4, (8, 8)),  # at least two strides, for reflection padding
        ((16, 17), 16, (32, 32)),
    ],
)
def test_pad_to_stride(size: tuple[int, int], stride: int, padded: tuple[int, int]) -> None:
    x = torch.rand(1, 2, *size).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        y = pad_to_stride(x, stride)
    assert y.shape == (1, 2, *padded) and y.dtype == x.dtype
    rows = torch.arange(padded[0]).clamp(max=size[0] - 1)
    columns = torch.arange(padded[1]).clamp(max=size[1] - 1)
    assert torch.equal(y, x[:, :, rows][..., columns])  # the last row and column repeated


def test_labels_as_colours_are_the_picture_of_the_label_map() -> None:
    label = torch.tensor([[[[0, 2, 255], [3, 4, 1]]]], dtype=torch.uint8)
    options = replaced(ModelOptions(), {"label_nc": 4, "label_color": True})
    palette = palette_of(options)
    drawn = label_to_image(label[0], label_palette(4))  # uint8 [H, W, 3]
    expected = image_to_float(torch.from_numpy(drawn).permute(2, 0, 1)[None])
    inst = torch.tensor([[[[0, 0, 1], [0, 0, 1]]]])
    for dtype in (torch.float32, torch.bfloat16):
        maps = condition(label, inst, 4, None, dtype, torch.channels_last, palette)
        assert maps.shape[1] == map_channels(options)
        assert torch.equal(maps[:, :3], expected.to(dtype))
        assert torch.equal(maps[:, 3:], instance_boundaries(inst).to(dtype))
    given = replaced(options, {"label_colors": "ff0000" * 3 + "0000ff"})
    assert palette_of(given).tolist() == [
        *[[1, -1, -1]] * 3,
        [-1, -1, 1],
        pytest.approx([0.00392] * 3, abs=1e-4),
    ]
