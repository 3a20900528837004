"""Rendering as a user sees it: galleries and their images."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from programs import LABELS, run_test, run_train, tiny_run, write_tiny_data

from pix2pixhd.util.labels import label_palette


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("trained")
    write_tiny_data(root)
    write_tiny_data(root, phase="test", count=3, size=(30, 18))  # the stride is 4
    flags = ("--niter", "1", "--niter_decay", "0", "--no_html", "--niter", "1")
    assert run_train(*tiny_run(root), *flags).code == 0
    return root


def render(root: Path, *flags: str | Path) -> Path:
    """The gallery's folder; architecture and data come from the run's own options."""
    where = ("--name", "tiny", "--checkpoints_dir", root / "ck", "--results_dir", root / "results")
    outcome = run_test(*where, "--gpu_ids", "-1", "--nThreads", "0", *flags)
    assert outcome.code == 0, outcome.err
    return root / "results/tiny/test_latest"


def test_every_image_has_its_label_maps_size(trained: Path) -> None:
    folder = render(trained)
    for number in range(3):
        for what in ("input_label", "synthesized_image", "real_image"):
            with Image.open(folder / f"images/scene_{number}_{what}.png") as image:
                assert (image.size, image.mode) == ((30, 18), "RGB")


def test_labels_are_drawn_in_their_colours_and_real_images_kept(trained: Path) -> None:
    folder = render(trained) / "images"
    data = trained / "data"
    label = np.asarray(Image.open(data / "test_label/scene_0.png"))
    drawn = np.asarray(Image.open(folder / "scene_0_input_label.png"))
    np.testing.assert_array_equal(drawn, label_palette(LABELS)[label])
    real = np.asarray(Image.open(data / "test_img/scene_0.png"))
    np.testing.assert_array_equal(np.asarray(Image.open(folder / "scene_0_real_image.png")), real)


def test_batches_give_the_same_images_as_single_samples(trained: Path) -> None:
    folder = render(trained) / "images"
    one = [np.asarray(Image.open(folder / f"scene_{n}_synthesized_image.png")) for n in range(3)]
    render(trained, "--batchSize", "2")
    for number, image in enumerate(one):
        again = np.asarray(Image.open(folder / f"scene_{number}_synthesized_image.png"))
        assert np.abs(again.astype(int) - image).max() <= 1


def test_how_many_says_what_it_left_out(trained: Path) -> None:
    page = (render(trained, "--how_many", "2") / "index.html").read_text()
    assert "2 of 3 images" in page and "left out 1" in page
    assert "scene_1" in page and "scene_2" not in page


def test_jpg_and_no_real_images(trained: Path, tmp_path: Path) -> None:
    write_tiny_data(tmp_path, phase="test", count=1)
    for file in (tmp_path / "data/test_img").iterdir():
        file.unlink()
    (tmp_path / "data/test_img").rmdir()
    folder = render(trained, "--dataroot", tmp_path / "data", "--image_format", "jpg")
    assert (folder / "images/scene_0_synthesized_image.jpg").is_file()
    assert not (folder / "images/scene_0_real_image.jpg").exists()


def synthesized(folder: Path) -> list[np.ndarray]:
    return [
        np.asarray(Image.open(folder / f"images/scene_{number}_synthesized_image.png"))
        for number in range(3)
    ]


def test_an_image_that_fits_in_a_tile_is_the_same(trained: Path) -> None:
    whole = synthesized(render(trained))
    folder = render(trained, "--tile", "30")
    assert "those larger than 30 pixels rendered in tiles of 28" in note(folder)
    for one, other in zip(whole, synthesized(folder), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("batch", ["1", "2"])
def test_tiles_make_one_picture_and_the_page_says_so(trained: Path, batch: str) -> None:
    whole = synthesized(render(trained))
    folder = render(trained, "--tile", "16", "--batchSize", batch)
    assert note(folder) == (
        "3 images; those larger than 16 pixels rendered in tiles of 16, blended over 4"
    )
    for one, other in zip(whole, synthesized(folder), strict=True):
        assert one.shape == other.shape and not np.array_equal(one, other)


def note(folder: Path) -> str:
    page = (folder / "index.html").read_text()
    return re.search("<p>(.*?)</p>", page)[1]
