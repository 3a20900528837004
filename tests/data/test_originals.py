"""Which real images a gallery may show by a copy of their file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image, PngImagePlugin
from tiny_scenes import pixels

from pix2pixhd.data.dataset import AlignedDataset
from pix2pixhd.data.originals import read_small, take_originals
from pix2pixhd.util.errors import UserError

PHOTO = Image.fromarray(pixels("img", 0, (16, 8)))
EXIF = Image.Exif()
EXIF[274] = 1  # upright, but it may tell more


def png_text(key: str) -> PngImagePlugin.PngInfo:
    info = PngImagePlugin.PngInfo()
    info.add_text(key, "x")
    return info


def chunk(name: bytes, content: bytes) -> PngImagePlugin.PngInfo:
    info = PngImagePlugin.PngInfo()
    info.add(name, content)
    return info


@pytest.mark.parametrize(
    ("photo", "saved", "changes", "is_original"),
    [
        (PHOTO, {"format": "PNG"}, {}, True),
        (PHOTO, {"format": "PNG", "dpi": (72, 72)}, {}, True),
        (PHOTO, {"format": "PNG"}, {"resize_or_crop": "crop", "fineSize": 16}, True),
        (PHOTO, {"format": "PNG"}, {"resize_or_crop": "scale_width", "loadSize": 16}, True),
        (PHOTO, {"format": "JPEG"}, {}, False),
        (PHOTO, {"format": "PNG"}, {"resize_or_crop": "crop", "fineSize": 8}, False),
        (PHOTO, {"format": "PNG"}, {"resize_or_crop": "scale_width", "loadSize": 32}, False),
        (PHOTO, {"format": "PNG"}, {"output_nc": 1}, False),
        (PHOTO.convert("L"), {"format": "PNG"}, {}, False),
        (PHOTO.convert("L"), {"format": "PNG"}, {"output_nc": 1}, True),
        (PHOTO.convert("1"), {"format": "PNG"}, {"output_nc": 1}, False),
        (PHOTO.convert("I;16"), {"format": "PNG"}, {"output_nc": 1}, False),
        (PHOTO.convert("P"), {"format": "PNG"}, {}, False),
        (PHOTO.convert("RGBA"), {"format": "PNG"}, {}, False),
        (PHOTO, {"format": "PNG", "transparency": (1, 2, 3)}, {}, False),
        (PHOTO, {"format": "PNG", "icc_profile": b"profile"}, {}, False),
        (PHOTO, {"format": "PNG", "exif": EXIF}, {}, False),
        (PHOTO, {"format": "PNG", "pnginfo": png_text("Author")}, {}, False),
        (PHOTO, {"format": "PNG", "pnginfo": chunk(b"gAMA", b"\0\0\xb1\x8f")}, {}, False),
    ],
)
def test_pngs_that_are_shown_as_they_are(
    make_set: Callable[..., Path],
    open_set: Callable[..., AlignedDataset],
    photo: Image.Image,
    saved: dict[str, Any],
    changes: dict[str, Any],
    is_original: bool,
) -> None:
    root = make_set(count=2)
    path = root / "train_img/001.png"
    photo.save(path, **saved)
    dataset = open_set(root, is_train=False, **changes)
    if changes.get("output_nc") == 1:  # the other must not decide
        Image.fromarray(np.zeros((8, 16), np.uint8)).save(root / "train_img/000.png")
    assert bool(take_originals(dataset, "png")) == is_original
    # All or none: a batch has all its real images, or none of them.
    assert {"image" in files for files in dataset.files} == {not is_original}


def test_files_by_their_label_maps_and_in_the_format_asked_for(
    make_set: Callable[..., Path], open_set: Callable[..., AlignedDataset]
) -> None:
    root = make_set(count=1)
    PHOTO.save(root / "train_img/000.png", format="JPEG")  # whatever its name says
    dataset = open_set(root, is_train=False)
    assert take_originals(dataset, "png") == {}
    label = str(root / "train_label/000.png")
    assert take_originals(dataset, "jpg") == {label: root / "train_img/000.png"}
    assert take_originals(dataset, "jpg") == {}, "there are no real images any more"
    assert dataset[0].image is None


def test_a_file_that_pillow_does_not_read(
    make_set: Callable[..., Path], open_set: Callable[..., AlignedDataset]
) -> None:
    root = make_set(count=1)
    (root / "train_img/000.png").unlink()
    values = np.zeros((8, 16, 4), np.uint8)
    tifffile.imwrite(
        root / "train_img/000.tif", values, photometric="minisblack", planarconfig="contig"
    )
    dataset = open_set(root, is_train=False, output_nc=4)
    assert take_originals(dataset, "png") == {} and dataset[0].image is not None


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_small_ones(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    ramp = np.tile(np.arange(0, 256, 2, dtype=np.uint8), (64, 1))
    Image.fromarray(ramp).save(path)
    small = read_small(path, (31, 15))
    assert small.shape == (15, 31, 3) and small.dtype == np.uint8
    expected = Image.fromarray(ramp).resize((31, 15), Image.Resampling.LANCZOS)
    assert np.abs(small.astype(int) - np.asarray(expected)[..., None]).max() <= 4
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(UserError, match="copy it here again"):
        read_small(path, (31, 15))
