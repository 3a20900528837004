"""Segments and instance-wise average pooling, against loops over instances in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from torch import Tensor

from pix2pixhd.models.segments import instance_average, paint, segment_means, segments

SMALLEST, LARGEST = -(2**31), 2**31 - 1

shapes = array_shapes(min_dims=4, max_dims=4, min_side=0, max_side=6).map(
    lambda shape: (shape[0] + 1, 1, *shape[2:])
)
any_ids = arrays(
    np.int32,
    shapes,
    elements=st.one_of(
        st.sampled_from([0, 1, 7, 26001, -1, SMALLEST, LARGEST]), st.integers(SMALLEST, LARGEST)
    ),
)


def naive_average(features: Tensor, ids: Tensor) -> Tensor:
    result = torch.empty_like(features, dtype=torch.float64)
    for n in range(len(ids)):
        for ident in ids[n].unique():
            here = ids[n, 0] == ident
            result[n, :, here] = features[n, :, here].double().mean(dim=1, keepdim=True)
    return result


def features_for(ids: Tensor, channels: int = 3) -> Tensor:
    random = torch.Generator().manual_seed(0)
    size = (len(ids), channels, *ids.shape[2:])
    return torch.randn(size, generator=random, dtype=torch.float64)


@settings(deadline=None, max_examples=150)
@given(ids=any_ids, channels=st.integers(1, 4))
def test_average_is_that_of_a_loop(ids: np.ndarray, channels: int) -> None:
    ids_, features = torch.from_numpy(ids), features_for(torch.from_numpy(ids), channels)
    result = instance_average(features, ids_)
    torch.testing.assert_close(result, naive_average(features, ids_), rtol=1e-12, atol=1e-12)
    assert result.is_contiguous()


@settings(deadline=None, max_examples=100)
@given(ids=any_ids)
def test_segments_name_sample_id_and_count_of_each_pixel(ids: np.ndarray) -> None:
    found = segments(torch.from_numpy(ids))
    samples = np.broadcast_to(np.arange(len(ids)).reshape(-1, 1, 1, 1), ids.shape)
    assert np.array_equal(found.id[found.index].numpy(), ids.ravel())
    assert np.array_equal(found.sample[found.index].numpy(), samples.ravel())
    keys = list(zip(found.sample.tolist(), found.id.tolist(), strict=True))
    assert keys == sorted(set(keys)), "each once, by sample, then by id"
    assert torch.equal(found.count, torch.bincount(found.index, minlength=len(keys)))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16, torch.int32, torch.int64])
def test_ids_of_any_integer_type(dtype: torch.dtype) -> None:
    ids = torch.tensor([[3, 100, 3, 0], [100, 100, 0, 3]], dtype=dtype).view(2, 1, 2, 2)
    features = features_for(ids)
    assert torch.equal(instance_average(features, ids), instance_average(features, ids.int()))


def test_samples_that_share_ids_are_averaged_apart() -> None:
    ids = torch.tensor([-1, LARGEST, SMALLEST, 5]).int().repeat(3, 1).view(3, 1, 2, 2)
    ids[1] = 5
    features = features_for(ids)
    together = instance_average(features, ids)
    apart = [instance_average(features[n : n + 1], ids[n : n + 1]) for n in range(3)]
    assert torch.equal(together, torch.cat(apart))


def test_gradients() -> None:
    ids = torch.tensor([4, 4, 9, 4, 0, 4, 9, 9]).view(2, 1, 2, 2)
    features = features_for(ids, 2).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: instance_average(x, ids), features)
    assert torch.autograd.gradgradcheck(lambda x: instance_average(x, ids), features)


def test_means_are_differentiable() -> None:
    ids = torch.tensor([4, 4, 9, 4, 0, 4, 9, 9]).view(2, 1, 2, 2)
    features = features_for(ids, 2).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: segment_means(x, segments(ids)), features)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_large_areas_lose_nothing_in_low_precision(dtype: torch.dtype) -> None:
    # Sums in float16 overflow at 65504, in bfloat16 stop growing at 256 times the value, and in
    # float32 are off by a percent.
    ids = torch.zeros(1, 1, 1024, 1024, dtype=torch.int32)
    features = torch.full((1, 1, 1024, 1024), 0.7).to(dtype).requires_grad_()
    result = instance_average(features, ids)
    assert result.dtype == dtype
    assert torch.equal(result, features)
    result.backward(torch.full_like(result, 0.3))
    assert features.grad is not None
    assert torch.equal(features.grad, torch.full_like(result, 0.3))


def test_low_precision_is_rounded_once() -> None:
    ids = torch.randint(0, 5, (2, 1, 40, 50), generator=torch.Generator().manual_seed(1))
    features = features_for(ids).half()
    assert torch.equal(instance_average(features, ids), naive_average(features, ids).half())


def test_every_pixel_an_instance_and_one_instance() -> None:
    features = features_for(torch.zeros(2, 1, 6, 7))
    every = torch.arange(2 * 6 * 7).view(2, 1, 6, 7)
    assert torch.equal(instance_average(features, every), features)
    one = instance_average(features, torch.zeros_like(every))
    torch.testing.assert_close(one, features.mean(dim=(2, 3), keepdim=True).expand_as(one))


def test_paint_takes_means_back_to_pixels() -> None:
    ids = torch.randint(0, 4, (2, 1, 5, 6), generator=torch.Generator().manual_seed(2))
    features = features_for(ids)
    found = segments(ids)
    assert torch.equal(
        paint(segment_means(features, found), found), instance_average(features, ids)
    )


@settings(deadline=None, max_examples=150)
@given(ids=any_ids)
def test_without_counting_instances_pooling_is_the_same(ids: np.ndarray) -> None:
    ids_ = torch.from_numpy(ids)
    counted, uncounted = segments(ids_), segments(ids_, counted=False)
    number, pixels = len(counted.count), ids_.numel()
    assert len(uncounted.count) == len(uncounted.id) == len(uncounted.sample) == pixels
    assert torch.equal(uncounted.index, counted.index)
    assert not uncounted.count[number:].any()
    for name in ("count", "sample", "id"):
        assert torch.equal(getattr(uncounted, name)[:number], getattr(counted, name))
    features = features_for(ids_)
    means = segment_means(features, uncounted)
    assert torch.equal(means[:number], segment_means(features, counted))
    assert not means[number:].any()


def test_training_on_a_gpu_does_not_wait_for_a_number_of_instances() -> None:
    """Shown on the meta device, where whatever asks for a number of instances fails."""
    ids = torch.zeros(1, 1, 4, 6, dtype=torch.int32, device="meta")
    features = torch.zeros(1, 3, 4, 6, device="meta", requires_grad=True)
    average = instance_average(features, ids)
    assert average.shape == features.shape
    average.sum().backward()


def test_pooling_is_traced_as_one_graph_with_its_gradient() -> None:
    """So that a whole training step can be compiled."""
    ids = torch.randint(0, 5, (2, 1, 6, 7), generator=torch.Generator().manual_seed(3))
    features = features_for(ids).requires_grad_()

    def step(features: Tensor) -> Tensor:
        return (instance_average(features, ids) ** 2).sum()

    traced = torch.compile(step, backend="aot_eager", fullgraph=True)
    (gradient,) = torch.autograd.grad(traced(features), features)
    assert torch.equal(gradient, torch.autograd.grad(step(features), features)[0])


def test_pixels_are_added_up_one_segment_after_the_other() -> None:
    """In the order of the pixels, so that on a GPU, too, the same bits come out each time."""
    ids = torch.tensor([3, 1, 3, 1, 7, 3], dtype=torch.int32).view(1, 1, 2, 3)
    found = segments(ids.repeat(2, 1, 1, 1))
    assert found.order.tolist() == [1, 3, 0, 2, 5, 4, 7, 9, 6, 8, 11, 10]
    assert found.count.tolist() == [2, 3, 1, 2, 3, 1]
