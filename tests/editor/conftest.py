"""The editor's server, and its page in the system's Chromium: made once for all tests here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from page_driver import Driven, serving, wait, write_streets
from PIL import Image
from programs import write_tiny_data
from server_asked import HERE, MUCH, open_scene
from tiny_studio import BY_INSTANCE, make_run, open_studio, read

from pix2pixhd.editor.server import Place, create_app
from pix2pixhd.editor.studio import Studio


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("server")
    write_tiny_data(root, phase="test", count=2)
    for kind, value in (("label", 3), ("inst", 3999)):
        map_ = read(root, kind, 1).copy()
        map_[4:12, 8:20] = value  # whole, as the gallery's are
        Image.fromarray(map_).save(root / f"data/test_{kind}/scene_1.png")
    make_run(root, "styled", clusters=True, **BY_INSTANCE)
    make_run(root, "drawing", label_nc=0, instance=False)
    return root


@pytest.fixture(scope="session")
def studio(root: Path) -> Studio:
    return open_studio(root, "styled")


@pytest.fixture(scope="session")
def client(studio: Studio, root: Path) -> Iterator[TestClient]:
    app = create_app(studio, Place("127.0.0.1", None), root / "scenes", MUCH)
    with TestClient(app, HERE) as client:
        yield client


@pytest.fixture
def scene(client: TestClient) -> str:
    """The path of a scene of its own."""
    return open_scene(client)


@pytest.fixture(scope="session")
def streets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the data, and of runs of random weights."""
    root = tmp_path_factory.mktemp("page")
    write_streets(root)
    make_run(root, "styled", clusters=True, **BY_INSTANCE)
    make_run(root, "plain", instance=False)
    make_run(root, "drawing", label_nc=0, instance=False)
    return root


@pytest.fixture(scope="session")
def address(streets: Path) -> Iterator[str]:
    with serving(streets, "styled") as address:
        yield address


@pytest.fixture(scope="session")
def window(browser: Any, address: str) -> Iterator[Any]:
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page, errors = context.new_page(), list[str]()
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda line: line.type == "error" and errors.append(line.text))
    page.goto(address)
    wait(page, "globalThis.editor?.maps")
    yield page
    context.close()  # or the server would wait for its connections
    refused = "status of 400"  # what a test asks for
    assert not [error for error in errors if refused not in error]


@pytest.fixture
def driven(window: Any) -> Driven:
    return Driven(window)
