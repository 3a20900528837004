"""A window's WebSocket: pieces of strokes come in; parts of the maps that changed and renderings go
out, of which the newest alone counts. `static/docs.html`, served at `/docs`, lists the messages.
"""

from __future__ import annotations

import asyncio
import json
import logging
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from anyio import create_task_group
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.websockets import WebSocket, WebSocketDisconnect

from pix2pixhd.editor.history import Box, Change, box_of
from pix2pixhd.editor.painter import Painter
from pix2pixhd.editor.perform import change_of, prepare
from pix2pixhd.editor.requests import Live, Numbered, Operation, Stroke
from pix2pixhd.editor.scene import Scene
from pix2pixhd.editor.sessions import Session
from pix2pixhd.editor.studio import Studio
from pix2pixhd.util.errors import UserError
from pix2pixhd.util.image import png_of

TRY_AGAIN = 1013  # of WebSockets

log = logging.getLogger(__name__)


def perform(
    session: Session, studio: Studio, asked: Operation, window: object = None, last: bool = True
) -> Change:
    """Do an operation; with `last` false it is a piece of a stroke of `window` that goes on.

    Raises:
        UserError: it cannot be done; the scene is as it was.
    """

    def work(scene: Scene, instance: int | None) -> Change:
        goes_on = isinstance(asked, Stroke) and instance is not None
        piece = asked.model_copy(update={"instance": instance}) if goes_on else asked
        return change_of(scene, studio, piece)

    prepare(studio, asked)
    return session.perform(work, getattr(asked, "extend", False), window, last)


def state_of(session: Session) -> dict[str, Any]:
    """What a page shows besides pictures."""
    history = session.scene.history
    return {"version": session.version, "undo": len(history.done), "redo": len(history.undone)}


PLAIN = {
    "missing": "is not there",
    "extra_forbidden": "no such field",
    "json_invalid": "not JSON",
    "union_tag_not_found": "no kind of operation",
}


def first_line(error: ValidationError | RequestValidationError) -> str:
    """What is wrong with a request, in a line."""
    found = error.errors()[0]
    place = ".".join(str(part) for part in found["loc"] if part not in ("body", "operation"))
    message = found["msg"].replace("Input should be", "expected")
    message = message.replace("Input tag", "kind").replace(" found using 'kind'", "")
    message = PLAIN.get(found["type"], message)
    value = found.get("input")
    shown = f"{value!r:.40}, " if isinstance(value, str | int | float) else ""
    return f"{place or 'request'}: {shown}{message[:200]}"


def _told(error: Exception) -> str:
    """What the page tells of an error; of one that nobody expects the log has the rest."""
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, ValidationError):
        return first_line(error)
    log.error("an operation or a rendering failed", exc_info=error)
    return "the editor failed; see what its program printed"


