"""Data of other depths and channels, trained on and rendered: results keep what the data have."""

from __future__ import annotations

from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from programs import run_test, run_train, tiny_run, write_tiny_data

SHORT = ("--niter", "1", "--niter_decay", "0", "--no_html")


def write_deep_data(root: Path, phase: str, channels: int, dtype: str) -> None:
    """Tiny scenes whose photographs are TIFFs; of 16 bits, up to 4000."""
    random = np.random.default_rng(0)
    data = write_tiny_data(root, phase=phase, count=2)
    for file in (data / f"{phase}_img").iterdir():
        largest = {"uint8": 255, "uint16": 4000, "float32": 1}[dtype]
        values = (random.random((16, 32, channels)) * largest).astype(dtype)
        planar = "contig" if channels > 1 else None
        pixels = values if channels > 1 else values[..., 0]
        tifffile.imwrite(
            file.with_suffix(".tif"), pixels, photometric="minisblack", planarconfig=planar
        )
        file.unlink()


@pytest.mark.parametrize(
    ("channels", "dtype", "ending"),
    [
        (1, "uint16", "png"),
        (3, "uint16", "png"),
        (4, "uint16", "tif"),
        (4, "uint8", "tif"),
        (2, "float32", "tif"),
    ],
)
def test_results_keep_depth_and_channels(
    tmp_path: Path, channels: int, dtype: str, ending: str
) -> None:
    for phase in ("train", "test"):
        write_deep_data(tmp_path, phase, channels, dtype)
    value_range = ("--value_range", "0,4000") if dtype == "uint16" else ()
    run = (*tiny_run(tmp_path), *SHORT, "--output_nc", str(channels), *value_range)
    outcome = run_train(*run)
    assert outcome.code == 0, outcome.err
    where = ("--name", "tiny", "--checkpoints_dir", tmp_path / "ck", "--results_dir", tmp_path)
    outcome = run_test(*where, "--gpu_ids", "-1", "--plain_folders")
    assert outcome.code == 0, outcome.err
    folder = tmp_path / "tiny/test_latest"
    read = tifffile.imread if ending == "tif" else imagecodecs.imread
    real, fake = (
        read(str(folder / what / f"scene_0.{ending}"))
        for what in ("real_image", "synthesized_image")
    )
    expected = tifffile.imread(tmp_path / "data/test_img/scene_0.tif")
    assert real.dtype == fake.dtype == dtype and real.shape == fake.shape == expected.shape
    np.testing.assert_allclose(real.astype(float), expected, atol=1e-6 if dtype == "float32" else 0)
    assert len(np.unique(fake)) > (256 if dtype != "uint8" else 32)
    assert fake.max() <= (4000 if dtype == "uint16" else 255)
    assert (folder / "images/scene_0_synthesized_image.png").is_file()
