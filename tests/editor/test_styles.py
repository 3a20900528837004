"""Where styles come from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from programs import write_tiny_data
from tiny_studio import BY_INSTANCE, make_run, open_studio, read

from pix2pixhd.data.feature_maps import write_feature_map
from pix2pixhd.editor.styles import PrincipalAxes, Styles
from pix2pixhd.util.errors import UserError


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("styles")
    write_tiny_data(root, phase="test", count=2)
    make_run(root, "styled", clusters=True, **BY_INSTANCE)
    return root


def styles_of(root: Path, name: str = "styled") -> Styles:
    styles = open_studio(root, name).styles
    assert styles is not None
    return styles


def test_centres_are_of_the_file_of_clusters(root: Path) -> None:
    styles = styles_of(root)
    saved = np.load(root / "ck/styled/features_clustered_010.npz")
    assert np.array_equal(styles.centres(1), saved["centres_1"].astype(np.float32))
    assert styles.centres(99).shape == (0, 2)


def test_axes_are_of_the_saved_features(root: Path) -> None:
    axes = styles_of(root).axes(1)
    rows = np.load(root / "ck/styled/features.npz")["features_1"][:, :2]
    assert np.allclose(axes.mean, rows.mean(axis=0))
    along = (rows - axes.mean) @ axes.directions.T
    assert np.allclose(along.std(axis=0), axes.deviations)
    assert axes.deviations[0] > 3 * axes.deviations[1]  # as the rows were made
    assert abs(np.corrcoef(along.T)[0, 1]) < 1e-6
    vector = axes.vector(np.array([1.5, -2]))
    assert vector.dtype == np.float32
    assert np.allclose(axes.amounts(vector), [1.5, -2], atol=1e-5)


def test_axes_where_nothing_varies() -> None:
    axes = PrincipalAxes(np.ones(2), np.eye(2), np.array([0.5, 0]))
    assert axes.amounts(np.array([2.0, 7.0])).tolist() == [2, 0]


def test_the_style_of_another_image(root: Path) -> None:
    styles, model = styles_of(root), open_studio(root, "styled").renderer
    photo, label, inst = (read(root, kind, 1) for kind in ("img", "label", "inst"))
    wanted = int(label[0, 0])
    expected = model.encode(photo, label, inst)[label == wanted].mean(axis=0)
    by_name = styles.style_from_image("scene_1", wanted)
    assert by_name.shape == (2,) and np.allclose(by_name, expected, atol=1e-6)
    file = root / "data/test_img/scene_1.png"
    assert np.array_equal(styles.style_from_image(file, wanted), by_name)
    with pytest.raises(UserError, match="scene_1: does not show label 77, it has 0, 1"):
        styles.style_from_image("scene_1", 77)
    with pytest.raises(UserError, match="no such file"):
        styles.style_from_image(root / "none_img/x.png", 1)


def test_precomputed_features_are_taken(root: Path, tmp_path: Path) -> None:
    write_tiny_data(tmp_path, phase="test", count=1)
    make_run(tmp_path, "read", load_features=True, **BY_INSTANCE)
    inst = read(tmp_path, "inst").astype(np.float16)
    features = np.stack([inst / 5000, -inst / 9000])
    write_feature_map(tmp_path / "data/test_feat/scene_0.npz", features)
    scene = open_studio(tmp_path, "read").open("scene_0")
    assert np.array_equal(scene.features(), features.transpose(1, 2, 0))


def test_a_run_without_saved_features_or_encoder(root: Path, tmp_path: Path) -> None:
    write_tiny_data(tmp_path, phase="test", count=1)
    folder = make_run(tmp_path, "bare", **BY_INSTANCE)
    (folder / "latest_net_E.pth").unlink()
    with pytest.raises(UserError, match=r"features\.npz.*encode_features\.py"):
        styles_of(tmp_path, "bare").axes(1)
    with pytest.raises(UserError, match="no encoder"):
        styles_of(tmp_path, "bare").style_from_image("scene_0", 1)
