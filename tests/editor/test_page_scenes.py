"""The editor's page: files, windows, and connections that are lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from page_driver import (
    CAR,
    ROAD,
    TREE,
    Driven,
    opened,
    serving,
    wait,
)
from PIL import Image


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


def test_what_comes_late_of_a_scene_that_was_left_is_not_shown(driven: Driven) -> None:
    page, start, label = driven.page, driven.picture, driven.label
    page.evaluate("""() => { const decode = globalThis.createImageBitmap;
        globalThis.createImageBitmap = async (...args) => {
            globalThis.createImageBitmap = decode;
            globalThis.isDecoding = true;
            await new Promise((late) => { globalThis.finish = late; });
            globalThis.finish = null;
            return decode(...args); }; }""")
    page.keyboard.press("g")
    driven.click(50, 45)
    wait(page, "globalThis.isDecoding && editor.state.undo === 1")
    other = Driven(page)
    page.evaluate("finish()")
    wait(page, "!globalThis.finish")
    other.settle(0)
    assert driven.number("editor.shownVersion") == 0
    assert np.array_equal(other.picture, start) and np.array_equal(other.label, label)


def test_another_scene_ends_what_was_under_way(driven: Driven) -> None:
    page = driven.page
    page.keyboard.press("m")
    page.mouse.move(*driven.spot(25, 36))
    page.mouse.down()
    assert driven.number("editor.tools.drag.kind") == "move"
    page.evaluate("editor.openImage('scene_1')")
    page.mouse.up()
    page.keyboard.press("b")
    assert driven.number("editor.tools.name") == "brush"
    assert driven.number("[editor.tools.drag, editor.tools.last]") == [None, None]
    driven.settle(0)


def test_the_scene_that_was_asked_for_last_is_shown(driven: Driven) -> None:
    page = driven.page
    first = driven.number("editor.id")
    driven.hold(f"api/scenes/{driven.number('editor.id')}")
    page.evaluate("editor.openImage('scene_1')")
    second = driven.number("editor.id")
    page.evaluate("history.back()")
    wait(page, "globalThis.isHeld")
    page.evaluate("history.forward()")
    wait(page, "id => location.hash.slice(1) === id", second)
    driven.release()
    driven.settle(0)
    assert first != second == driven.number("editor.id") == driven.number("location.hash.slice(1)")


def test_an_upload_can_be_cancelled(driven: Driven, tmp_path: Path) -> None:
    page, id_ = driven.page, driven.number("editor.id")
    Image.fromarray(np.full((32, 32), ROAD, np.uint8)).save(tmp_path / "good.png")
    page.click("[data-command=open]")
    page.set_input_files("#label-file", tmp_path / "good.png")
    driven.hold("api/upload")
    page.click("#file-form .main")
    wait(page, "globalThis.isHeld")
    page.click("#file-cancel")
    driven.release()
    wait(page, "document.querySelector('#file-form .main').textContent === 'Open'")
    assert driven.number("editor.id") == id_
    assert page.inner_text("#file-problem") == "" and not page.locator("#file-dialog").is_visible()


def test_nothing_is_selected_in_the_scene_gone_back_to(driven: Driven) -> None:
    page, first = driven.page, driven.number("editor.id")
    other = Driven(page)
    other.click(25, 36)
    page.click(f"#palette [data-label='{TREE}']")
    other.hold("/operations")
    page.keyboard.press("l")
    wait(page, "globalThis.isHeld")
    page.evaluate("history.back()")
    wait(page, "id => editor.id === id && editor.maps.version", first)
    driven.release()
    driven.settle(0)
    assert driven.number("editor.selection") == []
    assert page.locator("#pending").is_hidden()


def test_regions_of_a_larger_scene_are_forgotten(
    streets: Path, window: Any, tmp_path: Path
) -> None:
    Image.fromarray(np.full((16, 16), ROAD, np.uint8)).save(tmp_path / "small.png")
    with serving(streets, "plain") as address:
        page = opened(window, address)
        driven = Driven(page)
        page.mouse.move(*driven.spot(89.5, 20.5))
        assert driven.number("editor.hovered") == {"row": 20, "column": 89}
        page.click("[data-command=open]")
        page.set_input_files("#label-file", tmp_path / "small.png")
        page.click("#file-form .main")
        wait(page, "editor.maps.width === 16 && editor.maps.version")
        page.mouse.move(*driven.spot(8.5, 8.5))
        assert driven.number("editor.hovered") == {"row": 8, "column": 8}
        page.close()


def test_a_lost_connection_is_made_again(driven: Driven) -> None:
    driven.page.click(f"#palette [data-label='{TREE}']")
    driven.page.keyboard.press("g")
    driven.click(50, 45)
    driven.settle(1)
    driven.page.evaluate("editor.live.socket.close()")
    wait(driven.page, "editor.shownVersion === -1 || editor.live.socket.readyState === 1")
    driven.click(10, 5)
    driven.settle(2)
    assert driven.label[5, 10] == driven.label[45, 50]


def test_lost_steps_of_a_killed_program_are_told(driven: Driven) -> None:
    page, told = driven.page, "what was done in its last seconds is lost"
    page.click(f"#palette [data-label='{TREE}']")
    page.keyboard.press("g")
    driven.click(50, 45)
    driven.settle(1)
    page.evaluate("editor.connected(true); editor.gotState({ ...editor.state, version: 0 })")
    assert told not in page.inner_text("#messages")  # it was started anew, and had saved all
    page.evaluate("editor.state.version = 1")
    page.evaluate("editor.connected(true); editor.gotState({ undo: 0, redo: 0, version: 0 })")
    assert told in page.inner_text("#messages")


def test_a_scene_that_is_gone_can_be_saved(window: Any, address: str, tmp_path: Path) -> None:
    page = opened(window, address + "#AAAAAAAAAAAAAAAAAAAAAA")
    assert "not here any more" in page.inner_text("#messages")  # and another image is open
    page.evaluate("editor.live.scene = 'api/scenes/BBBBBBBBBBBBBBBBBBBBBB'")
    page.evaluate("editor.live.sent = ++editor.live.number")  # a stroke is under way
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


def test_a_preview_that_comes_late_does_not_hide_the_full_picture(driven: Driven) -> None:
    page, version = driven.page, driven.number("editor.shownVersion")
    before = driven.picture
    header = {"version": version, "began": version, "milliseconds": 1, "preview": True}
    page.evaluate("header => editor.gotImage(header, new OffscreenCanvas(8, 8))", header)
    assert driven.number("document.body.dataset.full") == "true"
    assert np.array_equal(driven.picture, before)
