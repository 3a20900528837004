"""The editor's page, driven in the system's Chromium."""

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
import pytest
import uvicorn
from browser import CHROMIUM
from PIL import Image
from programs import LABELS
from tiny_studio import BY_INSTANCE, make_run, open_studio

from edit import listen
from pix2pixhd.editor.server import Place, create_app

sync_api = pytest.importorskip("playwright.sync_api")

SKY, ROAD, CAR, TREE, BUILDING = range(LABELS)
WIDTH, HEIGHT = 96, 48
SETTLED = """steps => editor.state.undo === steps
    && editor.shownVersion >= editor.state.version && document.body.dataset.full === "true"
    && editor.live.done >= editor.live.number"""


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


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the data, and of runs of random weights."""
    if CHROMIUM is None:
        pytest.skip("there is no chromium to open pages in")
    root = tmp_path_factory.mktemp("page")
    write_streets(root)
    make_run(root, "styled", clusters=True, **BY_INSTANCE)
    make_run(root, "plain", instance=False)
    make_run(root, "drawing", label_nc=0, instance=False)
    return root


@pytest.fixture(scope="module")
def address(root: Path) -> Iterator[str]:
    with serving(root, "styled") as address:
        yield address


@contextlib.contextmanager
def serving(root: Path, name: str) -> Iterator[str]:
    """The address of a run's page, with a server in a thread."""
    place = Place("127.0.0.1", "sesame123")
    app = create_app(open_studio(root, name), place, root / "scenes", 2**30)
    config = uvicorn.Config(app, log_level="error", ws_per_message_deflate=False)
    with listen("127.0.0.1", 0) as listener:
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/?token=sesame123"
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        flags = {"executable_path": CHROMIUM, "args": ["--no-sandbox", "--disable-gpu"]}
        browser = playwright.chromium.launch(**flags)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def window(browser: Any, address: str) -> Iterator[Any]:
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page, errors = context.new_page(), list[str]()
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda line: line.type == "error" and errors.append(line.text))
    page.goto(address)
    wait(page, "globalThis.editor?.maps")
    yield page
    refused = "status of 400"  # what a test asks for
    assert not [error for error in errors if refused not in error]


def wait(page: Any, expression: str, arg: Any = None) -> None:
    """Until it is true. (Playwright's own way needs `eval`, which the page forbids.)"""
    end = time.monotonic() + 15
    while not page.evaluate(expression, arg):
        assert time.monotonic() < end, expression
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
    wait(page, "globalThis.editor?.images?.now")
    return page


class Driven:
    """The page with a fresh scene."""

    def __init__(self, page: Any) -> None:
        self.page = page
        page.evaluate("editor.openImage('scene_0')")
        page.evaluate("editor.select([])")
        for key in ("Escape", "1", "v", "0"):
            page.keyboard.press(key)
        self.settle(0)

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


@pytest.fixture
def driven(window: Any) -> Driven:
    return Driven(window)


def inside_and_outside(before: np.ndarray, after: np.ndarray, mask: np.ndarray) -> tuple[Any, Any]:
    """Mean change of a picture in a mask and elsewhere."""
    change = np.abs(after - before).mean(axis=2)
    return change[mask].mean(), change[~mask].mean()


