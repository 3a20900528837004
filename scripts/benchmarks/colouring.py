"""Label maps to pictures, next to a loop over the labels."""

from __future__ import annotations

from functools import partial

import numpy as np

from scripts.benchmarks.timing import Measurement, Settings, time_ways
from util.image import IGNORED, label_palette, label_to_image

LABELS = (35, 255)  # Cityscapes' number, and the most that 8 bits hold beside one to ignore


def measure_colouring(settings: Settings) -> list[Measurement]:
    """Colour a map of random labels, some of them outside the palette."""
    measurements = []
    random = np.random.default_rng(settings.seed)
    for labels in LABELS:
        shape = settings.height, settings.width
        label = random.integers(0, labels + 1, shape, dtype=np.uint8)
        ways = {
            "loop over labels": partial(loop_colours, label, labels),
            "label_to_image": partial(label_to_image, label, labels),
        }
        one, other = (way() for way in ways.values())
        assert np.array_equal(one, other), f"{labels} labels: the two ways differ"
        seconds = time_ways(ways, settings)
        loop, ours = (float(np.median(times)) for times in seconds.values())
        for way, times in seconds.items():
            figures = {"times as fast": loop / ours} if way == "label_to_image" else {}
            measurements.append(Measurement("colouring", f"{labels} labels", way, times, figures))
    return measurements


def loop_colours(label: np.ndarray, label_nc: int) -> np.ndarray:
    """The plain way to colour: one label after the other, by its mask; uint8 [H, W, 3]."""
    picture = np.empty((*label.shape, 3), np.uint8)
    picture[:] = IGNORED
    for value, colour in enumerate(label_palette(label_nc)):
        picture[label == value] = colour
    return picture
