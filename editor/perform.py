"""Do what the page asks for: from checked requests to changes of a scene."""

from __future__ import annotations

import itertools

import numpy as np

from pix2pixhd.editor import operations, requests
from pix2pixhd.editor.history import Change
from pix2pixhd.editor.objects import CutObject
from pix2pixhd.editor.operations import What
from pix2pixhd.editor.regions import (
    Point,
    disc_stroke,
    flood,
    nearest_outside,
    placed,
    without_slender,
)
from pix2pixhd.editor.scene import THING, Scene
from pix2pixhd.editor.studio import Studio
from pix2pixhd.editor.styles import Styles
from pix2pixhd.util.errors import UserError

MOST_WIDTHS = 500  # of a piece of a stroke: each is drawn for itself
GRAY = (0.299, 0.587, 0.114)  # of red, green and blue (ITU-R BT.601), as Pillow has it


def change_of(scene: Scene, studio: Studio, asked: requests.Operation) -> Change:
    """What an operation makes of a scene; nothing is done yet.

    Raises:
        UserError: it names what is not there, or suits another kind of run.
    """
    match asked:
        case requests.Stroke():
            return _stroke(scene, asked)
        case requests.Fill():
            return _fill(scene, asked)
        case requests.SetStyle():
            return operations.set_styles(scene, _styles(scene, studio, asked))
        case requests.SetLabel():
            what = _what(scene, asked)
            return operations.set_label(scene, what, asked.label, asked.instance)
        case requests.Add():
            return _add(scene, studio, asked)
        case requests.Move():
            return operations.move(scene, _what(scene, asked), asked.by, asked.fill)
        case requests.Remove():
            return operations.remove(scene, _what(scene, asked), asked.fill)


def prepare(studio: Studio, asked: requests.Operation) -> None:
    """What takes long of an operation and needs no scene: features of a photograph are kept.

    Raises:
        UserError: there are none.
    """
    if isinstance(asked, requests.SetStyle) and asked.style.image is not None:
        require_styles(studio).features_of_image(asked.style.image)


def vector_of(scene: Scene, studio: Studio, instance: int, style: requests.Style) -> np.ndarray:
    """The vector that a style stands for, for an instance: float32 [feat_num].

    Raises:
        UserError: there is no such style.
    """
    styles, label = require_styles(studio), scene.label_of(instance)
    given = [value for value in vars(style).values() if value is not None]
    if len(given) != 1:
        raise UserError(f"style: {len(given)} sources, expected one; name one of them")
    if style.centre is not None:
        centres = styles.centres(label)
        if style.centre >= len(centres):
            name = studio.labels.describe(label)
            raise UserError(f"style: {name} has {len(centres)} clusters, no {style.centre}")
        return centres[style.centre]
    if style.instance is not None:
        return vector_now(scene, studio, style.instance)
    if style.image is not None:
        return styles.style_from_image(style.image, label)
    if style.amounts is not None:
        axes = styles.axes(label)
        if len(style.amounts) != len(axes.mean):
            count = f"{len(style.amounts)} amounts, expected {len(axes.mean)}"
            raise UserError(f"style: {count}, one for each axis")
        return axes.vector(np.array(style.amounts))
    return scene.checked_vector(style.vector or [])


def vector_now(scene: Scene, studio: Studio, instance: int) -> np.ndarray:
    """What an instance is drawn with: float32 [feat_num]."""
    id_ = styled_id(scene, instance)
    found = scene.vectors.get(id_)
    lacking = {} if found is not None else require_styles(studio).lacking(scene)
    return lacking.get(id_, np.zeros(scene.feat_num, np.float32)) if found is None else found


def styled_id(scene: Scene, instance: int) -> int:
    """By which id the scene has the vector of an instance; UserError if it is not there."""
    scene.require_instances(instance)
    return scene.label_of(instance) if scene.styled == "label" else instance


def require_styles(studio: Studio) -> Styles:
    """Raises UserError for a run without features."""
    if studio.styles is None:
        raise UserError("style: the run was trained without features; change labels instead")
    return studio.styles


def _styles(scene: Scene, studio: Studio, asked: requests.SetStyle) -> dict[int, np.ndarray]:
    """Each object its own label's: the third cluster of cars, of trees the third of trees."""
    return {
        styled_id(scene, instance): vector_of(scene, studio, instance, asked.style)
        for instance in asked.instances
    }