def test_a_street_is_changed_object_by_object(driven: Driven, tmp_path: Path) -> None:
    page, start, label = driven.page, driven.picture, driven.label
    driven.click(25, 36)
    assert driven.chosen() == "label 2, object 1"
    wait(page, "document.querySelectorAll('#styles img').length === 6")

    page.locator("#styles button").nth(3).click()
    driven.settle(1)
    mask = np.zeros(label.shape, bool)
    mask[32:42, 20:36] = True
    inside, outside = inside_and_outside(start, driven.picture, mask)
    assert inside > 2 * outside and np.array_equal(driven.label, label)

    page.locator("#axes input").first.fill("2.5")
    driven.settle(2)
    styled = driven.picture
    page.keyboard.press("v")
    driven.click(15, 20)
    page.click(f"#palette [data-label='{BUILDING}']")
    page.click("[data-command=relabel]")
    driven.settle(3)
    changed = driven.label != label
    assert (driven.label[changed] == BUILDING).all() and (label[changed] == TREE).all()
    inside, outside = inside_and_outside(styled, driven.picture, changed)
    assert inside > 2 * outside and driven.chosen().startswith("label 4")

    relabelled, picture = driven.label, driven.picture
    page.locator("#gallery-panel").scroll_into_view_if_needed()
    page.wait_for_selector("#gallery button", timeout=20_000)
    page.select_option("#gallery-label", str(CAR))
    page.wait_for_selector("#gallery button[title^='label 2']")
    page.locator("#gallery button").first.hover()
    page.mouse.down()
    page.mouse.move(*driven.spot(44, 36), steps=4)
    page.mouse.up()
    page.mouse.wheel(0, -100)
    page.keyboard.press("h")
    page.keyboard.press("Enter")
    driven.settle(4)
    added = driven.label != relabelled
    assert (driven.label[added] == CAR).all() and 160 <= added.sum() < 240 and added[36, 44]
    inside, outside = inside_and_outside(picture, driven.picture, added)
    assert inside > 2 * outside
    wait(page, "document.getElementById('object').textContent.includes('object 3')")

    page.click(f"#palette [data-label='{TREE}']")
    page.keyboard.press("b")
    before = driven.label
    driven.drag((40, 6), (50, 6), (50, 16))
    driven.settle(5)
    assert (driven.label[before != driven.label] == TREE).all() and driven.label[6, 45] == TREE
    assert driven.number("editor.state.undo") == 5

    page.click("summary")
    with page.expect_download() as waited:
        page.click("[data-file=label]")
    waited.value.save_as(tmp_path / "label.png")
    assert np.array_equal(Image.open(tmp_path / "label.png"), driven.label)

    for left in range(4, -1, -1):
        page.keyboard.press("Control+z")
        wait(page, "left => editor.state.undo === left", left)
    driven.settle(0)
    assert np.array_equal(driven.label, label) and np.array_equal(driven.picture, start)
    page.keyboard.press("Control+Shift+z")
    wait(page, "editor.state.undo === 1")


def test_hover_names_and_shift_click_adds(driven: Driven) -> None:
    driven.page.mouse.move(*driven.spot(65, 36, "labels"))
    assert "label 2, object 2" in driven.number("document.getElementById('hover').value")
    assert driven.number("editor.hovered") == {"inst": 2001}
    driven.click(25, 36)
    driven.page.keyboard.down("Shift")
    driven.click(65, 36)
    driven.page.keyboard.up("Shift")
    assert driven.chosen() == "2 objects"
    driven.page.keyboard.press("Delete")
    driven.settle(1)
    assert CAR not in driven.label and (driven.label[32:42] == ROAD).all()


def test_sizes_of_brush_and_eraser_and_the_cursor(driven: Driven) -> None:
    page = driven.page
    sizes = "[editor.tools.sizes.brush, editor.tools.sizes.eraser]"
    page.evaluate("editor.tools.sizes = { brush: 10, eraser: 10 }")
    page.keyboard.press("b")
    page.keyboard.press("]")
    brush, eraser = driven.number(sizes)
    assert brush > 10 == eraser
    page.keyboard.press("e")
    page.keyboard.press("[")
    page.mouse.move(*driven.spot(48, 24))
    page.mouse.wheel(0, 100)
    assert driven.number(sizes)[0] == brush and driven.number(sizes)[1] < 9
    for x, y, pane in ((10, 10, "picture"), (30, 20, "labels")):
        middle = driven.spot(x, y, pane)
        page.mouse.move(*middle)
        box = page.locator("#cursor").bounding_box()
        expected = driven.number("editor.tools.sizes.eraser * editor.view.scale")
        assert box["width"] == pytest.approx(expected, abs=1)
        assert box["x"] + box["width"] / 2 == pytest.approx(middle[0], abs=1.5)
        assert box["y"] + box["height"] / 2 == pytest.approx(middle[1], abs=1.5)


