"""Feature maps in files: the encoder's view of a photograph, made once and read in training.

Two formats, told apart by the name's ending:

- `.npz` holds one array "feat", float16 [feat_num,H,W]: any number of features, without loss.
- An image (`.png` as we write it) holds 1 or 3 features of 8 bits, as the reference does: a value
  v in [-1,1] is the byte round((v + 1) / 2 * 255).
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image

from pix2pixhd.data import transforms
from pix2pixhd.data.decode import Header
from pix2pixhd.data.opening import is_whole, opened
from pix2pixhd.data.pairing import IMAGE_EXTENSIONS, first_few
from pix2pixhd.data.problems import FEATURES_AGAIN
from pix2pixhd.util.errors import UserError
from pix2pixhd.util.files import replacing

ARRAY = "feat.npy"  # as the archive names it
EXTENSIONS = IMAGE_EXTENSIONS - {".npy"} | {".npz"}
MODES = {1: "L", 3: "RGB"}  # Pillow's modes of the pictures that hold so many features


def write_feature_map(path: Path, features: np.ndarray) -> None:
    """Write a feature map atomically, folders included.

    Args:
        path: the file; ends with .npz, or with .png for 1 or 3 features.
        features: floating point [feat_num,H,W] in [-1,1].

    Raises:
        UserError: the file cannot be written; an earlier one is as it was.
    """
    assert features.ndim == 3 and features.dtype.kind == "f"
    with replacing(path) as file:
        if path.suffix == ".npz":
            np.savez_compressed(file, feat=features.astype(np.float16))
        else:
            assert path.suffix == ".png" and len(features) in MODES
            levels = np.rint((features.astype(np.float32) + 1) / 2 * 255)
            pixels = levels.clip(0, 255).astype(np.uint8).transpose(1, 2, 0)
            Image.fromarray(pixels.squeeze(2) if pixels.shape[2] == 1 else pixels).save(file, "PNG")


def read_feature_map(path: Path, feat_num: int) -> np.ndarray:
    """Read a feature map of either format: float32 [feat_num,H,W], finite; of images in [-1,1].

    Raises:
        UserError: the file is damaged or of another kind, or has another number of features.
    """
    if path.suffix.lower() != ".npz":
        with opened(path) as image:
            _check_mode(path, image.mode, feat_num)
            pixels = np.asarray(image, np.float32)
        planes = pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
        return np.ascontiguousarray(planes) / np.float32(127.5) - np.float32(1)
    with _stored_array(path, feat_num) as (file, _):
        file.seek(0)
        features = np.lib.format.read_array(file, allow_pickle=False)
    with np.errstate(over="ignore"):  # to infinity, which is told below
        features = np.ascontiguousarray(features, np.float32)
    if not np.isfinite(features).all():
        raise UserError(
            f"{path}: not all features are finite numbers, expected -1 to 1; {FEATURES_AGAIN}"
        )
    return features


def read_header(path: Path, feat_num: int) -> Header:
    """What the file tells without decoding it; errors as `read_feature_map`."""
    if path.suffix.lower() != ".npz":
        with opened(path) as image:
            _check_mode(path, image.mode, feat_num)
            return Header(image.size, is_whole(path, image))
    with _stored_array(path, feat_num) as (_, shape):
        return Header((shape[2], shape[1]), whole=True)  # else its table of contents were missing


def resized(features: np.ndarray, size: transforms.Size) -> np.ndarray:
    """float32 [C,H,W] at (width, height) `size`, with the pixels that identifiers would take; at
    twice its own size, every pixel four times."""
    if (features.shape[2], features.shape[1]) == size:
        return features
    nearest = Image.Resampling.NEAREST
    planes = [transforms.resize(Image.fromarray(plane), size, nearest) for plane in features]
    return np.stack([np.asarray(plane) for plane in planes])


@contextmanager
def _stored_array(path: Path, feat_num: int) -> Iterator[tuple[IO[bytes], tuple[int, ...]]]:
    """The array of an .npz and its shape, which is sound. Any error on the way is the user's.

    `np.load` would take any array, and make room for what a damaged header says.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if ARRAY not in (names := archive.namelist()):
                found = first_few(name[:40] for name in names) or "nothing"
                raise UserError(f"{path}: holds {found}, expected {ARRAY}; {FEATURES_AGAIN}")
            with archive.open(ARRAY) as file:
                if (version := np.lib.format.read_magic(file)) != (1, 0):  # numbers need no later
                    raise ValueError(f".npy of version {version}, expected (1, 0)")
                shape, _, dtype = np.lib.format.read_array_header_1_0(file)
                _check_array(path, shape, dtype, feat_num)
                stored = archive.getinfo(ARRAY).file_size - file.tell()
                if stored != math.prod(shape) * dtype.itemsize:
                    raise ValueError(f"{stored} bytes of features")
                yield file, shape
    except (UserError, MemoryError):
        raise
    except OSError as error:
        reason = error.strerror or error
        raise UserError(f"{path}: cannot be read ({reason}); make the file readable") from error
    # Names, headers and compressed data come from the file: BadZipFile, zlib.error, KeyError, ...
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        if path.stat().st_size == 0:
            reason = "the file is empty, 0 bytes"
        raise UserError(
            f"{path}: damaged, or no .npz of a feature map ({reason}); {FEATURES_AGAIN}"
        ) from error


def _check_array(path: Path, shape: tuple[int, ...], dtype: np.dtype, feat_num: int) -> None:
    """Refuse an array that is no feature map of `feat_num` features."""
    is_map = dtype.kind == "f" and len(shape) == 3 and min(shape) > 0
    if is_map and shape[0] == feat_num:
        return
    found = f"this feature map is {dtype} [{','.join(map(str, shape))}]"
    if dtype.hasobject:
        found = "this file holds pickled objects, none of which was executed"
    remedy = f"give --feat_num {shape[0]}, or {FEATURES_AGAIN}" if is_map else FEATURES_AGAIN
    raise UserError(
        f"{path}: {found}, expected float16 [{feat_num},H,W] (--feat_num {feat_num}); {remedy}"
    )


def _check_mode(path: Path, mode: str, feat_num: int) -> None:
    """Refuse a picture, by its Pillow mode, that does not hold `feat_num` features of 8 bits."""
    wanted = MODES.get(feat_num)
    if mode == wanted:
        return
    expected = f"{wanted} for" if wanted else "an .npz file, as pictures hold 1 or 3, for"
    raise UserError(
        f"{path}: this feature map is a picture of mode {mode}, expected {expected} --feat_num "
        f"{feat_num}; give the --feat_num that it was made with, or {FEATURES_AGAIN}"
    )
