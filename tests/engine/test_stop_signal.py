"""The first signal is a wish, the second an order."""

from __future__ import annotations

import signal
import time

import pytest

from engine.stop_signal import StopSignal

CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}


@pytest.mark.parametrize("number", CODES)
def test_first_signal_is_noted(number: signal.Signals) -> None:
    with StopSignal() as stop:
        assert stop.received is None
        signal.raise_signal(number)
        assert stop.received == number


def test_a_signal_that_comes_twice_at_a_time_is_one_wish() -> None:
    with StopSignal() as stop:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
        assert stop.received == signal.SIGINT


def test_nohup_outlives_its_terminal() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with StopSignal() as stop:
            signal.raise_signal(signal.SIGHUP)
            assert stop.received is None
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("number", CODES)
def test_second_signal_acts_at_once(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.stop_signal.SAME_WISH", 0.0)
    with StopSignal():
        signal.raise_signal(signal.SIGINT)
        time.sleep(0.001)
        with pytest.raises(SystemExit) as caught:
            signal.raise_signal(number)
    assert caught.value.code == CODES[number]


def test_handlers_are_put_back() -> None:
    before = [signal.getsignal(number) for number in CODES]
    with pytest.raises(RuntimeError, match="in the block"), StopSignal():
        assert [signal.getsignal(number) for number in CODES] != before
        raise RuntimeError("in the block")
    assert [signal.getsignal(number) for number in CODES] == before