def test_zoom_to_the_pointer_and_pan(driven: Driven) -> None:
    page = driven.page
    at = driven.spot(30, 20)
    page.mouse.move(*at)
    page.mouse.wheel(0, -100)
    page.mouse.wheel(0, -100)
    assert driven.spot(30, 20) == pytest.approx(at, abs=0.6)
    page.keyboard.down(" ")
    driven.drag((30, 20), (40, 24))
    page.keyboard.up(" ")
    moved = driven.spot(30, 20)
    assert moved[0] > at[0] + 20 and moved[1] > at[1] + 8
    page.mouse.move(*moved)
    page.mouse.down(button="middle")
    page.mouse.move(*at)
    page.mouse.up(button="middle")
    assert driven.spot(30, 20) == pytest.approx(at, abs=1)
    assert driven.number("editor.state.undo") == 0
    page.keyboard.press("0")
    assert driven.spot(30, 20) == pytest.approx(at, abs=0.01)


def test_lines_bucket_and_eraser(driven: Driven) -> None:
    page = driven.page
    page.evaluate("editor.tools.sizes = { brush: 3, eraser: 9 }")
    page.click(f"#palette [data-label='{TREE}']")
    page.keyboard.press("b")
    driven.click(5.5, 4.5)
    page.keyboard.down("Shift")
    driven.click(50.5, 4.5)
    page.keyboard.up("Shift")
    driven.settle(2)
    assert (driven.label[3:6, 6:50] == TREE).all() and (driven.label[6, 6:50] == SKY).all()
    page.keyboard.press("g")
    page.click(f"#palette [data-label='{BUILDING}']")
    driven.click(50, 45)
    driven.settle(3)
    assert (driven.label[42:] == BUILDING).all() and ROAD not in driven.label
    page.keyboard.press("e")
    driven.drag((20, 37), (36, 37))
    driven.settle(4)
    gone = driven.label[34:40, 20:36]
    assert (gone == BUILDING).all()  # what is around the car, not the car
    assert (driven.label[32:42, 60:76] == CAR).all()


def test_what_lies_between_two_events_is_painted(driven: Driven) -> None:
    page = driven.page
    page.evaluate("editor.tools.sizes = { brush: 2, eraser: 9 }")
    page.click(f"#palette [data-label='{CAR}']")
    page.keyboard.press("b")
    places = [driven.spot(*place) for place in ((5, 5), (20, 2), (35, 5), (48, 5))]
    page.evaluate(
        """places => {
            const canvas = editor.view.canvases.picture;
            const made = (name, [clientX, clientY], more) => new PointerEvent(name,
                { clientX, clientY, pointerId: 1, pointerType: "mouse", ...more });
            canvas.setPointerCapture = () => {};
            canvas.dispatchEvent(made("pointerdown", places[0]));
            const coalescedEvents = places.slice(1).map((place) => made("pointermove", place));
            canvas.dispatchEvent(made("pointermove", places[3], { coalescedEvents }));
            canvas.dispatchEvent(made("pointerup", places[3]));
            delete canvas.setPointerCapture;
        }""",
        places,
    )
    driven.settle(1)
    assert driven.label[2, 20] == CAR  # the corner that only a coalesced event tells


def test_pen_pressure_and_two_fingers(driven: Driven) -> None:
    page = driven.page
    page.evaluate("editor.tools.sizes = { brush: 12, eraser: 9 }")
    page.click(f"#palette [data-label='{CAR}']")
    page.keyboard.press("b")
    script = """([type, moves]) => {
        const canvas = editor.view.canvases.picture;
        canvas.setPointerCapture = () => {};
        for (const [name, [clientX, clientY], pressure, pointerId] of moves) {
            canvas.dispatchEvent(new PointerEvent(name,
                { clientX, clientY, pressure, pointerId, pointerType: type }));
        }
        delete canvas.setPointerCapture;
    }"""
    a, b = driven.spot(10, 6), driven.spot(40, 6)
    moves = [("pointerdown", a, 0.1, 1), ("pointermove", b, 1, 1), ("pointerup", b, 0, 1)]
    page.evaluate(script, ["pen", moves])
    driven.settle(1)
    painted = (driven.label == CAR)[:20].sum(axis=0)
    assert 1 <= painted[10] < 9 <= painted[40]
    scale = driven.number("editor.view.scale")
    near, far = driven.spot(50, 6), driven.spot(60, 6)
    moves = [("pointerdown", a, 1, 5), ("pointerdown", near, 1, 6), ("pointermove", far, 1, 6)]
    moves += [("pointerup", a, 0, 5), ("pointerup", far, 0, 6)]
    page.evaluate(script, ["touch", moves])
    assert driven.number("editor.view.scale") == pytest.approx(scale * 1.25, rel=0.03)
    assert driven.number("editor.live.number") == driven.number("editor.live.done")
    assert driven.number("editor.state.undo") == 1


