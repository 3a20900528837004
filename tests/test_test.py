"""Rendering as a user sees it: galleries and their images."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image
from programs import LABELS, run_test, run_train, tiny_run, write_tiny_data

from pix2pixhd.data.dataset import AlignedDataset
from pix2pixhd.util.labels import label_palette


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("trained")
    write_tiny_data(root)
    write_tiny_data(root, phase="test", count=3, size=(30, 18))  # the stride is 4
    flags = ("--niter", "1", "--niter_decay", "0", "--no_html", "--niter", "1")
    assert run_train(*tiny_run(root), *flags).code == 0
    return root


def render(root: Path, *flags: str | Path, folder: str = "test_latest") -> Path:
    """The gallery's folder; architecture and data come from the run's own options."""
    where = ("--name", "tiny", "--checkpoints_dir", root / "ck", "--results_dir", root / "results")
    outcome = run_test(*where, "--gpu_ids", "-1", "--nThreads", "0", *flags)
    assert outcome.code == 0, outcome.err
    return root / "results/tiny" / folder


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


def test_each_file_is_decoded_once_and_real_images_are_copied(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = write_tiny_data(tmp_path, phase="test", count=3)
    for file in (data / "test_img").iterdir():
        file.chmod(0o444)
    read: list[Path] = []
    read_map = AlignedDataset.read_map

    def counting(self: AlignedDataset, name: str, path: Path) -> Any:
        read.append(path)
        return read_map(self, name, path)

    monkeypatch.setattr(AlignedDataset, "read_map", counting)
    folder = render(trained, "--dataroot", data, "--plain_folders", "--display_winsize", "16")
    assert sorted(read) == sorted(
        [*(data / "test_label").iterdir(), *(data / "test_inst").iterdir()]
    )
    for number in range(3):
        source = data / f"test_img/scene_{number}.png"
        copy = folder / f"images/scene_{number}_real_image.png"
        assert copy.read_bytes() == source.read_bytes() and not copy.samefile(source)
        assert copy.stat().st_mode & 0o200 and source.stat().st_nlink == 1
        assert (folder / f"real_image/scene_{number}.png").samefile(copy)
        with Image.open(folder / f"images/thumbs/scene_{number}_real_image.jpg") as thumbnail:
            assert thumbnail.size == (16, 8)
    flags = ("--image_format", "jpg")
    folder = render(trained, "--dataroot", data, *flags)
    with Image.open(folder / "images/scene_0_real_image.jpg") as image:
        assert image.format == "JPEG"


@pytest.mark.parametrize(
    ("file", "told"), [("label", "label 9 found"), ("img", "damaged, its pixels cannot be decoded")]
)
def test_what_was_rendered_before_a_bad_file_stays(
    trained: Path, tmp_path: Path, file: str, told: str
) -> None:
    data = write_tiny_data(tmp_path, phase="test", count=4)
    bad = data / f"test_{file}/scene_2.png"
    if file == "label":
        Image.fromarray(np.full((16, 32), 9, np.uint8)).save(bad)
    else:  # a byte of its pixels
        content = bytearray(bad.read_bytes())
        content[content.index(b"IDAT") + 40] ^= 255
        bad.write_bytes(content)
    where = ("--name", "tiny", "--checkpoints_dir", trained / "ck", "--results_dir", tmp_path)
    outcome = run_test(*where, "--gpu_ids", "-1", "--nThreads", "0", "--dataroot", data)
    assert outcome.code == 2 and len(outcome.err.splitlines()) == 1
    assert f"{bad}: " in outcome.err and told in outcome.err
    stays = re.search(
        r"^stopped: what was rendered before stays in (.*)/images, ", outcome.out, re.M
    )
    assert stays is not None
    images = Path(stays[1]) / "images"
    for number in range(2):
        for what in ("input_label", "synthesized_image", "real_image"):
            assert (images / f"scene_{number}_{what}.png").is_file()
    assert not (Path(stays[1]) / "index.html").exists()


def test_rendering_loads_neither_a_compiler_nor_scipy(trained: Path) -> None:
    """Each takes as long as rendering a few images."""
    where = ("--name", "tiny", "--checkpoints_dir", trained / "ck", "--results_dir", trained / "r")
    argv = [str(word) for word in (*where, "--gpu_ids", "-1", "--nThreads", "0")]
    code = f"""
