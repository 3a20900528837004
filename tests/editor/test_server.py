"""The editor's server, asked by hand: what it does, and what it refuses."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import struct
import time
import zlib
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image
from programs import LABELS, write_tiny_data
from starlette.websockets import WebSocketDisconnect
from tiny_studio import BY_INSTANCE, make_run, open_studio, read

import edit
from pix2pixhd.editor import server, uploads
from pix2pixhd.editor.scene_file import load_scene
from pix2pixhd.editor.server import Place, create_app
from pix2pixhd.editor.studio import SLOW, Studio
from pix2pixhd.options.edit_options import is_loopback
from pix2pixhd.options.parsing import parse_edit
from pix2pixhd.util.errors import UserError

HERE = "http://127.0.0.1:8008"
SIZE = (16, 32)
MUCH = 2**30


@pytest.fixture(scope="module")
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


@pytest.fixture(scope="module")
def studio(root: Path) -> Studio:
    return open_studio(root, "styled")


@pytest.fixture(scope="module")
def client(studio: Studio, root: Path) -> Iterator[TestClient]:
    app = create_app(studio, Place("127.0.0.1", None), root / "scenes", MUCH)
    with TestClient(app, HERE) as client:
        yield client


@pytest.fixture
def scene(client: TestClient) -> str:
    """The path of a scene of its own."""
    return open_scene(client)


def open_scene(client: TestClient, name: str = "scene_0") -> str:
    answer = client.post("/api/scenes", json={"name": name})
    assert answer.status_code == 200, answer.text
    return f"/api/scenes/{answer.json()['id']}"


def operate(client: TestClient, scene: str, **operation: Any) -> httpx.Response:
    return client.post(f"{scene}/operations", json=operation)


def map_of(client: TestClient, scene: str, kind: str = "label") -> np.ndarray:
    answer = client.get(f"{scene}/files/{kind}")
    assert answer.status_code == 200, answer.text
    return np.asarray(Image.open(BytesIO(answer.content)))


def png(values: np.ndarray) -> bytes:
    file = BytesIO()
    Image.fromarray(values).save(file, "PNG")
    return file.getvalue()


def huge_png(width: int, height: int) -> bytes:
    """The header of an image, and hardly more."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def upload(client: TestClient, label: bytes, inst: bytes = b"") -> httpx.Response:
    return client.post(f"/api/upload/maps?label_bytes={len(label) or 1}", content=label + inst)


def stroke(**more: Any) -> dict[str, Any]:
    return {"kind": "stroke", "points": [[4, 4], [4, 20]], "widths": [3], "label": 1, **more}


def next_of(socket: Any, kind: str) -> tuple[dict[str, Any], bytes]:
    """The next message of a kind: its header and data."""
    while True:
        message = socket.receive()
        if (data := message.get("bytes")) is None:
            header, rest = json.loads(message["text"]), b""
        else:
            length = int.from_bytes(data[:4], "little")
            header, rest = json.loads(data[4 : 4 + length]), data[4 + length :]
        if header["kind"] == kind:
            return header, rest


# ---------------------------------------------------------------- what it does


def test_the_page_and_the_run(client: TestClient) -> None:
    page = client.get("/")
    assert "<main>" in page.text and "default-src 'none'" in page.headers["content-security-policy"]
    assert client.get("/static/main.js").headers["content-type"].startswith("text/javascript")
    run = client.get("/api/run").json()
    assert run["images"] == ["scene_0", "scene_1"] and len(run["labels"]) == LABELS
    assert (run["feat_num"], run["has_instances"]) == (2, True)
    docs = client.get("/openapi.json").json()["paths"]
    assert "/api/scenes/{id}/operations" in docs and "docs.js" in client.get("/docs").text


def test_nothing_of_the_page_comes_from_elsewhere() -> None:
    for file in (Path(edit.__file__).parent / "editor/static").iterdir():
        text = file.read_text().replace("http://www.w3.org/2000/svg", "")
        assert "http://" not in text and "https://" not in text, file