def test_views(driven: Driven) -> None:
    page = driven.page
    pixel = """([x, y]) => { const canvas = editor.view.canvases.picture, { view } = editor;
        const at = [view.x + x * view.scale, view.y + y * view.scale];
        return [...canvas.getContext("2d").getImageData(...at, 1, 1).data.slice(0, 3)]; }"""
    colours = driven.number("editor.run.labels.map(({ colour }) => colour)")
    page.keyboard.press("2")
    page.locator("#opacity").fill("100")
    page.wait_for_timeout(60)
    assert page.evaluate(pixel, [15, 20]) == colours[TREE]
    page.locator("#opacity").fill("0")
    page.wait_for_timeout(60)
    assert page.evaluate(pixel, [15, 20]) != colours[TREE]
    page.keyboard.press("3")
    driven.page.wait_for_timeout(60)
    assert page.evaluate(pixel, [15, 20]) != colours[TREE]
    assert page.evaluate(pixel, [72, 16]) == colours[BUILDING]
    middle = driven.spot(WIDTH / 2, 10)
    page.mouse.move(*middle)
    page.mouse.down()
    page.mouse.move(*driven.spot(5, 10), steps=2)
    page.mouse.up()
    page.wait_for_timeout(60)
    assert page.evaluate(pixel, [15, 20]) == colours[TREE]


def test_how_far_a_step_reaches_and_the_start(driven: Driven) -> None:
    page = driven.page
    page.keyboard.press("m")
    driven.drag((65, 36), (45, 36))
    driven.settle(1)
    assert (driven.label[32:42, 44:56] == CAR).all() and (driven.label[32:42, 62:] == ROAD).all()
    page.keyboard.press("d")
    wait(page, "document.getElementById('caption').textContent.includes('% of the')")
    page.keyboard.press("d")
    page.keyboard.down("a")
    wait(page, "document.getElementById('caption').textContent === 'At the start'")
    page.keyboard.up("a")
    wait(page, "document.getElementById('caption').textContent === 'Picture'")


def test_with_the_keyboard_alone(driven: Driven) -> None:
    page = driven.page
    page.keyboard.press("?")
    assert page.locator("#shortcuts").is_visible() and "Undo" in page.inner_text("#shortcut-list")
    page.keyboard.press("Escape")
    page.evaluate("editor.tools.at = null")
    page.locator("[data-pane=picture] canvas").focus()
    for key in ("Shift+ArrowRight", "Shift+ArrowRight", "Shift+ArrowDown", "ArrowDown"):
        page.keyboard.press(key)
    page.keyboard.press("Enter")
    assert driven.chosen() == "label 2, object 2"  # right and down of the middle
    page.keyboard.press("/")
    page.keyboard.type("label 4")
    page.keyboard.press("Enter")
    page.keyboard.press("l")
    driven.settle(1)
    assert (driven.label[32:42, 60:76] == BUILDING).all()
    page.keyboard.press("c")
    for _ in range(3):
        page.keyboard.press("Shift+ArrowLeft")
    page.keyboard.press("Enter")
    driven.settle(2)
    assert (driven.label[32:42, 50:60] == BUILDING).any()


