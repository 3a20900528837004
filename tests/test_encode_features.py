"""Instance features as a user meets them: train, encode, draw styles."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from programs import Outcome, run_encode, run_test, run_train, tiny_run, write_tiny_data
from shared_data import shared

from pix2pixhd.engine.feature_files import load_by_label
from pix2pixhd.engine.kept_images import made_with
from pix2pixhd.options.parsing import parse_test
from pix2pixhd.util.checkpoint import load_tensors, save_tensors

FEATURES = ("--nef", "2", "--n_downsample_E", "1", "--feat_num", "2")
ON_CPU = ("--gpu_ids", "-1", "--nThreads", "0", "--precision", "fp32")


@pytest.fixture(scope="module", params=["--instance_feat", "--label_feat"])
def encoded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with features, encoded and clustered."""
    root = tmp_path_factory.mktemp("encoded")
    write_tiny_data(root)
    write_tiny_data(root, phase="test", count=2)
    flags = ("--niter", "1", "--niter_decay", "0", "--no_html", request.param, *FEATURES)
    assert run_train(*tiny_run(root), *flags).code == 0
    outcome = run_encode(*where(root), "--n_clusters", "3")
    assert outcome.code == 0, outcome.err
    return root


def where(root: Path) -> tuple[str, ...]:
    return ("--name", "tiny", "--checkpoints_dir", f"{root}/ck", *ON_CPU)


def rendered(root: Path, *flags: str | Path) -> dict[str, np.ndarray]:
    """The synthesised images of a rendering by file name."""
    results = root / "results"
    shutil.rmtree(results, ignore_errors=True)
    clusters = ("--cluster_path", "features_clustered_003.npy")
    outcome = run_test(*where(root), "--results_dir", results, *clusters, *flags)
    assert outcome.code == 0, outcome.err
    files = results.glob("tiny/test_latest*/images/*synthesized*.png")
    return {file.name: np.asarray(Image.open(file)) for file in files}


def same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[k], other[k]) for k in one)


def test_files_hold_features_and_clusters_of_each_label(encoded: Path) -> None:
    features = np.load(encoded / "ck/tiny/features.npz")
    clusters = np.load(encoded / "ck/tiny/features_clustered_003.npz")
    for label in range(5):
        rows, centres = features[f"features_{label}"], clusters[f"centres_{label}"]
        assert rows.shape[1] == 2 + 1 and len(rows) > 0
        assert centres.shape == (min(len(rows), 3), 2)


def test_examples_of_clusters_show_the_photographs(encoded: Path) -> None:
    """Noise, in these data; as bytes taken for [-1, 1] they were white."""
    files = list((encoded / "ck/tiny/features/examples").glob("*.jpg"))
    assert files
    for file in files:
        assert 64 < np.asarray(Image.open(file)).mean() < 192


def test_a_gallery_can_be_made_again_and_another_seed_gives_another(encoded: Path) -> None:
    first = rendered(encoded)
    assert len(first) == 2
    assert same(first, rendered(encoded))
    assert not same(first, rendered(encoded, "--seed", "1"))


def test_styles_stand_side_by_side(encoded: Path) -> None:
    images = rendered(encoded, "--styles", "3")
    assert len(images) == 2 * 3
    names = [f"scene_0_synthesized_image{n}.png" for n in ("", "_2", "_3")]
    assert len({images[name].tobytes() for name in names}) == 3
    assert same(rendered(encoded), {k: v for k, v in images.items() if k.endswith("image.png")})
    rendered(encoded, "--styles", "3")
    page = (encoded / "results/tiny/test_latest_3styles_clusters_003/index.html").read_text()
    captions = re.findall("<figcaption>(synthesized.*?)</figcaption>", page)
    assert captions[:3] == [f"synthesized image{n}" for n in ("", " 2", " 3")]


def test_features_of_the_real_image_or_of_another(encoded: Path) -> None:
    own = rendered(encoded, "--use_encoded_image")
    assert not same(own, rendered(encoded))
    image = encoded / "data/test_img/scene_1.png"
    of_other = rendered(encoded, "--style_from", image)
    assert not same(of_other, rendered(encoded))
    # Seen through its own labels, an image has its own style where labels are what is pooled.
    options = (encoded / "ck/tiny/opt.txt").read_text()
    if "label_feat: True" in options:
        name = "scene_1_synthesized_image.png"
        assert np.abs(of_other[name].astype(int) - own[name]).max() <= 1


@pytest.mark.parametrize("source", ["--styles", "--style_from", "--use_encoded_image"])
def test_features_in_tiles(encoded: Path, source: str) -> None:
    values = {"--styles": ["2"], "--style_from": [encoded / "data/test_img/scene_1.png"]}
    flags = (source, *values.get(source, []))
    whole = rendered(encoded, *flags)
    assert same(whole, rendered(encoded, *flags, "--tile", "32"))  # as large as the images
    tiled = rendered(encoded, *flags, "--tile", "16")
    assert tiled.keys() == whole.keys() and not same(whole, tiled)
    assert all(tiled[name].shape == whole[name].shape for name in whole)


