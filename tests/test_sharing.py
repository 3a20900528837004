"""Two processes share the images, and what comes out is what one process makes."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from programs import run_encode, run_test, run_train, tiny_run, write_tiny_data

from pix2pixhd.models.feature_bank import FeatureBank
from pix2pixhd.options.parsing import parse_precompute
from precompute_feature_maps import precompute

ROOT = Path(__file__).parents[1]
FEATURES = ("--instance_feat", "--nef", "2", "--n_downsample_E", "1", "--feat_num", "2")
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2")
CLUSTERS = "features_clustered_003"
# A page's date and command; a rendering's time.
MADE_BY = re.compile(rb'Rendered .*? by|<code>.*?</code>|"since": \d+')


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with features, encoded and clustered."""
    root = tmp_path_factory.mktemp("sharing")
    write_tiny_data(root, count=5)
    write_tiny_data(root, phase="test", count=3)
    flags = ("--niter", "1", "--niter_decay", "0", "--no_html", *FEATURES)
    assert run_train(*tiny_run(root), *flags).code == 0
    assert run_encode(*where(root), "--n_clusters", "3", "--gpu_ids", "-1").code == 0
    return root


def where(root: Path) -> tuple[str, ...]:
    run = ("--name", "tiny", "--checkpoints_dir", f"{root}/ck")
    return (*run, "--nThreads", "0", "--precision", "fp32")


def python(*words: str | Path) -> list[str]:
    """The lines that a program prints."""
    result = subprocess.run(
        [sys.executable, *map(str, words)],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()


def contents(folder: Path) -> dict[Path, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    return {path.relative_to(folder): MADE_BY.sub(b"", path.read_bytes()) for path in files}


def test_one_gallery_comes_out(root: Path) -> None:
    """Of three processes, the last has no image; the others miss clusters of the same label."""
    labels = [np.asarray(Image.open(root / f"data/test_label/scene_{n}.png")) for n in range(2)]
    missing = np.intersect1d(*labels)[0]
    centres = dict(np.load(root / f"ck/tiny/{CLUSTERS}.npz"))
    del centres[f"centres_{missing}"]
    np.savez(root / "clusters.npz", **centres)
    flags = (*where(root), "--cluster_path", f"{root}/clusters.npz", "--how_many", "2")
    flags = (*flags, "--nThreads", "1")
    one, three = root / "one", root / "three"
    outcome = run_test(*flags, "--gpu_ids", "-1", "--results_dir", one)
    assert outcome.code == 0, outcome.err
    *lines, page = python("test.py", *flags, "--gpu_ids", "-1,-1,-1", "--results_dir", three)
    assert contents(one) == contents(three)
    assert lines == outcome.out.splitlines()
    assert sum(f"label {missing} has no clusters" in line for line in lines) == 1
    assert page == f"results: {three}/tiny/test_latest_clusters_clusters/index.html"


def test_features_and_clusters_are_those_of_one_process(root: Path) -> None:
    folder = root / "ck/tiny"
    names = ("features.npz", f"{CLUSTERS}.npz", "features/index.html")
    expected = {name: (folder / name).read_bytes() for name in names}
    for name in names:
        (folder / name).unlink()
    lines = python(
        *TORCHRUN, "encode_features.py", *where(root), "--n_clusters", "3", "--gpu_ids", "-1"
    )
    assert {name: (folder / name).read_bytes() for name in names} == expected
    assert [line for line in lines if line.startswith("written: ")] == [
        f"written: {folder / name}" for name in names
    ]


@pytest.mark.slow
def test_feature_maps_are_those_of_one_process(root: Path) -> None:
    flags = (*where(root), "--phase", "train")
    folder = precompute(parse_precompute([*flags, "--gpu_ids", "-1"]))
    expected = contents(folder)
    assert len(expected) == 5
    shutil.rmtree(folder)
    lines = python("precompute_feature_maps.py", *flags, "--gpu_ids", "-1,-1")
    assert contents(folder) == expected
    assert len(lines) == 2 and lines[1].startswith(f"feature maps: {folder};")


def test_banks_of_several_processes_are_one() -> None:
    random = torch.Generator().manual_seed(0)
    images = [torch.rand(1, 2, 4, 4, generator=random) for _ in range(5)]
    ids = [torch.randint(0, 3, (1, 1, 4, 4), generator=random) for _ in range(5)]
    whole, *shares = (
        FeatureBank(2, 3, first=rank, step=step) for rank, step in ((0, 1), (0, 2), (1, 2))
    )
    for number, (features, instances) in enumerate(zip(images, ids, strict=True)):
        whole.add(features, instances)
        shares[number % 2].add(features, instances)
    shares[0].merge(shares[1])
    for label in range(3):
        np.testing.assert_array_equal(shares[0].rows()[label], whole.rows()[label])
        np.testing.assert_array_equal(shares[0].origins()[label], whole.origins()[label])