def test_each_key_of_the_list_does_what_it_says(driven: Driven) -> None:
    dead = driven.page.evaluate(
        """async () => {
            const { ALL } = await import("./static/commands.js"), dead = [];
            const { tools, view } = editor, names = { Space: " ", Esc: "Escape", "−": "-" };
            ["Left", "Right", "Up", "Down"].forEach((way, i) => {
                names["←→↑↓"[i]] = `Arrow${way}`;
            });
            view.canvases.picture.focus();
            for (const command of ALL) {
                const how = command.press ? "press" : "run", does = command[how];
                for (const shown of [...command.keys, ...command.also ?? []]) {
                    let isCalled = false;
                    command[how] = () => { isCalled = true; };
                    tools.drag = command.during === "drag" ? {} : null;
                    editor.placing = command.during === "placing" ? {} : null;
                    const parts = shown.split("-"), last = parts.at(-1);
                    const event = new KeyboardEvent("keydown", {
                        key: names[last] ?? (shown.length > 1 ? last : last.toLowerCase()),
                        ctrlKey: parts.includes("Ctrl"), shiftKey: parts.includes("Shift"),
                        altKey: parts.includes("Alt"), bubbles: true, cancelable: true,
                    });
                    document.activeElement.dispatchEvent(event);
                    if (!isCalled || !event.defaultPrevented) dead.push(command.name + shown);
                }
                command[how] = does;
            }
            tools.drag = editor.placing = null;
            return dead;
        }"""
    )
    assert dead == []


def test_buttons_and_the_list_are_of_the_table(driven: Driven) -> None:
    page = driven.page
    table = page.evaluate(
        """async () => (await import("./static/commands.js")).ALL
            .map(({ name, keys, what }) => ({ name, keys, what }))"""
    )
    script = "all => all.map((e) => [e.dataset.command, e.title])"
    titles = page.eval_on_selector_all("[data-command]", script)
    what = {row["name"]: row["what"] for row in table}
    assert {name for name, _ in titles} <= what.keys() and len(titles) > 25
    assert all(title.startswith(what[name]) for name, title in titles)
    assert dict(titles)["undo"] == "Undo (Ctrl-Z)"
    listed = page.eval_on_selector_all("#shortcut-list dt", "all => all.map((e) => e.innerText)")
    for row in table:
        for key in row["keys"]:
            assert any(key in line for line in listed), row


def test_bad_files_are_told_and_the_scene_lives_on(driven: Driven, tmp_path: Path) -> None:
    page, id_ = driven.page, driven.number("editor.id")
    Image.fromarray(np.full((8, 8), 99, np.uint8)).save(tmp_path / "bad.png")
    Image.fromarray(np.full((32, 32), ROAD, np.uint8)).save(tmp_path / "good.png")
    page.click("[data-command=open]")
    page.set_input_files("#label-file", tmp_path / "bad.png")
    page.click("#file-form .main")
    wait(page, "document.getElementById('file-problem').textContent.includes('99')")
    assert driven.number("editor.id") == id_
    page.set_input_files("#label-file", tmp_path / "good.png")
    page.click("#file-form .main")
    wait(page, "id => editor.id !== id && editor.images.now", id_)
    assert driven.number("[editor.maps.width, editor.maps.height]") == [32, 32]
    page.go_back()
    wait(page, "id => editor.id === id && editor.images.now", id_)


def test_windows_do_not_mix_and_a_scene_is_found_again(
    driven: Driven, window: Any, address: str
) -> None:
    other = opened(window, address)
    assert other.evaluate("editor.id") != driven.number("editor.id")
    driven.page.keyboard.press("x")
    driven.click(25, 36)
    driven.settle(1)
    assert CAR not in driven.label[32:42, 20:36]
    assert other.evaluate(f"editor.maps.at(25, 36).label === {CAR}")
    hash_ = driven.number("location.hash")
    other.goto("about:blank")
    other.goto(address + hash_)
    wait(other, f"globalThis.editor?.images.now && editor.maps.at(25, 36).label === {ROAD}")
    assert other.evaluate("editor.state.undo") == 1
    other.emulate_media(color_scheme="dark")
    paper = other.evaluate("getComputedStyle(document.body).backgroundColor")
    assert max(int(part) for part in paper[4:-1].split(",")) < 40
    other.close()


def test_the_cursor_does_not_wait_for_the_picture(driven: Driven) -> None:
    """It is where the pointer is before the event is over, whatever is being rendered."""
    page = driven.page
    page.keyboard.press("b")
    begin = time.perf_counter()
    driven.drag((10, 10), (80, 10), steps=30)
    assert time.perf_counter() - begin < 5
    x, y = driven.spot(80, 10)
    box = page.locator("#cursor").bounding_box()
    assert box["x"] + box["width"] / 2 == pytest.approx(x, abs=1.5)
    assert box["y"] + box["height"] / 2 == pytest.approx(y, abs=1.5)
    driven.settle(1)


