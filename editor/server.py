"""The editor's page and what it asks for, as a FastAPI app; `/docs` lists its routes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, FastAPI, Query, Request, WebSocket
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from pix2pixhd.editor import requests
from pix2pixhd.editor.cutting import Cutting
from pix2pixhd.editor.downloads import Kind, download
from pix2pixhd.editor.guard import FORBIDDEN, Guard, Place
from pix2pixhd.editor.live import Window, first_line, perform, state_of
from pix2pixhd.editor.painter import Painter
from pix2pixhd.editor.perform import require_styles, vector_now, vector_of
from pix2pixhd.editor.scene import Scene
from pix2pixhd.editor.sessions import QUIET, Session, Sessions
from pix2pixhd.editor.studio import Studio
from pix2pixhd.editor.uploads import received, scene_of_file, scene_of_maps
from pix2pixhd.util.errors import UserError
from pix2pixhd.util.image import png_of

__all__ = ["Place", "create_app"]

STATIC = Path(__file__).parent / "static"
PNG = "image/png"


def create_app(studio: Studio, place: Place, folder: Path, most_bytes: int) -> FastAPI:
    """The app.

    Args:
        place: where it is served: who may talk to it.
        folder: for idle scenes.
        most_bytes: that scenes in memory may take.
    """
    sessions, painter, cutting = Sessions(folder, most_bytes), Painter(studio), Cutting(studio)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        saving = asyncio.create_task(_keep_saving(sessions))
        yield
        saving.cancel()
        painter.close()
        await run_in_threadpool(sessions.save_all)

    # Its own pages of documentation take their scripts from elsewhere.
    app = FastAPI(title="pix2pixHD editor", lifespan=lifespan, docs_url=None, redoc_url=None)
    app.include_router(_pages(studio))
    app.include_router(_opening(studio, sessions, painter), prefix="/api")
    app.include_router(_editing(studio, sessions, painter, cutting), prefix="/api")
    app.include_router(_gallery(cutting), prefix="/api")
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    app.add_exception_handler(UserError, _refused)
    app.add_exception_handler(HTTPException, _failed)
    app.add_exception_handler(Exception, _failed)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_middleware(Guard, place=place)
    app.state.sessions = sessions

    @app.websocket("/api/scenes/{id}/live")
    async def live(socket: WebSocket, id: str) -> None:
        try:
            session = await run_in_threadpool(sessions.get, id)
        except UserError as error:
            await socket.close(FORBIDDEN, str(error)[:120])
            return
        await socket.accept()
        try:
            await Window(socket, session, painter).run()
        finally:  # this task may be cancelled, so it does not wait
            if not session.watchers:
                asyncio.get_running_loop().run_in_executor(None, sessions.save, session)

    return app


async def _keep_saving(sessions: Sessions) -> None:
    while True:
        await asyncio.sleep(QUIET / 3)
        await run_in_threadpool(sessions.save_all, QUIET)


def _refused(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, 400)


def _failed(request: Request, error: Exception) -> Response:
    if isinstance(error, HTTPException):
        return JSONResponse({"error": error.detail}, error.status_code, error.headers)
    return JSONResponse({"error": "the editor failed; see what its program printed"}, 500)


def _malformed(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return JSONResponse({"error": first_line(error)}, 422)


def _pages(studio: Studio) -> APIRouter:
    routes = APIRouter()

    @routes.get("/", include_in_schema=False)
    def index() -> FileResponse:
        return FileResponse(STATIC / "index.html")

    @routes.get("/docs", include_in_schema=False)
    def docs() -> FileResponse:
        return FileResponse(STATIC / "docs.html")

    @routes.get("/favicon.ico", include_in_schema=False)
    def icon() -> FileResponse:
        return FileResponse(STATIC / "icon.svg")

    @routes.get("/api/run")
    def run() -> dict[str, Any]:
        """The run: its labels with names and colours, the images to open, what it cannot do."""
        options, labels = studio.model_options, studio.labels
        return {
            "name": studio.run_name,
            "label_nc": options.label_nc,
            "input_nc": options.input_nc,
            "has_instances": options.instance,
            "feat_num": options.feat_num if studio.styles else 0,
            "by_label": options.label_feat,
            "ignored": studio.options.data.ignore_label,
            "images": studio.names,
            "labels": [
                {"name": labels.names[n] if labels.names else f"label {n}", "colour": colour}
                for n, colour in enumerate(labels.colours.tolist())
            ],
            "notes": studio.notes,
        }

    return routes


def _opening(studio: Studio, sessions: Sessions, painter: Painter) -> APIRouter:
    routes = APIRouter()

    async def added(scene: Scene) -> dict[str, Any]:
        """A session for it, once it could be rendered."""
        session = Session(scene)
        await painter.newest(session)
        added = await run_in_threadpool(sessions.add, session)
        return described(added)

    def described(session: Session) -> dict[str, Any]:
        scene = session.scene
        about = {"id": session.id, "name": scene.name, "shape": scene.shape}
        return {**about, **state_of(session)}

    @routes.post("/scenes")
    async def open_image(asked: requests.Open) -> dict[str, Any]:
        """Open an image of the data set as a new scene."""
        return await added(await painter.run(studio.open, asked.name))

    @routes.get("/scenes/{id}")
    def scene(id: str) -> dict[str, Any]:
        """A scene that was opened before."""
        return described(sessions.get(id))

    @routes.post("/upload/maps")
    async def upload_maps(
        request: Request, label_bytes: Annotated[int, Query(ge=1)]
    ) -> dict[str, Any]:
        """Make a scene of one's own label map. The body is the image file; behind its `label_bytes`
        bytes there may be an instance map's."""
        data = await received(request.stream())
        maps = data[:label_bytes], data[label_bytes:]
        return await added(await painter.run(scene_of_maps, studio, *maps))

    @routes.post("/upload/scene")
    async def upload_scene(request: Request) -> dict[str, Any]:
        """Go on with a scene that was saved. The body is its file."""
        data = await received(request.stream())
        return await added(await run_in_threadpool(scene_of_file, data))

    return routes