def test_operations_and_back(client: TestClient, scene: str, root: Path) -> None:
    before, label = map_of(client, scene, "image"), read(root, "label")
    instance = int(read(root, "inst")[0, 0])
    asked: list[dict[str, Any]] = [
        stroke(),
        {"kind": "fill", "at": [15, 31], "label": 2},
        {"kind": "style", "instances": [instance], "style": {"centre": 3}},
        {"kind": "label", "instances": [instance], "label": 4, "instance": "new"},
        {"kind": "add", "instance": 4001, "at": [2, 2], "scale": 0.5, "mirrored": True},
        {"kind": "move", "instances": [4001], "by": [1, 2]},
        {"kind": "remove", "instances": [4001], "fill": 0},
        stroke(label=None, widths=[3, 5]),
    ]
    for number, operation in enumerate(asked, 1):
        answer = operate(client, scene, **operation)
        assert answer.status_code == 200, (operation, answer.text)
        assert answer.json()["undo"] >= number - 1
    assert not np.array_equal(map_of(client, scene, "image"), before)
    steps = answer.json()["undo"]
    for _ in range(steps):
        client.post(f"{scene}/history/undo")
    assert np.array_equal(map_of(client, scene), label)
    assert np.array_equal(map_of(client, scene, "image"), before)
    assert client.post(f"{scene}/history/redo").json() == {"version": 17, "undo": 1, "redo": 7}
    assert client.post(f"{scene}/history/reset").json()["undo"] == 2
    assert np.array_equal(map_of(client, scene), label)


def test_styles_and_their_thumbnails(client: TestClient, scene: str, root: Path) -> None:
    instance = int(read(root, "inst")[0, 0])
    about = client.get(f"{scene}/styles/{instance}").json()
    assert about["centres"] == 4 and len(about["axes"]) == len(about["vector"]) == 2
    ask = {"instance": instance}
    now = client.post(f"{scene}/thumbnail", json=ask)
    others = [{"centre": 2}, {"amounts": [3, -3]}, {"vector": [1, -1]}, {"image": "scene_1"}]
    for style in others[:3]:
        other = client.post(f"{scene}/thumbnail", json={**ask, "style": style})
        assert other.status_code == 200 and other.content != now.content, (style, other.text)
    operate(client, scene, kind="style", instances=[instance], style={"amounts": [1, 0.5]})
    moved = client.get(f"{scene}/styles/{instance}").json()["axes"]
    assert np.allclose(moved, [1, 0.5], atol=1e-4)
    assert client.get(f"{scene}/styles/999").status_code == 400


def test_an_object_of_the_gallery_is_added(client: TestClient, scene: str) -> None:
    while not (state := client.get("/api/gallery").json())["ready"]:
        assert not state["message"]
    label = state["labels"][0]["label"]
    [first, *_] = client.get(f"/api/gallery/{label}").json()
    assert client.get(f"/api/gallery/{label}/0").content.startswith(b"\x89PNG")
    assert client.get(f"/api/gallery/{label}/99").status_code == 400
    answer = operate(client, scene, kind="add", label=label, number=0, at=[0, 0])
    assert answer.status_code == 200
    assert (map_of(client, scene)[: first["height"], : first["width"]] == label).any()
    assert operate(client, scene, kind="add", label=label, number=99, at=[0, 0]).status_code == 400


def test_files_to_take_away(client: TestClient, scene: str) -> None:
    operate(client, scene, **stroke())
    both = map_of(client, scene, "before_after")
    assert both.shape == (16, 64, 3) and np.array_equal(
        both[:, 32:], map_of(client, scene, "image")
    )
    everything = client.get(f"{scene}/files/all")
    assert "scene_0.zip" in everything.headers["content-disposition"]
    saved = client.get(f"{scene}/files/scene").content
    again = client.post("/api/upload/scene", content=saved)
    assert again.status_code == 200 and again.json()["undo"] == 1
    other = f"/api/scenes/{again.json()['id']}"
    for kind in ("label", "inst", "image"):
        assert np.array_equal(map_of(client, other, kind), map_of(client, scene, kind))
    assert client.get(f"{scene}/files/passwd").status_code == 422


def test_one_s_own_label_map(client: TestClient, root: Path) -> None:
    label, inst = read(root, "label"), read(root, "inst")
    for maps in ((png(label), png(inst)), (png(label), b"")):
        answer = upload(client, *maps)
        assert answer.status_code == 200, answer.text
        assert np.array_equal(map_of(client, f"/api/scenes/{answer.json()['id']}"), label)


def test_drawing_on_a_picture(root: Path) -> None:
    studio = open_studio(root, "drawing")
    picture = np.full((16, 16, 3), 255, np.uint8)
    with TestClient(create_app(studio, Place("localhost", None), root / "d", MUCH), HERE) as client:
        answer = upload(client, png(picture))
        assert answer.status_code == 200, answer.text
        scene = f"/api/scenes/{answer.json()['id']}"
        line = {"kind": "stroke", "points": [[0, 0], [15, 15]], "widths": [1]}
        operate(client, scene, **line, colour=[9, 8, 7])
        drawn = map_of(client, scene)
        assert (drawn[range(16), range(16)] == (9, 8, 7)).all() and (drawn[0, 5] == 255).all()
        operate(client, scene, kind="fill", at=[15, 0], colour=[1, 2, 3])
        assert (map_of(client, scene)[15, 0] == (1, 2, 3)).all()
        operate(client, scene, **line)  # the eraser
        assert (map_of(client, scene)[range(16), range(16)] == 255).all()
        assert operate(client, scene, **stroke()).status_code == 200  # without a label, no harm