class Window:
    """A connection; `run` ends when the page goes away."""

    def __init__(self, socket: WebSocket, session: Session, painter: Painter) -> None:
        self._socket, self._session, self._painter = socket, session, painter
        self._box: Box | None = None  # what changed and was not sent
        self._state: dict[str, Any] = {}  # after the last change that was noted
        self._changed, self._outdated = asyncio.Event(), asyncio.Event()
        self._done = 0  # number of the last message that was worked off
        self._sending = asyncio.Lock()

    async def run(self) -> None:
        """Returns when the page goes away."""
        loop, height_width = asyncio.get_running_loop(), self._session.scene.shape

        def watch(changes: Sequence[Change]) -> None:
            loop.call_soon_threadsafe(self._note, box_of(changes), state_of(self._session))

        self._session.watchers.append(watch)
        self._note(Box(0, 0, *height_width), state_of(self._session))
        try:
            async with create_task_group() as senders:
                senders.start_soon(self._send_maps)
                senders.start_soon(self._send_renderings)
                try:
                    if await run_in_threadpool(self._session.settled):
                        await self._receive()
                    else:  # put on disk before it was watched: the page connects anew
                        await self._socket.close(TRY_AGAIN)
                finally:
                    self._session.watchers.remove(watch)
                    # Others may hold its lock long.
                    loop.run_in_executor(None, self._session.leave, self)
                    senders.cancel_scope.cancel()
        except* WebSocketDisconnect:  # while we waited, or while we sent
            pass

    def _note(self, box: Box | None, state: dict[str, Any]) -> None:
        if box and self._box:
            box = Box(*map(min, box[:2], self._box[:2]), *map(max, box[2:], self._box[2:]))
        self._box, self._state = box or self._box, state
        self._changed.set()
        self._outdated.set()

    async def _receive(self) -> None:
        while True:
            try:
                text = await self._socket.receive_text()
            except (RuntimeError, KeyError):  # it went, or sends bytes, which the page never does
                return
            number, last = self._done, True
            try:
                # What is refused is worked off, too, or the page would wait for it.
                number = max(number, Numbered.model_validate_json(text).number)
                last = await self._work_off(Live.model_validate_json(text))
            except Exception as error:  # refused, malformed, or a bug: the window lives on
                await run_in_threadpool(self._session.end_stroke, self)
                await self._send({"kind": "error", "message": _told(error), "number": number})
            self._done = number
            self._changed.set()
            if last:
                self._outdated.set()  # after previews one in full

    async def _work_off(self, asked: Live) -> bool:
        """Returns whether a stroke is over."""
        if asked.operation is None:
            await run_in_threadpool(self._session.take_back, self)
            return True
        args = self._session, self._painter.studio, asked.operation, self, asked.last
        await run_in_threadpool(perform, *args)
        return asked.last

    async def _send_maps(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            # The state that is told is never ahead of the maps.
            state = {"kind": "state", "done": self._done, **self._state}
            box, self._box = self._box, None
            if box:
                header, values = await run_in_threadpool(self._values, box)
                await self._send(header, values)
            await self._send(state)

    def _values(self, box: Box) -> tuple[dict[str, Any], bytes]:
        rows, columns = slice(box.top, box.bottom), slice(box.left, box.right)
        with self._session.lock:
            scene = self._session.scene
            if scene.label_nc:
                maps = {"label": scene.label[rows, columns]}
            else:
                maps = {"picture": scene.picture[rows, columns]}
            if scene.has_instances:
                maps["inst"] = scene.inst[rows, columns]
            values = b"".join(np.ascontiguousarray(map_).tobytes() for map_ in maps.values())
            header = {"kind": "maps", "box": box, "maps": list(maps)}
        return header, zlib.compress(values, 1)

    async def _send_renderings(self) -> None:
        shown = (-1, False)  # version, and whether in full
        while True:
            await self._outdated.wait()
            self._outdated.clear()
            preview = bool(self._session.strokes) and self._painter.studio.wants_preview
            version = self._session.version
            if shown == (version, True):
                continue
            try:
                version, rendering = await self._painter.newest(self._session, preview)
                data = await run_in_threadpool(png_of, rendering.image)
            except Exception as error:  # such as a GPU's memory that is full: the window lives on
                await self._send({"kind": "error", "message": _told(error), "version": version})
                continue
            shown = version, not rendering.is_preview
            header = {
                **{"kind": "image", "version": version, "preview": rendering.is_preview},
                "began": self._session.began,
                "milliseconds": round(rendering.seconds * 1000, 1),
            }
            await self._send(header, bytes(data))

    async def _send(self, header: dict[str, Any], data: bytes | None = None) -> None:
        text = json.dumps(header)
        async with self._sending:
            try:
                if data is None:
                    await self._socket.send_text(text)
                else:
                    head = text.encode()
                    await self._socket.send_bytes(len(head).to_bytes(4, "little") + head + data)
            except RuntimeError as error:  # it was closed
                raise WebSocketDisconnect from error
