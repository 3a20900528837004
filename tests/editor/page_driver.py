"""The editor's page on a toy street, driven in the system's Chromium."""

from __future__ import annotations

import base64
import contextlib
import threading
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import uvicorn
from PIL import Image
from programs import LABELS
from tiny_studio import open_studio

from edit import listen
from pix2pixhd.editor.server import Place, create_app
from pix2pixhd.editor.studio import Studio

SKY, ROAD, CAR, TREE, BUILDING = range(LABELS)
WIDTH, HEIGHT = 96, 48
HAS_ALL = "globalThis.editor?.maps?.version && editor.images.now"
SETTLED = """steps => editor.maps.version && editor.state.undo === steps
    && editor.shownVersion >= editor.state.version && document.body.dataset.full === "true"
    && editor.live.done >= editor.live.number && !editor.awaited.length"""


HOLD = """([part, isAnswered]) => { const ask = globalThis.fetch;
    globalThis.isHeld = false;
    globalThis.fetch = async (path, how) => {
        if (!String(path).includes(part)) return ask(path, how);
        globalThis.fetch = ask;
        const answer = isAnswered ? await ask(path, how) : null;
        globalThis.isHeld = true;
        await new Promise((release) => { globalThis.release = release; });
        globalThis.isHeld = false;
        return answer ?? ask(path, how); }; }"""


def write_streets(root: Path) -> None:
    """Sky over a road with two cars, a tree and a building; the photographs are noise."""
    label = np.full((HEIGHT, WIDTH), SKY, np.uint8)
    label[28:] = ROAD
    label[8:28, 60:84], label[12:28, 10:24] = BUILDING, TREE
    inst = label.astype(np.uint16)
    for number, left in enumerate((20, 60)):
        label[32:42, left : left + 16], inst[32:42, left : left + 16] = CAR, CAR * 1000 + number
    photo = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    for kind, values in (("label", label), ("inst", inst), ("img", photo)):
        folder = root / f"data/test_{kind}"
        folder.mkdir(parents=True)
        for number in range(2):
            Image.fromarray(values).save(folder / f"scene_{number}.png")
    (root / "data/test_A").mkdir()
    Image.new("RGB", (WIDTH, HEIGHT), "white").save(root / "data/test_A/scene_0.png")


@contextlib.contextmanager
def serving(root: Path, name: str, studio: Studio | None = None) -> Iterator[str]:
    """The address of a run's page, with a server in a thread."""
    place = Place("127.0.0.1", "sesame123")
    app = create_app(studio or open_studio(root, name), place, root / "scenes", 2**30)
    config = uvicorn.Config(app, log_level="error", ws_per_message_deflate=False)
    config.timeout_graceful_shutdown = 1  # should a test fail and leave its page open
    with listen("127.0.0.1", 0) as listener:
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/?token=sesame123"
        finally:
            server.should_exit = True
            thread.join(20)


SEEN = """() => { const { state, shownVersion, live, awaited, maps } = globalThis.editor ?? {};
    const { full } = document.body.dataset, messages = document.getElementById("messages");
    return JSON.stringify({ state, shownVersion, full, done: live?.done, number: live?.number,
        maps: maps?.version, awaited: awaited?.length, messages: messages?.innerText }); }"""


def wait(page: Any, expression: str, arg: Any = None) -> None:
    """Until it is true. (Playwright's own way needs `eval`, which the page forbids.)"""
    end = time.monotonic() + 60
    while not page.evaluate(expression, arg):
        assert time.monotonic() < end, f"{expression} of {arg}: {page.evaluate(SEEN)}"
        time.sleep(0.01)


def picture_of(page: Any, which: str) -> np.ndarray:
    script = """which => { const { width, height } = editor.maps, image = editor.images[which];
        const canvas = Object.assign(document.createElement("canvas"), { width, height });
        canvas.getContext("2d").drawImage(image, 0, 0);
        return canvas.toDataURL(); }"""
    file = BytesIO(base64.b64decode(page.evaluate(script, which).partition(",")[2]))
    return np.asarray(Image.open(file).convert("RGB")).astype(int)


def opened(window: Any, address: str) -> Any:
    """Another page of the window's browser, with an image."""
    page = window.context.new_page()
    page.goto(address)
    wait(page, HAS_ALL)
    return page


class Driven:
    """The page, with a fresh scene if asked for."""

    def __init__(self, page: Any, fresh: bool = True) -> None:
        self.page = page
        if not fresh:
            return
        page.evaluate("editor.openImage('scene_0')")
        page.evaluate("editor.select([])")
        for key in ("Escape", "1", "v", "0"):
            page.keyboard.press(key)
        self.settle(0)

    def hold(self, part: str, answered: bool = False) -> None:
        """Keep the next request to an address with this part, or its answer, till `release`."""
        self.page.evaluate(HOLD, [part, answered])

    def release(self) -> None:
        wait(self.page, "globalThis.isHeld")
        self.page.evaluate("release()")
        wait(self.page, "!globalThis.isHeld")

    def settle(self, steps: int) -> None:
        """Wait until the scene is of so many steps, and the picture shows that."""
        wait(self.page, SETTLED, steps)

    def spot(self, x: float, y: float, pane: str = "picture") -> tuple[float, float]:
        """Where a place of the scene is in the window."""
        script = """([x, y, pane]) => { const { view } = editor;
            const box = view.canvases[pane].getBoundingClientRect();
            return [box.left + view.x + x * view.scale, box.top + view.y + y * view.scale]; }"""
        x, y = self.page.evaluate(script, [x, y, pane])
        return x, y

    def pixel(self, x: float, y: float) -> list[int]:
        """What the picture's pane shows at a place of the scene, once it is drawn."""
        script = """async ([x, y]) => { const { view } = editor;
            await new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)));
            const at = [view.x + x * view.scale, view.y + y * view.scale];
            const context = view.canvases.picture.getContext("2d");
            return [...context.getImageData(...at, 1, 1).data.slice(0, 3)]; }"""
        found: list[int] = self.page.evaluate(script, [x, y])
        return found

    def click(self, x: float, y: float, **how: Any) -> None:
        self.page.mouse.click(*self.spot(x, y), **how)

    def drag(self, *places: tuple[float, float], steps: int = 3) -> None:
        mouse = self.page.mouse
        mouse.move(*self.spot(*places[0]))
        mouse.down()
        for place in places[1:]:
            mouse.move(*self.spot(*place), steps=steps)
        mouse.up()

    @property
    def label(self) -> np.ndarray:
        return np.array(self.page.evaluate("[...editor.maps.label]")).reshape(HEIGHT, WIDTH)

    @property
    def picture(self) -> np.ndarray:
        return picture_of(self.page, "now")

    def number(self, expression: str) -> Any:
        return self.page.evaluate(expression)

    def chosen(self) -> str:
        text: str = self.page.inner_text("#object")
        return text.strip()


def inside_and_outside(before: np.ndarray, after: np.ndarray, mask: np.ndarray) -> tuple[Any, Any]:
    """Mean change of a picture in a mask and elsewhere."""
    change = np.abs(after - before).mean(axis=2)
    return change[mask].mean(), change[~mask].mean()
