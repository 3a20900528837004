"""A window's WebSocket: strokes come, maps and pictures go."""

from __future__ import annotations

import json
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image
from server_asked import (
    SIZE,
    map_of,
    next_of,
    operate,
    stroke,
    wait_for,
)
from tiny_studio import read

from pix2pixhd.editor.studio import SLOW, Studio


def test_a_stroke_is_one_step_and_one_object(client: TestClient, scene: str, root: Path) -> None:
    with client.websocket_connect(f"ws://127.0.0.1:8008{scene}/live") as socket:
        maps, data = next_of(socket, "maps")
        values = np.frombuffer(zlib.decompress(data), np.int32).reshape(2, *SIZE)
        assert maps["box"] == [0, 0, *SIZE]
        assert np.array_equal(values, [read(root, "label"), read(root, "inst")])
        first, picture = next_of(socket, "image")
        assert np.array_equal(Image.open(BytesIO(picture)), map_of(client, scene, "image"))
        assert not first["preview"] and first["version"] == first["began"] == 0
        pieces = [[[2, 2], [2, 5]], [[2, 5], [9, 12]], [[9, 12], [9, 14]]]
        for number, points in enumerate(pieces, 1):
            piece = stroke(points=points, instance="new", extend=number > 1)
            socket.send_json({"number": number, "operation": piece, "last": number == 3})
        wait_for(socket, 3)
        state, _ = next_of(socket, "image")
        while state["version"] < 3:  # the newest comes, whatever was left out
            state, _ = next_of(socket, "image")
        assert state["began"] == 0  # one step
    painted = map_of(client, scene, "inst")[map_of(client, scene) != read(root, "label")]
    assert len(np.unique(painted)) == 1
    assert client.post(f"{scene}/history/undo").json()["undo"] == 0
    assert np.array_equal(map_of(client, scene), read(root, "label"))


def test_a_preview_while_a_stroke_is_under_way(
    client: TestClient, scene: str, studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    with client.websocket_connect(f"ws://127.0.0.1:8008{scene}/live") as socket:
        next_of(socket, "image")
        monkeypatch.setattr(studio, "_last_seconds", 2 * SLOW)
        socket.send_json({"number": 1, "operation": stroke(), "last": False})
        assert next_of(socket, "image")[0]["preview"]
        piece = stroke(points=[[9, 9]], extend=True)
        socket.send_json({"number": 2, "operation": piece, "last": True})
        while (header := next_of(socket, "image")[0])["preview"]:
            pass
        assert header["version"] == 2


def test_a_window_sees_what_others_do_and_what_is_wrong(client: TestClient, scene: str) -> None:
    with client.websocket_connect(f"ws://127.0.0.1:8008{scene}/live") as socket:
        next_of(socket, "image")
        operate(client, scene, **stroke(points=[[4, 4]], widths=[1], label=0))
        operate(client, scene, **stroke(points=[[4, 4]], widths=[1], label=3))
        # The whole maps may come first, after the image.
        assert [4, 4, 5, 5] in (next_of(socket, "maps")[0]["box"] for _ in range(2))
        for text, message in (
            ("no json", "not JSON"),
            (json.dumps({"number": 1, "operation": stroke(points=[])}), "points"),
            (json.dumps({"number": 2, "operation": stroke(label=99)}), "label 99: expected 0 to 4"),
        ):
            socket.send_text(text)
            refused, _ = next_of(socket, "error")
            assert message in refused["message"]
            wait_for(socket, refused["number"])  # what is refused is worked off, too
        assert refused["number"] == 2
        socket.send_json({"number": 3, "operation": stroke(label=2)})
        wait_for(socket, 3)


def test_strokes_of_two_windows_do_not_mix(client: TestClient, scene: str, root: Path) -> None:
    address = f"ws://127.0.0.1:8008{scene}/live"
    new = {"instance": "new", "label": 3, "widths": [1]}
    with client.websocket_connect(address) as one:
        with client.websocket_connect(address) as other:
            for number, (socket, row, extend) in enumerate(
                [(one, 2, False), (other, 8, False), (one, 3, True), (other, 9, True)], 1
            ):
                piece = stroke(points=[[row, 5]], extend=extend, **new)
                socket.send_json({"number": number, "operation": piece, "last": False})
                wait_for(socket, number)
        piece = stroke(points=[[4, 5]], extend=True, **new)
        one.send_json({"number": 9, "operation": piece})
        wait_for(one, 9)
    inst = map_of(client, scene, "inst")[:, 5]
    assert inst[2] == inst[3] == inst[4] != inst[8] == inst[9]
    steps = client.get(scene).json()["undo"]
    client.post(f"{scene}/history/undo")
    undone = map_of(client, scene, "inst")[:, 5]
    assert steps > 2 and undone[4] != inst[4] and (undone[[8, 9]] == inst[[8, 9]]).all()


def test_a_stroke_under_way_is_taken_back(client: TestClient, scene: str, root: Path) -> None:
    with client.websocket_connect(f"ws://127.0.0.1:8008{scene}/live") as socket:
        socket.send_json({"number": 1, "operation": stroke(label=3)})
        wait_for(socket, 1)
        before = map_of(client, scene)
        piece = stroke(points=[[12, 3], [12, 30]], label=2)
        socket.send_json({"number": 2, "operation": piece, "last": False})
        socket.send_json({"number": 3, "operation": None})
        assert wait_for(socket, 3)["undo"] == 1
        socket.send_json({"number": 4, "operation": None})  # nothing is under way
        assert wait_for(socket, 4)["undo"] == 1
    assert np.array_equal(map_of(client, scene), before)