def test_a_lost_connection_is_made_again(driven: Driven) -> None:
    driven.page.keyboard.press("g")
    driven.click(50, 45)
    driven.settle(1)
    driven.page.evaluate("editor.live.socket.close()")
    wait(driven.page, "editor.shownVersion === -1 || editor.live.socket.readyState === 1")
    driven.click(10, 5)
    driven.settle(2)
    assert driven.label[5, 10] == driven.label[45, 50]


def test_drawings_have_colours_in_place_of_labels(root: Path, window: Any) -> None:
    with serving(root, "drawing") as address:
        page = opened(window, address)
        driven = Driven(page)
        assert not page.locator("[data-command=select], #palette").first.is_visible()
        page.evaluate("editor.chooseColour('#d04030')")
        page.evaluate("editor.tools.sizes = { brush: 5, eraser: 9 }")
        page.keyboard.press("b")
        driven.drag((10, 10), (60, 10))
        driven.settle(1)
        page.keyboard.press("e")
        driven.drag((40, 4), (40, 16))
        driven.settle(2)
        page.evaluate("editor.chooseColour('#2858b0')")
        page.keyboard.press("g")
        driven.click(50, 40)
        driven.settle(3)
        script = """places => { const context = editor.maps.drawn.getContext("2d");
            return places.map((at) => [...context.getImageData(...at, 1, 1).data].slice(0, 3)); }"""
        found = page.evaluate(script, [[20, 10], [40, 10], [5, 40]])
        assert found == [[208, 64, 48], [40, 88, 176], [40, 88, 176]]
        page.close()


def test_regions_are_chosen_where_there_are_no_instances(root: Path, window: Any) -> None:
    with serving(root, "plain") as address:
        page = opened(window, address)
        driven = Driven(page)
        driven.click(25, 36)
        assert driven.chosen() == f"label {CAR}"
        page.keyboard.press("m")
        driven.drag((25, 36), (30, 36))
        driven.settle(1)
        assert (driven.label[32:42, 25:41] == CAR).all()
        page.click(f"#palette [data-label='{TREE}']")
        page.keyboard.press("l")
        driven.settle(2)
        assert (driven.label[32:42, 25:41] == TREE).all()
        assert (driven.label[32:42, 60:76] == CAR).all()  # the other region stays
        page.close()


def test_a_stroke_is_of_one_tool_and_escape_takes_it_back(driven: Driven) -> None:
    page, label = driven.page, driven.label
    page.click(f"#palette [data-label='{CAR}']")
    page.keyboard.press("b")
    page.mouse.move(*driven.spot(5, 5))
    page.mouse.down()
    page.mouse.move(*driven.spot(30, 5), steps=3)
    for key in ("v", "]", "c", "Control+z"):
        page.keyboard.press(key)
    page.mouse.move(*driven.spot(40, 5), steps=3)
    wait(page, "editor.state.undo === 1")
    assert driven.number("editor.tools.name") == "brush" and not driven.number("editor.placing")
    page.keyboard.press("Escape")
    driven.settle(0)
    page.mouse.move(*driven.spot(50, 8), steps=2)
    page.mouse.up()
    driven.settle(0)
    assert np.array_equal(driven.label, label)
    driven.drag((5, 5), (40, 5))  # nothing is stuck
    driven.settle(1)
    page.evaluate(
        "editor.live.send({ kind: 'stroke', points: [[1, 1]], widths: [0], label: 1 }, true)"
    )
    wait(page, "editor.live.done >= editor.live.number")  # what is refused is settled
    assert "greater than 0" in page.inner_text("#messages")


def test_escape_closes_the_downloads(driven: Driven) -> None:
    driven.page.click("summary")
    driven.page.keyboard.press("Escape")
    assert not driven.page.locator("#downloads ul").is_visible()


