"""Settings of all tests; pytest puts this folder on the path: `from shared_data import shared`."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import distributed as dist

# Networks in tests are tiny: a second thread waits more than it works, most of all where several
# test runs share a runtime.
torch.set_num_threads(1)


@pytest.fixture
def process_group() -> Iterator[None]:
    """Of this process alone."""
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """The system's Chromium, driven by Playwright; without them, tests of pages skip.

    While it is there, its event loop runs in this thread: tests run theirs in another.
    """
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("there is no chromium to open pages in")
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        flags = {"executable_path": chromium, "args": ["--no-sandbox", "--disable-gpu"]}
        browser = playwright.chromium.launch(**flags)
        yield browser
        browser.close()
