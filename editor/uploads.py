"""Label maps and scenes that people bring: limited, then checked."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
from PIL import Image

from pix2pixhd.data.decode import read_header, read_ids, read_photo
from pix2pixhd.editor.scene import Scene
from pix2pixhd.editor.scene_file import load_scene
from pix2pixhd.editor.studio import MOST_PIXELS, Studio
from pix2pixhd.util.errors import UserError

MOST_BYTES = 2**26
MOST_SCENE = 2**29  # bytes of a scene's arrays in memory
# Pillow reads many more kinds, by way of less trodden paths. First bytes -> an ending.
KINDS = {
    b"\x89PNG\r\n\x1a\n": ".png",
    b"II*\0": ".tif",
    b"MM\0*": ".tif",
    b"BM": ".bmp",
    b"\xff\xd8\xff": ".jpg",
}


async def received(stream: AsyncIterator[bytes]) -> bytes:
    """A request's body.

    Raises:
        UserError: it is longer than `MOST_BYTES`.
    """
    parts, length = [], 0
    async for part in stream:
        length += len(part)
        if length > MOST_BYTES:
            raise UserError(f"file: over {MOST_BYTES // 2**20} MB; give a smaller one")
        parts.append(part)
    return b"".join(parts)


def scene_of_maps(studio: Studio, label: bytes, inst: bytes) -> Scene:
    """A scene of image files; `inst` may be empty.

    Raises:
        UserError: they are not such maps; or too large, or not of one size.
    """
    label_map = read_map(label, "label", studio)
    inst_map = read_map(inst, "inst", studio) if inst else None
    if inst_map is not None and not studio.model_options.instance:
        raise UserError("inst: the run was trained without instance maps; leave it out")
    return studio.upload(label_map, inst_map)


def read_map(data: bytes, what: str, studio: Studio) -> np.ndarray:
    """Integers [H,W]; as the label of a run with --label_nc 0, a picture [H,W,C]."""
    ending = next((end for begin, end in KINDS.items() if data.startswith(begin)), None)
    if ending is None:
        raise UserError(f"{what}: not an image; give a PNG, TIFF or BMP")
    is_picture = what == "label" and not studio.model_options.label_nc
    if ending == ".jpg" and not is_picture:
        raise UserError(f"{what}: a JPEG, in which numbers blur; give a PNG, TIFF or BMP")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{what}{ending}"
        path.write_bytes(data)
        try:
            with warnings.catch_warnings():  # the size is looked at here
                warnings.simplefilter("ignore", Image.DecompressionBombWarning)
                width, height = read_header(path, photo=is_picture, what=what).size
            if width * height > MOST_PIXELS:
                raise UserError(f"{width}x{height} pixels, at most 16 million")
            if is_picture:
                planes = read_photo(path, studio.model_options.input_nc, what)
                return planes.transpose(1, 2, 0)
            return np.asarray(read_ids(path, what))
        except UserError as error:  # what is there to do about files on disk is of no use here
            reason = str(error).replace(f"{path}: ", "").partition("; ")[0]
            raise UserError(f"{what}: {reason}; give a map of one number a pixel") from error


def scene_of_file(data: bytes) -> Scene:
    """A scene that was saved.

    Raises:
        UserError: it is none, or too large.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scene.npz"
        path.write_bytes(data)
        try:
            scene = load_scene(path, limit=MOST_SCENE)
        except UserError as error:
            raise UserError(str(error).replace(f"{path}: ", "scene: ")) from error
    if scene.shape[0] * scene.shape[1] > MOST_PIXELS:
        raise UserError("scene: of more than 16 million pixels; scale it down")
    return scene
