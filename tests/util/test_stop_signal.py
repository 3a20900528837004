"""The first signal is a wish, the second an order."""

from __future__ import annotations

import signal

import pytest

from util.stop_signal import StopSignal

CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}


@pytest.mark.parametrize("number", CODES)
def test_first_signal_is_noted(number: signal.Signals) -> None:
    with StopSignal() as stop:
        assert stop.received is None
        signal.raise_signal(number)
        assert stop.received == number
        with pytest.raises(SystemExit) as caught:
            stop.exit()
    assert caught.value.code == CODES[number]


@pytest.mark.parametrize("number", CODES)
def test_second_signal_acts_at_once(number: signal.Signals) -> None:
    with StopSignal():
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(SystemExit) as caught:
            signal.raise_signal(number)
    assert caught.value.code == CODES[number]


def test_handlers_are_put_back() -> None:
    before = [signal.getsignal(number) for number in CODES]
    with pytest.raises(RuntimeError, match="in the block"), StopSignal():
        assert [signal.getsignal(number) for number in CODES] != before
        raise RuntimeError("in the block")
    assert [signal.getsignal(number) for number in CODES] == before