# ---------------------------------------------------------------- strokes and pictures


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


def wait_for(socket: Any, number: int) -> dict[str, Any]:
    while (state := next_of(socket, "state")[0])["done"] < number:
        pass
    return state


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


def test_undo_of_nothing_is_none(client: TestClient, scene: str) -> None:
    for step in ("undo", "redo", "reset"):
        state = client.post(f"{scene}/history/{step}").json()
        assert state == {"version": 0, "undo": 0, "redo": 0}


# ---------------------------------------------------------------- what it refuses


def bad_maps() -> dict[str, tuple[bytes, bytes, str]]:
    label = np.zeros(SIZE, np.uint8)
    return {
        "no image": (b"no image at all", b"", "not an image"),
        "empty": (b"", b"", "not an image"),
        "cut off": (png(label)[:50], b"", "label: "),
        "JPEG": (b"\xff\xd8\xff" + bytes(50), b"", "a JPEG, in which numbers blur"),
        "other size": (png(label), png(label[:-1]), "inst: [15, 32] pixels"),
        "colours": (
            png(np.random.default_rng(0).integers(0, 255, (*SIZE, 3), np.uint8)),
            b"",
            "label",
        ),
        "100 megapixels": (huge_png(10_000, 10_000), b"", "10000x10000 pixels"),
        "a bomb": (huge_png(60_000, 60_000), b"", "label: "),
        "unknown label": (png(label + 200), b"", "label: holds 200, expected 0 to 4"),
        "negative": (tiff(np.full(SIZE, -1, np.int32)), b"", "label: holds -1"),
    }


def tiff(values: np.ndarray) -> bytes:
    file = BytesIO()
    Image.fromarray(values).save(file, "TIFF")
    return file.getvalue()


@pytest.mark.parametrize(("label", "inst", "message"), bad_maps().values(), ids=bad_maps())
def test_bad_maps(client: TestClient, scene: str, label: bytes, inst: bytes, message: str) -> None:
    answer = upload(client, label, inst)
    assert answer.status_code == 400 and message in answer.json()["error"], answer.text
    assert "/tmp" not in answer.text and "\n" not in answer.json()["error"]
    assert operate(client, scene, **stroke()).status_code == 200


def test_bad_scenes(client: TestClient, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = BytesIO()
    np.savez(file, head=np.array([{"a": 1}], object))
    other = np.load(BytesIO(client.get(f"{open_scene(client)}/files/scene").content))

    def changed(**settings: Any) -> bytes:
        head = json.dumps(json.loads(other["head"].tobytes()) | settings).encode()
        np.savez(made := BytesIO(), **{**other, "head": np.frombuffer(head, np.uint8)})
        return made.getvalue()

    for data in (b"", b"PK\x03\x04", file.getvalue()):
        answer = client.post("/api/upload/scene", content=data)
        assert answer.status_code == 400 and "not a scene" in answer.text
    answer = client.post("/api/upload/scene", content=changed(label_nc=7))
    assert "--label_nc 7, but this run has 5" in answer.json()["error"]
    named = client.post("/api/upload/scene", content=changed(name='../a"b\r\nc')).json()
    everything = client.get(f"/api/scenes/{named['id']}/files/all")
    assert everything.headers["content-disposition"] == 'attachment; filename="_a_b_c.zip"'
    monkeypatch.setattr(uploads, "MOST_BYTES", 100)
    assert "over 0 MB" in client.post("/api/upload/scene", content=b"x" * 101).text


def test_what_cannot_be_rendered(
    client: TestClient, studio: Studio, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*args: Any, **flags: Any) -> None:
        raise RuntimeError("Padding size should be less")

    monkeypatch.setattr(studio, "render", fails)
    answer = upload(client, png(read(root, "label")))
    assert answer.status_code == 400
    assert "scene of 32x16: cannot be rendered (Padding" in answer.json()["error"]


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/etc/passwd", "scene_0/../scene_1", "scene_0.png", "", "..", "\0"]
)
def test_names_are_those_of_the_list(client: TestClient, name: str) -> None:
    answer = client.post("/api/scenes", json={"name": name})
    assert answer.status_code == 400 and "not among those of the data set" in answer.text


