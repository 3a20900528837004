"""A scene: what it refuses, tells and takes back."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from street_scene import CAR, HOUSE, ROAD, SKY, TREE, rectangle, state, street

from pix2pixhd.editor import operations as edit
from pix2pixhd.editor.history import box_of
from pix2pixhd.editor.regions import disc_stroke
from pix2pixhd.editor.scene import Scene
from pix2pixhd.util.errors import UserError


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"label": np.zeros((8, 10, 3), int)}, r"label: int64 \[8, 10, 3\], expected integers"),
        ({"label": np.zeros((8, 10))}, "label: float64"),
        ({"label": np.zeros((0, 10), int)}, r"label: int64 \[0, 10\]"),
        ({"label": np.full((8, 10), 5)}, r"label 5: expected 0 to 4 \(--label_nc 5\)"),
        ({"inst": np.full((8, 10), 2**31)}, "inst: holds 2147483648"),
        ({"inst": np.zeros((8, 9), int)}, r"inst: \[8, 9\] pixels \(H, W\), expected \[8, 10\]"),
        ({"image": np.zeros((4, 5, 3), np.uint8)}, r"image: \[4, 5\] pixels"),
        ({"image": np.zeros((8, 10, 4), np.uint8)}, r"expected uint8 \[H, W, 3\]"),
        ({"label_nc": 0}, "expected a label map, or with --label_nc 0 a picture"),
        ({"picture": np.zeros((8, 10, 3), np.uint8)}, "expected a label map"),
        ({"label": None, "label_nc": 0}, "a scene of inst with --label_nc 0"),
        ({"vectors": {SKY: [1, 2, 3]}}, r"vector: shape \[3\], expected 2 finite numbers"),
    ],
)
def test_maps_that_are_none_of_a_scene(changes: dict[str, Any], found: str) -> None:
    with pytest.raises(UserError, match=found):
        street(**changes)


def test_the_ignored_label_is_kept_and_may_be_painted() -> None:
    label = street().label.copy()
    label[0] = 255
    scene = street(label=label, ignored=255)
    scene.apply(edit.paint(scene, rectangle(1, 0, 2, 2), 255))
    assert (scene.label == 255).sum() == 12


def test_maps_change_by_operations_alone() -> None:
    given = street().label.copy()
    scene = street(label=given)
    given[:] = CAR
    assert state(scene) == state(street())
    with pytest.raises(ValueError, match="read-only"):
        scene.label[0, 0] = CAR
    with pytest.raises(ValueError, match="read-only"):
        scene.vectors[SKY][0] = 1


def test_instances_by_pixel_and_mask() -> None:
    scene = street()
    assert scene.instance_at(6, 5) == CAR * 1000 + 1
    assert np.array_equal(scene.mask_of([TREE, HOUSE]), np.isin(scene.inst, [TREE, HOUSE]))
    with pytest.raises(UserError, match=r"pixel \(8, 0\)"):
        scene.instance_at(8, 0)


def test_new_instances_name_their_label_or_none() -> None:
    scene = street()
    assert scene.new_instance(CAR) == CAR * 1000 + 2
    assert scene.new_instance(CAR, {CAR * 1000 + 2}) == CAR * 1000 + 3
    assert scene.new_instance(SKY) == 5  # 0 to 4 name labels, and so do thousands
    wide = Scene(np.zeros((1, 1), int), np.zeros((1, 1), int), label_nc=151)
    assert wide.new_instance(65) == 151  # 65000 and more do not all fit into 16 bits


def test_features_are_those_of_the_instances() -> None:
    vectors = {SKY: [1, 2], CAR * 1000: [3, 4], 99: [5, 6]}  # there is no 99
    scene = street(vectors=vectors)
    maps = scene.features({ROAD: np.float32([7, 8]), SKY: np.float32([9, 9])})
    assert maps.shape == (8, 10, 2) and maps.dtype == np.float32 and 99 not in scene.vectors
    for at, expected in {(0, 0): [1, 2], (6, 1): [3, 4], (6, 5): [0, 0], (5, 0): [7, 8]}.items():
        assert maps[at].tolist() == expected
    by_label = street(by_label=True, vectors={CAR: [1, 2]}).features()
    assert np.array_equal(by_label.any(axis=2), scene.label == CAR)


def test_a_stroke_is_one_step() -> None:
    scene = street()
    for row in range(3):
        stroke = rectangle(row, 0, row + 2, 2)
        scene.apply(edit.paint(scene, stroke, (HOUSE, TREE, SKY)[row]), extend=row > 0)
    scene.apply(edit.paint(scene, rectangle(7, 7, 8, 8), HOUSE))
    middle = state(scene)
    assert len(scene.history.done) == 2
    assert box_of(scene.undo()) == (7, 7, 8, 8)
    assert box_of(scene.undo()) == (0, 0, 4, 2)
    assert scene.undo() == [] and state(scene) == state(street())
    assert box_of(scene.redo()) == (0, 0, 4, 2) and scene.redo() and state(scene) == middle
    assert scene.redo() == []


def test_a_stroke_does_not_extend_another() -> None:
    scene = street()
    scene.apply(edit.paint(scene, rectangle(0, 0, 1, 1), HOUSE))
    scene.apply(edit.paint(scene, rectangle(0, 0, 1, 1), HOUSE))  # begins, and changes nothing yet
    scene.apply(edit.paint(scene, rectangle(1, 0, 2, 1), HOUSE), extend=True)
    assert len(scene.history.done) == 2
    scene.undo()
    scene.apply(edit.paint(scene, rectangle(2, 0, 3, 1), HOUSE), extend=True)
    assert len(scene.history.done) == 2 and not scene.history.undone


def test_what_changes_nothing_is_no_step() -> None:
    scene = street()
    scene.apply(edit.paint(scene, rectangle(7, 0, 8, 5), ROAD))
    scene.reset()
    assert not scene.history.done
    scene.apply(edit.paint(scene, rectangle(7, 0, 8, 5), TREE))
    scene.undo()
    scene.apply(edit.paint(scene, rectangle(7, 0, 8, 5), ROAD))
    assert scene.redo() and scene.label[7, 0] == TREE


def test_reset_can_be_undone() -> None:
    scene = street()
    scene.apply(edit.remove(scene, CAR * 1000))
    scene.apply(edit.set_style(scene, SKY, [1, 1]))
    edited = state(scene)
    scene.reset()
    assert state(scene) == state(street())
    scene.undo()
    assert state(scene) == edited


def test_a_change_of_another_state_is_refused() -> None:
    scene = street()
    first, second = (edit.paint(scene, rectangle(0, 0, 1, 1), label) for label in (TREE, HOUSE))
    scene.apply(first)
    with pytest.raises(AssertionError):
        scene.apply(second)


def milliseconds(action: Callable[[], object]) -> float:
    times = []
    for _ in range(5):
        begin = time.perf_counter()
        action()
        times.append(time.perf_counter() - begin)
    return min(times) * 1000


def test_a_stroke_costs_what_it_touches() -> None:
    """At 2048x1024; about 2 ms where the core is ours alone."""
    label = np.zeros((1024, 2048), np.int32)
    label[500:] = 7
    scene = Scene(label, label, label_nc=35)

    def stroke() -> None:
        mask = disc_stroke(scene.shape, [(460, 700), (520, 740)], 50)
        scene.apply(edit.paint(scene, mask, 11, "new"))

    assert milliseconds(stroke) < 10
    assert milliseconds(scene.undo) < 10
    assert milliseconds(scene.redo) < 10
    touched = sum(change.pixels.nbytes for step in scene.history.done for change in step)
    assert touched < 5 * 4 * 6000
