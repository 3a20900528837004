"""A window's WebSocket: strokes come, maps and pictures go."""

from __future__ import annotations

import asyncio
import json
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image
from pydantic import TypeAdapter
from server_asked import (
    SIZE,
    map_of,
    next_of,
    open_scene,
    operate,
    run_apart,
    stroke,
    wait_for,
)
from starlette.websockets import WebSocket, WebSocketDisconnect
from tiny_studio import read

from pix2pixhd.editor.live import Window, perform
from pix2pixhd.editor.painter import Painter
from pix2pixhd.editor.requests import Operation
from pix2pixhd.editor.sessions import Session
from pix2pixhd.editor.studio import SLOW, Studio
from pix2pixhd.models.clustering import ByLabel


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
        next_of(socket, "maps")
        operate(client, scene, **stroke(points=[[4, 4]], widths=[1], label=0))
        operate(client, scene, **stroke(points=[[4, 4]], widths=[1], label=3))
        assert next_of(socket, "maps")[0]["box"] == [4, 4, 5, 5]
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


@pytest.fixture
def session(client: TestClient, scene: str) -> Session:
    return client.app.state.sessions.get(scene.rpartition("/")[2])


def test_a_window_of_a_scene_that_was_just_put_on_disk_connects_anew(
    client: TestClient, scene: str, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "is_gone", True)
    with client.websocket_connect(f"ws://127.0.0.1:8008{scene}/live") as socket:
        socket.send_json({"number": 1, "operation": stroke()})
        while (message := socket.receive())["type"] != "websocket.close":
            assert "ask again" not in message.get("text", "")
    assert message["code"] == 1013 and not session.watchers


def test_a_long_operation_keeps_its_own_scene_alone_waiting(
    client: TestClient, scene: str, session: Session, studio: Studio
) -> None:
    address = f"ws://127.0.0.1:8008{scene}/live"
    with ExitStack() as windows, ThreadPoolExecutor(1) as thread:
        one = windows.enter_context(client.websocket_connect(address))
        next_of(one, "image")
        with session.lock:
            one.close()
            connecting = thread.submit(windows.enter_context, client.websocket_connect(address))
            other = connecting.result(timeout=5)
            thread.submit(open_scene, client).result(timeout=5)
            asked = TypeAdapter(Operation).validate_python(stroke(widths=[9]))
            perform(session, studio, asked)
        assert next_of(other, "image")[0]["version"] == 1  # the newest


def test_another_image_is_encoded_before_the_scene_is_locked(
    client: TestClient,
    scene: str,
    session: Session,
    studio: Studio,
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    encode, locked = studio.styles._encode_image, list[bool]()

    def is_locked() -> bool:
        is_free = session.lock.acquire(blocking=False)
        if is_free:
            session.lock.release()
        return not is_free

    def looking(image: str) -> ByLabel:
        with ThreadPoolExecutor(1) as other:
            locked.append(other.submit(is_locked).result())
        return encode(image)

    monkeypatch.setattr(studio.styles, "features_of_image", lru_cache(looking))
    instance = int(read(root, "inst")[0, 0])
    operate(client, scene, kind="style", instances=[instance], style={"image": "scene_1"})
    assert locked == [False]


def test_nobody_waits_for_the_gallery(
    client: TestClient, scene: str, studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(studio, "gallery", None)
    with client.websocket_connect(f"ws://127.0.0.1:8008{scene}/live") as socket:
        add = {"kind": "add", "label": 3, "number": 0, "at": [0, 0]}
        socket.send_json({"number": 1, "operation": add})
        socket.send_text("no json")
        assert "the gallery is not made yet" in next_of(socket, "error")[0]["message"]


def test_the_state_is_never_ahead_of_the_maps(studio: Studio) -> None:
    session, painter = Session(studio.open("scene_0")), Painter(studio)
    sent = list[dict[str, Any]]()

    class Socket(WebSocket):
        def __init__(self) -> None: ...

        async def receive_text(self) -> str:
            return await asyncio.Future()

        async def send_text(self, data: str) -> None:
            sent.append(json.loads(data))

        async def send_bytes(self, data: bytes) -> None:
            sent.append(json.loads(data[4 : 4 + int.from_bytes(data[:4], "little")]))

    async def until_told(version: int) -> list[Any]:
        while ["state", version] not in (told := [[m["kind"], m.get("version")] for m in sent]):
            await asyncio.sleep(0.01)
        return [message for message in told if message[0] != "image"]

    async def look_on() -> list[Any]:
        window = Window(Socket(), session, painter)
        running = asyncio.create_task(window.run())
        await until_told(0)
        window._changed.set()  # for another reason, a moment before it hears of the stroke
        perform(session, studio, TypeAdapter(Operation).validate_python(stroke(widths=[9])))
        kinds = await until_told(1)
        running.cancel()
        return kinds

    maps = ["maps", None]
    assert run_apart(look_on()) == [maps, ["state", 0], ["state", 0], maps, ["state", 1]]
    painter.close()


def test_a_window_is_stopped_at_the_moment_when_it_ends(studio: Studio) -> None:
    session, painter = Session(studio.open("scene_0")), Painter(studio)

    class Socket(WebSocket):
        def __init__(self, scope: anyio.CancelScope) -> None:
            self.stopped = scope

        async def receive_text(self) -> str:
            await asyncio.sleep(0.1)  # both senders wait, or render
            asyncio.get_running_loop().call_soon(self.stopped.cancel)
            raise WebSocketDisconnect

        async def send_text(self, data: str) -> None: ...

        async def send_bytes(self, data: bytes) -> None: ...

    async def run() -> None:
        with anyio.CancelScope() as scope:
            await Window(Socket(scope), session, painter).run()

    run_apart(run())  # no CancelledError
    painter.close()
    assert not session.watchers


def test_an_error_that_nobody_expected_is_told_and_the_window_lives_on(
    client: TestClient,
    scene: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fails(*args: Any) -> None:
        raise RuntimeError("a bug")

    with client.websocket_connect(f"ws://127.0.0.1:8008{scene}/live") as socket:
        with monkeypatch.context() as patched:
            patched.setattr("pix2pixhd.editor.live.change_of", fails)
            socket.send_json({"number": 1, "operation": stroke()})
            told = next_of(socket, "error")[0]
        assert told["number"] == 1 and "see what its program printed" in told["message"]
        assert "a bug" in caplog.text
        socket.send_json({"number": 2, "operation": stroke()})
        wait_for(socket, 2)


def test_pieces_after_one_that_was_refused_begin_no_stroke(
    client: TestClient, scene: str, session: Session
) -> None:
    with client.websocket_connect(f"ws://127.0.0.1:8008{scene}/live") as socket:
        for number, piece in enumerate(
            (stroke(), stroke(points=[], extend=True), stroke(points=[[9, 9]], extend=True)), 1
        ):
            socket.send_json({"number": number, "operation": piece, "last": False})
        wait_for(socket, 3)
        assert not session.strokes  # its page has dropped the stroke, and sends no last piece
