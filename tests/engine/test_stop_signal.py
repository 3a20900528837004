"""The first signal is a wish, a second Ctrl-C an order."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator

import pytest

from pix2pixhd.engine.stop_signal import StopSignal
from pix2pixhd.util.logger import Console

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.mark.parametrize("number", NUMBERS)
def test_first_signal_is_noted(number: signal.Signals) -> None:
    with StopSignal() as stop:
        assert stop.received is None
        signal.raise_signal(number)
        assert stop.received == number


def test_who_presses_ctrl_c_at_a_terminal_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[int, bytes]] = []
    for is_terminal, tells in ((True, True), (False, True), (True, False)):
        with monkeypatch.context() as patch:
            patch.setattr(os, "isatty", lambda _, answer=is_terminal: answer)
            patch.setattr(os, "write", lambda *args: told.append(args))
            with StopSignal(tells):
                signal.raise_signal(signal.SIGINT)
    [(to, line)] = told
    assert to == 2 and b"Ctrl-C again ends at once" in line


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


@pytest.mark.parametrize("number", NUMBERS)
def test_a_second_ctrl_c_interrupts_and_nothing_else_does(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pix2pixhd.engine.stop_signal.SAME_WISH", 0.0)
    with StopSignal() as stop:
        signal.raise_signal(signal.SIGTERM)
        time.sleep(0.001)
        if number == signal.SIGINT:
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(number)
        else:
            signal.raise_signal(number)
        assert stop.received == signal.SIGTERM


@contextlib.contextmanager
def output_to(writer: int) -> Iterator[None]:
    """Let standard output be that descriptor, which is closed."""
    kept = os.dup(1)
    os.dup2(writer, 1)
    os.close(writer)
    with open(1, "w", closefd=False) as stream, contextlib.redirect_stdout(stream):
        yield
    os.dup2(kept, 1)
    os.close(kept)


def test_a_reader_that_went_away_is_a_wish_to_stop() -> None:
    reader, writer = os.pipe()
    with output_to(writer):
        with StopSignal() as stop:
            Console().say("read")
            signal.raise_signal(signal.SIGPIPE)  # of some other pipe
            assert (os.read(reader, 10), stop.received) == (b"read\n", None)
            os.close(reader)
            Console().say("lost")
            Console().say("lost, too")
            assert stop.received == signal.SIGPIPE
        print("and later", flush=True)  # no error at the end of the program


def test_handlers_are_put_back() -> None:
    before = [signal.getsignal(number) for number in NUMBERS]
    with pytest.raises(RuntimeError, match="in the block"), StopSignal():
        assert [signal.getsignal(number) for number in NUMBERS] != before
        raise RuntimeError("in the block")
    assert [signal.getsignal(number) for number in NUMBERS] == before