import sys, test
from pix2pixhd.options.parsing import parse_test
test.test(parse_test({argv!r}))
print("unneeded:", sorted({{"torch._dynamo", "scipy", "tifffile"}} & set(sys.modules)))
"""
    root = Path(__file__).resolve().parents[1]
    out = subprocess.check_output([sys.executable, "-c", code], cwd=root, text=True)
    assert "unneeded: []" in out.splitlines()


def test_how_many_says_what_it_left_out(trained: Path) -> None:
    page = (render(trained, "--how_many", "2") / "index.html").read_text()
    assert "2 of 3 images" in page and "left out 1" in page
    assert "scene_1" in page and "scene_2" not in page


def test_fewer_images_leave_none_of_the_rest(trained: Path) -> None:
    render(trained)
    folder = render(trained, "--how_many", "1", "--image_format", "jpg", "--plain_folders")
    names = {path.name for path in folder.rglob("*.*")}
    shown = {f"scene_0_{what}.jpg" for what in ("input_label", "synthesized_image", "real_image")}
    assert names == {"index.html", "files.json", "rendering.json", "scene_0.jpg", *shown}
    assert (folder / "real_image/scene_0.jpg").samefile(folder / "images/scene_0_real_image.jpg")


def test_another_size_has_a_gallery_of_its_own_which_says_so(trained: Path) -> None:
    before = synthesized(render(trained))
    flags = ("--resize_or_crop", "scale_width", "--loadSize", "16")
    folder = render(trained, *flags, folder="test_latest_16wide")
    with Image.open(folder / "images/scene_0_synthesized_image.png") as image:
        assert image.size[0] == 16
    page = (folder / "index.html").read_text()
    assert "<h1>tiny: test, epoch latest, 16 pixels wide</h1>" in page
    command = re.search("<code>(.*?)</code>", page)[1]
    assert command.startswith("python test.py --name tiny ")
    assert "--resize_or_crop scale_width --loadSize 16" in command and "--ngf" not in command
    after = [render(trained) / f"images/scene_{n}_synthesized_image.png" for n in range(3)]
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one, np.asarray(Image.open(other)))


def test_clusters_without_features_are_told(trained: Path) -> None:
    where = ("--name", "tiny", "--checkpoints_dir", trained / "ck", "--results_dir", trained / "r")
    outcome = run_test(*where, "--gpu_ids", "-1", "--how_many", "1", "--cluster_path", "c.npz")
    assert outcome.code == 0
    line = "--cluster_path c.npz: it has no effect; the run was trained without features"
    assert line in outcome.out.splitlines()


def test_jpg_and_no_real_images(trained: Path, tmp_path: Path) -> None:
    write_tiny_data(tmp_path, phase="test", count=1)
    for file in (tmp_path / "data/test_img").iterdir():
        file.unlink()
    (tmp_path / "data/test_img").rmdir()
    folder = render(trained, "--dataroot", tmp_path / "data", "--image_format", "jpg")
    assert (folder / "images/scene_0_synthesized_image.jpg").is_file()
    assert not (folder / "images/scene_0_real_image.jpg").exists()
    page = (folder / "index.html").read_text()
    assert "real image" not in page and "--columns: 2" in page


def synthesized(folder: Path) -> list[np.ndarray]:
    return [
        np.asarray(Image.open(folder / f"images/scene_{number}_synthesized_image.png"))
        for number in range(3)
    ]


def test_an_image_that_fits_in_a_tile_is_the_same(trained: Path) -> None:
    whole = synthesized(render(trained))
    folder = render(trained, "--tile", "30", folder="test_latest_tile30")
    assert "those larger than 30 pixels rendered in tiles of 28" in note(folder)
    for one, other in zip(whole, synthesized(folder), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("batch", ["1", "2"])
def test_tiles_make_one_picture_and_the_page_says_so(trained: Path, batch: str) -> None:
    whole = synthesized(render(trained))
    folder = render(trained, "--tile", "16", "--batchSize", batch, folder="test_latest_tile16")
    assert note(folder) == (
        "3 images; those larger than 16 pixels rendered in tiles of 16, blended over 4"
    )
    for one, other in zip(whole, synthesized(folder), strict=True):
        assert one.shape == other.shape and not np.array_equal(one, other)


def note(folder: Path) -> str:
    page = (folder / "index.html").read_text()
    return re.search("<p>(.*?)</p>", page)[1]


@pytest.mark.parametrize("bits", [None, "8", "16", "32"])
def test_one_channel_is_kept_as_such_and_in_its_depth(tmp_path: Path, bits: str | None) -> None:
    for phase, count in (("train", 2), ("test", 1)):
        for file in (
            write_tiny_data(tmp_path, phase=phase, count=count) / f"{phase}_img"
        ).iterdir():
            Image.open(file).convert("L").save(file)
    flags = ("--niter", "1", "--niter_decay", "0", "--no_html", "--output_nc", "1")
    assert run_train(*tiny_run(tmp_path), *flags).code == 0
    depth = () if bits is None else ("--output_bits", bits)
    folder = render(tmp_path, *depth) / "images"
    files = {what: folder / f"scene_0_{what}" for what in ("synthesized_image", "real_image")}
    mode = "I;16" if bits == "16" else "RGB" if bits == "32" else "L"
    for file in files.values():
        with Image.open(f"{file}.png") as image:
            assert image.mode == mode
        assert Path(f"{file}.tif").exists() == (bits == "32")
    gray = np.asarray(Image.open(tmp_path / "data/test_img/scene_0.png"))
    if bits == "32":
        values = tifffile.imread(f"{files['real_image']}.tif")
        np.testing.assert_allclose(values.squeeze(), gray / np.float32(255), atol=1e-6)
        assert len(np.unique(tifffile.imread(f"{files['synthesized_image']}.tif"))) > 256
    else:
        values = np.asarray(Image.open(f"{files['real_image']}.png"))
        np.testing.assert_array_equal(values, gray.astype(int) * (257 if bits == "16" else 1))
        if bits == "16":
            assert len(np.unique(np.asarray(Image.open(f"{files['synthesized_image']}.png")))) > 256


def test_captions_of_an_input_that_is_an_image(tmp_path: Path) -> None:
    for phase in ("train", "test"):
        data = write_tiny_data(tmp_path, phase=phase, count=2)
        shutil.copytree(data / f"{phase}_img", data / f"{phase}_B")
        (data / f"{phase}_img").rename(data / f"{phase}_A")
    flags = ("--niter", "1", "--niter_decay", "0", "--no_html", "--label_nc", "0", "--no_instance")
    assert run_train(*tiny_run(tmp_path), *flags).code == 0
    folder = render(tmp_path)
    page = (folder / "index.html").read_text()
    assert "<figcaption>input image</figcaption>" in page and "input label" not in page
    assert (folder / "images/scene_0_input_label.png").is_file()
