"""The thread that computes: renderings of scenes, and whatever else asks the networks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import TypeVar

import numpy as np
from PIL import Image
from starlette.concurrency import run_in_threadpool

from pix2pixhd.editor import operations
from pix2pixhd.editor.perform import styled_id
from pix2pixhd.editor.regions import bounding_box
from pix2pixhd.editor.scene import Scene
from pix2pixhd.editor.sessions import Session
from pix2pixhd.editor.studio import Rendering, Studio
from pix2pixhd.util.errors import UserError

THUMBNAIL = 128  # pixels of the longer side
MARGIN = 0.1  # around an object, of its longer side
PATIENCE = 0.05  # seconds that a scene's turn waits for an operation to end

Result = TypeVar("Result")


class Painter:
    """One for all windows: what it is asked for is done in turn, so that a scene's rendering waits
    for no more than one job of each other."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio
        self._thread = ThreadPoolExecutor(1, "painter")

    async def run(self, function: Callable[..., Result], *args: object) -> Result:
        """Call it in the thread."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, function, *args)

    def close(self) -> None:
        self._thread.shutdown(cancel_futures=True)

    async def newest(self, session: Session, preview: bool = False) -> tuple[int, Rendering]:
        """A rendering of the scene as it is when its turn comes, and the version that it shows."""
        while (found := await self.run(self._newest, session, preview)) is None:
            await run_in_threadpool(session.settled)  # and other scenes have their turn
        return found

    async def still(self, session: Session) -> tuple[Scene, Rendering]:
        """A copy of the scene, and the rendering of that."""
        version, still = await run_in_threadpool(session.still)
        return still, (await self.run(self._rendered, session, version, still))[1]

    async def start(self, session: Session) -> Rendering:
        """A rendering of the scene at its start."""
        if session.start is None:
            _, still = await run_in_threadpool(session.still)
            await run_in_threadpool(still.reset)
            session.start = await self.run(self._render, still)
        return session.start

    async def thumbnail(self, scene: Scene, instance: int, vector: np.ndarray | None) -> bytes:
        """A PNG of an instance and what is around it, as it would look with a vector."""
        return await self.run(self._thumbnail, scene, instance, vector)

    def _newest(self, session: Session, preview: bool) -> tuple[int, Rendering] | None:
        """None while a long operation changes the scene."""
        if not session.lock.acquire(timeout=PATIENCE):
            return None
        try:
            if session.newest and session.newest[0] == session.version:
                return session.newest
            version, still = session.still()
        finally:
            session.lock.release()
        return self._rendered(session, version, still, preview)

    def _rendered(
        self, session: Session, version: int, still: Scene, preview: bool = False
    ) -> tuple[int, Rendering]:
        if session.newest and session.newest[0] == version:
            return session.newest
        rendering = self._render(still, preview)
        if not preview:
            session.newest = version, rendering
            if session.start is None and not still.history.done:
                session.start = rendering
        return version, rendering

    def _thumbnail(self, scene: Scene, instance: int, vector: np.ndarray | None) -> bytes:
        if vector is not None:
            scene.apply(operations.set_styles(scene, {styled_id(scene, instance): vector}))
        image = self._render(scene, self.studio.wants_preview).image
        box = bounding_box(scene.mask_of(instance))
        assert box is not None
        margin = round(MARGIN * max(box.bottom - box.top, box.right - box.left)) + 2
        rows = slice(max(box.top - margin, 0), box.bottom + margin)
        shown = Image.fromarray(image[rows, max(box.left - margin, 0) : box.right + margin])
        scale = THUMBNAIL / max(shown.size)
        size = [max(1, round(side * scale)) for side in shown.size]
        file = BytesIO()
        shown.resize((size[0], size[1]), Image.Resampling.BICUBIC).save(file, "PNG")
        return file.getvalue()

    def _render(self, scene: Scene, preview: bool = False) -> Rendering:
        """
        Raises:
            UserError: the networks cannot make an image of it, such as one too small or too large.
        """
        try:
            return self.studio.render(scene, preview=preview)
        except (RuntimeError, MemoryError) as error:
            height, width = scene.shape
            reason = (str(error).splitlines() or ["out of memory"])[0][:200]
            raise UserError(
                f"scene of {width}x{height}: cannot be rendered ({reason}); take one of the size "
                "that the run was trained at"
            ) from error
