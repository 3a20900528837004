"""Scenes of several windows: none mixes with another, memory is bounded, idle ones are on disk."""

from __future__ import annotations

import logging
import re
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from pix2pixhd.editor.history import Change
from pix2pixhd.editor.scene import Scene
from pix2pixhd.editor.scene_file import load_scene, save_scene
from pix2pixhd.editor.studio import Rendering
from pix2pixhd.util.errors import UserError

MOST_FILES = 500  # scenes on disk; the oldest are deleted
QUIET = 3.0  # seconds after a change, when a scene is put on disk whatever comes
LATER = 60.0  # seconds, and it is tried again
ID = re.compile(r"[A-Za-z0-9_-]{22}")  # `secrets.token_urlsafe(16)`, and nothing that is a path

log = logging.getLogger(__name__)

Watcher = Callable[[Sequence[Change]], None]
"""Is told what changed, in whatever thread that was; nothing when a stroke is over."""


class Session:
    """A scene that windows look at. Whoever reads or changes it holds `lock`.

    Attributes:
        version: counts the changes, so that one knows which of two renderings is newer.
        began: the version before the last step.
        saved: the version that is on disk; -1: none.
        strokes: the windows that have a stroke under way.
        start: the rendering of the scene at its start, once there is one.
        newest: the newest rendering in full, and the version that it shows.
    """

    def __init__(self, scene: Scene, id_: str = "") -> None:
        """Without an id it gets one that nobody can guess."""
        self.id, self.scene, self.lock = id_ or secrets.token_urlsafe(16), scene, threading.RLock()
        self.version, self.began, self.saved = 0, 0, -1
        self.changed = time.monotonic()
        self.start: Rendering | None = None
        self.newest: tuple[int, Rendering] | None = None
        self.watchers: list[Watcher] = []
        self.is_gone = False
        self.strokes = set[object]()
        self._last: object = None  # the window that made the last step
        self._painted: dict[object, int | None] = {}  # the instance that a window's stroke paints

    def perform(
        self,
        work: Callable[[Scene, int | None], Change],
        extend: bool = False,
        window: object = None,
        last: bool = True,
    ) -> Change:
        """Apply the change that `work` makes of the scene.

        Args:
            work: is also given the instance that the window's stroke paints: its pieces are one
                object.
            extend: a piece of the window's last stroke, and of its step if no other came between.
            window: whose stroke it is.
            last: no further piece is under way.

        Raises:
            UserError: `work` does; the scene is as it was.
        """
        with self.lock:
            self._require_here()
            change = work(self.scene, self._painted.get(window) if extend else None)
            if last:
                self.end_stroke(window)
            elif not extend or window in self.strokes:  # else its stroke was refused meanwhile
                self.strokes.add(window)
            is_same = extend and window is self._last
            began = self.began if is_same and self.scene.history.is_open else self.version
            self.scene.apply(change, extend=is_same)
            self._last = window
            if change.instance is not None:
                self._painted[window] = change.instance
            elif not extend:
                self._painted[window] = None
            if not change.is_empty:
                self.tell([change], began)
        return change

    def take_back(self, window: object) -> None:
        """Undo the window's stroke that is under way."""
        with self.lock:
            if window in self.strokes and window is self._last and self.scene.history.is_open:
                self.step("undo")
            self.end_stroke(window)

    def end_stroke(self, window: object) -> None:
        """If it has one under way. Windows are told, which then want a rendering in full."""
        with self.lock:
            if window in self.strokes:
                self.strokes.remove(window)
                self._tell_watchers([])

    def leave(self, window: object) -> None:
        """The window is gone; its stroke is over."""
        with self.lock:
            self.end_stroke(window)
            self._painted.pop(window, None)

    def still(self) -> tuple[int, Scene]:
        """The version, and a copy of the scene."""
        with self.lock:
            return self.version, self.scene.snapshot()

    def settled(self) -> bool:
        """Waits for an operation under way; whether the scene is here, not put on disk by now."""
        with self.lock:
            return not self.is_gone

    def step(self, name: str) -> None:
        """`undo`, `redo` or `reset`."""
        with self.lock:
            self._require_here()
            done = getattr(self.scene, name)()
            changes = done if isinstance(done, list) else [done]
            if any(not change.is_empty for change in changes):
                self.tell(changes, self.version)

    def _require_here(self) -> None:
        if self.is_gone:
            raise UserError("scene: was just put on disk; ask again")

    def tell(self, changes: Sequence[Change], began: int) -> None:
        """The scene was changed, in a step that began with a version."""
        self.began, self.changed = began, time.monotonic()
        self.version += 1
        self._tell_watchers(changes)

    def _tell_watchers(self, changes: Sequence[Change]) -> None:
        for watcher in list(self.watchers):
            watcher(changes)

    @property
    def memory(self) -> int:
        """Bytes."""
        renderings = [self.start, self.newest[1] if self.newest else None]
        return self.scene.memory + sum(r.image.nbytes for r in renderings if r)


