"""Who may talk to the editor's server."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from server_asked import (
    HERE,
    MUCH,
)
from starlette.websockets import WebSocketDisconnect

from pix2pixhd.editor.server import Place, create_app
from pix2pixhd.editor.studio import Studio


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"origin": HERE}, 200),
        ({"host": "localhost:9999"}, 200),  # by a tunnel
        ({"host": "[::1]:8008"}, 200),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://127.0.0.1:8009"}, 403),
        ({"host": "evil.example:8008"}, 421),
        ({"host": "evil.example:8008", "origin": "http://evil.example:8008"}, 421),
        ({"host": "192.168.0.1:8008"}, 421),
        ({"host": ""}, 421),
        ({"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}, 403),
        ({"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}, 200),
    ],
)
def test_strangers(client: TestClient, headers: dict[str, str], status: int) -> None:
    assert client.get("/", headers=headers).status_code == status


def test_a_stranger_s_websocket(client: TestClient, scene: str) -> None:
    for headers in ({"origin": "http://evil.example"}, {"host": "evil.example"}):
        with (
            pytest.raises(WebSocketDisconnect) as refused,
            client.websocket_connect(f"ws://127.0.0.1:8008{scene}/live", headers=headers),
        ):
            pass
        assert refused.value.code == 1008


def test_a_large_body_is_not_read(client: TestClient) -> None:
    answer = client.post("/api/scenes", content=b" " * (2**22 + 1))
    assert answer.status_code == 413
    assert client.post("/api/scenes", content=iter([b"{}"])).status_code == 411


def test_a_token(studio: Studio, root: Path) -> None:
    app = create_app(studio, Place("0.0.0.0", "secret123"), root / "t", MUCH)
    there = "http://192.168.0.1:8008"
    with TestClient(app, there) as client:
        for path in ("/", "/?token=wrong", "/static/main.js", "/api/run"):
            assert client.get(path).status_code == 401
        with pytest.raises(WebSocketDisconnect), client.websocket_connect("/api/scenes/x/live"):
            pass
        assert client.get("/api/run", headers={"host": "evil.example"}).status_code == 421
        bearer = {"authorization": "Bearer secret123"}
        assert client.get("/api/run", headers=bearer).status_code == 200
        assert client.get("/api/run").status_code == 401
        page = client.get("/?token=secret123")
        assert page.status_code == 200 and "SameSite=Strict" in page.headers["set-cookie"]
        assert client.get("/api/run").status_code == 200  # by the cookie


def test_two_editors_in_one_browser(studio: Studio, root: Path) -> None:
    clients = []
    for port in (8008, 8009):
        app = create_app(studio, Place("0.0.0.0", f"secret{port}"), root / f"{port}", MUCH)
        clients.append(TestClient(app, f"http://127.0.0.1:{port}"))
    for client, port in zip(clients, (8008, 8009), strict=True):
        assert client.get(f"/?token=secret{port}").status_code == 200
        for other in clients:  # a browser's cookies are those of the machine, not of a port
            other.cookies.update(client.cookies)
    assert [client.get("/api/run").status_code for client in clients] == [200, 200]
