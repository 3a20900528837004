"""Files of features and clusters: round trips, and what is wrong with one in a line."""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pix2pixhd.engine.feature_files import (
    clusters_name,
    existing_file,
    load_by_label,
    save_by_label,
)
from pix2pixhd.util.errors import UserError

CENTRES = {3: np.arange(6).reshape(2, 3) / 6, 26: np.ones((1, 3))}


def legacy(path: Path, value: Any) -> Path:
    """A file as the reference writes it."""
    np.save(path, value, allow_pickle=True)
    return path


def expect_problem(path: Path, *words: str, feat_num: int = 3, label_nc: int = 35) -> None:
    with pytest.raises(UserError) as caught:
        load_by_label("centres", path, feat_num, label_nc)
    (line,) = caught.value.problems
    assert "\n" not in line
    for word in (str(path), *words):
        assert word in line


def same(one: dict[int, np.ndarray], other: dict[int, np.ndarray]) -> bool:
    return list(one) == list(other) and all(np.array_equal(one[k], other[k]) for k in one)


def test_clusters_come_back(tmp_path: Path) -> None:
    path = tmp_path / "run" / clusters_name(10)
    assert path.name == "features_clustered_010.npz"
    save_by_label("centres", CENTRES, path)
    assert same(load_by_label("centres", path, 3, 35), CENTRES)
    assert list(path.parent.iterdir()) == [path]


def test_features_come_back_with_labels_that_have_none(tmp_path: Path) -> None:
    rows = {0: np.zeros((0, 4)), 1: np.arange(8.0).reshape(2, 4)}
    save_by_label("features", rows, tmp_path / "features.npz")
    assert same(load_by_label("features", tmp_path / "features.npz", 3, 2), rows)


def test_ours_hold_no_pickles(tmp_path: Path) -> None:
    save_by_label("centres", CENTRES, tmp_path / "c.npz")
    with zipfile.ZipFile(tmp_path / "c.npz") as archive:
        assert archive.namelist() == ["centres_3.npy", "centres_26.npy"]
    assert set(np.load(tmp_path / "c.npz", allow_pickle=False)) == {"centres_3", "centres_26"}


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_the_reference_s_come_back(dtype: type, tmp_path: Path) -> None:
    centres = {label: array.astype(dtype) for label, array in CENTRES.items()}
    path = legacy(tmp_path / "c.npy", {26: centres[26], 3: centres[3], 4: np.zeros((0, 3))})
    found = load_by_label("centres", path, 3, 35)
    assert same(found, centres), "by label, without those that have none"
    assert found[3].dtype == np.float64


def test_labels_of_any_number_without_a_label_set(tmp_path: Path) -> None:
    save_by_label("centres", {-5: CENTRES[3], 2147483: CENTRES[26]}, tmp_path / "c.npz")
    assert list(load_by_label("centres", tmp_path / "c.npz", 3, label_nc=0)) == [-5, 2147483]


def test_the_other_format_is_found(tmp_path: Path) -> None:
    npy, npz = tmp_path / "features_clustered_010.npy", tmp_path / "features_clustered_010.npz"
    assert existing_file(npy) == npy, "neither is there: the name that was given"
    npz.touch()
    assert existing_file(npy) == existing_file(npz) == npz
    npy.touch()
    assert existing_file(npy) == npy
    assert existing_file(tmp_path / "other") == tmp_path / "other"


def test_failed_write_leaves_the_earlier_file(tmp_path: Path) -> None:
    path = tmp_path / "c.npz"
    save_by_label("centres", CENTRES, path)
    before = path.read_bytes()
    broken: Any = {3: type("Broken", (), {"__array__": lambda self, *a, **k: 1 / 0})()}
    with pytest.raises(ZeroDivisionError):
        save_by_label("centres", broken, path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


# ---------------------------------------------------------------- what can be wrong


def test_missing(tmp_path: Path) -> None:
    expect_problem(tmp_path / "none.npz", "there is no file", "encode_features.py")
    expect_problem(tmp_path, "there is no file")


@pytest.mark.parametrize("content", [b"", b"PK", b"nonsense", pickle.dumps(CENTRES)])
def test_another_format(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "c.npz"
    path.write_bytes(content)
    expect_problem(path)


@pytest.mark.parametrize("suffix", [".npz", ".npy"])
def test_truncated_or_damaged_anywhere(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"c{suffix}"
    if suffix == ".npz":
        save_by_label("centres", CENTRES, path)
    else:
        legacy(path, CENTRES)
    whole = path.read_bytes()
    for end in range(0, len(whole), 7):
        path.write_bytes(whole[:end])
        expect_problem(path)
    random = np.random.default_rng(0)
    for _ in range(300):
        damaged = bytearray(whole)
        damaged[random.integers(len(whole))] = random.integers(256)
        path.write_bytes(damaged)
        try:
            assert load_by_label("centres", path, 3, 35), "harmless"
        except UserError as error:
            assert len(error.problems) == 1


def test_npz_of_pickled_objects(tmp_path: Path) -> None:
    path = tmp_path / "c.npz"
    np.savez(path, centres_3=np.array([{}], dtype=object), allow_pickle=True)
    expect_problem(path, "pickled objects, none of which was executed")


def test_npz_of_something_else(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "c.npz", "w") as archive:
        archive.writestr("centres_3", b"text")
    expect_problem(tmp_path / "c.npz", "label 3", "expected an array")
    np.savez(tmp_path / "c.npz", weights=np.ones(3))
    expect_problem(tmp_path / "c.npz", "'weights'", "expected centres_<label>")


def test_features_in_place_of_clusters(tmp_path: Path) -> None:
    save_by_label("features", {3: np.ones((1, 4))}, tmp_path / "f.npz")
    expect_problem(tmp_path / "f.npz", "'features_3'", "expected centres_<label>")
    legacy(tmp_path / "f.npy", {3: np.ones((1, 4))})
    expect_problem(tmp_path / "f.npy", "4 columns, expected 3", "or a file of features")


def test_another_feat_num(tmp_path: Path) -> None:
    save_by_label("centres", CENTRES, tmp_path / "c.npz")
    expect_problem(
        *(tmp_path / "c.npz", "3 columns, expected 8", "(--feat_num 8)", "(--feat_num 3)"),
        feat_num=8,
    )


def test_another_label_set(tmp_path: Path) -> None:
    save_by_label("centres", CENTRES, tmp_path / "c.npz")
    words = ("label 26", "--label_nc 20 has labels 0 to 19", "another data set")
    expect_problem(tmp_path / "c.npz", *words, label_nc=20)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"road": np.ones((1, 3))}, "'road', expected labels"),
        ({True: np.ones((1, 3))}, "'True', expected labels"),
        ({3: 5.0}, "label 3: expected an array"),
        ({3: np.ones(3)}, "label 3: expected an array"),
        ({3: np.ones((1, 3), bool)}, "label 3: expected an array"),
        ({3: np.full((1, 3), np.inf)}, "label 3: not all are finite"),
        ({3: np.zeros((0, 3))}, "no cluster of any label"),
        ({}, "no cluster of any label"),
        ({3: [1.0, 2.0, 3.0]}, "refused"),
        ([1, 2], "expected a pickled dictionary"),
    ],
)
def test_wrong_content_of_a_legacy_file(value: Any, words: str, tmp_path: Path) -> None:
    expect_problem(legacy(tmp_path / "c.npy", value), words)


def test_unreadable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "c.npz"
    path.touch()

    def denied(*_: Any, **__: Any) -> io.BytesIO:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", denied)
    expect_problem(path, "Permission denied")
