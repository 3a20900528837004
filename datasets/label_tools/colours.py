"""Colour pictures to label numbers, by a table or by the colours that the pictures have."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.spatial import KDTree

from label_tools.source import Drawing, Item, Request, Source, read_all
from label_tools.table import IGNORED, Colour, Label, Table, hexadecimal
from pix2pixhd.data.opening import opened
from pix2pixhd.data.pairing import first_few, list_images
from pix2pixhd.util.errors import UserError

# All colours there are; one of them is 65536 * red + 256 * green + blue.
ALL = 1 << 24

# What compression and smooth edges make of a label's colour stays below one of these, and labels
# above all, by measurements on CamVid's maps in several palettes, saved as JPEG of quality 30 to 95
# and resized. The label in doubt is that of poles, few of which have an inside; where the
# measurements disagree, the limits let in a little noise (which the report shows) and keep poles.
# Exact pictures have few colours and are taken at their word.
EXACT_COLOURS = 256
NOISE_SHARE = 2e-5  # of all pixels
NOISE_SQUARES = 9  # of 2x2 pixels of the colour: 4x4 pixels have so many
NOISE_FLAT = 0.16  # such squares for each pixel of the colour
NOISE_DISTANCE = 16  # from a colour that fills more squares, in RGB levels

# Label maps are flat: fewer pixels than this near the colours found mean photographs.
LEAST_COVERED = 0.6
MOST_LABELS = 1000

# Rows of the report, and lines about unknown colours.
SHOWN = 60
SHOWN_UNKNOWN = 5


class Count(NamedTuple):
    """The colours of one picture, or of all, ascending."""

    colours: np.ndarray  # int [n]
    pixels: np.ndarray  # int [n]
    squares: np.ndarray  # int [n]: of 2x2 pixels of the colour
    files: np.ndarray  # int [n]
    example: np.ndarray  # int [n]: the number of a file that has it
    lossy: bool  # some file is of a format that changes colours


def colour_source(request: Request) -> Source:
    """Colour pictures below a folder, with their table.

    Raises:
        UserError: no pictures, colours that the given table does not know, or none that look like
            labels.
    """
    files = list_images(request.path, "check --in")
    counts, problems = read_all(_count, files)
    count = _total(list(counts.values()))
    if request.table:
        table, report = request.table, []
        _check_known(count, table, request, list(counts))
    else:
        table = _found(count, request)
        report = [f"pictures: {len(counts):,}, colours: {len(count.colours):,}"]
    numbers = _numbers(count.colours, table, request)
    lookup = np.full(ALL, IGNORED, np.int32)
    lookup[count.colours] = numbers
    items = [Item(file.relative_to(request.path), partial(_draw, file, lookup)) for file in counts]
    report += _report(count, numbers, table, given=request.table is not None)
    return Source(table, items, report, _doubts(count, table, request), problems)


def read_colours(path: Path) -> tuple[np.ndarray, bool]:
    """The colours of a picture, int32 [H,W], and whether its format keeps them only roughly.

    Raises:
        UserError: unreadable, or not of 8 bits.
    """
    with opened(path) as image:
        lossy = image.format in ("JPEG", "MPO", "WEBP")
        image.load()
    if image.mode.startswith("I") or image.mode == "F":
        raise UserError(
            f"{path}: numbers of more than 8 bits ({image.mode}), expected colours; if they are "
            "labels, give --from labels"
        )
    # By way of RGBA, or Pillow would warn of palettes with transparency.
    if image.mode in ("P", "PA"):
        image = image.convert("RGBA")
    rgb = np.asarray(image.convert("RGB"), np.int32)
    return (rgb[..., 0] << 16) | (rgb[..., 1] << 8) | rgb[..., 2], lossy


def _count(path: Path) -> Count:
    colours, lossy = read_colours(path)
    found, inverse, pixels = np.unique(colours, return_inverse=True, return_counts=True)
    places = inverse.reshape(colours.shape)
    corner = places[:-1, :-1]
    same = (corner == places[:-1, 1:]) & (corner == places[1:, :-1]) & (corner == places[1:, 1:])
    squares = np.bincount(corner[same], minlength=len(found))
    return Count(found, pixels, squares, np.ones_like(found), np.zeros_like(found), lossy)


def _total(counts: list[Count]) -> Count:
    # A table of all colours there are is 270 MB, but adding to it takes no time.
    pixels, squares = np.zeros(ALL, np.int64), np.zeros(ALL, np.int64)
    files, example = np.zeros(ALL, np.int32), np.zeros(ALL, np.int32)
    for number, count in enumerate(counts):
        pixels[count.colours] += count.pixels
        squares[count.colours] += count.squares
        files[count.colours] += 1
        example[count.colours] = number
    seen = np.flatnonzero(pixels)
    lossy = any(count.lossy for count in counts)
    return Count(seen, pixels[seen], squares[seen], files[seen], example[seen], lossy)


def _found(count: Count, request: Request) -> Table:
    """A table of the colours that are labels, the most frequent first."""
    exact = not count.lossy and len(count.colours) <= EXACT_COLOURS
    least = request.min_share if request.min_share is not None else (0 if exact else NOISE_SHARE)
    frequent = count.pixels >= least * count.pixels.sum()
    if exact:
        kept = np.flatnonzero(frequent)
    else:
        flat = count.squares >= np.maximum(NOISE_FLAT * count.pixels, NOISE_SQUARES)
        kept = _apart(count, np.flatnonzero(frequent & flat))
    rgb = _rgb(count.colours)
    near = KDTree(rgb[kept]).query(rgb)[0] <= NOISE_DISTANCE if len(kept) else np.zeros(1, bool)
    covered = float((near * count.pixels).sum() / count.pixels.sum())
    if covered < LEAST_COVERED or len(kept) > MOST_LABELS:
        raise UserError(
            f"{request.path}: {len(count.colours):,} colours, of which {len(kept):,} look like "
            f"labels, on {covered:.0%} of the pixels: these look like photographs, expected label "
            "maps drawn in flat colours; check --in, or give --colours FILE and --nearest"
        )
    kept = kept[np.argsort(-count.pixels[kept], kind="stable")]
    colours = [_colour(value) for value in count.colours[kept]]
    return Table(tuple(Label(hexadecimal(colour), (colour,)) for colour in colours))


def _apart(count: Count, candidates: np.ndarray) -> np.ndarray:
    """Those that are not near one that fills more squares."""
    rgb = _rgb(count.colours)
    left = candidates[np.argsort(-count.squares[candidates], kind="stable")]
    kept: list[np.intp] = []
    while len(left) and len(kept) <= MOST_LABELS:
        kept.append(left[0])
        left = left[np.linalg.norm(rgb[left] - rgb[left[0]], axis=-1) > NOISE_DISTANCE]
    return np.array(kept, np.intp)


def _numbers(colours: np.ndarray, table: Table, request: Request) -> np.ndarray:
    """The label of each colour: its own, or the nearest, or IGNORED."""
    distance, numbers = _nearest(colours, table)
    if request.table and not request.nearest:
        numbers[distance > 0] = IGNORED
    return numbers


def _nearest(colours: np.ndarray, table: Table) -> tuple[np.ndarray, np.ndarray]:
    known, numbers = table.colours()
    distance, place = KDTree(known).query(_rgb(colours))
    return distance, numbers[place]


def _check_known(count: Count, table: Table, request: Request, files: list[Path]) -> None:
    """Refuse colours that are not in a given table, unless it was said what becomes of them."""
    if not len(table.colours()[0]):
        raise UserError(f"{request.table_file}: names without colours, expected colours as well")
    if request.nearest or request.ignore_unknown:
        return
    distance, nearest = _nearest(count.colours, table)
    unknown = np.flatnonzero(distance)
    unknown = unknown[np.argsort(-count.pixels[unknown], kind="stable")]
    lines = []
    for at in unknown[:SHOWN_UNKNOWN]:
        colour = _colour(count.colours[at])
        name = table.names[nearest[at]] if nearest[at] != IGNORED else "nothing"
        lines.append(
            f"{files[count.example[at]]}: colour {','.join(map(str, colour))} "
            f"({hexadecimal(colour)}) is not in {request.table_file} (pixels: "
            f"{count.pixels[at]:,}, files: {count.files[at]:,}); nearest is {name}, at a "
            f"distance of {distance[at]:.0f}"
        )
    if lines:
        lines.append(
            f"unknown colours: {len(unknown):,}, on {_share(count, unknown)} of the pixels; add "
            "them to the table, or give --nearest for the nearest entry (JPEG needs it), or "
            "--ignore_unknown to leave such pixels without a label"
        )
        raise UserError(lines)


def _draw(path: Path, lookup: np.ndarray) -> Drawing:
    return Drawing(lookup[read_colours(path)[0]])


def _report(count: Count, numbers: np.ndarray, table: Table, *, given: bool) -> list[str]:
    """What each label has got: of its own colours, and of others near them."""
    own = np.isin(count.colours, _packed(table.colours()[0]))
    lines = [" label  colour        pixels    share   files      others  name"]
    for number, label in enumerate(table.labels[:SHOWN]):
        mine = (numbers == number) & own
        pixels = count.pixels[mine].sum()
        colour = hexadecimal(label.colours[0]) if label.colours else "-"
        row = f"{number:6}  {colour:7} {pixels:12,} {pixels / count.pixels.sum():8.3%} "
        row += f"{count.files[mine].max(initial=0):7} "
        row += f"{count.pixels[(numbers == number) & ~own].sum():11,}  "
        lines.append((row + label.name * (label.name != colour)).rstrip())
    lines += [f"   ... and {len(table) - SHOWN} more"] if len(table) > SHOWN else []
    near = ~own & (numbers != IGNORED)
    if near.any():
        why = "" if given else " as noise of compression or smooth edges"
        share = _share(count, near)
        lines.append(
            f"other colours, taken for the nearest label{why}: {near.sum():,}, on {share} of the "
            "pixels"
        )
    if (numbers == IGNORED).any():
        lines.append(f"{_share(count, numbers == IGNORED)} of the pixels get no label")
    return lines


def _doubts(count: Count, table: Table, request: Request) -> list[str]:
    """What a found table may have got wrong."""
    if request.table:
        return []
    places = np.flatnonzero(np.isin(count.colours, _packed(table.colours()[0])))
    thin = [hexadecimal(_colour(count.colours[at])) for at in places if not count.squares[at]]
    if not thin:
        return []
    return [
        f"colours that never fill 2x2 pixels: {first_few(thin)}; if these are smooth "
        "edges, give --min_share 0.1 to leave out what is on less than 0.1 % of the pixels, "
        "or --colours with the real ones and --nearest"
    ]


def _share(count: Count, which: np.ndarray) -> str:
    return f"{count.pixels[which].sum() / count.pixels.sum():.2%}"


def _rgb(colours: np.ndarray) -> np.ndarray:
    return np.stack([colours >> 16, (colours >> 8) & 255, colours & 255], -1).astype(float)


def _packed(rgb: np.ndarray) -> np.ndarray:
    return rgb.astype(np.int64) @ np.array([65536, 256, 1])


def _colour(value: int) -> Colour:
    value = int(value)
    return value >> 16, (value >> 8) & 255, value & 255
