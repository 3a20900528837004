"""Requests to the editor's server, by hand."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any, TypeVar

import httpx
import numpy as np
from fastapi.testclient import TestClient
from PIL import Image

HERE = "http://127.0.0.1:8008"
SIZE = (16, 32)
MUCH = 2**30

Result = TypeVar("Result")


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


def upload(client: TestClient, label: bytes, inst: bytes = b"") -> httpx.Response:
    return client.post(f"/api/upload/maps?label_bytes={len(label) or 1}", content=label + inst)


def stroke(**more: Any) -> dict[str, Any]:
    return {"kind": "stroke", "points": [[4, 4], [4, 20]], "widths": [3], "label": 1, **more}


def next_of(socket: Any, kind: str) -> tuple[dict[str, Any], bytes]:
    """The next message of a kind: its header and data. Those of other kinds, which come in any
    order, are kept."""
    kept: dict[str, list[tuple[dict[str, Any], bytes]]] = vars(socket).setdefault("kept", {})
    while not kept.get(kind):
        message = socket.receive()
        if (data := message.get("bytes")) is None:
            header, rest = json.loads(message["text"]), b""
        else:
            length = int.from_bytes(data[:4], "little")
            header, rest = json.loads(data[4 : 4 + length]), data[4 + length :]
        kept.setdefault(header["kind"], []).append((header, rest))
    return kept[kind].pop(0)


def wait_for(socket: Any, number: int) -> dict[str, Any]:
    while (state := next_of(socket, "state")[0])["done"] < number:
        pass
    return state


def run_apart(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """Run it in another thread: in this one a browser's event loop may be running."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, coroutine).result()
