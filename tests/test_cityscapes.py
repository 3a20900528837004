"""Real frames as Cityscapes is downloaded give what they give in the reference's folders, bit for
bit: trained on, held out, encoded and clustered, rendered."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from programs import metrics, run_encode, run_test, run_train, same_weights
from shared_data import shared

import prepare_cityscapes
from pix2pixhd.options.parsing import parse_precompute
from precompute_feature_maps import precompute

pytestmark = pytest.mark.slow

FOLDERS = {"label": "gtFine", "inst": "gtFine", "img": "leftImg8bit"}
QUIET = ("--gpu_ids", "-1", "--nThreads", "0")
TRAIN = (
    *("--loadSize", "64", "--max_dataset_size", "3", "--niter", "1", "--niter_decay", "0"),
    *("--ngf", "2", "--n_downsample_global", "2", "--n_blocks_global", "1", "--ndf", "2"),
    *("--no_vgg_loss", "--num_D", "1", "--n_layers_D", "2", "--print_freq", "1", "--no_html"),
    *("--instance_feat", "--nef", "2", "--n_downsample_E", "2", "--n_clusters", "2"),
    *("--eval_freq", "1", "--metrics", "l1"),
)


def scenes() -> Iterator[tuple[str, str, Path]]:
    """The split, the folder and the file of every map: in test, there are no photographs."""
    sample = shared("cityscapes_sample")
    for what in FOLDERS:
        for number, path in enumerate(sorted(sample.glob(f"train_{what}/*"))):
            yield ("train" if number < 5 else "val"), what, path
        for path in sorted(sample.glob(f"test_{what}/*"))[:3]:
            yield "test", what, path


def run_all(root: Path) -> Path:
    """Everything that is to be equal, made of `root/data`; returns the folder of it."""
    ck, results, data = root / "ck", root / "results", root / "data"
    run = ("--name", "tiny", "--checkpoints_dir", ck, *QUIET)
    [photo] = data.rglob("aachen_000006_000019_leftImg8bit.png")
    outcomes = [
        run_train(*run, "--dataroot", data, *TRAIN),
        run_encode(*run, "--max_dataset_size", "3"),
        run_test(*run, "--results_dir", results / "clusters", "--phase", "test"),
        run_test(*run, "--results_dir", results / "own", "--phase", "val", "--use_encoded_image"),
        run_test(*run, "--results_dir", results / "style", "--style_from", photo),
    ]
    words = [*map(str, run), "--feat_format", "png"]
    for phase in ("train", "val"):
        assert precompute(parse_precompute([*words, "--phase", phase])) == data / f"{phase}_feat"
    loading = ("--name", "loading", "--checkpoints_dir", ck, *QUIET, "--load_features")
    outcomes.append(run_train(*loading, "--dataroot", data, *TRAIN))
    assert [outcome.err for outcome in outcomes] == [""] * len(outcomes)
    return root


@pytest.fixture(scope="module")
def flat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made of the reference's folders."""
    root = tmp_path_factory.mktemp("flat")
    for split, what, path in scenes():
        link = root / f"data/{split}_{what}" / path.name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path)
    return run_all(root)


@pytest.fixture
def download(tmp_path: Path) -> Path:
    """The frames as they are downloaded."""
    for split, what, path in scenes():
        link = tmp_path / "data" / FOLDERS[what] / split / path.name.split("_")[0] / path.name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path)
        if what == "label":
            other = path.name.replace("labelIds", "color")
            link.with_name(other).symlink_to(path)
    return tmp_path


def assert_equal(root: Path, flat: Path) -> None:
    for run in ("tiny", "loading"):
        ours, theirs = root / "ck" / run, flat / "ck" / run
        assert same_weights(ours, theirs)
        values = [
            [{name: v for name, v in line.items() if name != "time"} for line in metrics(of)]
            for of in (ours, theirs)
        ]
        assert values[0] == values[1] and any("val_l1" in line for line in values[0])
    for name in ("features.npz", "features_clustered_002.npz"):
        with np.load(root / "ck/tiny" / name) as one, np.load(flat / "ck/tiny" / name) as other:
            assert one.files == other.files
            assert all(np.array_equal(one[key], other[key]) for key in one.files)
    for pattern, count in (("results/**/*.png", 6 + 9 + 7), ("data/*_feat/**/*.png", 8)):
        found, expected = [
            {path.relative_to(at).as_posix(): path.read_bytes() for path in at.glob(pattern)}
            for at in (root, flat)
        ]
        assert found == expected and len(found) == count


def test_the_download_itself_is_a_data_set(download: Path, flat: Path) -> None:
    assert_equal(run_all(download), flat)
    assert (download / "data/train_feat/aachen_000000_000019_gtFine_labelIds.png").is_file()


def test_prepared_folders_are_those_of_the_reference(
    download: Path, flat: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (download / "data").rename(download / "download")
    flags = ["--root", str(download / "download"), "--out", str(download / "data")]
    prepare_cityscapes.main(flags)
    assert "test_img is not made" in capsys.readouterr().out
    assert_equal(run_all(download), flat)