@pytest.mark.parametrize(
    "path", ["/api/scenes/..%2f..%2fetc", "/api/scenes/x", "/static/..%2f..%2fedit.py", "/static/"]
)
def test_paths_lead_nowhere(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code in (400, 404) and answer.json()["error"]


@pytest.mark.parametrize(
    ("operation", "message"),
    [
        (stroke(label=99), "label 99: expected 0 to 4"),
        (stroke(widths=[1, 2, 3]), "3 widths of 2 points"),
        (stroke(widths=[0]), "greater than 0"),
        (stroke(points=[[1e9, 0]]), "less than or equal to"),
        (stroke(points=[[0, 0]] * 5001), "at most 5000"),
        (stroke(color=1), "color"),
        (stroke(only_over=[77]), "label 77"),
        ({"kind": "fill", "at": [16, 0], "label": 1}, "pixel (16, 0)"),
        ({"kind": "fill", "at": [-1, 0], "label": 1}, "pixel (-1, 0)"),
        ({"kind": "fill", "at": [0, 0]}, "no label"),
        ({"kind": "move", "instances": [777], "by": [1, 1]}, "instance 777"),
        ({"kind": "move", "by": [1, 1]}, "give instances or at"),
        ({"kind": "remove", "instances": []}, "at least 1"),
        ({"kind": "style", "instances": [777], "style": {"centre": 0}}, "instance 777"),
        ({"kind": "add", "at": [0, 0], "instance": 777}, "instance 777"),
        ({"kind": "add", "at": [0, 0], "instance": 0, "scale": 1e9}, "scale"),
        ({"kind": "add", "at": [0, 0]}, "not named; give"),
        ({"kind": "add", "at": [0, 0], "label": 1}, "not named; give"),
        ({"kind": "add", "at": [99, 99], "instance": 0}, "out of the picture"),
        ({"kind": "move", "instances": [0], "by": [90_000, 0]}, "out of the picture"),
        (stroke(instance=0, label=2), "instance 0: is of label 0, not 2"),
        ({"kind": "fill", "at": [0, 0], "label": 2, "instance": 0}, "is of label 0, not 2"),
        ({"kind": "rotate"}, "kind 'rotate' does not match any of the expected tags"),
        ({}, "no kind of operation"),
    ],
)
def test_bad_operations(
    client: TestClient, scene: str, operation: dict[str, Any], message: str
) -> None:
    answer = client.post(f"{scene}/operations", json=operation)
    assert answer.status_code in (400, 422) and message in answer.json()["error"], answer.text
    assert client.get(scene).json()["version"] == 0


@pytest.mark.parametrize(
    ("style", "message"),
    [
        ({"centre": 9}, "has 4 clusters, no 9"),
        ({"image": "../x"}, "not among those"),
        ({"amounts": [1e300, 0]}, "amounts.0: 1e+300, expected less than"),
        ({"amounts": [1]}, "1 amounts, expected 2"),
        ({"vector": [1, 2, 3]}, "expected 2 finite numbers"),
        ({}, "0 sources, expected one"),
        ({"centre": 0, "instance": 1}, "2 sources"),
    ],
)
def test_bad_styles(
    client: TestClient, scene: str, root: Path, style: dict[str, Any], message: str
) -> None:
    instance = int(read(root, "inst")[0, 0])
    answer = operate(client, scene, kind="style", instances=[instance], style=style)
    assert answer.status_code in (400, 422) and message in answer.json()["error"]
    answer = client.post(f"{scene}/thumbnail", json={"instance": instance, "style": style})
    assert answer.status_code in (400, 422) and message in answer.json()["error"]


# ---------------------------------------------------------------- who may ask


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


# ---------------------------------------------------------------- many at once


def test_a_hundred_at_once(studio: Studio, root: Path) -> None:
    app = create_app(studio, Place("127.0.0.1", None), root / "many", MUCH)

    async def ask() -> list[httpx.Response]:
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url=HERE, timeout=60
        ) as client:
            opened = await client.post("/api/scenes", json={"name": "scene_0"})
            path = f"/api/scenes/{opened.json()['id']}/operations"
            asked = [
                client.post(path, json=stroke(points=[[n % 16, n % 32]], label=n % 5))
                for n in range(60)
            ]
            asked += [client.post(path, json=stroke(label=99)) for _ in range(20)]
            asked += [client.post("/api/scenes", json={"name": "scene_1"}) for _ in range(20)]
            return [*await asyncio.gather(*asked), await client.post(path, json=stroke())]

    statuses = [answer.status_code for answer in asyncio.run(ask())]
    assert statuses == [200] * 60 + [400] * 20 + [200] * 21