def test_style_of_an_image_beyond_max_dataset_size(encoded: Path) -> None:
    style = ("--style_from", encoded / "data/test_img/scene_1.png")
    one = rendered(encoded, *style, "--max_dataset_size", "1")
    assert list(one) == ["scene_0_synthesized_image.png"]
    assert np.array_equal(next(iter(one.values())), rendered(encoded, *style)[next(iter(one))])


def complaint(outcome: Outcome) -> str:
    assert outcome.code == 2
    [line] = outcome.err.strip().splitlines()
    assert line.startswith("error: ")
    return line


def test_missing_clusters_name_the_program_that_makes_them(encoded: Path) -> None:
    line = complaint(run_test(*where(encoded), "--cluster_path", "features_clustered_007.npy"))
    assert "features_clustered_007" in line and "encode_features.py" in line


def test_the_default_file_is_that_of_the_runs_own_n_clusters(encoded: Path, tmp_path: Path) -> None:
    shutil.copytree(encoded / "ck", tmp_path / "ck")
    options = tmp_path / "ck/tiny/options.json"
    options.write_text(options.read_text().replace('"n_clusters": 10', '"n_clusters": 3'))
    outcome = run_test(*where(tmp_path), "--results_dir", tmp_path)
    assert outcome.code == 0, outcome.err
    options.write_text(options.read_text().replace('"n_clusters": 3', '"n_clusters": 4'))
    line = complaint(run_test(*where(tmp_path), "--results_dir", tmp_path))
    assert "features_clustered_003.npz" in line and "--cluster_path" in line


def test_clusters_of_other_features(encoded: Path, tmp_path: Path) -> None:
    file = tmp_path / "clusters.npz"
    np.savez(file, centres_0=np.zeros((2, 7)))
    line = complaint(run_test(*where(encoded), "--cluster_path", file))
    assert "7" in line and "--feat_num" in line


def test_style_of_an_image_without_maps(encoded: Path, tmp_path: Path) -> None:
    Image.new("RGB", (32, 16)).save(tmp_path / "alone.png")
    line = complaint(run_test(*where(encoded), "--style_from", tmp_path / "alone.png"))
    assert "alone.png" in line and "_img" in line
    data = shutil.copytree(encoded / "data", tmp_path / "data")
    (data / "test_img").rename(data / "test_B")  # photographs of input images, not of label maps
    flags = ("--dataroot", data, "--style_from", data / "test_B/scene_1.png")
    line = complaint(run_test(*where(encoded), *flags))
    assert "test_img: no such folder" in line


@pytest.mark.parametrize("changed", ["ck/tiny/mine.npz", "data/test_label/scene_1.png"])
def test_images_are_kept_while_what_their_features_are_of_is_the_same(
    encoded: Path, changed: str, tmp_path: Path
) -> None:
    root = shutil.copytree(encoded, tmp_path / "copy")
    shutil.copy(root / "ck/tiny/features_clustered_003.npz", root / "ck/tiny/mine.npz")
    flags = ("--cluster_path", "mine.npz")
    if "label" in changed:
        flags = ("--style_from", str(root / "data/test_img/scene_1.png"))
    options = parse_test([*map(str, where(root)), "--dataroot", str(root / "data"), *flags])
    before = made_with(options)
    assert made_with(options) == before
    os.utime(root / changed, ns=(0, 0))
    assert made_with(options) != before


def test_a_run_without_its_encoder(encoded: Path, tmp_path: Path) -> None:
    shutil.copytree(encoded / "ck", tmp_path / "ck")
    (tmp_path / "ck/tiny/latest_net_E.pth").unlink()
    for outcome in (
        run_encode(*where(tmp_path)),
        run_test(*where(tmp_path), "--use_encoded_image"),
    ):
        assert "latest_net_E.pth" in complaint(outcome)


def test_the_average_encodes_unless_told_not_to(encoded: Path, tmp_path: Path) -> None:
    shutil.copytree(encoded / "ck", tmp_path / "ck")
    folder, found = tmp_path / "ck/tiny", []
    weights = load_tensors(folder / "latest_net_E.pth")
    average = {name: 2 * tensor for name, tensor in weights.items()}
    save_tensors(average, folder / "latest_net_E_ema.pth")
    for flags in ((), ("--no_ema",)):
        assert run_encode(*where(tmp_path), *flags).code == 0
        found.append(np.load(folder / "features.npz")["features_1"])
    raw = np.load(encoded / "ck/tiny/features.npz")["features_1"]
    also_raw = np.load(folder / "features_no_ema.npz")["features_1"]
    assert np.array_equal(also_raw, raw) and not np.array_equal(found[0], raw)
    assert np.array_equal(found[0], found[1])
    assert (folder / "features_no_ema/index.html").is_file()
    # The generators draw from what their own encoders made.
    (folder / "features_clustered_010.npz").unlink()
    results = ("--results_dir", tmp_path, "--no_ema", "--how_many", "1")
    assert run_test(*where(tmp_path), *results).code == 0
    (folder / "features_clustered_010_no_ema.npz").unlink()
    line = complaint(run_test(*where(tmp_path), *results))
    assert "features_clustered_010_no_ema.npz" in line and " --no_ema, or give" in line


