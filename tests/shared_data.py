"""Data and recorded numbers beside the repository, which a clone on its own does not have."""

from __future__ import annotations

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


def shared(*parts: str) -> Path:
    """The file or folder `../shared/<parts>`; skips the test that asks where it is not there.

    Call it in a test or a fixture, not while a module is imported.
    """
    path = SHARED.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"needs {path}, which is not part of the repository")
    return path
