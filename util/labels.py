"""What labels are called, and the colours that they are drawn in."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageCms

# The colour of labels outside the range: those that --ignore_label names. Generated palettes keep
# away from it.
IGNORED = (128, 128, 128)

# Colours of this chroma in CIELAB and above hurt the eye on large areas.
NEON = 75

# The official table of the Cityscapes benchmark, ids 0 to 34: red, green and blue in hexadecimal.
CITYSCAPES = np.frombuffer(
    bytes.fromhex(
        # unlabeled, ego vehicle, rectification border, out of roi, static, dynamic, ground
        "000000 000000 000000 000000 000000 6f4a00 510051 "
        # road, sidewalk, parking, rail track
        "804080 f423e8 faaaa0 e6968c "
        # building, wall, fence, guard rail, bridge, tunnel
        "464646 66669c be9999 b4a5b4 966464 96785a "
        # pole, polegroup, traffic light, traffic sign
        "999999 999999 faaa1e dcdc00 "
        # vegetation, terrain, sky
        "6b8e23 98fb98 4682b4 "
        # person, rider
        "dc143c ff0000 "
        # car, truck, bus, caravan, trailer, train, motorcycle, bicycle, license plate
        "00008e 000046 003c64 00005a 00006e 005064 0000e6 770b20 00008e"
    ),
    np.uint8,
).reshape(-1, 3)


# Of the same table.
CITYSCAPES_NAMES = (
    *("unlabeled", "ego vehicle", "rectification border", "out of roi", "static", "dynamic"),
    *("ground", "road", "sidewalk", "parking", "rail track", "building", "wall", "fence"),
    *("guard rail", "bridge", "tunnel", "pole", "polegroup", "traffic light", "traffic sign"),
    *("vegetation", "terrain", "sky", "person", "rider", "car", "truck", "bus", "caravan"),
    *("trailer", "train", "motorcycle", "bicycle", "license plate"),
)


@dataclass(frozen=True)
class LabelSet:
    """The labels of a data set, 0 to n - 1; none where the input is an image."""

    colours: np.ndarray  # uint8 [n,3]
    names: tuple[str, ...] = ()  # one for each, or none at all

    def __len__(self) -> int:
        return len(self.colours)

    def describe(self, label: int) -> str:
        """`label 26 (car)`; without a name `label 26`."""
        name = self.names[label] if 0 <= label < len(self.names) else ""
        return f"label {label} ({name})" if name else f"label {label}"


def label_set(label_nc: int, file: str | None = None) -> LabelSet:
    """The labels of a data set: Cityscapes' own where there are 35.

    Args:
        label_nc: number of labels; 0: the input is an image.
        file: of names and colours; see docs/data.md.
    """
    assert file is None, "not read yet"
    names = CITYSCAPES_NAMES if label_nc == len(CITYSCAPES) else ()
    return LabelSet(label_palette(label_nc), names)


def label_palette(n: int) -> np.ndarray:
    """Return a colour for each of `n` labels, uint8 [n,3]: Cityscapes' own when n is 35."""
    return (CITYSCAPES if n == len(CITYSCAPES) else _distinct_colours(n)).copy()


@functools.cache
def _distinct_colours(n: int) -> np.ndarray:
    """Choose `n` colours, each as far as can be from all before it, uint8 [n,3].

    The first is black, the usual background. There are about 4000 to choose from; beyond them they
    repeat.
    """
    levels = np.linspace(0, 255, 18).round().astype(np.uint8)
    grid = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), -1).reshape(-1, 3)
    places = _in_cielab(grid)
    calm = np.linalg.norm(places[:, 1:], axis=-1) < NEON
    grid, places = grid[calm], places[calm]
    distance = np.linalg.norm(places - _in_cielab(np.array([IGNORED], np.uint8)), axis=-1)
    chosen = [0]
    while len(chosen) < min(n, len(grid)):
        from_last = np.linalg.norm(places - places[chosen[-1]], axis=-1)
        distance = np.minimum(distance, from_last)
        # The second term keeps neighbouring labels apart also when the palette gets crowded; it
        # is a factor, so that a colour already taken (distance 0) is never taken again.
        chosen.append(int(np.argmax(distance * np.sqrt(from_last))))
    return np.resize(grid[chosen], (n, 3))


def _in_cielab(rgb: np.ndarray) -> np.ndarray:
    """Map sRGB, uint8 [n,3], to CIELAB, where equal distances look about equally different."""
    spaces = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    image = ImageCms.profileToProfile(Image.fromarray(rgb[None]), *spaces, outputMode="LAB")
    lab = np.asarray(image)[0]  # L from 0 to 255 for 0 to 100; a and b are signed
    return np.column_stack([lab[:, 0] / 2.55, lab[:, 1:].view(np.int8)])
