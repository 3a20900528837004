"""Files of other than 8 bits or of other than 1 or 3 channels."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image

from pix2pixhd.data.array_files import with_channels
from pix2pixhd.data.decode import read_header, read_ids, read_photo
from pix2pixhd.util.errors import UserError
from pix2pixhd.util.image import save_values

DEPTHS = (np.uint8, np.uint16, np.float32)
CONTIG = {"photometric": "minisblack", "planarconfig": "contig"}
PLANAR = {"photometric": "minisblack", "planarconfig": "separate"}


def values(channels: int, dtype: Any, size: tuple[int, int] = (9, 8)) -> np.ndarray:
    """Noise [C,H,W] that needs all bits."""
    scale = {np.uint8: 256, np.uint16: 65536, np.float32: 1}[dtype]
    noise = np.random.default_rng(channels).random((channels, size[1], size[0]))
    return (noise * scale).astype(dtype)


def with_chunk(png: bytes, kind: bytes, data: bytes) -> bytes:
    """A PNG with one more chunk before its pixels."""
    at = png.index(b"IDAT") - 4
    checksum = struct.pack(">I", zlib.crc32(kind + data))
    return png[:at] + struct.pack(">I", len(data)) + kind + data + checksum + png[at:]


def ending(how: str) -> str:
    return next(e for e in ("png", "tif", "npy") if e in how)


def write(path: Path, planes: np.ndarray, how: str) -> Path:
    """[C,H,W] in one of the ways there are."""
    pixels = np.ascontiguousarray(planes.transpose(1, 2, 0))
    if how == "png":
        path.write_bytes(imagecodecs.png_encode(pixels.squeeze()))
    elif how == "png with a transparent colour":
        colour = struct.pack(">3H", *planes[:, 0, 0])
        path.write_bytes(with_chunk(imagecodecs.png_encode(pixels), b"tRNS", colour))
    elif how == "tif":
        tifffile.imwrite(path, pixels, **CONTIG)
    elif how == "big-endian tif":
        tifffile.imwrite(path, pixels, byteorder=">", compression="lzw", predictor=True, **CONTIG)
    elif how == "planar tif":
        tifffile.imwrite(path, planes, **PLANAR)
    elif how == "tif of pages":
        tifffile.imwrite(path, planes, photometric="minisblack")
    elif how == "tif of ImageJ":
        tifffile.imwrite(path, planes, imagej=True, metadata={"axes": "CYX"})
    elif how == "rgb tif":
        tifffile.imwrite(path, pixels, photometric="rgb", planarconfig="contig")
    elif how == "gray tif":
        tifffile.imwrite(path, pixels, extrasamples=["unassalpha"], **CONTIG)
    elif how == "npy":
        np.save(path, pixels)
    elif how == "npy of planes":
        np.save(path, planes)
    elif how == "big-endian npy":
        np.save(path, planes.astype(planes.dtype.newbyteorder(">")))
    return path


TIFF = ("tif", "big-endian tif", "planar tif", "tif of pages", "tif of ImageJ")
NPY = ("npy", "npy of planes", "big-endian npy")
WAYS = [(how, channels, dtype) for how in TIFF + NPY for channels in (2, 4, 5) for dtype in DEPTHS]
WAYS += [(how, 3, dtype) for how in ("rgb tif", *NPY) for dtype in DEPTHS]
WAYS += [("png", channels, np.uint16) for channels in (1, 2, 3, 4)]
WAYS += [("png", channels, np.uint8) for channels in (2, 4)]
WAYS += [("png with a transparent colour", 3, np.uint16), ("rgb tif", 6, np.uint8)]


@pytest.mark.parametrize(("how", "channels", "dtype"), WAYS)
def test_all_values_are_read(tmp_path: Path, how: str, channels: int, dtype: Any) -> None:
    planes = values(channels, dtype)
    path = write(tmp_path / f"a.{ending(how)}", planes, how)
    header = read_header(path, photo=True, what="image", channels=channels)
    assert (header.size, header.channels, header.dtype) == ((9, 8), channels, np.dtype(dtype))
    assert header.whole
    photo = read_photo(path, channels)
    assert photo.dtype == dtype
    np.testing.assert_array_equal(photo, planes)


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
@pytest.mark.parametrize("name", ["a.tif", "a.npy"])
def test_other_floats_become_float32(tmp_path: Path, name: str, dtype: Any) -> None:
    planes = values(5, np.float32).astype(dtype)
    path = write(tmp_path / name, planes, "npy" if name == "a.npy" else "tif")
    np.testing.assert_array_equal(read_photo(path, 5), planes.astype(np.float32))
    assert read_photo(path, 5).dtype == np.float32


@pytest.mark.parametrize(
    ("shape", "channels", "result"),
    [
        ((4, 6), 1, (1, 4, 6)),
        ((4, 6), 3, (3, 4, 6)),
        ((4, 6, 1), 1, (1, 4, 6)),
        ((1, 4, 6), 1, (1, 4, 6)),
        ((4, 6, 3), 3, (3, 4, 6)),
        ((3, 4, 6), 3, (3, 4, 6)),
        ((9, 4, 6), 9, (9, 4, 6)),  # as many as wanted, though the last axis is shorter
        ((5, 6, 9), 9, (9, 5, 6)),
        ((3, 4, 6), 1, (1, 4, 6)),  # else the shorter one, of colours
        ((6, 4, 3), 1, (1, 6, 4)),
        ((3, 3, 3), 3, (3, 3, 3)),
    ],
)
def test_axes_of_npy(tmp_path: Path, shape: Any, channels: int, result: Any) -> None:
    np.save(tmp_path / "a.npy", np.zeros(shape, np.float32))
    assert read_photo(tmp_path / "a.npy", channels).shape == result


@pytest.mark.parametrize(
    ("has", "how", "asked", "message"),
    [
        (
            3,
            "rgb tif",
            4,
            r"3 channels of uint16, expected 4 \(--output_nc 4\); give --output_nc 3$",
        ),
        (1, "png", 2, r"1 channel of uint16, expected 2 .*; give --output_nc 1$"),
        (4, "tif", 3, r"4 channels of uint16, expected 3 .*; give --output_nc 4$"),
        (2, "tif", 1, "2 channels .*--output_nc 2$"),
        (5, "tif", 1, "5 channels .*--output_nc 5$"),
        (6, "rgb tif", 3, "6 channels .*--output_nc 6$"),
        (4, "npy", 3, "4 channels .*--output_nc 4$"),
        (4, "png", 2, "4 channels .*--output_nc 4$"),
        (5, "tif of pages", 4, "5 channels .*--output_nc 5$"),
    ],
)
def test_another_number_of_channels(
    tmp_path: Path, has: int, how: str, asked: int, message: str
) -> None:
    path = write(tmp_path / f"a.{ending(how)}", values(has, np.uint16), how)
    for read in (
        lambda: read_photo(path, asked),
        lambda: read_header(path, photo=True, what="image", channels=asked),
    ):
        with pytest.raises(UserError, match=rf"a\.{ending(how)}: {message}"):
            read()


@pytest.mark.parametrize(("what", "flag"), [("label", "--input_nc"), ("extra", "--extra_nc")])
def test_the_flag_is_that_of_the_map(tmp_path: Path, what: str, flag: str) -> None:
    path = write(tmp_path / "a.npy", values(5, np.uint8), "npy")
    with pytest.raises(UserError, match=rf"expected 3 \({flag} 3\); give {flag} 5$"):
        read_photo(path, 3, what)


@pytest.mark.parametrize("how", ["png", "rgb tif"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_transparency_is_dropped_or_taken(tmp_path: Path, how: str, dtype: Any) -> None:
    planes = values(4, dtype)
    path = write(tmp_path / f"a.{ending(how)}", planes, how)
    assert read_header(path, photo=True, what="image", channels=3).alpha
    np.testing.assert_array_equal(read_photo(path, 3), planes[:3])
    np.testing.assert_array_equal(read_photo(path, 1), with_channels(planes[:3], 1))


@pytest.mark.parametrize("how", ["png", "gray tif"])
def test_transparency_of_gray(tmp_path: Path, how: str) -> None:
    planes = values(2, np.uint16)
    path = write(tmp_path / f"a.{ending(how)}", planes, how)
    assert read_header(path, photo=True, what="image", channels=1).alpha
    for channels, expected in ((1, planes[:1]), (3, planes[[0, 0, 0]]), (2, planes)):
        np.testing.assert_array_equal(read_photo(path, channels), expected)


@pytest.mark.parametrize("how", ["tif of pages", "tif of ImageJ"])
def test_pages_are_channels_only_where_other_than_gray_or_colours_are_wanted(
    tmp_path: Path, how: str
) -> None:
    planes = values(3, np.uint8)
    path = write(tmp_path / "a.tif", planes, how)
    np.testing.assert_array_equal(read_photo(path, 1), planes[:1])
    np.testing.assert_array_equal(read_photo(path, 3), np.repeat(planes[:1], 3, axis=0))


@settings(deadline=None)
@given(
    st.lists(st.tuples(*[st.integers(0, 65535)] * 3), min_size=1, max_size=9),
    st.sampled_from(DEPTHS),
)
def test_gray_has_pillows_weights(colours: list[tuple[int, int, int]], dtype: Any) -> None:
    """For bytes bit for bit; of more bits, those of the mean, to their last one."""
    planes = np.array(colours).T[:, None] >> (8 if dtype == np.uint8 else 0)
    gray = with_channels(planes.astype(dtype), 1)
    assert gray.dtype == dtype and gray.shape == (1, 1, len(colours))
    if dtype == np.uint8:
        expected = np.asarray(Image.fromarray(planes.astype(dtype).transpose(1, 2, 0)).convert("L"))
        np.testing.assert_array_equal(gray[0], expected)
    else:
        mean = np.tensordot([0.299, 0.587, 0.114], planes, 1)
        np.testing.assert_allclose(gray[0], mean, atol=1.5)


@pytest.mark.parametrize("how", ["png", "tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation(tmp_path: Path, how: str, orientation: int) -> None:
    """As Pillow turns the bytes."""
    lying = values(3, np.uint16)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    path = tmp_path / f"a.{how}"
    pixels = np.ascontiguousarray(lying.transpose(1, 2, 0))
    if how == "png":
        png = imagecodecs.png_encode(pixels)
        path.write_bytes(with_chunk(png, b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0")))
    else:
        tifffile.imwrite(path, pixels, extratags=[(274, "H", 1, orientation, True)])
    photo = read_photo(path, 3)
    bytes_ = Image.fromarray((pixels >> 8).astype(np.uint8))
    bytes_.save(tmp_path / "bytes.jpg", exif=exif)
    turned = read_photo(tmp_path / "bytes.jpg", 3).shape
    assert photo.shape == turned
    size = read_header(path, photo=True, what="image", channels=3).size
    assert size == (photo.shape[2], photo.shape[1])
    for plane, upright in zip(lying, photo, strict=True):
        small = Image.fromarray(plane.astype(np.int32))
        small.save(tmp_path / "plane.tif", exif=exif)
        np.testing.assert_array_equal(np.asarray(read_ids(tmp_path / "plane.tif", "inst")), upright)


IDS = np.array([[0, 1, 2], [300, 70000, 2**31 - 1]])


@pytest.mark.parametrize("dtype", [np.int64, np.uint32, np.int32])
@pytest.mark.parametrize("shape", [(2, 3), (1, 2, 3), (2, 3, 1)])
def test_identifiers_in_npy(tmp_path: Path, dtype: Any, shape: tuple[int, ...]) -> None:
    np.save(tmp_path / "ids.npy", IDS.astype(dtype).reshape(shape))
    assert read_header(tmp_path / "ids.npy", photo=False, what="instance").size == (3, 2)
    ids = read_ids(tmp_path / "ids.npy", "instance")
    assert ids.mode == "I"
    np.testing.assert_array_equal(np.asarray(ids), IDS)


@pytest.mark.parametrize("dtype", [np.uint8, np.bool_])
def test_small_identifiers_in_npy_stay_bytes(tmp_path: Path, dtype: Any) -> None:
    np.save(tmp_path / "ids.npy", (IDS % 2).astype(dtype))
    ids = read_ids(tmp_path / "ids.npy", "label")
    assert ids.mode == "L"
    np.testing.assert_array_equal(np.asarray(ids), IDS % 2)


NAN = np.array([[0, np.nan]], np.float32)


@pytest.mark.parametrize(
    ("array", "what", "message"),
    [
        (IDS.astype(np.float64), "label", "label map holds floating-point numbers, .*as integers"),
        (IDS.astype(np.complex64), "label", "label map holds complex64 numbers"),
        (IDS + 1, "instance", "instance 2147483648 found, expected at most 2147483647; renumber"),
        (np.arange(60).reshape(4, 5, 3), "label", "has 3 channels, .*prepare_labels.py"),
        (np.zeros((8, 9, 7), int), "instance", "has 7 channels, .*--no_instance"),
        (np.zeros((1, 1, 1, 1)), "image", r"array of shape \[1, 1, 1, 1\], expected \[H,W\], "),
        (np.array([[None]]), "image", "an array of Python objects, expected numbers; save it"),
        (np.zeros((0, 4), np.uint8), "image", r"array of shape \[0, 4\], expected"),
        (IDS, "image", "photograph holds int64 numbers whose range is unknown, .*save it as uint8"),
        (IDS > 0, "image", "photograph holds bool numbers"),
        (NAN, "image", "not all values are finite"),
        (np.array([[1e300]]), "image", "not all values are finite"),
    ],
)
def test_unusable_arrays(tmp_path: Path, array: np.ndarray, what: str, message: str) -> None:
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(UserError, match=rf"^\S+a\.npy: .*{message}") as caught:
        read_photo(tmp_path / "a.npy", 1) if what == "image" else read_ids(tmp_path / "a.npy", what)
    assert len(caught.value.problems) == 1 and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("colours", "message"),
    [
        ("cielab", "unusual pixels .*, expected gray, RGB or plain channels"),
        ("int16", "holds int16 numbers"),
    ],
)
def test_unusable_tiff(tmp_path: Path, colours: str, message: str) -> None:
    path, pixels = tmp_path / "a.tif", np.zeros((4, 6, 3), np.uint16)
    if colours == "int16":
        tifffile.imwrite(path, pixels.astype(np.int16), **CONTIG)
    else:
        tifffile.imwrite(path, pixels, photometric=colours)
    with pytest.raises(UserError, match=message):
        read_photo(path, 3)


def test_a_tiff_without_its_height(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.zeros((8, 9), np.float16), metadata=None, compression="deflate")
    content = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as tiff:
        type_of_height = tiff.pages.first.tags["ImageLength"].offset + 2
    content[type_of_height : type_of_height + 2] = b"\0\0"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"a\.tif: damaged, .*no pixels"):
        read_photo(path, 3)


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.npy"])
def test_too_many_pixels(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    save_values(values(3, np.uint16), tmp_path / name)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with pytest.raises(UserError, match=r"more pixels than Pillow takes .*; cut it into tiles"):
        read_header(tmp_path / name, photo=True, what="image")


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.npy"])
def test_files_cut_short_are_told_and_known_by_their_headers(
    tmp_path: Path, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    save_values(values(3, np.uint16, (40, 30)), path := tmp_path / name)
    content = path.read_bytes()
    if name == "a.tif":
        tifffile.imwrite(path, values(3, np.uint16, (40, 30)), photometric="rgb")
        content = path.read_bytes()
    path.write_bytes(content[:-300])
    with pytest.raises(UserError, match=rf"^\S+{name}: damaged, .*; copy it here again$"):
        read_photo(path, 3)
    try:
        assert not read_header(path, photo=True, what="image", channels=3).whole
    except UserError as error:
        assert "damaged" in str(error)
    assert capfd.readouterr() == ("", "")


def test_what_the_file_is_counts_not_its_name(tmp_path: Path) -> None:
    planes = values(3, np.uint16)
    path = write(tmp_path / "a.tif", planes, "png")
    np.testing.assert_array_equal(read_photo(path, 3), planes)
    planes = values(5, np.float32)
    path = write(tmp_path / "b.tif", planes, "tif").rename(tmp_path / "b.png")
    np.testing.assert_array_equal(read_photo(path, 5), planes)
