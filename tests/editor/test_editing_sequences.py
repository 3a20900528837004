"""Random sequences of operations against a slow, simple model that copies everything."""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from street_scene import state

from pix2pixhd.editor import operations as edit
from pix2pixhd.editor.scene import Scene
from pix2pixhd.editor.scene_file import load_scene, save_scene
from pix2pixhd.util.errors import UserError

HEIGHT, WIDTH, LABELS = 4, 5, 4
PLACES = list(itertools.product(range(HEIGHT), range(WIDTH)))
BESIDE = ((0, 1), (0, -1), (1, 0), (-1, 0))

labels = st.integers(0, LABELS - 1)
vectors = st.none() | st.tuples(st.integers(-4, 4), st.integers(-4, 4))
instances = st.none() | st.just("new") | st.sampled_from([0, 2, 3000, 77])
regions = st.sets(st.sampled_from(PLACES), max_size=8)
places = st.sampled_from(PLACES)


def mask_of(region: set[tuple[int, int]]) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    for at in region:
        mask[at] = True
    return mask


class Slow:
    """A scene as dicts of its pixels (label, instance) and vectors; it keeps all states."""

    def __init__(self, pixels: dict[Any, tuple[int, int]], styles: dict[int, Any]) -> None:
        self.states, self.at, self.is_open = [(pixels, styles)], 0, False

    @property
    def pixels(self) -> dict[Any, tuple[int, int]]:
        return self.states[self.at][0]

    @property
    def styles(self) -> dict[int, Any]:
        return self.states[self.at][1]

    def set(self, pixels: Any, styles: Any, extend: bool = False) -> None:
        """Go to pixels and vectors, but for those that have no place in them."""
        there = {inst for _, inst in pixels.values()}
        styles = {id_: v for id_, v in styles.items() if id_ in there and v is not None}
        self.is_open &= extend
        if (pixels, styles) == self.states[self.at]:
            return
        self.states[self.at + 1 :] = []
        if self.is_open:
            self.states.pop()
        self.states.append((pixels, styles))
        self.at, self.is_open = len(self.states) - 1, True

    def step(self, by: int) -> None:
        self.at = min(max(self.at + by, 0), len(self.states) - 1)
        self.is_open = False

    def ids(self) -> set[int]:
        return {inst for _, inst in self.pixels.values()}

    def of(self, instance: int) -> set[Any]:
        return {at for at, (_, inst) in self.pixels.items() if inst == instance}

    def new(self, label: int, taken: set[int]) -> int:
        ids = range(label * 1000, label * 1000 + 1000) if label else itertools.count(LABELS)
        return next(id_ for id_ in ids if id_ not in self.ids() | taken)

    def target(
        self, region: Any, label: int, instance: Any, taken: Any = (), within: bool = True
    ) -> int:
        if isinstance(instance, int):
            return instance
        near = region | {(r + a, c + b) for r, c in region for a, b in BESIDE}
        near = near & set(PLACES) if within else (near & set(PLACES)) - region
        votes = Counter(self.pixels[at][1] for at in near if self.pixels[at][0] == label)
        if votes and instance is None:
            return min(votes, key=lambda id_: (-votes[id_], id_))
        is_thing = any(id_ >= 1000 and id_ // 1000 == label for id_ in self.ids())
        of_number = Counter(self.pixels[at][0] for at in self.of(label))
        other = of_number and min(of_number, key=lambda v: (-of_number[v], v)) != label
        return self.new(label, {*taken}) if instance == "new" or is_thing or other else label

    def refuses(self, region: Any, label: int, instance: Any) -> bool:
        """Whether that instance keeps pixels, most of them of another label."""
        kept = Counter(self.pixels[at][0] for at in self.of(instance) - region)
        return bool(kept) and min(kept, key=lambda v: (-kept[v], v)) != label


class Editing(RuleBasedStateMachine):
    @initialize(
        drawn=st.lists(st.tuples(labels, st.sampled_from([-1, 0, 0, 1])), min_size=20, max_size=20),
        styles=st.dictionaries(st.sampled_from([0, 1, 2, 3, 1000, 3001]), vectors, max_size=4),
    )
    def begin(self, drawn: Any, styles: Any) -> None:
        """Stuff, or one of two things; a further one has the number of another label."""
        ids = [(v, v if n < 0 else v * 1000 + n if v else 3) for v, n in drawn]
        pixels = dict(zip(PLACES, ids, strict=True))
        there = {inst for _, inst in ids}
        styles = {id_: v for id_, v in styles.items() if id_ in there and v is not None}
        self.slow = Slow(pixels, styles)
        label, inst = np.array(ids).T.reshape(2, HEIGHT, WIDTH)
        self.scene = Scene(label, inst, label_nc=LABELS, feat_num=2, vectors=styles)

    def an_instance(self, at: Any) -> int:
        return self.slow.pixels[at][1]

    @rule(
        region=regions,
        label=labels,
        instance=instances,
        over=st.none() | st.sets(labels),
        vector=vectors,
        extend=st.booleans(),
    )
    def paint(
        self, region: Any, label: int, instance: Any, over: Any, vector: Any, extend: bool
    ) -> None:
        args = self.scene, mask_of(region), label, instance, over, vector
        seen = {at for at in region if over is None or self.slow.pixels[at][0] in over}
        if self.slow.refuses(seen, label, instance):
            with pytest.raises(UserError, match="an object has one label"):
                edit.paint(*args)
            return
        target = self.slow.target(region, label, instance)
        put = dict.fromkeys(seen, (label, target)), {target: vector}, extend
        self.put(edit.paint(*args), *put)

    @rule(region=regions, label=labels, vector=vectors, at=places)
    def add_object(self, region: Any, label: int, vector: Any, at: Any) -> None:
        front = self.an_instance(at)
        if region and region <= self.slow.of(front):
            with pytest.raises(UserError, match="behind"):
                edit.add_object(self.scene, mask_of(region), label, vector, [front])
            return
        change = edit.add_object(self.scene, mask_of(region), label, vector, [front])
        target = self.slow.target(region, label, "new")
        self.put(
            change,
            dict.fromkeys(region - self.slow.of(front), (label, target)),
            {target: vector},
        )

    @rule(at=st.lists(places, min_size=1, max_size=3), label=labels, instance=instances)
    def set_label(self, at: Any, label: int, instance: Any) -> None:
        ids = list(dict.fromkeys(self.an_instance(place) for place in at))
        region = set[Any]().union(*map(self.slow.of, ids))
        if self.slow.refuses(region, label, instance):
            with pytest.raises(UserError, match="an object has one label"):
                edit.set_label(self.scene, ids, label, instance)
            return
        change = edit.set_label(self.scene, ids, label, instance)
        pixels: dict[Any, tuple[int, int]] = {}
        taken: set[int] = set()
        for id_ in ids:
            target = self.slow.target(self.slow.of(id_), label, instance, taken)
            taken.add(target)
            pixels |= dict.fromkeys(self.slow.of(id_), (label, target))
        self.put(change, pixels, {})

    @rule(at=places, vector=st.tuples(st.integers(-4, 4), st.integers(-4, 4)))
    def set_style(self, at: Any, vector: Any) -> None:
        id_ = self.an_instance(at)
        self.put(edit.set_style(self.scene, id_, vector), {}, {id_: vector})

    @rule(at=places, label=labels, vector=vectors)
    def fill(self, at: Any, label: int, vector: Any) -> None:
        region, grown = set[Any](), {at}
        while grown != region:
            region = grown
            grown = region | {
                (r + a, c + b)
                for r, c in region
                for a, b in BESIDE
                if self.slow.pixels.get((r + a, c + b)) == self.slow.pixels[at]
            }
        change = edit.fill(self.scene, at, label, vector=vector)
        target = self.slow.target(region, label, None)
        self.put(change, dict.fromkeys(region, (label, target)), {target: vector})

    @rule(at=places, label=labels, by=st.tuples(st.integers(-3, 3), st.integers(-3, 3)))
    def move(self, at: Any, label: int, by: Any) -> None:
        id_ = self.an_instance(at)
        region = self.slow.of(id_)
        if not any((r + by[0], c + by[1]) in self.slow.pixels for r, c in region):
            with pytest.raises(UserError, match="out of the picture"):
                edit.move(self.scene, id_, by, label)
            return
        change = edit.move(self.scene, id_, by, label)
        there = (label, self.slow.target(region, label, None, within=False))
        pixels = dict.fromkeys(region, there)
        for r, c in region:
            if (r + by[0], c + by[1]) in self.slow.pixels:
                pixels[r + by[0], c + by[1]] = self.slow.pixels[r, c]
        self.put(change, pixels, {})

    @rule(at=places, label=labels)
    def remove(self, at: Any, label: int) -> None:
        region = self.slow.of(self.an_instance(at))
        change = edit.remove(self.scene, self.an_instance(at), label)
        target = self.slow.target(region, label, None, within=False)
        self.put(change, dict.fromkeys(region, (label, target)), {})

    @rule(at=places)
    def remove_into_what_is_around(self, at: Any) -> None:
        """Which of several is a test of its own; here: something that is there, none of it."""
        region = self.slow.of(self.an_instance(at))
        if len(region) == len(PLACES):
            return
        change = edit.remove(self.scene, self.an_instance(at))
        self.scene.apply(change)
        pixels = {at: (int(self.scene.label[at]), int(self.scene.inst[at])) for at in region}
        outside = {value for at, value in self.slow.pixels.items() if at not in region}
        assert {*pixels.values()} <= outside
        self.slow.set(self.slow.pixels | pixels, self.slow.styles)

    def put(self, change: Any, pixels: Any, styles: Any, extend: bool = False) -> None:
        given = {id_: vector for id_, vector in styles.items() if vector is not None}
        self.scene.apply(change, extend)
        self.slow.set(self.slow.pixels | pixels, self.slow.styles | given, extend)

    @rule()
    def undo(self) -> None:
        assert bool(self.scene.undo()) == (self.slow.at > 0)
        self.slow.step(-1)

    @rule()
    def redo(self) -> None:
        assert bool(self.scene.redo()) == (self.slow.at < len(self.slow.states) - 1)
        self.slow.step(1)

    @rule()
    def reset(self) -> None:
        self.scene.reset()
        self.slow.set(*self.slow.states[0])

    @rule()
    def save_and_load(self) -> None:
        with TemporaryDirectory() as folder:
            save_scene(self.scene, Path(folder) / "scene.npz")
            self.scene = load_scene(Path(folder) / "scene.npz")
        self.slow.is_open = False

    @invariant()
    def all_is_the_same(self) -> None:
        pixels = self.slow.pixels
        label, inst = (
            [[pixels[r, c][n] for c in range(WIDTH)] for r in range(HEIGHT)] for n in (0, 1)
        )
        styles = {id_: np.float32(v).tobytes() for id_, v in self.slow.styles.items()}
        counts = {"label": Counter(v for v, _ in pixels.values())}
        counts["inst"] = Counter(i for _, i in pixels.values())
        assert state(self.scene) == ({"label": label, "inst": inst}, styles, counts)


Editing.TestCase.settings = settings(deadline=None, max_examples=60, stateful_step_count=20)
TestEditing = Editing.TestCase
