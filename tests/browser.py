"""Pages in headless Chromium: driven by a script, and drawn. Tests skip where there is none."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


def dump_dom(page: Path, script: str = "", size: tuple[int, int] = (1400, 900)) -> str:
    """The page's HTML after its own scripts and then `script`, a module that may await.

    The script writes what it sees into the document, for the test to read. It has ten seconds of
    the page's time, which pass as quickly as the page has nothing to do.
    """
    driven = page.with_name(f"driven_{page.name}")
    text = page.read_text(encoding="utf-8")
    module = f'<script type="module">{script}</script></body>'
    driven.write_text(module.join(text.rsplit("</body>", 1)), encoding="utf-8")
    try:
        return _chromium(driven, size, "--virtual-time-budget=10000", "--dump-dom")
    finally:
        driven.unlink()


def screenshot(page: Path, png: Path, size: tuple[int, int] = (1400, 900)) -> None:
    """Draw the page into a PNG file, as far as a window of `size` shows it."""
    _chromium(page, size, "--virtual-time-budget=2000", f"--screenshot={png}")


def _chromium(page: Path, size: tuple[int, int], *flags: str) -> str:
    if CHROMIUM is None:
        pytest.skip("there is no chromium to open pages in")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [
            *(CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
            *(f"--user-data-dir={profile}", f"--window-size={size[0]},{size[1]}"),
            *(*flags, page.resolve().as_uri()),
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout
