"""A small scene to edit, and what tests compare."""

from __future__ import annotations

from typing import Any

import numpy as np

from pix2pixhd.editor.scene import Scene

SKY, ROAD, TREE, HOUSE, CAR = range(5)


def street(**changes: Any) -> Scene:
    """8x10 pixels: sky over a road; a tree, a house beside it, and two cars on the road."""
    label = np.full((8, 10), SKY)
    label[5:] = ROAD
    label[2:5, 1:3] = TREE
    label[1:5, 3:6] = HOUSE
    label[6, 1:4] = label[6, 5:8] = CAR
    inst = label.copy()
    inst[6, 1:4], inst[6, 5:8] = CAR * 1000, CAR * 1000 + 1
    vectors = {int(id_): [id_ / 5000, -0.5] for id_ in np.unique(inst)}
    given = {"label": label, "inst": inst, "label_nc": 5, "feat_num": 2, "vectors": vectors}
    return Scene(**given | changes)


def state(scene: Scene) -> Any:
    """All that is seen of a scene, to compare by ==."""
    maps = {name: getattr(scene, name).tolist() for name in scene.start}
    return maps, {id_: vector.tobytes() for id_, vector in scene.vectors.items()}, scene.counts


def rectangle(top: int, left: int, bottom: int, right: int) -> np.ndarray:
    mask = np.zeros((8, 10), bool)
    mask[top:bottom, left:right] = True
    return mask
