"""What labels are called, and the colours that they are drawn in."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms

from pix2pixhd.util.errors import UserError
from pix2pixhd.util.label_file import Colour, Entry, read_entries

# The colour of labels outside the range: those that --ignore_label names. Generated palettes keep
# away from it.
IGNORED = (128, 128, 128)

BLACK: Colour = (0, 0, 0)
# What pages/style.css calls --paper and --card, light and dark.
PAPERS = ((250, 249, 247), (255, 255, 255), (20, 23, 26), (26, 30, 34))

# In CIELAB: colours of this chroma and above hurt the eye on large areas; of this lightness and
# below they look black; closer than this, one takes two large areas for the same.
NEON = 75
DARK = 30
APART = 25

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
    """The labels of a data set: Cityscapes' own where there are 35 and no file.

    Args:
        label_nc: number of labels; 0: the input is an image.
        file: of names and colours, see docs/data.md; labels without a colour are given one.

    Raises:
        UserError: the file cannot be read, or names other labels than 0 to label_nc - 1.
    """
    if file is None:
        names = CITYSCAPES_NAMES if label_nc == len(CITYSCAPES) else ()
        return LabelSet(label_palette(label_nc), names)
    if not label_nc:
        raise UserError(f"--label_names {file} with --label_nc 0: the input has no labels to name")
    by_number = _by_number(file, label_nc)
    entries = [by_number[number] for number in range(label_nc)]
    colours = _filled(tuple(next(iter(entry.colours), None) for entry in entries))
    return LabelSet(colours.copy(), tuple(entry.name for entry in entries))


def _by_number(file: str, count: int) -> dict[int, Entry]:
    """The file's entries; those of a negative id, and of 255 where that is no label, stand for
    "nothing known here" and are left out.

    Raises:
        UserError: they are not the labels 0 to `count` - 1, each once.
    """
    found: dict[int, Entry] = {}
    for place, entry in enumerate(read_entries(Path(file), "--label_names")):
        number = entry.number
        if other := found.get(number):
            raise UserError(
                f"--label_names {file}: entry {place} ({entry.name}) has id {number}, as "
                f"{other.name} has; ids must differ"
            )
        if number >= 0 and (number != 255 or count > 255):
            found[number] = entry
    if found.keys() != set(range(count)):
        missing = next((n for n in range(count) if n not in found), None)
        detail = f", none with id {missing}" if missing is not None and len(found) >= count else ""
        raise UserError(
            f"--label_names {file}: names {len(found)} label{'s' * (len(found) != 1)}{detail}, "
            f"expected labels 0 to {count - 1} (--label_nc {count}); add or remove names, or give "
            "--label_nc as the data have it"
        )
    return found


def label_palette(n: int) -> np.ndarray:
    """Return a colour for each of `n` labels, uint8 [n,3]: Cityscapes' own when n is 35."""
    return (CITYSCAPES if n == len(CITYSCAPES) else _filled((None,) * n)).copy()


@functools.cache
def _filled(given: tuple[Colour | None, ...]) -> np.ndarray:
    """The colours given, and where there is none the one farthest from all before it and all given,
    uint8 [n,3].

    Label 0 is black, the usual background, unless it is given. There are about 3000 colours to
    choose from; beyond them they repeat.
    """
    colours = np.array([colour or BLACK for colour in given], np.uint8).reshape(-1, 3)
    missing = [number for number, colour in enumerate(given) if colour is None and number]
    grid, places = _choices()
    at = _in_cielab(colours)
    distance = np.full(len(grid), np.inf)
    for place in [*np.delete(at, missing, axis=0), *_in_cielab(np.array([IGNORED], np.uint8))]:
        distance = np.minimum(distance, np.linalg.norm(places - place, axis=-1))
    chosen: list[int] = []
    for number in missing[: len(grid)]:
        from_last = np.linalg.norm(places - at[number - 1], axis=-1)
        # The second term keeps neighbouring labels apart also when the palette gets crowded; it
        # is a factor, so that a colour already taken (distance 0) is never taken again.
        chosen.append(int(np.argmax(distance * np.sqrt(from_last))))
        at[number] = places[chosen[-1]]
        distance = np.minimum(distance, np.linalg.norm(places - at[number], axis=-1))
    colours[missing] = np.resize(grid[chosen], (len(missing), 3))
    return colours


@functools.cache
def _choices() -> tuple[np.ndarray, np.ndarray]:
    """The colours to choose from, uint8 [m,3], and their places in CIELAB, [m,3]: calm, and told
    from black, from the pages' paper and from what is ignored."""
    levels = np.linspace(0, 255, 18).round().astype(np.uint8)
    grid = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), -1).reshape(-1, 3)
    places = _in_cielab(grid)
    taken = _in_cielab(np.array([IGNORED, *PAPERS], np.uint8))
    apart = np.linalg.norm(places[:, None] - taken, axis=-1).min(axis=1)
    chroma = np.linalg.norm(places[:, 1:], axis=-1)
    chosen = (apart > APART) & (chroma < NEON) & (places[:, 0] > DARK)
    return grid[chosen], places[chosen]


def _in_cielab(rgb: np.ndarray) -> np.ndarray:
    """Map sRGB, uint8 [n,3], to CIELAB, where equal distances look about equally different."""
    spaces = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    image = ImageCms.profileToProfile(Image.fromarray(rgb[None]), *spaces, outputMode="LAB")
    lab = np.asarray(image)[0]  # L from 0 to 255 for 0 to 100; a and b are signed
    return np.column_stack([lab[:, 0] / 2.55, lab[:, 1:].view(np.int8)])
