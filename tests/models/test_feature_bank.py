"""Collecting features of instances, against the reference's, and drawing them from clusters."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from shared_data import shared

from pix2pixhd.data import create_dataset
from pix2pixhd.engine.feature_files import load_by_label
from pix2pixhd.models.conditioning import image_to_float, pad_to_stride
from pix2pixhd.models.encoder import Encoder
from pix2pixhd.models.feature_bank import (
    FeatureBank,
    InstanceMeans,
    StyleSampler,
    instance_labels,
    instance_means,
    mean_features_by_label,
    named_labels,
    pixel_unit,
)
from pix2pixhd.models.segments import instance_average, segment_means, segments
from pix2pixhd.options.base_options import DataOptions, ModelOptions
from pix2pixhd.util.checkpoint import load_network


def ints(values: list[list[int]]) -> torch.Tensor:
    """A map of one sample."""
    return torch.tensor(values, dtype=torch.int32)[None, None]


# ---------------------------------------------------------------- the reference's numbers


@pytest.fixture(scope="module")
def bank() -> FeatureBank:
    """What the recorded encoder makes of the recorded training images."""
    model = ModelOptions(nef=4, n_downsample_E=2)
    encoder = Encoder(3, model.feat_num, model.nef, model.n_downsample_E)
    load_network(encoder, shared("reference", "instance_feat", "final", "latest_net_E.pth"))
    data = DataOptions(dataroot=str(shared("cityscapes_sample")), loadSize=128)
    dataset = create_dataset(data, model, phase="train", seed=0, is_train=False)
    bank = FeatureBank(model.feat_num, model.label_nc)
    for index in range(len(dataset)):
        sample = dataset[index]
        image, inst = image_to_float(sample.image), sample.inst
        height, width = image.shape[2:]
        with torch.no_grad():
            features = encoder(pad_to_stride(image, encoder.stride))[..., :height, :width]
        bank.add(instance_average(features, inst), inst)
    return bank


def recorded(name: str) -> Path:
    return shared("reference", "instance_feat", name)


def test_instances_and_features_are_the_reference_s(bank: FeatureBank) -> None:
    expected, found = load_by_label("features", recorded("features.npy"), 3, 35), bank.rows()
    assert found.keys() == expected.keys()
    for label, rows in expected.items():
        assert found[label].shape == rows.shape, label
        assert np.array_equal(found[label][:, -1], rows[:, -1]), label
        np.testing.assert_allclose(found[label], rows, rtol=0, atol=1e-4, err_msg=str(label))


def test_origins_name_image_instance_and_pixels(bank: FeatureBank) -> None:
    rows, origins = bank.rows(), bank.origins()
    assert bank.samples == 8
    for label, (of_label, sizes) in enumerate(zip(origins.values(), rows.values(), strict=True)):
        assert np.array_equal(of_label[:, 2] / pixel_unit(64, 128), sizes[:, -1])
        assert np.array_equal(np.lexsort((of_label[:, 1], of_label[:, 0])), np.arange(len(sizes)))
        assert all(ident in (label, ident % 1000 + 1000 * label) for ident in of_label[:, 1])


# ---------------------------------------------------------------- collecting


def test_rows_are_means_and_sizes_of_instances() -> None:
    ids = torch.cat([ints([[1, 1], [2003, 999]]), ints([[2003, 2003], [2003, 2004]])])
    features = torch.arange(16).view(2, 2, 2, 2).float()
    bank = FeatureBank(feat_num=2, label_nc=1000)
    bank.add(features, ids)
    rows, origins = bank.rows(), bank.origins()
    assert rows[1].tolist() == [[0.5, 4.5, 2]]  # H * W // 32 is 0 here: the unit is a pixel
    assert rows[2].tolist() == [[2, 6, 1], [9, 13, 3], [11, 15, 1]]
    assert origins[2].tolist() == [[0, 2003, 1], [1, 2003, 3], [1, 2004, 1]]
    assert rows[999].tolist() == [[3, 7, 1]]
    assert rows[0].shape == (0, 3)


def test_batches_are_collected_as_single_images_are() -> None:
    ids = torch.randint(0, 9, (3, 1, 8, 8), generator=torch.Generator().manual_seed(0))
    features = torch.rand(3, 2, 8, 8)
    whole, single = FeatureBank(2, 9), FeatureBank(2, 9)
    whole.add(features.half(), ids)
    for n in range(3):
        single.add(instance_average(features[n : n + 1].half().float(), ids[n : n + 1]), ids[[n]])
    for label in range(9):
        assert np.array_equal(whole.origins()[label], single.origins()[label])
        np.testing.assert_allclose(whole.rows()[label], single.rows()[label], atol=1e-6)


def test_instances_that_nobody_has_counted_are_collected_as_counted_ones() -> None:
    """As on a GPU, where the host does not know their number when it launches the next batch."""
    ids = torch.tensor([7, -1, 2003, 2003, 7, 7, 65535, -1]).view(2, 1, 2, 2)
    label = torch.tensor([3, 3, 2, 2, 3, 3, 1, 0], dtype=torch.uint8).view(2, 1, 2, 2)
    features = torch.rand(2, 2, 2, 2)
    counted, uncounted = FeatureBank(2, 5), FeatureBank(2, 5)
    found = segments(ids, counted=False)
    assert len(found.count) == ids.numel()
    for _ in range(2):
        counted.add(features, ids, label)
        uncounted.add_means(InstanceMeans(found, segment_means(features, found), label))
    assert sum(map(len, counted.rows().values())) == 12
    for number in range(5):
        assert np.array_equal(uncounted.rows()[number], counted.rows()[number])
        assert np.array_equal(uncounted.origins()[number], counted.origins()[number])


def test_a_gpu_is_not_waited_for_before_its_means_are_collected() -> None:
    """Shown on the meta device, where whatever asks for a value fails."""
    ids = torch.zeros(1, 1, 4, 6, dtype=torch.uint16, device="meta")
    batch = instance_means(torch.zeros(1, 3, 4, 6, device="meta"), ids, ids)
    assert batch.means.shape == (24, 3)


def test_labels_are_collected_with_label_feat() -> None:
    bank = FeatureBank(feat_num=1, label_nc=2000, ids_are_labels=True)
    bank.add(torch.ones(1, 1, 1, 2), ints([[1500, 1]]))
    assert len(bank.rows()[1500]) == len(bank.rows()[1]) == 1


def test_without_labels_every_label_is_taken() -> None:
    bank = FeatureBank(feat_num=1, label_nc=0)
    assert bank.rows() == {}
    bank.add(torch.ones(1, 1, 1, 3), ints([[-5, 2147483647, 7]]))
    assert list(bank.rows()) == [-5, 7, 2147483]


def test_ids_outside_the_label_set_are_of_the_label_map_s_label() -> None:
    bank = FeatureBank(feat_num=1, label_nc=4)
    ids = ints([[77, 77, 77], [-1, 88, 1]])
    label = torch.tensor([[3, 2, 3], [255, 2, 0]], dtype=torch.uint8)[None, None]
    bank.add(torch.ones(1, 1, 2, 3), ids, label)
    assert {label: list(o[:, 1]) for label, o in bank.origins().items()} == {
        **{0: [], 1: [1]},  # the id's own label, whatever the label map says
        **{2: [88], 3: [77]},  # that of most pixels
    }  # and nothing of -1, which lies on the ignored label
    bank = FeatureBank(feat_num=1, label_nc=4)
    bank.add(torch.ones(1, 1, 2, 3), ids)
    assert sum(map(len, bank.rows().values())) == 1, "nothing tells the label of the others"


@settings(deadline=None, max_examples=50)
@given(
    ids=arrays(np.int32, (2, 1, 3, 4), elements=st.sampled_from([-1, 5, 99999])),
    label=arrays(np.int32, (2, 1, 3, 4), elements=st.sampled_from([-1, 0, 3, 40000])),
)
def test_majority_labels_are_those_of_a_loop(ids: np.ndarray, label: np.ndarray) -> None:
    found = segments(torch.from_numpy(ids))
    labels, named = instance_labels(found, (), torch.from_numpy(label))
    assert not named.any()
    for row, (n, ident) in enumerate(zip(found.sample, found.id, strict=True)):
        values, counts = np.unique(label[n][ids[n] == ident.item()], return_counts=True)
        assert labels[row] == values[counts == counts.max()][-1]


# ---------------------------------------------------------------- choosing styles


CENTRES = {
    1: np.arange(30).reshape(10, 3) / 30,
    2: np.array([[0.5, 0.25, 0.125], [-0.5, -0.25, -0.125]]),
}


def sampler(seed: int = 0, ids_are_labels: bool = False) -> StyleSampler:
    return StyleSampler(CENTRES, feat_num=3, seed=seed, ids_are_labels=ids_are_labels)


def many_instances(count: int = 40) -> torch.Tensor:
    """An instance of label 1 in each column."""
    return (1000 + torch.arange(count, dtype=torch.int32)).expand(1, 1, 2, count)


def columns(features: torch.Tensor) -> list[tuple[float, ...]]:
    return [tuple(features[0, :, 0, x].tolist()) for x in range(features.shape[3])]


def drawn(ids: torch.Tensor, style: int = 0, name: str = "a", seed: int = 0) -> torch.Tensor:
    features, lines = sampler(seed).sample(ids, [name], style)
    assert lines == []
    return features


def test_every_instance_gets_a_centre_of_its_label() -> None:
    ids = torch.tensor([[2, 2000], [2000, 1007]], dtype=torch.int32)[None, None]
    features = drawn(ids)
    assert features.shape == (1, 3, 2, 2)
    assert features.dtype == torch.float32
    assert torch.equal(features[0, :, 0, 1], features[0, :, 1, 0]), "one centre for an instance"
    for y, x, label in [(0, 0, 2), (0, 1, 2), (1, 1, 1)]:
        value = features[0, :, y, x].numpy()
        assert any(np.array_equal(value, row) for row in CENTRES[label].astype(np.float32))


def test_draws_are_made_again_and_differ_with_seed_name_and_instance() -> None:
    ids = many_instances()
    assert torch.equal(drawn(ids), drawn(ids))
    assert len(set(columns(drawn(ids)))) > 5, "instances differ"
    for other in (drawn(ids, seed=1), drawn(ids, name="b")):
        same = [a == b for a, b in zip(columns(drawn(ids)), columns(other), strict=True)]
        assert sum(same) < 15, "as chance has it, 4 of 40"


def test_draws_are_pinned() -> None:
    """A gallery made today can be made again next year."""
    assert [sampler().choice(10, "frankfurt", 26001, style) for style in range(4)] == [9, 2, 6, 3]


def test_styles_go_through_all_centres_before_one_comes_again() -> None:
    for ident in range(20):
        places = [sampler().choice(10, "a", ident, style) for style in range(30)]
        for turn in range(3):
            assert sorted(places[10 * turn : 10 * turn + 10]) == list(range(10))
        assert places[:10] != places[10:20]


def test_centres_are_drawn_evenly() -> None:
    places = [sampler().choice(4, "a", ident, 0) for ident in range(2000)]
    assert np.bincount(places).min() > 420  # of 500; the deviation is 19


def test_an_instance_is_drawn_the_same_whatever_else_is_in_the_image() -> None:
    ids = many_instances()
    alone = torch.where(ids == 1017, ids, 2)
    assert torch.equal(drawn(alone)[..., 17], drawn(ids)[..., 17])


def test_a_batch_is_drawn_as_its_images_are() -> None:
    ids = many_instances()
    both, _ = sampler().sample(torch.cat([ids, ids]), ["a", "b"], 3)
    assert torch.equal(both, torch.cat([drawn(ids, 3, "a"), drawn(ids, 3, "b")]))


def test_label_maps_are_drawn_per_label() -> None:
    label = torch.tensor([[1, 2, 1]], dtype=torch.uint8)[None, None]
    features, lines = sampler(ids_are_labels=True).sample(label, ["a"])
    assert lines == []
    assert columns(features)[0] == columns(features)[2] != columns(features)[1]


def test_ids_that_name_no_label_get_the_centre_of_the_label_map_s() -> None:
    ids = torch.tensor([[77000, 77000, -3, 1001]], dtype=torch.int32)[None, None]
    label = torch.tensor([[2, 2, 1, 2]], dtype=torch.uint8)[None, None]
    features, lines = sampler().sample(ids, ["a"], 0, label)
    assert lines == []
    assert columns(features)[0] == columns(features)[1] == (0, 0, 0), "mean of the two of label 2"
    np.testing.assert_allclose(columns(features)[2], CENTRES[1].mean(axis=0), rtol=1e-6)
    assert torch.equal(features[..., 3], drawn(ids[..., 3:])[..., 0]), "1001 names label 1"


def test_labels_without_clusters_get_zeros_and_one_warning() -> None:
    ids = torch.tensor([[9001, 9002, 8, 1]], dtype=torch.int32)[None, None]
    one = sampler()
    features, lines = one.sample(ids, ["a"])
    assert not features[..., :3].any()
    assert [line.split(":")[0] for line in lines] == [
        "label 8 has no clusters",
        "label 9 has no clusters",
    ]
    assert one.sample(ids, ["b"])[1] == [], "warned already"
    with_label = sampler().sample(ids, ["a"], 0, torch.full_like(ids, 5))
    assert [line[:7] for line in with_label[1]] == ["label 5"]


@pytest.mark.parametrize("shape", [(1, 1, 0, 3), (2, 1, 0, 0)])
def test_nothing_to_draw(shape: tuple[int, ...]) -> None:
    features, lines = sampler().sample(torch.zeros(shape, dtype=torch.int32), ["a"])
    assert features.shape == (shape[0], 3, *shape[2:])
    assert lines == []


def test_features_of_another_image_are_painted_per_label() -> None:
    features = torch.rand(1, 3, 2, 3)
    label = torch.tensor([[0, 0, 4], [0, 4, 4]], dtype=torch.uint8)[None, None]
    vectors = mean_features_by_label(features, label)
    assert list(vectors) == [0, 4]
    for name, vector in vectors.items():
        expected = features[0][:, label[0, 0] == name].double().mean(dim=1)
        np.testing.assert_allclose(vector, expected[None], rtol=1e-6)
    target = torch.tensor([[4, 0, 7]], dtype=torch.uint8)[None, None]
    painted, lines = StyleSampler(vectors, 3, ids_are_labels=True).sample(target, [""])
    np.testing.assert_allclose(
        painted[0, :, 0].T, [vectors[4][0], vectors[0][0], [0] * 3], rtol=1e-6
    )
    assert [line[:7] for line in lines] == ["label 7"]


def test_the_ignored_label_is_not_warned_of() -> None:
    label = torch.tensor([[0, 3, 255]], dtype=torch.uint8)[None, None]
    sampler = StyleSampler({0: np.ones((1, 2))}, 2, ids_are_labels=True, label_nc=5)
    _, lines = sampler.sample(label, [""])
    assert [line[:7] for line in lines] == ["label 3"]


def test_without_a_label_map_instances_name_the_labels_of_another_image() -> None:
    """With --label_nc 0: otherwise what is found for 26001 would be looked up as 26."""
    ids = torch.tensor([[26001, 26002, 7, -1, -2001]], dtype=torch.int32)[None, None]
    assert named_labels(ids).flatten().tolist() == [26, 26, 7, -1, -2001]
    assert named_labels(torch.tensor([65535, 999], dtype=torch.uint16)).tolist() == [65, 999]
    features = torch.tensor([[[[1.0, 3, 5, 7, 9]]]])
    vectors = mean_features_by_label(features, named_labels(ids))
    painted, lines = StyleSampler(vectors, 1).sample(ids, [""])
    assert painted.flatten().tolist() == [2, 2, 5, 7, 9] and lines == []
