"""The editor's page: brush, cursor, zoom; pens, fingers, wheels."""

from __future__ import annotations

import itertools
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from page_driver import (
    BUILDING,
    CAR,
    ROAD,
    SKY,
    TREE,
    Driven,
    opened,
    serving,
    wait,
)
from PIL import Image
from tiny_studio import open_studio

from pix2pixhd.editor.studio import Rendering


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


def test_nothing_freezes_at_full_size(
    streets: Path, window: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever rendering takes: events are answered and frames are drawn all along."""
    size, studio = (1024, 2048), open_studio(streets, "styled")
    label = np.full(size, SKY, np.uint8)
    label[600:] = ROAD
    for number in range(40):
        row, column = 610 + 40 * (number // 8), 20 + 250 * (number % 8)
        label[row : row + 30, column : column + 60] = CAR
    Image.fromarray(label).save(tmp_path / "large.png")
    images = itertools.cycle([np.full((*size, 3), value, np.uint8) for value in (60, 180)])

    def render(scene: Any, preview: bool = False) -> Rendering:
        time.sleep(1.5)
        return Rendering(next(images), 1.5, preview)

    monkeypatch.setattr(studio, "render", render)
    with serving(streets, "styled", studio) as address:
        page = opened(window, address)
        page.click("[data-command=open]")
        page.set_input_files("#label-file", tmp_path / "large.png")
        page.click("#file-form .main")
        wait(page, "editor.maps.width === 2048 && editor.images.now && !editor.doing.length")
        driven = Driven(page, fresh=False)
        page.click(f"#palette [data-label='{TREE}']")
        page.keyboard.press("b")
        page.evaluate(
            """() => { let last = performance.now(); globalThis.longest = 0;
                const frame = (now) => { longest = Math.max(longest, now - last); last = now;
                    requestAnimationFrame(frame); };
                requestAnimationFrame(frame); }"""
        )
        driven.drag((100, 300), (1900, 300), (1900, 900), (300, 700), steps=12)
        driven.settle(1)
        assert page.evaluate("longest") < 1200
        page.close()
