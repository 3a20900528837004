"""Each operation changes the pixels and vectors that it should, and no others."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from street_scene import CAR, HOUSE, ROAD, SKY, TREE, rectangle, state, street

from pix2pixhd.editor import operations as edit
from pix2pixhd.editor.history import Change
from pix2pixhd.editor.scene import Scene
from pix2pixhd.models.conditioning import instance_boundaries
from pix2pixhd.util.errors import UserError

NEW = np.float32([0.25, 0.75])
FIRST, SECOND = CAR * 1000, CAR * 1000 + 1  # the cars


def check(
    scene: Scene,
    change: Change,
    where: np.ndarray,
    label: Any,
    inst: Any,
    **vectors: np.ndarray | None,
) -> None:
    """Apply: exactly the pixels of `where` become label and inst, exactly those vectors (by
    `of_<id>`) others; and undo brings everything back."""
    before, old = state(scene), dict(scene.vectors)
    expected = {"label": scene.label.copy(), "inst": scene.inst.copy()}
    expected["label"][where], expected["inst"][where] = label, inst
    scene.apply(change)
    for name, map_ in expected.items():
        assert np.array_equal(getattr(scene, name), map_)
    after = old | {int(name.removeprefix("of_")): v for name, v in vectors.items()}
    after = {id_: vector for id_, vector in after.items() if vector is not None}
    assert scene.vectors.keys() == after.keys()
    assert all(np.array_equal(scene.vectors[id_], after[id_]) for id_ in after)
    for name, ids in scene.counts.items():
        values, n = np.unique(expected[name], return_counts=True)
        assert ids == dict(zip(values.tolist(), n.tolist(), strict=True))
    scene.undo()
    assert state(scene) == before
    scene.redo()


def edges(scene: Scene) -> np.ndarray:
    return instance_boundaries(torch.tensor(scene.inst)[None, None])[0, 0].numpy()


def test_a_style_changes_vectors_alone() -> None:
    scene = street()
    nowhere = rectangle(0, 0, 0, 0)
    check(scene, edit.set_style(scene, FIRST, NEW), nowhere, 0, 0, **{f"of_{FIRST}": NEW})
    change = edit.set_style(scene, [SKY, FIRST], NEW)
    assert change.vectors_after.keys() == {SKY}  # the car has it already
    assert edit.set_styles(scene, {FIRST: NEW}).is_empty


def test_a_tree_becomes_part_of_the_building_beside_it() -> None:
    scene = street()
    at = rectangle(2, 1, 5, 3)
    assert edges(scene)[3, 2] and edges(scene)[3, 3]
    change = edit.set_label(scene, TREE, HOUSE)
    check(scene, change, at, HOUSE, HOUSE, **{f"of_{TREE}": None})
    assert not edges(scene)[3, 2] and not edges(scene)[3, 3]  # one building, no edge within


def test_a_tree_becomes_a_building_of_its_own() -> None:
    scene = street()
    own = scene.new_instance(HOUSE)
    change = edit.set_label(scene, TREE, HOUSE, "new", NEW)
    check(
        scene,
        change,
        rectangle(2, 1, 5, 3),
        HOUSE,
        own,
        **{f"of_{TREE}": None, f"of_{own}": NEW},
    )
    assert own == HOUSE * 1000 and edges(scene)[3, 2] and edges(scene)[3, 3]


def test_an_object_keeps_its_number_as_something_else() -> None:
    scene, at = street(), rectangle(2, 1, 5, 3)
    check(scene, edit.set_label(scene, TREE, HOUSE, TREE), at, HOUSE, TREE)


def test_several_become_one_each() -> None:
    scene = street()
    scene.apply(edit.set_label(scene, [FIRST, SECOND], TREE, "new"))
    assert scene.inst[6, 1] == TREE * 1000 and scene.inst[6, 5] == TREE * 1000 + 1


@pytest.mark.parametrize("what", [edit.set_label, edit.paint])
def test_a_mask_makes_another_label_of_a_part(what: Any) -> None:
    scene = street()
    check(scene, what(scene, rectangle(1, 3, 3, 4), TREE), rectangle(1, 3, 3, 4), TREE, TREE)


def test_an_object_is_added_in_front_or_behind() -> None:
    scene, at = street(), rectangle(6, 2, 8, 7)
    own = scene.new_instance(CAR)
    assert own not in scene.counts["inst"]
    change = edit.add_object(scene, at, CAR, NEW, behind=[FIRST])
    seen = at & (scene.inst != FIRST)
    check(scene, change, seen, CAR, own, **{f"of_{own}": NEW})
    scene.undo()
    check(scene, edit.add_object(scene, at, CAR), at, CAR, own)  # no vector was given


def test_what_is_painted_over_loses_its_vector() -> None:
    scene, at = street(), rectangle(6, 0, 7, 5)
    change = edit.paint(scene, at, ROAD)
    check(scene, change, at, ROAD, ROAD, **{f"of_{FIRST}": None})
    scene.apply(change.reversed())
    assert np.array_equal(scene.vectors[FIRST], street().vectors[FIRST])


def test_paint_over_chosen_labels_only() -> None:
    scene, at = street(), rectangle(0, 0, 8, 4)
    change = edit.paint(scene, at, TREE, only_over={SKY, HOUSE})
    seen = at & np.isin(scene.label, [SKY, HOUSE])
    check(scene, change, seen, TREE, TREE)


def test_paint_as_an_instance_and_as_another() -> None:
    scene, at = street(), rectangle(7, 1, 8, 4)
    check(scene, edit.paint(scene, at, CAR), at, CAR, FIRST)  # adjoining
    check(scene, edit.paint(scene, at, CAR, SECOND, vector=NEW), at, CAR, SECOND, of_4001=NEW)
    check(scene, edit.paint(scene, at, CAR, "new"), at, CAR, CAR * 1000 + 2)


def test_new_pixels_that_adjoin_none_of_their_label() -> None:
    scene, at = street(), rectangle(0, 8, 1, 9)
    check(scene, edit.paint(scene, at, ROAD), at, ROAD, ROAD)  # stuff: one instance of all
    scene.undo()
    check(scene, edit.paint(scene, at, CAR), at, CAR, CAR * 1000 + 2)  # things: another
    scene.apply(edit.remove(scene, TREE, HOUSE))
    scene.apply(edit.paint(scene, rectangle(7, 9, 8, 10), HOUSE, TREE))
    check(scene, edit.paint(scene, at, TREE), at, TREE, TREE * 1000)  # its number is taken


def test_fill_stays_in_its_region() -> None:
    scene = street()
    scene.apply(edit.paint(scene, rectangle(6, 0, 7, 10), ROAD))
    scene.apply(edit.paint(scene, rectangle(6, 0, 7, 10), CAR, "new"))
    at = rectangle(7, 0, 8, 10)
    check(scene, edit.fill(scene, (7, 3), TREE, vector=NEW), at, TREE, TREE, of_2=NEW)


def test_fill_tells_instances_of_a_label_apart() -> None:
    scene = street()
    scene.apply(edit.paint(scene, rectangle(6, 4, 7, 5), CAR, FIRST))  # now they touch
    check(scene, edit.fill(scene, (6, 4), TREE), rectangle(6, 1, 7, 5), TREE, TREE, of_4000=None)


def test_a_removed_object_leaves_what_is_nearest() -> None:
    scene, at = street(), rectangle(3, 7, 7, 9)  # across the horizon
    scene.apply(edit.remove(scene, SECOND))
    scene.apply(edit.add_object(scene, at, CAR))
    change = edit.remove(scene, at)
    horizon = np.where(np.arange(8)[:, None] < 5, SKY, ROAD).repeat(10, 1)[at]
    check(scene, change, at, horizon, horizon)


def test_a_thing_does_not_grow_where_its_neighbour_was() -> None:
    scene, at = street(), rectangle(0, 2, 8, 4)
    scene.apply(edit.paint(scene, rectangle(0, 0, 8, 2), TREE, "new"))
    scene.apply(edit.paint(scene, at, HOUSE, own := scene.new_instance(HOUSE)))
    beyond = np.repeat(scene.label[:, 4:5], 2, axis=1).ravel()  # the tree is as near
    check(scene, edit.remove(scene, own), at, beyond, scene.inst[:, 4].repeat(2))


def test_a_pole_does_not_grow_into_a_blob() -> None:
    label = np.full((40, 60), ROAD)
    label[:20] = SKY
    label[5:35, 19] = TREE  # slender, beside the car
    inst = label.copy()
    car = np.zeros(label.shape, bool)
    car[10:30, 20:50] = True
    label[car], inst[car] = CAR, CAR * 1000
    scene = Scene(label, inst, label_nc=5)
    scene.apply(edit.remove(scene, CAR * 1000))
    assert set(np.unique(scene.label[car])) == {SKY, ROAD}
    assert (scene.label[5:35, 19] == TREE).all()


def test_what_nobody_would_see_is_not_added() -> None:
    with pytest.raises(UserError, match="all of it is behind others"):
        edit.add_object(street(), rectangle(6, 1, 7, 3), TREE, behind=[FIRST])


def test_an_object_is_replaced_by_a_chosen_label() -> None:
    scene = street()
    change = edit.remove(scene, HOUSE, TREE)
    check(scene, change, scene.inst == HOUSE, TREE, TREE, of_3=None)


def test_an_object_moves_and_is_cut_off() -> None:
    scene, from_ = street(), rectangle(6, 1, 7, 4)
    scene.apply(edit.move(scene, FIRST, (1, -2)))
    expected = street().label.copy()
    expected[from_], expected[7, 0:2] = ROAD, CAR
    assert np.array_equal(scene.label, expected)
    assert np.array_equal(scene.inst == FIRST, rectangle(7, 0, 8, 2))
    scene.undo()
    with pytest.raises(UserError, match="out of the picture"):
        edit.move(scene, FIRST, (0, -40))
    scene.apply(edit.move(scene, FIRST, (0, 1), fill=SKY))
    assert scene.label[6, :6].tolist() == [ROAD, SKY, CAR, CAR, CAR, CAR]
    assert scene.instance_at(6, 4) == FIRST and scene.instance_at(6, 5) == SECOND


def test_a_whole_picture_cannot_be_filled_from_around() -> None:
    with pytest.raises(UserError, match="nothing is around"):
        edit.remove(street(), rectangle(0, 0, 8, 10))


def test_without_instance_maps_instances_are_labels() -> None:
    scene = street(inst=None)
    change = edit.paint(scene, at := rectangle(7, 1, 8, 4), CAR, "new", vector=NEW)
    check(scene, change, at, CAR, CAR, of_4=NEW)
    check(scene, edit.set_label(scene, CAR, ROAD), scene.label == CAR, ROAD, ROAD, of_4=None)
    check(scene, edit.set_style(scene, SKY, NEW), rectangle(0, 0, 0, 0), 0, 0, of_0=NEW)


def test_vectors_of_labels() -> None:
    vectors = {label: [0, label] for label in range(5)}
    scene = street(by_label=True, vectors=vectors)
    scene.apply(edit.set_style(scene, FIRST, NEW))
    assert np.array_equal(scene.vectors[CAR], NEW) and scene.vectors.keys() == vectors.keys()
    scene.apply(edit.set_label(scene, HOUSE, TREE, "new"))
    assert HOUSE not in scene.vectors and scene.inst[1, 3] == TREE * 1000


def test_drawing_on_a_picture() -> None:
    picture = np.full((8, 10, 3), 255, np.uint8)
    scene = Scene(picture=picture)
    at = rectangle(2, 2, 4, 9)
    scene.apply(edit.set_pixels(scene, at, [9, 0, 255]))
    picture[at] = [9, 0, 255]
    assert np.array_equal(scene.picture, picture)
    erased = scene.apply(edit.set_pixels(scene, rectangle(3, 0, 8, 4), 255))
    assert erased.box == (3, 2, 4, 4) and scene.picture[3, 3].tolist() == [255] * 3
    scene.undo()
    assert np.array_equal(scene.picture, picture)
    for colour in ([1, 2], 256, [0, -1, 0], [0.5] * 3):
        with pytest.raises(UserError, match="expected 3 whole numbers"):
            edit.set_pixels(scene, at, colour)
    with pytest.raises(UserError, match="set_pixels"):
        edit.paint(scene, at, 1)
    with pytest.raises(UserError, match="use paint"):
        edit.set_pixels(street(), at, 1)


@pytest.mark.parametrize(
    ("operation", "found"),
    [
        (lambda s: edit.paint(s, rectangle(0, 0, 1, 1), 5), "label 5: expected 0 to 4"),
        (lambda s: edit.paint(s, rectangle(0, 0, 1, 1), -1), "label -1"),
        (lambda s: edit.paint(s, rectangle(0, 0, 1, 1), 1, only_over={1, 7}), "label 7"),
        (lambda s: edit.paint(s, rectangle(0, 0, 1, 1)[:4], 1), r"mask: \[4, 10\] pixels"),
        (lambda s: edit.paint(s, rectangle(0, 0, 1, 1), 1, 2**31), "instance 2147483648"),
        (lambda s: edit.paint(s, rectangle(0, 0, 1, 1), 1, vector=[1]), r"shape \[1\]"),
        (lambda s: edit.paint(s, rectangle(0, 0, 1, 1), HOUSE, FIRST), "one label"),
        (lambda s: edit.fill(s, (0, 0), HOUSE, TREE), "instance 2: is of label 2, not 3"),
        (lambda s: edit.set_label(s, TREE, HOUSE, FIRST), "instance 4000: is of label 4, not 3"),
        (lambda s: edit.set_label(s, TREE, 9), "label 9"),
        (lambda s: edit.set_label(s, [TREE, 99], HOUSE), "instance 99: not in this scene"),
        (lambda s: edit.set_style(s, 99, NEW), "instance 99"),
        (lambda s: edit.set_styles(s, {99: NEW}), "instance 99"),
        (lambda s: edit.set_style(s, TREE, [np.nan, 0]), "2 finite numbers"),
        (lambda s: edit.add_object(s, rectangle(0, 0, 1, 1), CAR, behind=[99]), "instance 99"),
        (lambda s: edit.fill(s, (8, 0), TREE), r"pixel \(8, 0\): expected row 0 to 7"),
        (lambda s: edit.fill(s, (0, -1), TREE), r"pixel \(0, -1\)"),
        (lambda s: edit.move(s, TREE, (0, 1), fill=6), "label 6"),
        (lambda s: edit.remove(s, TREE, fill=6), "label 6"),
    ],
)
def test_what_is_out_of_range_is_named(operation: Any, found: str) -> None:
    scene = street()
    with pytest.raises(UserError, match=found):
        operation(scene)
    assert state(scene) == state(street())


def test_a_run_without_features_takes_no_vector() -> None:
    with pytest.raises(UserError, match="without features"):
        edit.set_style(street(feat_num=0, vectors=None), TREE, NEW)
