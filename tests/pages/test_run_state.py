"""How far a run is, in words."""

from __future__ import annotations

import pytest

from pix2pixhd.pages.run_state import MARKS, RunState


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr("pix2pixhd.pages.run_state.time.monotonic", lambda: now[0])
    return now


def test_the_time_left_is_that_of_all_epochs_at_the_recent_speed(clock: list[float]) -> None:
    state = RunState()
    assert str(state) == "starting"
    state.start_epoch(1, 5, 1000, 0)
    assert str(state) == "running, 0 % of 5 epochs"
    for _ in range(500):  # slow at first, twice as quick later
        clock[0] += 20
        state.advance(1)
    assert str(state) == "running, 10 % of 5 epochs, about 1 d 1 h left"
    for _ in range(4 * MARKS):
        clock[0] += 10
        state.advance(1)
    assert str(state) == "running, 11 % of 5 epochs, about 12 h 17 min left"
    assert state.seconds_per_step == pytest.approx(10)


def test_what_was_trained_before_a_restart_is_no_speed(clock: list[float]) -> None:
    state = RunState()
    state.start_epoch(2, 4, 100, 50)
    assert str(state) == "running, 37 % of 4 epochs"
    clock[0] += 10
    state.advance(10)
    assert str(state) == "running, 40 % of 4 epochs, about 4 min left"


def test_a_run_that_breaks_off_before_it_began() -> None:
    state = RunState()
    state.outcome = "failed"
    assert str(state).startswith("broken off before its first step; --continue_train")
