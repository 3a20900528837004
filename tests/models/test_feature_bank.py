"""Collecting features of instances, and clustering them: rules, and the reference's numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.cluster.vq import kmeans
from shared_data import shared

from data import create_dataset
from engine.feature_files import load_clusters, load_features
from models.conditioning import image_to_float, pad_to_stride
from models.encoder import Encoder
from models.feature_bank import (
    FeatureBank,
    cluster,
    cluster_centres,
    inertia,
    instance_labels,
    nearest,
    pixel_unit,
)
from models.segments import instance_average, segments
from options.base_options import DataOptions, ModelOptions
from util.checkpoint import load_network
from util.errors import UserError


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


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
    expected, found = load_features(recorded("features.npy"), 3, 35), bank.rows()
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


def test_clusters_are_no_worse_than_the_reference_s() -> None:
    rows = load_features(recorded("features.npy"), 3, 35)
    expected = load_clusters(recorded("features_clustered_010.npy"), 3, 35)
    found = cluster(rows, 10)
    for label, centres in expected.items():
        values = rows[label][found.kept[label], :-1]
        assert np.array_equal(found.kept[label], rows[label][:, -1] > 0.5)
        assert found.centres[label].shape == centres.shape == (min(10, len(values)), 3)
        assert inertia(values, found.centres[label]) <= 1.01 * inertia(values, centres) + 1e-9
    rescued = {label for label in rows if len(rows[label]) and label not in expected}
    assert found.centres.keys() == expected.keys() | rescued, "no label vanishes"
    assert [int(line.split()[1].rstrip(":")) for line in found.lines] == sorted(rescued)


def test_inertia_is_that_of_many_tries() -> None:
    """Of all 88 recorded cars, where ten clusters are fewer than rows."""
    values = load_features(recorded("features.npy"), 3, 35)[26][:, :-1]
    tries = [inertia(values, cluster_centres(values, 10, rng(seed))) for seed in range(8)]
    best = inertia(values, kmeans(values, 10, iter=300, thresh=1e-9, rng=rng())[0])
    assert max(tries) <= 1.05 * best


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
    labels, named = instance_labels(found.id.numpy(), found, (), torch.from_numpy(label))
    assert not named.any()
    for row, (n, ident) in enumerate(zip(found.sample, found.id, strict=True)):
        values, counts = np.unique(label[n][ids[n] == ident.item()], return_counts=True)
        assert labels[row] == values[counts == counts.max()][-1]


# ---------------------------------------------------------------- clustering


def rows_of(values: np.ndarray, share: float = 1.0) -> np.ndarray:
    return np.concatenate([values, np.full((len(values), 1), share)], axis=1)


def test_well_separated_clusters_are_found_largest_first() -> None:
    middles = np.array([[0.9, 0, 0], [-0.9, 0, 0], [0, 0.9, 0], [0, -0.9, 0], [0, 0, 0.9]])
    sizes = [50, 40, 30, 20, 10]
    values = np.repeat(middles, sizes, axis=0) + rng().normal(0, 1e-3, (150, 3))
    found = cluster_centres(rng().permutation(values), 5, rng(1))
    np.testing.assert_allclose(found, middles, atol=1e-3)
    assert np.array_equal(np.bincount(nearest(values, found)[0]), sizes)


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e6])
def test_clusters_do_not_depend_on_the_scale_of_features(scale: float) -> None:
    values = rng().normal(size=(200, 3))
    expected = cluster_centres(values, 5, rng(1)) * scale
    np.testing.assert_allclose(cluster_centres(values * scale, 5, rng(1)), expected, rtol=1e-6)


@settings(deadline=None, max_examples=60)
@given(
    values=arrays(
        np.float32,
        st.tuples(st.integers(1, 30), st.integers(1, 4)),
        elements=st.floats(-1, 1, width=32),
    ),
    n_clusters=st.integers(1, 10),
)
def test_any_rows_give_finite_centres_in_their_range(values: np.ndarray, n_clusters: int) -> None:
    values = values.astype(np.float64)
    centres = cluster_centres(values, n_clusters, rng())
    assert 1 <= len(centres) <= min(n_clusters, len(np.unique(values, axis=0)))
    assert np.isfinite(centres).all()
    assert (centres >= values.min(axis=0) - 1e-9).all()
    assert (centres <= values.max(axis=0) + 1e-9).all()
    at_most = inertia(values, values.mean(axis=0, keepdims=True))
    assert inertia(values, centres) <= at_most * (1 + 1e-9) + 1e-12


def test_no_more_distinct_rows_than_clusters_are_the_centres() -> None:
    values = np.array([[0.1], [0.5], [0.5], [0.5], [0.1], [0.3]])
    assert cluster_centres(values, 10, rng()).tolist() == [[0.5], [0.1], [0.3]]


def test_same_seed_same_clusters_and_labels_are_independent() -> None:
    rows = {label: rows_of(rng(label).normal(size=(60, 3))) for label in range(3)}
    one, again = cluster(rows, 4, seed=5).centres, cluster(rows, 4, seed=5).centres
    alone = cluster({2: rows[2]}, 4, seed=5).centres[2]
    assert all(np.array_equal(one[label], again[label]) for label in rows)
    assert np.array_equal(one[2], alone)


def test_half_a_unit_is_too_small_by_default() -> None:
    rows = {7: np.array([[0.1, 0.5], [0.2, 0.50001], [0.3, 2.0]])}
    found = cluster(rows, 10)
    assert found.kept[7].tolist() == [False, True, True]
    assert sorted(found.centres[7][:, 0]) == [0.2, 0.3]
    assert found.lines == []


def test_min_pixels_replaces_the_default() -> None:
    rows = {7: np.array([[0.1, 0.1], [0.2, 0.2], [0.3, 2.0]])}
    origins = {7: np.array([[0, 7, 10], [1, 7, 20], [2, 7, 200]])}
    assert cluster(rows, 10, 0, 20, origins).kept[7].tolist() == [False, True, True]
    assert cluster(rows, 10, 0, 0, origins).kept[7].all()


def test_a_label_of_small_instances_keeps_its_largest_and_says_so() -> None:
    rows = {7: np.array([[0.1, 0.1], [0.2, 0.4], [0.3, 0.2]]), 8: np.zeros((0, 2))}
    found = cluster(rows, 2)
    assert found.kept[7].tolist() == [False, True, True]
    assert sorted(found.centres[7][:, 0]) == [0.2, 0.3]
    (line,) = found.lines
    assert line.startswith("label 7: none of its 3 instances has over half of (H*W//32) pixels")
    assert "--min_instance_area" in line
    assert 8 not in found.centres, "no instance, no clusters"
    (line,) = cluster(rows, 2, 0, 99, {7: np.array([[0, 7, 1]] * 3)}).lines
    assert "has 99 pixels" in line


def test_features_of_a_diverged_encoder_are_an_error() -> None:
    with pytest.raises(UserError, match="label 7: not all are finite"):
        cluster({7: np.array([[np.nan, 1.0]])}, 2)
