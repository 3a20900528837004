"""What the editor's server refuses: the scene lives on."""

from __future__ import annotations

import json
import struct
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image
from server_asked import (
    SIZE,
    open_scene,
    operate,
    png,
    stroke,
    upload,
)
from tiny_studio import read

from pix2pixhd.editor import uploads
from pix2pixhd.editor.studio import Studio


def huge_png(width: int, height: int) -> bytes:
    """The header of an image, and hardly more."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


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
