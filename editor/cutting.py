"""The gallery of objects, made in a thread of its own on the first call for it."""

from __future__ import annotations

import logging
import threading
from typing import Any

from pix2pixhd.editor.objects import ObjectGallery
from pix2pixhd.editor.studio import Studio
from pix2pixhd.util.errors import UserError

log = logging.getLogger(__name__)


class Cutting:
    """Cuts a run's objects while people work."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._gallery: ObjectGallery | None = None
        self._message, self._done, self._total = "", 0, 0
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin, if that is still to do."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._cut, name="cutting", daemon=True)
                self._thread.start()

    def state(self) -> dict[str, Any]:
        """How far it is: images done, of how many; how many objects each label has."""
        labels = []
        if self._gallery:
            found = self._gallery
            labels = [{"label": label, "count": len(found.of(label))} for label in found.labels()]
        return {
            **{"ready": self._gallery is not None, "message": self._message},
            **{"done": self._done, "total": self._total, "labels": labels},
        }

    def gallery(self) -> ObjectGallery:
        """
        Raises:
            UserError: it is not ready, or there is none for this run.
        """
        if self._gallery is None:
            self.start()
            raise UserError(self._message or "objects: still being cut; ask again in a moment")
        return self._gallery

    def _cut(self) -> None:
        def progress(done: int, total: int) -> None:
            self._done, self._total = done, total

        try:
            self._gallery = self._studio.objects(progress)
        except UserError as error:
            self._message = str(error)
        except Exception:  # of any kind: the thread ends, and whoever asks is told why
            log.exception("the gallery of objects cannot be made")
            self._message = "objects: cannot be cut; see the log"
