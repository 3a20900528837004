"""Numbers in words."""

from __future__ import annotations

import pytest

from pix2pixhd.util.words import counted, duration


@pytest.mark.parametrize(
    ("number", "words"), [(0, "0 epochs"), (1, "1 epoch"), (2, "2 epochs"), (2975, "2,975 epochs")]
)
def test_counts(number: int, words: str) -> None:
    assert counted(number, "epoch") == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.6, "1 s"),
        (89, "89 s"),
        (90, "2 min"),
        (3569, "59 min"),
        (3571, "1 h 0 min"),
        (12_000, "3 h 20 min"),
        (86_399, "1 d 0 h"),
        (190_800, "2 d 5 h"),
    ],
)
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words
