"""The error that a user can mend."""

from __future__ import annotations

from pix2pixhd.util.errors import UserError


def test_a_user_error_is_a_value_error_with_all_problems() -> None:
    error = UserError(["one", "two"])
    assert isinstance(error, ValueError)
    assert error.problems == ["one", "two"]
    assert str(error) == "one\ntwo"