def test_a_scene_that_is_gone_can_be_saved(window: Any, address: str, tmp_path: Path) -> None:
    page = opened(window, address + "#AAAAAAAAAAAAAAAAAAAAAA")
    assert "not here any more" in page.inner_text("#messages")  # and another image is open
    page.evaluate("editor.live.scene = 'api/scenes/BBBBBBBBBBBBBBBBBBBBBB'")
    page.evaluate("editor.live.number++")  # a stroke is under way
    page.evaluate("editor.step('undo')")
    page.evaluate("editor.live.socket.close()")
    page.wait_for_selector("text=can be saved")
    assert "does not answer" not in page.inner_text("#messages")
    maps = {"label": "editor.maps.label", "instance": "editor.maps.inst"}
    for name, values in maps.items():
        with page.expect_download() as waited:
            page.click(f"text=Save the {name} map")
        waited.value.save_as(tmp_path / "map.tif")
        saved = np.asarray(Image.open(tmp_path / "map.tif"))
        assert np.array_equal(saved.ravel(), page.evaluate(f"[...{values}]"))
    page.close()


def test_before_and_difference_are_of_all_windows(driven: Driven, window: Any) -> None:
    start = driven.picture
    other = window.context.new_page()
    driven.page.keyboard.press("g")
    driven.click(50, 45)
    driven.settle(1)
    other.goto(driven.number("location.href"))
    wait(other, "globalThis.editor?.images.now")
    other.evaluate("editor.showPicture('start')")
    wait(other, "Boolean(editor.images.start)")
    assert np.array_equal(picture_of(other, "start"), start)
    other.evaluate("editor.showPicture('difference')")
    driven.click(10, 5)
    driven.settle(2)
    wait(other, "document.getElementById('caption').textContent.includes('% of the')")
    other.close()


def test_what_is_painted_is_shown(driven: Driven) -> None:
    page = driven.page
    page.click(f"#palette [data-label='{CAR}']")
    page.keyboard.press("b")
    assert page.inner_text("#laid").split() == ["Paint", "label", "2"]
    page.evaluate("editor.showPicture('start')")
    page.select_option("#joins", "new")
    page.keyboard.press("e")  # the choice does not keep the keys
    assert driven.number("editor.tools.name") == "eraser"
    page.keyboard.press("b")
    page.evaluate("document.getElementById('over').value = 'selected'")
    driven.drag((40, 5), (50, 5))
    driven.settle(0)
    assert "Nothing is selected" in page.inner_text("#messages")
    page.select_option("#over", "")
    driven.drag((40, 5), (50, 5))
    driven.settle(1)
    assert driven.number("editor.view.picture") == "now"
    page.keyboard.press("v")
    driven.click(15, 20)
    page.keyboard.press("b")
    page.select_option("#joins", "selected")
    assert page.inner_text("#laid").endswith(f"label {TREE}")  # the object's own
    driven.drag((40, 15), (50, 15))
    driven.settle(2)
    assert driven.label[15, 45] == TREE
    page.select_option("#joins", "")
    page.evaluate("editor.showPicture('difference')")
    page.keyboard.press("/")
    page.keyboard.type("a")
    assert driven.number("editor.view.picture") == "difference"
    page.fill("#search", "")
    page.evaluate("document.activeElement.blur()")


def test_an_object_outside_is_not_lost(driven: Driven) -> None:
    page = driven.page
    driven.click(25, 36)
    page.keyboard.press("c")
    page.evaluate("editor.placing.column = 500")
    page.keyboard.press("Enter")
    assert driven.number("Boolean(editor.placing)")
    assert "outside of the picture" in page.inner_text("#messages")
    page.evaluate("editor.placing.column = 40")
    page.keyboard.press("Enter")
    driven.settle(1)


def test_a_trackpad_zooms_little_by_little(driven: Driven) -> None:
    page = driven.page
    page.mouse.move(*driven.spot(30, 20))
    scale = driven.number("editor.view.scale")
    for _ in range(4):
        page.mouse.wheel(0, -25)
    wait(page, "s => Math.abs(editor.view.scale / s - 1.2) < 0.01", scale)
    page.keyboard.press("b")
    size = driven.number("editor.tools.width")
    page.mouse.wheel(0, -30)
    page.wait_for_timeout(50)
    assert driven.number("editor.tools.width") == size
    page.evaluate("editor.tools.turned = 0")


def test_the_picture_stays_where_it_is_with_another_tool(driven: Driven) -> None:
    box = "editor.view.canvases.picture.getBoundingClientRect().top"
    tops = {driven.page.keyboard.press(key) or driven.number(box) for key in "vmbegx"}
    assert len(tops) == 1
