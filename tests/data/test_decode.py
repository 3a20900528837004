from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image

from pix2pixhd.data.decode import decode_photo, read_header, read_ids, read_photo
from pix2pixhd.util.errors import UserError
from pix2pixhd.util.image import save_values


def saved(path: Path, pixels: Any, **options: Any) -> Path:
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(path, **options)
    return path


def palette(indices: np.ndarray) -> Image.Image:
    image = Image.fromarray(indices)
    image.putpalette([200, 10, 10, 10, 200, 10, 10, 10, 200] + [0] * 759)
    assert image.mode == "P"
    return image


def gray_png(path: Path, bits: int, row: bytes, width: int) -> Path:
    """A PNG of one row with less than 8 bits a pixel, which Pillow cannot write."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", width, 1, bits, 0, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" + row)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    return path


BYTES = np.array([[0, 1, 2], [34, 254, 255]], np.uint8)
WIDE = np.array([[0, 26001, 65535]], np.uint16)
LONG = np.array([[0, 70000, 2**31 - 1]], np.int32)
BITS = np.array([[True, False, True]])


@pytest.mark.parametrize(
    ("name", "image", "expected"),
    [
        ("l.png", BYTES, BYTES),
        ("l.tif", BYTES, BYTES),
        ("16.png", WIDE, WIDE),
        ("16.tif", WIDE, WIDE),
        ("16b.tif", Image.frombytes("I;16B", (3, 1), WIDE.astype(">u2").tobytes()), WIDE),
        ("32.tif", LONG, LONG),
        ("1.png", BITS, BITS),
        ("palette.png", palette(BYTES % 3), BYTES % 3),
    ],
)
def test_identifiers_survive(tmp_path: Path, name: str, image: Any, expected: np.ndarray) -> None:
    ids = read_ids(saved(tmp_path / name, image), "instance")
    assert ids.mode == {2: "I;16", 4: "I"}.get(expected.itemsize, "L")
    np.testing.assert_array_equal(np.asarray(ids), expected)


@pytest.mark.parametrize(("bits", "row"), [(4, b"\x01\x23"), (2, b"\x1b")])
def test_identifiers_of_few_bits_are_not_stretched(tmp_path: Path, bits: int, row: bytes) -> None:
    ids = read_ids(gray_png(tmp_path / "few.png", bits, row, 4), "label")
    assert np.asarray(ids).tolist() == [[0, 1, 2, 3]]


RED = (200, 10, 10)


@pytest.mark.parametrize(
    ("image", "pixel"),
    [
        (Image.new("RGB", (2, 1), RED), RED),
        (Image.new("RGBA", (2, 1), (*RED, 0)), RED),
        (Image.new("LA", (2, 1), (77, 0)), (77, 77, 77)),
        (Image.new("L", (2, 1), 77), (77, 77, 77)),
        (Image.new("1", (2, 1), 1), (255, 255, 255)),
        (palette(np.zeros((1, 2), np.uint8)), RED),
    ],
    ids=lambda value: getattr(value, "mode", ""),
)
def test_photographs_of_any_kind(tmp_path: Path, image: Image.Image, pixel: Any) -> None:
    path = saved(tmp_path / "photo.png", image)
    gray = Image.new("RGB", (1, 1), pixel).convert("L").getpixel((0, 0))
    for channels, expected in ((3, list(pixel)), (1, [gray])):
        photo = read_photo(path, channels)
        assert photo.dtype == np.uint8 and photo.shape == (channels, 1, 2)
        assert photo[:, 0, 1].tolist() == expected


@pytest.mark.filterwarnings("error", "default::ResourceWarning")
def test_transparent_palette_drops_transparency(tmp_path: Path) -> None:
    path = saved(tmp_path / "p.png", palette(np.zeros((1, 2), np.uint8)), transparency=b"\x00\x80")
    assert read_photo(path, 3)[:, 0, 0].tolist() == list(RED)
    assert read_photo(path, 4)[:, 0, 0].tolist() == [*RED, 0]


def test_what_pillow_decoded_is_not_copied(tmp_path: Path) -> None:
    path = saved(tmp_path / "photo.png", BYTES)
    assert isinstance(decode_photo(path, 3), Image.Image)


@pytest.mark.parametrize("name", ["photo.jpg", "photo.png", "photo.tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_photographs_are_turned_upright(tmp_path: Path, name: str, orientation: int) -> None:
    """By the meaning of the tag: where row 0 and column 0 of the file are in the scene."""
    upright = np.zeros((16, 32, 3), np.uint8)
    upright[:8, :16] = 255  # the top left quarter is white
    lying = upright if orientation < 5 else upright.transpose(1, 0, 2)
    steps = [(1, 1), (1, -1), (-1, -1), (-1, 1), (1, 1), (-1, 1), (-1, -1), (1, -1)]
    rows, columns = steps[orientation - 1]
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    path = saved(tmp_path / name, np.ascontiguousarray(lying[::rows, ::columns]), exif=exif)
    assert read_header(path, photo=True, what="image").size == (32, 16)
    np.testing.assert_allclose(read_photo(path, 3), upright.transpose(2, 0, 1), atol=8)


def test_orientation_of_identifiers_is_ignored(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    path = saved(tmp_path / "ids.png", BYTES, exif=exif)
    assert read_header(path, photo=False, what="label").size == (3, 2)
    np.testing.assert_array_equal(np.asarray(read_ids(path, "label")), BYTES)


@pytest.mark.parametrize(
    ("pixels", "what", "message"),
    [
        (Image.new("CMYK", (2, 2)), "label", "has 4 channels, .*--label_nc 0"),
        (Image.new("CMYK", (2, 2)), "instance", "has 4 channels, .*--no_instance"),
        (np.zeros((2, 2), np.float32), "instance", "instance map holds floating-point numbers"),
        (np.zeros((2, 2), np.int32), "image", "photograph holds 32-bit numbers"),
    ],
)
def test_unusable_kinds(tmp_path: Path, pixels: Any, what: str, message: str) -> None:
    path = saved(tmp_path / "map.tif", pixels)
    with pytest.raises(UserError, match=rf"map\.tif: this .*{message}"):
        read_header(path, photo=what == "image", what=what)
    with pytest.raises(UserError, match=message):
        read_photo(path, 3) if what == "image" else read_ids(path, what)


GRAY = np.stack([BYTES] * 3, axis=2)
ALPHA = np.full_like(BYTES, 7)[..., None]


@pytest.mark.parametrize("pixels", [GRAY, np.concatenate([GRAY, ALPHA], axis=2)])
def test_gray_colours_are_the_numbers_they_show(tmp_path: Path, pixels: np.ndarray) -> None:
    path = saved(tmp_path / "ids.png", pixels)
    assert read_header(path, photo=False, what="label").channels == pixels.shape[2]
    np.testing.assert_array_equal(np.asarray(read_ids(path, "label")), BYTES)


@pytest.mark.parametrize("channel", [0, 1, 2])
def test_one_pixel_of_another_colour(tmp_path: Path, channel: int) -> None:
    pixels = GRAY.copy()
    pixels[1, 2, channel] = 9
    path = saved(tmp_path / "ids.png", pixels)
    command = rf"python datasets/prepare_labels\.py --in {tmp_path} --out <folder> --from colours"
    with pytest.raises(UserError, match=rf"ids\.png: .*3 channels, .*{command}; .*--label_nc 0$"):
        read_ids(path, "label")


def test_a_file_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"gone\.png: No such file or directory; make the file"):
        read_ids(tmp_path / "gone.png", "label")


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif", "a.webp", "a.bmp"])
def test_whole_files_are_known_as_such(tmp_path: Path, name: str) -> None:
    assert read_header(saved(tmp_path / name, BYTES), photo=True, what="image").whole


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif", "a.npy", "16.png", "16.tif"])
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@pytest.mark.filterwarnings("ignore")
@given(data=st.data())
def test_damage_anywhere_is_read_or_a_users_error(
    tmp_path: Path, name: str, data: st.DataObject
) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (3, 16, 16), np.uint8)
    whole = tmp_path / f"whole_{name}"
    if name == "a.jpg":
        saved(whole, noise[0])
    else:
        save_values(noise.astype(np.uint16) * 257 if name.startswith("16") else noise[:1], whole)
    content = bytearray(whole.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / name
    path.write_bytes(content[: data.draw(st.integers(1, len(content)))])
    for read in (
        lambda: read_photo(path, 3).shape == (3, *read_photo(path, 3).shape[1:]),
        lambda: read_ids(path, "label").mode in ("L", "I;16", "I"),
    ):
        try:
            assert read()
        except UserError as error:
            assert str(error).startswith(f"{path}: ")
