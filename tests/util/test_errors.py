"""What a user sees of a mistake, and with which exit code."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from util.errors import UserError, run_program


def raising(error: BaseException) -> Callable[[], None]:
    def main() -> None:
        raise error

    return main


@pytest.mark.parametrize(
    ("problems", "lines"),
    [
        ("a.png: empty", ["error: a.png: empty"]),
        (["a.png: empty", "b.png: empty"], ["error: a.png: empty", "error: b.png: empty"]),
        ((problem for problem in ["one"]), ["error: one"]),
    ],
)
def test_mistakes_are_lines_on_stderr(
    problems: str | list[str], lines: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        run_program(raising(UserError(problems)))
    assert caught.value.code == 2
    printed = capsys.readouterr()
    assert printed.err.splitlines() == lines
    assert printed.out == ""


def test_a_user_error_is_a_value_error_with_all_problems() -> None:
    error = UserError(["one", "two"])
    assert isinstance(error, ValueError)
    assert error.problems == ["one", "two"]
    assert str(error) == "one\ntwo"


@pytest.mark.parametrize(("error", "code"), [(KeyboardInterrupt(), 130), (BrokenPipeError(), 141)])
def test_interruptions_are_quiet(
    error: BaseException, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        run_program(raising(error))
    assert caught.value.code == code
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("error", [ValueError("ours"), AssertionError(), OSError("disk")])
def test_our_own_mistakes_keep_their_traceback(error: Exception) -> None:
    with pytest.raises(type(error)) as caught:
        run_program(raising(error))
    assert caught.value is error


def test_a_program_that_ends_well_does_not_exit() -> None:
    run_program(lambda: None)