def _editing(studio: Studio, sessions: Sessions, painter: Painter, cutting: Cutting) -> APIRouter:
    routes = APIRouter(prefix="/scenes/{id}")

    @routes.post("/operations")
    def operate(id: str, asked: requests.Operation) -> dict[str, Any]:
        """Change the scene; windows that look at it are told what changed. Also answered: the
        `instance` that was added or painted."""
        if isinstance(asked, requests.Add) and asked.is_of_gallery:
            cutting.gallery()
        session = sessions.get(id)
        change = perform(session, studio, asked)
        return {**state_of(session), "instance": change.instance}

    @routes.post("/history/{step}")
    def step(id: str, step: Literal["undo", "redo", "reset"]) -> dict[str, Any]:
        """Take the last step back, do it again, or go back to the start."""
        session = sessions.get(id)
        session.step(step)
        return state_of(session)

    @routes.get("/styles/{instance}")
    def styles(id: str, instance: int) -> dict[str, Any]:
        """The styles that an object can be given, and where it stands among them."""
        (_, still), styles = sessions.get(id).still(), require_styles(studio)
        label = still.label_of(instance)
        vector = vector_now(still, studio, instance)
        about = {"label": label, "vector": vector.tolist(), "axes": None}
        about["centres"] = len(styles.centres(label))
        try:
            axes = styles.axes(label)
        except UserError:
            return about
        about["axes"] = axes.amounts(vector).tolist()
        return about

    @routes.post("/thumbnail", response_class=Response)
    async def thumbnail(id: str, asked: requests.Thumbnail) -> Response:
        """An object as it would look in a style, a PNG."""

        def still() -> Scene:
            session = sessions.get(id)
            with session.lock:
                session.scene.require_instances(asked.instance)
                return session.scene.snapshot()

        scene, vector = await run_in_threadpool(still), None
        if asked.style:
            vector = await painter.run(vector_of, scene, studio, asked.instance, asked.style)
        return Response(await painter.thumbnail(scene, asked.instance, vector), media_type=PNG)

    @routes.get("/start", response_class=Response)
    async def start(id: str) -> Response:
        """What the scene looked like at its start, a PNG."""
        rendering = await painter.start(await run_in_threadpool(sessions.get, id))
        return Response(bytes(await run_in_threadpool(png_of, rendering.image)), media_type=PNG)

    @routes.get("/files/{kind}", response_class=Response)
    async def files(id: str, kind: Kind) -> Response:
        """Take away a picture, a map, a scene to go on with, or a zip of everything."""
        session = await run_in_threadpool(sessions.get, id)
        before, (still, after) = await painter.start(session), await painter.still(session)
        args = still, studio, kind, before, after
        name, data = await run_in_threadpool(download, *args)
        disposition = {"content-disposition": f'attachment; filename="{name}"'}
        return Response(data, headers=disposition, media_type="application/octet-stream")

    return routes


def _gallery(cutting: Cutting) -> APIRouter:
    routes = APIRouter(prefix="/gallery")

    @routes.get("")
    def gallery() -> dict[str, Any]:
        """How far the gallery of objects is, and of which labels it has any."""
        cutting.start()
        return cutting.state()

    @routes.get("/{label}")
    def objects(label: int) -> list[dict[str, Any]]:
        """The objects of a label, the largest first."""
        return [
            {"height": found.mask.shape[0], "width": found.mask.shape[1], "at": found.at}
            for found in cutting.gallery().of(label)
        ]

    @routes.get("/{label}/{number}", response_class=Response)
    def thumbnail(label: int, number: int) -> Response:
        """An object's photograph, a PNG, transparent around it."""
        found = cutting.gallery().of(label)
        if not 0 <= number < len(found):
            raise UserError(f"object: label {label} has {len(found)}, no {number}")
        return Response(found[number].thumbnail, media_type=PNG)

    return routes
