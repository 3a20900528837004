"""Scenes of several windows: none mixes with another, memory is bounded, idle ones are on disk."""

from __future__ import annotations

import contextlib
import re
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path

from pix2pixhd.editor.history import Change
from pix2pixhd.editor.scene import Scene
from pix2pixhd.editor.scene_file import load_scene, save_scene
from pix2pixhd.editor.studio import Rendering
from pix2pixhd.util.errors import UserError

MOST_FILES = 500  # scenes on disk; the oldest are deleted
ID = re.compile(r"[A-Za-z0-9_-]{22}")  # `secrets.token_urlsafe(16)`, and nothing that is a path

Watcher = Callable[[Sequence[Change]], None]
"""Is told what changed, in whatever thread that was."""


class Session:
    """A scene that windows look at. Whoever reads or changes it holds `lock`.

    Attributes:
        version: counts the changes, so that one knows which of two renderings is newer.
        start: the rendering of the scene at its start, once there is one.
        newest: the newest rendering in full, and the version that it shows.
    """

    def __init__(self, scene: Scene, id_: str = "") -> None:
        """Without an id it gets one that nobody can guess."""
        self.id, self.scene, self.lock = id_ or secrets.token_urlsafe(16), scene, threading.RLock()
        self.version = 0
        self.start: Rendering | None = None
        self.newest: tuple[int, Rendering] | None = None
        self.watchers: list[Watcher] = []
        self.is_saved = self.is_gone = False
        self.is_stroke = False  # one is under way
        self._stroke_instance: int | None = None

    def perform(self, work: Callable[[Scene, int | None], Change], extend: bool = False) -> Change:
        """Apply the change that `work` makes of the scene.

        `work` is also given the instance that a stroke under way paints: its pieces are one object.

        Raises:
            UserError: `work` does; the scene is as it was.
        """
        with self.lock:
            self._require_here()
            change = work(self.scene, self._stroke_instance if extend else None)
            self.scene.apply(change, extend=extend)
            painted = change.after.get("inst")
            if painted is not None and len(painted):
                self._stroke_instance = int(painted[0])
            elif not extend:
                self._stroke_instance = None
            if not change.is_empty:
                self.tell([change])
        return change

    def step(self, name: str) -> None:
        """`undo`, `redo` or `reset`."""
        with self.lock:
            self._require_here()
            done = getattr(self.scene, name)()
            self.tell(done if isinstance(done, list) else [done])

    def _require_here(self) -> None:
        if self.is_gone:
            raise UserError("scene: was just put on disk; ask again")

    def tell(self, changes: Sequence[Change]) -> None:
        """The scene was changed."""
        self.version += 1
        self.is_saved = False
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
        self._lock = threading.RLock()

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
            session.is_saved = True
        self._make_room(session)
        return session

    def __len__(self) -> int:
        """How many are in memory."""
        return len(self._sessions)

    def save_all(self) -> None:
        """Before the program ends. A scene that cannot be written does not keep others from it."""
        for session in list(self._sessions.values()):
            with contextlib.suppress(UserError):
                self._save(session)

    def _make_room(self, kept: Session) -> None:
        """Put on disk what was unused the longest, but nothing that a window looks at."""
        with self._lock:
            total = sum(session.memory for session in self._sessions.values())
            for session in list(self._sessions.values()):
                if total <= self._most:
                    break
                if session is not kept and not session.watchers:
                    total -= session.memory
                    with session.lock:
                        self._save(session)
                        session.is_gone = True
                    del self._sessions[session.id]

    def _save(self, session: Session) -> None:
        with session.lock:
            if session.is_saved:
                return
            self._folder.mkdir(parents=True, exist_ok=True)
            save_scene(session.scene, self._folder / f"{session.id}.npz")
            session.is_saved = True
        files = sorted(self._folder.glob("*.npz"), key=lambda file: file.stat().st_mtime)
        for file in files[:-MOST_FILES]:
            if ID.fullmatch(file.stem):
                file.unlink(missing_ok=True)
