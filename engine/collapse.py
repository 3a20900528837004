"""Watches for trainings that have collapsed, by what is logged and shown anyway.

Slow to warn: a threshold must hold for many looks in a row, so that neither the first steps nor an
odd image is taken for a collapse.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping

import numpy as np

LOSSES, PICTURES = 200, 10  # looks in a row

# D's loss on real images and on fakes, for each of its scales, where it cannot tell them apart: its
# output is 0.5 for lsgan, a probability of 0.5 for vanilla, anything within the margin for hinge,
# where the two losses are 1 on average.
BLIND = {"lsgan": 0.25, "vanilla": math.log(2), "hinge": 1.0}
NEAR = 0.01  # of that

EXTREME = (2, 253)  # levels from 0 to 255 that count as black or saturated
ALIKE = 0.03  # difference of two fakes, over that of their real images
DIFFERENT = 10.0  # levels by which two real images differ at least, on average

ADVICE = {
    "wins": "D_real and D_fake stay near 0: D tells fakes from real images without fail, and G "
    "learns little from it; try a smaller --ndf or --n_layers_D, or start anew with a lower --lr",
    "blind": "D_real and D_fake stay where D cannot tell fakes from real images, and G learns "
    "nothing from it; try a larger --ndf or --n_layers_D, or another --gan_loss",
    "alike": "the generator makes almost the same image of different inputs; check_data.py shows "
    "whether inputs and images belong together; try a lower --lr, without --no_ganFeat_loss and "
    "--no_vgg_loss",
    "extreme": "the synthesised images are almost all black or saturated, and the real ones are "
    "not; go back to an earlier epoch (--continue_train --which_epoch N) with a lower --lr or "
    "--precision fp32",
}


class CollapseWatch:
    """Gives one warning for each cause, of what it is fed."""

    def __init__(self, gan_loss: str, scales: int) -> None:
        """
        Args:
            gan_loss: a row of GAN_LOSSES; D's losses are not watched if BLIND lacks it.
            scales: over which D's losses are summed.
        """
        self._blind = BLIND.get(gan_loss, math.nan) * scales
        self._times: Counter[str] = Counter()  # looks in a row, by cause
        self._told: set[str] = set()
        self._shown: Mapping[str, np.ndarray] = {}  # of a training batch, when pictures came last

    def losses(self, terms: Mapping[str, float]) -> str | None:
        """A warning, if there is one to give.

        Args:
            terms: the losses of a step by name, as logged.
        """
        real, fake = (terms.get(name, math.nan) for name in ("D_real", "D_fake"))
        return self._look("wins", max(real, fake) < NEAR * self._blind, LOSSES) or self._look(
            "blind", abs((real + fake) / 2 - self._blind) < NEAR * self._blind, LOSSES
        )

    def pictures(self, pictures: Mapping[str, np.ndarray]) -> str | None:
        """A warning, if there is one to give.

        Args:
            pictures: uint8 [H, W, 3] by the names that the training page has them under. Those of
                two inputs are compared where sizes agree: of the training batch and held-out, or
                else of this training batch and the last.
        """
        shown = {name: picture[::4, ::4].astype(np.float32) for name, picture in pictures.items()}
        if not {"synthesized_image", "real_image"} <= shown.keys():
            return None
        held_out = {name.removeprefix("held_out_"): shown[name] for name in shown}
        held_out = {n: p for n, p in held_out.items() if f"held_out_{n}" in shown}
        others = [other for other in (held_out, self._shown) if _comparable(shown, other)]
        self._shown = shown
        is_extreme = (
            _extremes(shown["synthesized_image"]) > 0.98 and _extremes(shown["real_image"]) < 0.8
        )
        if warning := self._look("extreme", is_extreme, PICTURES):
            return warning
        is_alike = not is_extreme and bool(others) and _alike(shown, others[0])
        return self._look("alike", is_alike, PICTURES)

    def _look(self, cause: str, is_seen: bool, enough: int) -> str | None:
        self._times[cause] = self._times[cause] + 1 if is_seen else 0
        if self._times[cause] < enough or cause in self._told:
            return None
        self._told.add(cause)
        return f"warning: {ADVICE[cause]} (docs/training.md, Reading the losses)"


def _comparable(one: Mapping[str, np.ndarray], other: Mapping[str, np.ndarray]) -> bool:
    names = ("synthesized_image", "real_image")
    return all(n in other and one[n].shape == other[n].shape for n in names)


def _extremes(picture: np.ndarray) -> float:
    """The share of values that are black or saturated."""
    low, high = EXTREME
    return float(np.mean((picture <= low) | (picture >= high)))


def _alike(one: Mapping[str, np.ndarray], other: Mapping[str, np.ndarray]) -> bool:
    """Whether two synthesised images are far more alike than their real ones."""
    real = _difference(one["real_image"], other["real_image"])
    fake = _difference(one["synthesized_image"], other["synthesized_image"])
    return real > DIFFERENT and fake < ALIKE * real


def _difference(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one - other).mean())
