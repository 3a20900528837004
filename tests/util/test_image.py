import imagecodecs
import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from pix2pixhd.util.errors import UserError
from pix2pixhd.util.image import (
    bytes_to_image,
    image_to_values,
    label_to_image,
    save_image,
    save_thumbnail,
    save_values,
    tensor_to_image,
    thumbnail_size,
)
from pix2pixhd.util.labels import IGNORED, label_palette


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_tensor_values_are_rounded_and_clipped(dtype):
    image = torch.tensor([-9.0, -1.0, 0.0, 1.0, 9.0, float("nan")], dtype=dtype).view(1, 1, 6)
    picture = tensor_to_image(image.requires_grad_())
    assert picture.dtype == np.uint8 and picture.shape == (1, 6, 3)
    assert picture[0, :, 2].tolist() == [0, 0, 128, 255, 255, 0]


def test_tensor_channels_become_three():
    image = torch.linspace(-1, 1, 5 * 2 * 4).view(5, 2, 4)
    assert tensor_to_image(image).shape == (2, 4, 3)
    assert (tensor_to_image(image)[..., 1] == tensor_to_image(image[1:2])[..., 0]).all()


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_a_photograph_comes_back_whatever_the_memory_format(layout):
    pixels = torch.randint(0, 256, (1, 3, 70, 5), dtype=torch.uint8)  # several blocks of rows
    image = (pixels.float() / 127.5 - 1).contiguous(memory_format=layout)[0]
    expected = pixels[0].permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(tensor_to_image(image), expected)
    np.testing.assert_array_equal(bytes_to_image(pixels[0]), expected)
    assert (bytes_to_image(pixels[0, :1]) == expected[..., :1]).all()


@pytest.mark.parametrize("make", [torch.tensor, np.array])
def test_labels_are_looked_up_and_those_outside_are_gray(make):
    label = make([[[0, 11, 12], [255, -1, 3]]])
    picture = label_to_image(label, label_palette(12))
    palette = label_palette(12)
    expected = [[palette[0], palette[11], IGNORED], [IGNORED, IGNORED, palette[3]]]
    assert picture.dtype == np.uint8 and (picture == np.array(expected)).all()


def test_byte_labels_do_not_wrap():
    label = torch.tensor([[0, 255]], dtype=torch.uint8)
    assert tuple(label_to_image(label, label_palette(300))[0, 1]) == tuple(label_palette(300)[255])
    assert label_to_image(label, label_palette(255))[0, 1].tolist() == list(IGNORED)


def test_pixels_of_a_png_in_any_memory_order(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (3, 9, 7), dtype=np.uint8)
    save_image(pixels.transpose(2, 1, 0), tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as opened:
        assert opened.mode == "RGB"
        np.testing.assert_array_equal(np.asarray(opened), pixels.transpose(2, 1, 0))


@pytest.mark.parametrize(("name", "kind"), [("a.png", "PNG"), ("a.jpg", "JPEG"), ("a.JPG", "JPEG")])
def test_the_suffix_names_the_format(tmp_path, name, kind):
    image = np.full((4, 6, 3), 90, np.uint8)
    save_image(image, tmp_path / name)
    with Image.open(tmp_path / name) as opened:
        assert opened.format == kind
        assert np.abs(np.asarray(opened).astype(int) - image).max() <= 2


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("name", ["a/b.png", "a.tif", "a.npy"])
def test_values_are_written_as_they_are(tmp_path, name, channels, dtype):
    """As other programs read them: the channels last, three of them being colours."""
    values = (np.random.default_rng(0).random((channels, 4, 6)) * 255).astype(dtype)
    values[0, 0, 0] = 1 if dtype == np.float32 else np.iinfo(dtype).max
    path = tmp_path / name
    if path.suffix == ".png" and (channels == 5 or dtype == np.float32):
        with pytest.raises(AssertionError):
            save_values(values, path)
        assert not path.exists()
        return
    save_values(values, path)
    read = {".png": imagecodecs.imread, ".tif": tifffile.imread, ".npy": np.load}[path.suffix]
    pixels = read(path)
    assert pixels.dtype == dtype
    np.testing.assert_array_equal(pixels, values[0] if channels == 1 else values.transpose(1, 2, 0))
    if path.suffix == ".tif":
        with tifffile.TiffFile(path) as tiff:
            assert len(tiff.pages) == 1
            assert (tiff.pages[0].photometric.name == "RGB") == (channels == 3)


def test_values_that_cannot_be_written_leave_the_old_ones(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot be written"):
        save_values(np.zeros((1, 2, 2), np.uint16), tmp_path / "file/a.tif")


def test_thumbnails_shrink_and_never_grow(tmp_path):
    assert thumbnail_size(2048, 1024, 512) == (512, 256)
    assert thumbnail_size(256, 128, 512) == (256, 128)
    assert thumbnail_size(5000, 2, 100) == (100, 1)
    save_thumbnail(np.zeros((100, 200, 3), np.uint8), tmp_path / "t.jpg", 64)
    with Image.open(tmp_path / "t.jpg") as opened:
        assert opened.size == (64, 32)


@pytest.mark.parametrize(
    ("bits", "value_range", "dtype", "expected"),
    [
        (8, None, np.uint8, [0, 0, 128, 255, 255, 0]),
        (8, (5, 6), np.uint8, [0, 0, 128, 255, 255, 0]),  # a range is of more bits
        (16, None, np.uint16, [0, 0, 32768, 65535, 65535, 0]),
        (16, (100, 4100), np.uint16, [100, 100, 2100, 4100, 4100, 100]),
        (16, (-100, 100000), np.uint16, [0, 0, 49950, 65535, 65535, 0]),
        (32, None, np.float32, [0, 0, 0.5, 1, 1, 0]),
        (32, (-2, 6), np.float32, [-2, -2, 2, 6, 6, -2]),
    ],
)
def test_values_of_the_datas_depth(bits, value_range, dtype, expected):
    image = torch.tensor([-9.0, -1.0, 0.0, 1.0, 9.0, float("nan")]).view(1, 1, 6)
    values = image_to_values(image.expand(4, -1, -1), bits, value_range)
    assert values.dtype == dtype and values.shape == (4, 1, 6)
    np.testing.assert_array_equal(values[3, 0], np.array(expected, dtype))


@pytest.mark.parametrize("bits", [8, 16])
def test_every_value_comes_back(bits):
    every = torch.arange(2**bits).view(1, 2 ** (bits // 2), -1)
    values = image_to_values(every.float() / ((2**bits - 1) / 2) - 1, bits)
    np.testing.assert_array_equal(values, every.numpy())