def test_idle_scenes_are_on_disk_and_do_not_mix(studio: Studio, root: Path) -> None:
    folder = root / "idle"
    app = create_app(studio, Place("127.0.0.1", None), folder, most_bytes=1)
    with TestClient(app, HERE) as client:
        scenes = [open_scene(client)]
        held = app.state.sessions.get(scenes[0].rpartition("/")[2])
        scenes += [open_scene(client) for _ in range(2)]
        with pytest.raises(UserError, match="just put on disk"):  # what was done would be lost
            held.step("undo")
        labels = [label for label in range(LABELS) if label != read(root, "label")[0, 0]]
        for label, scene in zip(labels, scenes, strict=False):
            operate(client, scene, kind="fill", at=[0, 0], label=label)
        assert len(app.state.sessions) == 1 and len(list(folder.iterdir())) >= 2
        maps = [map_of(client, scene) for scene in scenes]
        assert [int(map_[0, 0]) for map_ in maps] == labels[:3]
        for scene in scenes:
            assert client.post(f"{scene}/history/undo").json()["redo"] == 1
    # The program ends, and another one begins.
    app = create_app(studio, Place("127.0.0.1", None), folder, most_bytes=MUCH)
    with TestClient(app, HERE) as client:
        for scene, map_ in zip(scenes, maps, strict=True):
            assert client.post(f"{scene}/history/redo").json()["undo"] == 1
            assert np.array_equal(map_of(client, scene), map_)


def test_a_killed_program_loses_no_scene(
    studio: Studio, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = root / "killed"
    for quiet in (60, 0.05):
        monkeypatch.setattr(server, "QUIET", quiet)
        app = create_app(studio, Place("127.0.0.1", None), folder, most_bytes=MUCH)
        with TestClient(app, HERE) as client:
            scene = open_scene(client)
            file = folder / f"{scene.rpartition('/')[2]}.npz"
            if quiet > 1:  # the last window leaves
                with client.websocket_connect(f"ws://127.0.0.1:8008{scene}/live") as socket:
                    next_of(socket, "image")
                    assert not file.exists()
            else:
                operate(client, scene, **stroke())
            end = time.monotonic() + 10
            while not file.exists() or len(load_scene(file).history.done) < (quiet < 1):
                assert time.monotonic() < end
                time.sleep(0.02)


# ---------------------------------------------------------------- the program


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    edit.require_packages()
    monkeypatch.setattr(edit, "NEEDED", ("pydantic", "no_such_package"))
    with pytest.raises(UserError, match=r"^no_such_package: not installed, .* requirements-edit"):
        edit.require_packages()


def test_the_address_is_printed_with_a_token_where_it_needs_one(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--name", "styled", "--checkpoints_dir", str(root / "ck"), "--gpu_ids", "-1"]
    monkeypatch.setattr("uvicorn.Server.run", lambda self, sockets: None)
    for flags, expected in (
        ([], r"http://127\.0\.0\.1:\d+/  "),
        (["--host", "0.0.0.0"], r"http://[^/]+/\?token=[0-9a-f]{32}  "),
        (["--token", "sesame123"], r"http://127\.0\.0\.1:\d+/\?token=sesame123  "),
    ):
        edit.main(parse_edit([*where, "--port", "0", "--precision", "fp32", *flags]))
        assert re.search("^editor: " + expected, capsys.readouterr().out, re.M)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--token", "short"], "--token: must be 8 or more letters and digits"),
        (["--token", "with/slash"], "--token: must be 8 or more letters and digits"),
        (["--gpu_ids", "0,1"], "--gpu_ids 0,1: the editor computes on one"),
        (["--port", "70000"], "--port"),
    ],
)
def test_bad_flags(root: Path, flags: list[str], message: str) -> None:
    where = ["--name", "styled", "--checkpoints_dir", str(root / "ck")]
    with pytest.raises(UserError, match=message):
        parse_edit([*where, *flags])


@pytest.mark.parametrize(
    ("host", "is_this_machine"),
    [("127.0.0.1", True), ("localhost", True), ("::1", True), ("0.0.0.0", False), ("me", False)],
)
def test_loopback(host: str, is_this_machine: bool) -> None:
    assert is_loopback(host) == is_this_machine


def test_a_port_that_is_taken() -> None:
    with edit.listen("127.0.0.1", 0) as listener:
        assert listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)  # pictures do not wait
        port = listener.getsockname()[1]
        with pytest.raises(UserError, match=rf"--port {port}: cannot be listened at"):
            edit.listen("127.0.0.1", port)