def _stroke(scene: Scene, asked: requests.Stroke) -> Change:
    points, widths = asked.points, asked.widths
    if len(widths) == 1:
        mask = disc_stroke(scene.shape, points, widths[0])
    elif len(widths) == len(points) <= MOST_WIDTHS:
        mask = _tapered(scene.shape, points, widths)
    else:
        raise UserError(
            f"stroke: {len(widths)} widths of {len(points)} points, expected one, or as many as "
            f"points, {MOST_WIDTHS} at most"
        )
    if not scene.label_nc:
        return operations.set_pixels(scene, mask, _values(scene, asked.colour))
    if asked.label is None:
        return _erase(scene, mask)
    return operations.paint(scene, mask, asked.label, asked.instance, asked.only_over)


def _tapered(shape: tuple[int, int], points: list[Point], widths: list[float]) -> np.ndarray:
    """As `disc_stroke`, of a width that goes from that of a point to that of the next."""
    mask = np.zeros(shape, bool)
    for pair, (wide, wider) in zip(
        itertools.pairwise(points), itertools.pairwise(widths), strict=True
    ):
        parts = min(8, 1 + round(abs(wider - wide)))
        ends = np.linspace(*pair, parts + 1)
        for part in range(parts):
            width = wide + (wider - wide) * (part + 1) / parts
            mask |= disc_stroke(shape, ends[part : part + 2].tolist(), width)
    return mask


def _erase(scene: Scene, mask: np.ndarray) -> Change:
    """Objects under the mask give way to what is around them, and where there are none, regions to
    what is around the mask."""
    ids = np.unique(scene.inst[mask])
    things = ids[ids >= THING]
    if not len(things):
        return operations.remove(scene, mask)
    whole = np.isin(scene.inst, things)
    source = nearest_outside(whole, without_slender(whole, scene.inst < THING, scene.inst))
    if source is None:
        return operations.remove(scene, mask)
    some = mask[whole]
    pixels, source = np.flatnonzero(whole)[some], source[some]
    maps = {"label": scene.label.reshape(-1), "inst": scene.inst.reshape(-1)}
    values = {name: map_[source] for name, map_ in maps.items()}
    return scene.change(pixels, values if scene.has_instances else {"label": values["label"]})


def _fill(scene: Scene, asked: requests.Fill) -> Change:
    if scene.label_nc:
        if asked.label is None:
            raise UserError("fill: no label; choose one of the run's labels")
        return operations.fill(scene, asked.at, asked.label, asked.instance)
    scene.require_inside(*asked.at)
    mask = flood(scene.picture, *asked.at)
    return operations.set_pixels(scene, mask, _values(scene, asked.colour))


def _values(scene: Scene, colour: requests.Colour | None) -> np.ndarray:
    """A colour as the picture's channels have it; None: that of most pixels at the start."""
    channels = scene.picture.shape[2]
    if colour is None:
        pixels, counts = np.unique(
            scene.start["picture"].reshape(-1, channels), axis=0, return_counts=True
        )
        return pixels[counts.argmax()]
    if channels == 3:
        return np.array(colour)
    return np.full(channels, round(float(np.dot(GRAY, colour))))


def _what(scene: Scene, asked: requests.Region) -> What:
    """Instances, or, of a run without instance maps, the region around a pixel."""
    if (asked.instances is None) == (asked.at is None):
        raise UserError("object: none, or two ways to name it; give instances or at")
    if asked.instances is not None:
        return scene.require_instances(asked.instances)
    assert asked.at is not None
    scene.require_inside(*asked.at)
    return flood(scene.inst, *asked.at)


def _add(scene: Scene, studio: Studio, asked: requests.Add) -> Change:
    if asked.instance is not None:
        mask = scene.mask_of(asked.instance)
        label, vector = scene.label_of(asked.instance), None
        if studio.styles:
            vector = vector_now(scene, studio, asked.instance)
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        mask = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    else:
        found = gallery_object(studio, asked.label, asked.number)
        mask, label, vector = found.mask, found.label, found.vector
    whole = placed(mask, asked.scale, asked.mirrored, asked.at, scene.shape)
    if not whole.any():
        raise UserError(f"object at {list(asked.at)}: out of the picture; put it inside")
    behind = [id_ for id_ in scene.counts["inst"] if id_ >= THING] if scene.has_instances else []
    front = behind if asked.behind == "things" else []
    own = vector if scene.feat_num and not scene.by_label else None
    return operations.add_object(scene, whole, label, own, front)


def gallery_object(studio: Studio, label: int | None, number: int | None) -> CutObject:
    """
    Raises:
        UserError: the gallery has no such object, or is not made yet: nobody waits for it here.
    """
    if label is None or number is None:
        raise UserError(
            "object: not named; give an instance of the scene, or label and number of one in the "
            "gallery"
        )
    if studio.gallery is None:
        raise UserError(
            "object: the gallery is not made yet; ask for api/gallery, and again in a moment"
        )
    found = studio.gallery.of(label)
    if number >= len(found):
        raise UserError(f"object: label {label} has {len(found)} in the gallery, no {number}")
    return found[number]