def test_a_run_without_features(tmp_path: Path) -> None:
    write_tiny_data(tmp_path)
    assert run_train(*tiny_run(tmp_path), "--niter", "1", "--niter_decay", "0").code == 0
    assert "--instance_feat" in complaint(run_encode(*where(tmp_path)))
    assert "--use_encoded_image" in complaint(run_test(*where(tmp_path), "--use_encoded_image"))


def test_style_of_an_image_without_labels(tmp_path: Path) -> None:
    """With --label_nc 0, where instances tell the labels that features are found by."""
    for phase in ("train", "test"):
        data = write_tiny_data(tmp_path, phase=phase, count=2)
        (data / f"{phase}_label").rename(data / f"{phase}_A")
        (data / f"{phase}_img").rename(data / f"{phase}_B")
        for file in (data / f"{phase}_inst").iterdir():  # one instance of each label
            ids = np.asarray(Image.open(file)).astype(np.int32) // 1000 * 1000 + 5000
            Image.fromarray(ids.astype(np.uint16)).save(file)
        for file in (data / f"{phase}_A").iterdir():
            Image.open(file).convert("RGB").save(file)
    flags = ("--niter", "1", "--niter_decay", "0", "--no_html", "--instance_feat", *FEATURES)
    assert run_train(*tiny_run(tmp_path), "--label_nc", "0", *flags).code == 0
    own = rendered(tmp_path, "--use_encoded_image")
    styled = rendered(tmp_path, "--style_from", data / "test_B/scene_0.png")
    name = "scene_0_synthesized_image.png"
    assert np.abs(styled[name].astype(int) - own[name]).max() <= 1


def test_features_of_the_reference_through_the_program(tmp_path: Path) -> None:
    recorded = shared("reference") / "instance_feat"
    shutil.copytree(recorded / "final", tmp_path / "ck/final")
    words = json.loads((recorded / "flags.json").read_text())["flags"]
    of_encoder = words[words.index("--instance_feat") : words.index("--no_vgg_loss")]
    outcome = run_encode(
        *("--name", "final", "--checkpoints_dir", tmp_path / "ck", *ON_CPU, *of_encoder),
        *("--dataroot", shared("cityscapes_sample"), "--loadSize", "128"),
    )
    assert outcome.code == 0, outcome.err
    expected = load_by_label("features", recorded / "features.npy", 3, 35)
    found = load_by_label("features", tmp_path / "ck/final/features.npz", 3, 35)
    for label, rows in expected.items():
        np.testing.assert_allclose(found[label], rows, atol=1e-4)


def test_examples_show_the_photographs(encoded: Path) -> None:
    """Noise, which has dark pixels; not the white of bytes mistaken for floats."""
    examples = list((encoded / "ck/tiny/features/examples").glob("*"))
    assert examples
    for file in examples:
        levels = np.asarray(Image.open(file).convert("L"))
        assert levels.min() < 60, file


def test_ways_of_rendering_do_not_write_over_one_another(encoded: Path, tmp_path: Path) -> None:
    photo = encoded / "data/train_img/scene_1.png"
    clusters = ("--cluster_path", encoded / "ck/tiny/features_clustered_003.npz")
    for flags in (clusters, ("--style_from", photo), ("--use_encoded_image",)):
        outcome = run_test(*where(encoded), "--results_dir", tmp_path, *flags)
        assert outcome.code == 0, outcome.err
    folders = {folder.name: folder for folder in (tmp_path / "tiny").iterdir()}
    style = "test_latest_style_train_scene_1"
    assert folders.keys() == {"test_latest_clusters_003", style, "test_latest_encoded"}
    shown = np.asarray(Image.open(folders[style] / "images/style_from.png"))
    np.testing.assert_array_equal(shown, np.asarray(Image.open(photo)))
    assert "style of scene_1.png" in (folders[style] / "index.html").read_text()


def test_a_mistake_leaves_no_folder(encoded: Path, tmp_path: Path) -> None:
    flags = ("--results_dir", tmp_path / "results", "--cluster_path", "features_clustered_007.npy")
    complaint(run_test(*where(encoded), *flags))
    assert not (tmp_path / "results").exists()
