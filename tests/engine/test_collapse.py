"""A training that has collapsed is told once, by its cause; a healthy one is not."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
import torch
from programs import run_train, tiny_run, write_tiny_data

from pix2pixhd.engine.builders import watch_of
from pix2pixhd.engine.collapse import ADVICE, BLIND, LOSSES, NEAR, PICTURES, CollapseWatch
from pix2pixhd.models.gan_losses import GAN_LOSSES
from pix2pixhd.options.parsing import parse_train

RANDOM = np.random.default_rng(0)
Pictures = dict[str, np.ndarray]


def terms_of(gan_loss: str, real: float, fake: float, scales: int) -> dict[str, float]:
    """D's losses as logged, of its logits on real images and on fakes."""
    loss = GAN_LOSSES[gan_loss].for_discriminator
    sides = {"D_real": (real, True), "D_fake": (fake, False)}
    return {n: float(loss(torch.tensor(x), y)) * scales for n, (x, y) in sides.items()}


def fed(look: Callable[[dict], str | None], looks: Iterable[dict]) -> list[tuple[int, str]]:
    """The causes that are told, and the looks (from 1) that they are told at."""
    told = [(number, look(one)) for number, one in enumerate(looks, 1)]
    return [(n, cause) for n, line in told for cause in ADVICE if line and ADVICE[cause] in line]


@pytest.mark.parametrize("scales", [1, 3])
@pytest.mark.parametrize(
    ("gan_loss", "real", "fake", "cause"),
    [
        ("lsgan", 0.5, 0.5, "blind"),
        ("lsgan", 1.02, -0.02, "wins"),
        ("vanilla", 0.0, 0.0, "blind"),
        ("vanilla", 6.0, -6.0, "wins"),
        ("hinge", 0.3, 0.3, "blind"),
        ("hinge", 2.0, -2.0, "wins"),
    ],
)
def test_trivial_losses_are_told_once(
    gan_loss: str, real: float, fake: float, cause: str, scales: int
) -> None:
    terms = terms_of(gan_loss, real, fake, scales)
    watch = CollapseWatch(gan_loss, scales)
    assert fed(watch.losses, [terms] * (3 * LOSSES)) == [(LOSSES, cause)]
    healthy = terms_of(gan_loss, 0.8, 0.3, scales)
    watch = CollapseWatch(gan_loss, scales)
    assert not fed(watch.losses, ([terms] * (LOSSES - 1) + [healthy]) * 3)


def test_every_gan_loss_is_watched() -> None:
    assert BLIND.keys() == GAN_LOSSES.keys()


def test_a_loss_without_trivial_values_is_not_watched() -> None:
    terms = {"D_real": 0.0, "D_fake": 0.0}
    assert not fed(CollapseWatch("own", 2).losses, [terms] * (2 * LOSSES))
    assert not fed(CollapseWatch("lsgan", 2).losses, [{"G_GAN": 0.0}] * (2 * LOSSES))
    segmentation = watch_of(parse_train(["--netD", "segmentation"]))
    assert not fed(segmentation.losses, [terms] * (2 * LOSSES))
    assert fed(watch_of(parse_train([])).losses, [terms] * (2 * LOSSES))
    nan = {"D_real": float("nan"), "D_fake": 0.0}
    assert not fed(CollapseWatch("lsgan", 2).losses, [nan] * (2 * LOSSES))


def test_healthy_losses_are_not_told() -> None:
    """D is right more often than not, and as its loss is of one image, it varies."""
    logits = RANDOM.normal([0.65, 0.35], 0.15, (2000, 2))
    steps = [terms_of("lsgan", real, fake, 2) for real, fake in logits]
    strong = [terms_of("lsgan", 0.9, 0.1, 2)] * (2 * LOSSES)  # D_real = D_fake = 0.02
    assert strong[0]["D_real"] > 2 * NEAR * BLIND["lsgan"]
    assert not fed(CollapseWatch("lsgan", 2).losses, [*steps, *strong])


def noise(size: tuple[int, int] = (32, 64)) -> np.ndarray:
    return RANDOM.integers(20, 220, (*size, 3), dtype=np.uint8)


def shown(fake: np.ndarray, real: np.ndarray, prefix: str = "") -> Pictures:
    return {f"{prefix}synthesized_image": fake, f"{prefix}real_image": real}


def blurred(real: np.ndarray) -> np.ndarray:
    """What a generator makes that has learnt but a little: a tenth of the contrast."""
    return (0.1 * real + 100).astype(np.uint8)


def black() -> Iterable[Pictures]:
    while True:
        yield shown(np.zeros((32, 64, 3), np.uint8), noise())


def saturated() -> Iterable[Pictures]:
    while True:
        yield shown(RANDOM.choice(np.array([0, 255], np.uint8), (32, 64, 3)), noise())


def same_as_held_out() -> Iterable[Pictures]:
    fake = noise()
    while True:
        yield shown(fake, noise()) | shown(fake ^ 1, noise(), "held_out_")


def same_as_before() -> Iterable[Pictures]:
    fake = noise()
    while True:  # the held-out image is of another size
        yield shown(fake, noise()) | shown(noise((64, 64)), noise((64, 64)), "held_out_")


def healthy() -> Iterable[Pictures]:
    held_out = noise()
    while True:
        real = noise()
        yield shown(blurred(real), real) | shown(blurred(held_out), held_out, "held_out_")


def drawings() -> Iterable[Pictures]:
    """Black on white, and so few lines that all are alike."""
    while True:
        white = np.full((32, 64, 3), 255, np.uint8)
        white[RANDOM.integers(0, 32)] = 0
        yield shown(np.full_like(white, 255), white)


def without_photographs() -> Iterable[Pictures]:
    while True:
        yield {"synthesized_image": np.zeros((32, 64, 3), np.uint8)}


@pytest.mark.parametrize(
    ("stream", "told"),
    [
        (black, [(PICTURES, "extreme")]),
        (saturated, [(PICTURES, "extreme")]),
        (same_as_held_out, [(PICTURES, "alike")]),
        (same_as_before, [(PICTURES + 1, "alike")]),
        (healthy, []),
        (drawings, []),
        (without_photographs, []),
    ],
)
def test_pictures_that_collapsed_are_told_once(
    stream: Callable[[], Iterable[Pictures]], told: list[tuple[int, str]]
) -> None:
    watch = CollapseWatch("lsgan", 2)
    looks = (look for look, _ in zip(stream(), range(3 * PICTURES), strict=False))
    assert fed(watch.pictures, looks) == told


@pytest.mark.parametrize("is_broken", [False, True])
def test_a_run_says_it(is_broken: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once, and not once an epoch: G stays as it was born and D as it was broken."""
    if is_broken:
        monkeypatch.setattr("pix2pixhd.engine.collapse.LOSSES", 5)
        monkeypatch.setattr("pix2pixhd.engine.collapse.NEAR", 10.0)
    write_tiny_data(tmp_path)
    often = ("--print_freq", "1", "--display_freq", "1", "--niter", "4", "--niter_decay", "0")
    outcome = run_train(*tiny_run(tmp_path), *often)
    assert outcome.code == 0, outcome.err
    lines = [line for line in outcome.out.splitlines() if line.startswith("warning:")]
    assert [ADVICE["wins"] in line for line in lines[:1]] == [True] * is_broken
    assert len(lines) == (2 if is_broken else 0)  # with so wide a threshold, blind as well