class Sessions:
    """All of them by id, the longest unused first."""

    def __init__(self, folder: Path, most_bytes: int) -> None:
        """Scenes go to `folder` when all take more than `most_bytes`, and when the program ends."""
        self._folder, self._most = folder, most_bytes
        self._sessions: OrderedDict[str, Session] = OrderedDict()
        self._lock, self._writing = threading.RLock(), threading.RLock()

    def add(self, session: Session) -> Session:
        """Take in a new one."""
        with self._lock:
            self._sessions[session.id] = session
        self._make_room(session)
        return session

    def get(self, id_: str) -> Session:
        """The session, read back from disk if need be.

        Raises:
            UserError: there is none.
        """
        with self._lock:
            if id_ in self._sessions:
                self._sessions.move_to_end(id_)
                return self._sessions[id_]
            file = self._folder / f"{id_}.npz"
            if not ID.fullmatch(id_) or not file.is_file():
                raise UserError("scene: not here any more; open an image anew")
            session = self._sessions[id_] = Session(load_scene(file), id_)
            session.saved = session.version
        self._make_room(session)
        return session

    def __len__(self) -> int:
        """How many are in memory."""
        return len(self._sessions)

    def save_all(self, quiet: float = 0) -> None:
        """Put on disk what has not changed for so many seconds: the program may be killed. 0: all,
        also what could not be written a moment ago."""
        for session in list(self._sessions.values()):
            if not quiet or time.monotonic() - session.changed >= quiet:
                self.save(session)

    def save(self, session: Session) -> None:
        """Put it on disk. If it cannot be written, others can, and it may be later."""
        try:
            self._save(session)
            return
        except UserError as error:
            log.warning("a scene was not saved: %s", error)
        except Exception:  # such as memory that is full
            log.exception("a scene was not saved")
        session.changed = time.monotonic() + LATER

    def _make_room(self, kept: Session) -> None:
        """Put on disk what was unused the longest, but nothing that a window looks at."""
        with self._lock:
            total = sum(session.memory for session in self._sessions.values())
            for session in list(self._sessions.values()):
                if total <= self._most:
                    break
                if session is kept or session.watchers:
                    continue
                with self._writing, session.lock:
                    if session.watchers:  # since a moment ago
                        continue
                    self._save(session)
                    session.is_gone = True
                total -= session.memory
                del self._sessions[session.id]

    def _save(self, session: Session) -> None:
        with self._writing:
            with session.lock:
                if session.saved == session.version:
                    return
                version, still = session.version, session.scene.snapshot()
            save_scene(still, self._folder / f"{session.id}.npz")  # strokes need not wait for it
            session.saved = version
            with suppress(FileNotFoundError):  # of one that others delete; the next time does it
                files = sorted(self._folder.glob("*.npz"), key=lambda file: file.stat().st_mtime)
                for file in files[:-MOST_FILES]:
                    if ID.fullmatch(file.stem):
                        file.unlink(missing_ok=True)
