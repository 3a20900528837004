"""Real images whose files show them as the networks see them: copied, they need no encoding."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from pix2pixhd.data import transforms
from pix2pixhd.data.array_files import ArrayFile, raw_mode
from pix2pixhd.data.dataset import AlignedDataset
from pix2pixhd.data.opening import opened, opened_file
from pix2pixhd.util.image import shrunk
from pix2pixhd.util.threads import in_threads

FORMATS = {"png": "PNG", "jpg": "JPEG"}  # suffix -> as Pillow names it

# What else Pillow finds in a file that neither changes how its pixels look nor tells of the camera,
# its owner or its place.
HARMLESS = {"jfif", "jfif_version", "jfif_unit", "jfif_density", "adobe", "adobe_transform"} | {
    *("progressive", "progression", "interlace", "dpi", "aspect", "srgb")
}
OVERRULED_BY_SRGB = {"gamma", "chromaticity"}


def take_originals(dataset: AlignedDataset, suffix: str) -> dict[str, Path]:
    """The real images' files by the path of the label map, if all are such; else none.

    They are taken out of the data set, which then reads no real images.

    Args:
        dataset: its headers have been checked.
        suffix: png or jpg, the format wanted.

    Raises:
        UserError: a file cannot be read.
    """
    if "image" not in dataset.files[0]:
        return {}
    alike = partial(_is_original, dataset, FORMATS[suffix])
    if not all(in_threads(alike, dataset.files, "Looking at real images")):
        return {}
    return {str(files["label"]): files.pop("image") for files in dataset.files}


def _is_original(dataset: AlignedDataset, wanted: str, files: dict[str, Path]) -> bool:
    """Whether a real image is of the format, of as many channels of 8 bits as wanted, neither
    scaled nor cropped nor turned, and has nothing but its pixels."""
    source = dataset.read_header("label", files["label"]).size
    scaled = transforms.resized_size(source, dataset.resize_or_crop, dataset.load_size)
    channels = dataset.photos["image"]
    mode = {1: "L", 3: "RGB"}.get(channels)
    with opened_file(files["image"], channels) as image:
        if isinstance(image, ArrayFile):
            return False
        more = image.info.keys() - HARMLESS
        if "srgb" in image.info:
            more -= OVERRULED_BY_SRGB
        return (
            image.format == wanted
            and image.mode == mode == raw_mode(image)
            and image.size == scaled == dataset.output_size(source)
            and not more
        )


def read_small(path: Path, size: tuple[int, int]) -> np.ndarray:
    """Such an image shrunk to `size`, width and height: uint8 [H,W,3].

    Raises:
        UserError: it cannot be decoded.
    """
    with opened(path) as image:
        # JPEG is decoded at a fraction of its size, but not so small that it shows.
        image.draft(None, (2 * size[0], 2 * size[1]))
        return np.asarray(shrunk(image.convert("RGB"), size))
