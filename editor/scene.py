"""A scene being edited: maps of integers, a feature vector for each instance, and the history."""

from __future__ import annotations

import copy
import itertools
from collections import Counter
from collections.abc import Container, Iterable, Mapping

import numpy as np
from numpy.typing import ArrayLike

from pix2pixhd.editor.checks import Checking, checked_map
from pix2pixhd.editor.history import Change, History, Vectors
from pix2pixhd.util.errors import UserError

THING = 1000  # Cityscapes' ids: the label for stuff, label * 1000 + n for the n-th thing of it


class Scene(Checking):
    """The state that operations (`editor.operations`) change, one `Change` at a time.

    Attributes:
        label_nc: number of labels; 0: the scene is a picture to draw on.
        feat_num: length of the vectors; 0: the run has no features.
        vectors: float32 [feat_num] by id; instances that have none are drawn as their label's are.
        counts: by map (label, inst) the number of pixels of each id that is there.
        ignored: the value of label maps for "nothing known here", or None.
        name: of the image in the data set; "" of others.
        run: whose scene it is.
        image: the real photograph, uint8 [H,W,3], or None.
        start, start_vectors: the maps and vectors as they were given.
    """

    def __init__(
        self,
        label: ArrayLike | None = None,  # integers [H,W]
        inst: ArrayLike | None = None,  # integers [H,W]; None: the run has no instance maps
        *,
        picture: ArrayLike | None = None,  # uint8 [H,W,C], in place of labels
        label_nc: int = 0,
        feat_num: int = 0,
        vectors: Mapping[int, ArrayLike] | None = None,
        by_label: bool = False,  # vectors are of labels, not of instances (--label_feat)
        ignored: int | None = None,
        image: np.ndarray | None = None,  # uint8 [H,W,3]
        name: str = "",
        run: str = "",
    ) -> None:
        """Raises UserError: no map, one of another shape or kind, or with labels out of range."""
        self.label_nc, self.feat_num, self.ignored = label_nc, feat_num, ignored
        self.image = None if image is None else checked_map("image", image)
        self.name, self.run = name, run
        given = {"label": label, "inst": inst, "picture": picture}
        self._maps = {name: checked_map(name, m) for name, m in given.items() if m is not None}
        if ("label" in self._maps) != (label_nc > 0) or ("picture" in self._maps) != (not label_nc):
            raise UserError(
                f"a scene of {', '.join(self._maps) or 'no map'} with --label_nc {label_nc}, "
                "expected a label map, or with --label_nc 0 a picture; give what the run takes"
            )
        self.by_label = by_label
        self.shape = next(iter(self._maps.values())).shape[:2]
        for what, map_ in {**self._maps, "image": self.image}.items():
            if map_ is not None and map_.shape[:2] != self.shape:
                raise UserError(
                    f"{what}: {list(map_.shape[:2])} pixels (H, W), expected {list(self.shape)} as "
                    "the other maps have; give maps of one scene"
                )
        if label_nc:
            self.require_labels(self._maps["label"])
        self.start = {name: map_.copy() for name, map_ in self._maps.items()}
        pixels = self.shape[0] * self.shape[1]
        self._flat = {name: m.reshape(pixels, *m.shape[2:]) for name, m in self._maps.items()}
        self.counts = {name: _count(self._flat[name]) for name in self._maps if name != "picture"}
        # The map whose ids the vectors are of.
        self.styled = "label" if by_label or "inst" not in self._maps else "inst"
        there = self.counts.get(self.styled, {})
        self.vectors = {
            id_: self.checked_vector(v) for id_, v in (vectors or {}).items() if id_ in there
        }
        self.start_vectors = dict(self.vectors)
        self.history = History()
        for map_ in [*self._maps.values(), *self.start.values()]:
            map_.flags.writeable = False  # by `apply` alone, through the flat views

    @property
    def label(self) -> np.ndarray:
        """int32 [H,W]; UserError for a scene that is a picture."""
        self.require_labels([])
        return self._maps["label"]

    @property
    def inst(self) -> np.ndarray:
        """int32 [H,W]; the label map for a run without instance maps."""
        return self._maps["inst"] if self.has_instances else self.label

    @property
    def picture(self) -> np.ndarray:
        """uint8 [H,W,C]; UserError for a scene of labels."""
        if self.label_nc:
            raise UserError("picture: a scene of labels has none; use paint")
        return self._maps["picture"]

    @property
    def has_instances(self) -> bool:
        """Whether the run takes instance maps."""
        return "inst" in self._maps

    def instance_at(self, row: int, column: int) -> int:
        """The instance of a pixel; UserError outside of the picture."""
        self.require_inside(row, column)
        return int(self.inst[row, column])

    def mask_of(self, what: int | Iterable[int] | np.ndarray) -> np.ndarray:
        """bool [H,W]: an instance, several, or a mask as it is; UserError for one not there."""
        if isinstance(what, np.ndarray) and what.dtype == bool:
            if what.shape != self.shape:
                size = f"expected {list(self.shape)} as the scene has"
                raise UserError(f"mask: {list(what.shape)} pixels (H, W), {size}; make it anew")
            return what
        mask = np.zeros(self.shape, bool)
        for id_ in self.require_instances(what):
            mask |= self.inst == id_
        return mask

    def label_of(self, instance: int) -> int:
        """The label of an instance, of several the commonest."""
        labels, n = np.unique(self.label[self.mask_of(instance)], return_counts=True)
        return int(labels[n.argmax()])

    def new_instance(self, label: int, taken: Container[int] = ()) -> int:
        """An id that no instance has, and none of `taken`. It names its label as Cityscapes' do,
        or, where 16 bits do not allow that, none."""
        things = range(label * THING, (label + 1) * THING) if 0 < label < 2**16 // THING else ()
        # Below THING and no label: then programs look into the label map.
        for id_ in itertools.chain(things, itertools.count(max(self.label_nc, label + 1))):
            if id_ not in self.counts["inst"] and id_ not in taken:
                return id_
        raise AssertionError

    def usual_instance(self, label: int, taken: Container[int] = ()) -> int:
        """The id of new pixels of a label that adjoin none of it: its own number, as of stuff; a
        new one if the scene has things of that label, or another label goes by that number."""
        there = self.counts["inst"]
        if any(id_ >= THING and id_ // THING == label for id_ in there):
            return self.new_instance(label, taken)
        if label < 0 or (label in there and self.label_of(label) != label):
            return self.new_instance(label, taken)
        return label

    def features(self, others: Mapping[int, np.ndarray] | None = None) -> np.ndarray:
        """float32 [H,W,feat_num]: each pixel has the vector of its instance; 0 where it has none
        and `others` do not."""
        ids = np.array(sorted(self.counts[self.styled]), np.int32)
        vectors = {**(others or {}), **self.vectors}
        table = np.stack([vectors.get(int(i), np.zeros(self.feat_num, np.float32)) for i in ids])
        # Six times as quick as by brackets.
        return np.take(table, np.searchsorted(ids, self._maps[self.styled]), axis=0)

    def change(
        self,
        where: np.ndarray,
        values: Mapping[str, ArrayLike],
        vectors: Mapping[int, np.ndarray | None] | None = None,
    ) -> Change:
        """The change that sets maps at some pixels, and vectors; nothing is done yet.

        An instance that loses its last pixel loses its vector.

        Args:
            where: bool [H,W], or int [n], row * W + column, ascending.
            values: by map what to set there, one value or [n], of a picture [C] or [n,C].
            vectors: by id, None to take it away.

        Raises:
            UserError: a label out of range.
        """
        pixels = np.flatnonzero(where) if where.dtype == bool else where
        assert values.keys() <= self._flat.keys(), f"no map for all of {list(values)}"
        before = {name: flat[pixels] for name, flat in self._flat.items()}
        after = {
            name: np.broadcast_to(np.asarray(values.get(name, old), old.dtype), old.shape)
            for name, old in before.items()
        }
        if "label" in values:
            self.require_labels(after["label"])
        differs = np.zeros(len(pixels), bool)
        for name, old in before.items():
            differs |= _any(old != after[name], axis=1)
        before = {name: old[differs] for name, old in before.items()}
        after = {name: new[differs] for name, new in after.items()}
        grown = {}
        for name in after.keys() & self.counts.keys():
            gains = Counter(_count(after[name]))
            gains.subtract(_count(before[name]))
            grown[name] = {id_: n for id_, n in gains.items() if n}
        new = self._vectors_after(vectors or {}, grown.get(self.styled, {}))
        old_vectors = {id_: self.vectors.get(id_) for id_ in new}
        pixels = pixels[differs].astype(np.int32)  # half the memory
        return Change(self.shape, pixels, before, after, old_vectors, new, grown)

    def _vectors_after(
        self, vectors: Mapping[int, np.ndarray | None], grown: dict[int, int]
    ) -> Vectors:
        """Those vectors that will be others than now."""
        counts = self.counts.get(self.styled, {})
        left = {id_: counts.get(id_, 0) + grown.get(id_, 0) for id_ in {*vectors, *grown}}
        wanted: Vectors = {**{id_: self.vectors.get(id_) for id_ in grown}, **vectors}
        after = {id_: vector if left[id_] else None for id_, vector in wanted.items()}
        return {
            id_: vector
            for id_, vector in after.items()
            if (vector is None) != (id_ not in self.vectors)
            or (vector is not None and not np.array_equal(vector, self.vectors[id_]))
        }

    def apply(self, change: Change, extend: bool = False) -> Change:
        """Do it, as a step of the history; with `extend` as part of the last step, such as a
        stroke that is under way."""
        self._write(change)
        self.history.add(change, extend)
        return change

    def undo(self) -> list[Change]:
        """Take the last step back; returns what that changed, nothing where there is no step."""
        return self._written(self.history.undo())

    def redo(self) -> list[Change]:
        """Do again what was undone last; returns as `undo`."""
        return self._written(self.history.redo())

    def reset(self) -> Change:
        """Go back to the start, as a step that can be undone."""
        differs = np.zeros(self.shape, bool)
        for name, map_ in self._maps.items():
            differs |= _any(map_ != self.start[name], axis=2)
        values = {name: map_[differs] for name, map_ in self.start.items()}
        ids = {*self.vectors, *self.start_vectors}
        vectors = {id_: self.start_vectors.get(id_) for id_ in ids}
        return self.apply(self.change(differs, values, vectors))

    def snapshot(self) -> Scene:
        """A copy, for a thread that looks on while this scene goes on being changed."""
        still = copy.copy(self)
        still._maps = {name: map_.copy() for name, map_ in self._maps.items()}
        still._flat = {name: m.reshape(-1, *m.shape[2:]) for name, m in still._maps.items()}
        still.counts = {name: dict(ids) for name, ids in self.counts.items()}
        still.vectors = dict(self.vectors)
        steps = self.history.done, self.history.undone
        still.history = History(*([list(step) for step in part] for part in steps))
        return still

    @property
    def memory(self) -> int:
        """Bytes that maps, photograph and history take."""
        maps = [*self._maps.values(), *self.start.values()]
        maps += [] if self.image is None else [self.image]
        steps = itertools.chain(*self.history.done, *self.history.undone)
        return sum(m.nbytes for m in maps) + sum(change.memory for change in steps)

    def _written(self, changes: list[Change]) -> list[Change]:
        for change in changes:
            self._write(change)
        return changes

    def _write(self, change: Change) -> None:
        for name, values in change.after.items():
            flat = self._flat[name]
            assert np.array_equal(flat[change.pixels], change.before[name]), "of another state"
            flat[change.pixels] = values
        for name, grown in change.grown.items():
            counts = self.counts[name]
            for id_, n in grown.items():
                counts[id_] = counts.get(id_, 0) + n
                if not counts[id_]:
                    del counts[id_]
        for id_, vector in change.vectors_after.items():
            if vector is None:
                del self.vectors[id_]
            else:
                self.vectors[id_] = vector


def _any(differs: np.ndarray, axis: int) -> np.ndarray:
    """Whether any channel does, where there are channels."""
    return np.asarray(differs.any(axis=axis)) if differs.ndim > axis else differs


def _count(ids: np.ndarray) -> dict[int, int]:
    """id -> its pixels."""
    values, n = np.unique(ids, return_counts=True)
    return dict(zip(values.tolist(), n.tolist(), strict=True))
