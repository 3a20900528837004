"""Clustering features per label: rules, and the reference's numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.cluster.vq import kmeans
from shared_data import shared

from pix2pixhd.engine.feature_files import load_by_label
from pix2pixhd.models.clustering import cluster, cluster_centres, inertia, nearest
from pix2pixhd.util.errors import UserError


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def recorded(name: str) -> Path:
    return shared("reference", "instance_feat", name)


def test_clusters_are_no_worse_than_the_reference_s() -> None:
    rows = load_by_label("features", recorded("features.npy"), 3, 35)
    expected = load_by_label("centres", recorded("features_clustered_010.npy"), 3, 35)
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
    values = load_by_label("features", recorded("features.npy"), 3, 35)[26][:, :-1]
    tries = [inertia(values, cluster_centres(values, 10, rng(seed))) for seed in range(8)]
    best = inertia(values, kmeans(values, 10, iter=300, thresh=1e-9, rng=rng())[0])
    assert max(tries) <= 1.05 * best


# ---------------------------------------------------------------- rules


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
