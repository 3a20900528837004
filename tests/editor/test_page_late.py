"""The editor's page on a slow machine: answers come late, and people click meanwhile."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from page_driver import CAR, ROAD, TREE, Driven, opened, serving, wait

from pix2pixhd.editor.scene_file import load_scene
from pix2pixhd.editor.studio import Studio

STYLED = "!document.getElementById('axes').inert"
LABELS_OF_SELECTED = "editor.selection.map((thing) => editor.labelOf(thing))"


def messages(driven: Driven) -> str:
    text: str = driven.page.inner_text("#messages")
    return text


@pytest.fixture
def quiet(driven: Driven) -> Driven:
    """Without messages of tests before."""
    driven.page.evaluate("document.getElementById('messages').replaceChildren()")
    return driven


def test_a_double_click_does_not_remove_what_lies_beneath(streets: Path, window: Any) -> None:
    with serving(streets, "plain") as address:
        page = opened(window, address)
        driven = Driven(page)
        driven.hold("/operations")
        page.keyboard.press("x")
        driven.click(25, 36)
        driven.click(25, 36)
        driven.release()
        driven.settle(1)
        assert "The change before is still under way" in messages(driven)
        assert (driven.label == ROAD).sum() > 1000
        page.close()


def test_a_download_has_all_that_was_asked_for_before(driven: Driven, tmp_path: Path) -> None:
    page = driven.page
    page.click(f"#palette [data-label='{TREE}']")
    page.keyboard.press("g")
    driven.hold("/operations")
    driven.click(50, 45)
    page.keyboard.press("b")
    driven.drag((5, 5), (30, 5))
    with page.expect_download() as download:
        page.keyboard.press("Control+s")
        driven.release()
    download.value.save_as(tmp_path / "scene.npz")
    driven.settle(2)
    assert np.array_equal(load_scene(tmp_path / "scene.npz").label, driven.label)


def test_a_late_answer_does_not_move_sliders_back(driven: Driven) -> None:
    page = driven.page
    driven.click(25, 36)
    wait(page, STYLED)
    first, second = (page.locator("#axes input").nth(number) for number in range(2))
    driven.hold("/styles/", answered=True)
    first.fill("2")
    driven.settle(1)
    wait(page, "globalThis.isHeld")
    second.fill("2.5")
    driven.settle(2)
    driven.release()
    page.wait_for_timeout(100)
    assert float(second.input_value()) == pytest.approx(2.5, abs=0.06)


def test_a_click_before_the_maps_are_here_does_nothing(driven: Driven) -> None:
    page, version = driven.page, driven.number("editor.maps.version")
    page.keyboard.press("x")
    page.evaluate("editor.maps.version = 0")
    driven.click(25, 36)
    page.evaluate("version => { editor.maps.version = version; }", version)
    page.wait_for_timeout(300)
    driven.settle(0)
    assert (driven.label[32:42, 20:36] == CAR).all()


def test_a_pen_that_was_faster_than_the_page_is_drawn_whole(quiet: Driven) -> None:
    page = quiet.page
    page.click(f"#palette [data-label='{TREE}']")
    page.keyboard.press("b")
    page.evaluate(
        """() => { const { tools } = editor, place = (i) => ({ x: 5 + i / 10, y: 5 });
            const pen = (i) => ({ pointerType: "pen", pressure: 0.3 + (i % 7) / 20 });
            tools.beginStroke(place(0), pen(0));
            for (let i = 1; i < 800; i++) tools.extend(place(i), pen(i));
            tools.finish();
            tools.drag = null; }"""
    )
    quiet.settle(1)
    assert not messages(quiet) and (quiet.label[5, 6:84] == TREE).all()


def test_the_gallery_shows_the_label_that_was_chosen_last(driven: Driven) -> None:
    page = driven.page
    page.locator("#gallery-panel").scroll_into_view_if_needed()
    wait(page, "document.querySelectorAll('#gallery button').length")
    labels = page.evaluate(
        "[...document.querySelectorAll('#gallery-label option')].map((o) => o.value)"
    )
    page.select_option("#gallery-label", labels[1])
    driven.hold(f"api/gallery/{labels[0]}", answered=True)
    page.select_option("#gallery-label", labels[0])
    wait(page, "globalThis.isHeld")
    page.select_option("#gallery-label", labels[1])
    shown = "document.querySelector('#gallery img').getAttribute('src')"
    wait(page, f"{shown}.startsWith('api/gallery/{labels[1]}/')")
    driven.release()
    page.wait_for_timeout(100)
    assert driven.number(shown).startswith(f"api/gallery/{labels[1]}/")


def test_what_was_placed_is_selected_and_not_what_was_painted_before(driven: Driven) -> None:
    page = driven.page
    driven.click(25, 36)
    page.keyboard.press("c")
    page.evaluate(
        """tree => { const stroke = { kind: "stroke", points: [[2, 5], [2, 20]], widths: [4] };
            editor.live.send({ ...stroke, label: tree, instance: "new" });
            editor.place(); }""",
        TREE,
    )
    driven.settle(2)
    assert driven.number(LABELS_OF_SELECTED) == [CAR]


def test_what_was_moved_is_what_becomes_something_else(driven: Driven) -> None:
    page = driven.page
    driven.click(25, 36)
    page.keyboard.press("m")
    driven.drag((25, 36), (25, 15))
    driven.settle(1)
    page.click(f"#palette [data-label='{TREE}']")
    page.keyboard.press("n")
    driven.settle(2)
    assert driven.number(LABELS_OF_SELECTED) == [TREE]


def test_a_difference_says_whether_it_is_of_one_step(driven: Driven) -> None:
    page, version = driven.page, driven.number("editor.shownVersion")
    for began, words in (
        (version, "The last step changed"),
        (version + 2, "The last steps changed"),
    ):
        header = {"version": began + 1, "began": began, "milliseconds": 1, "preview": False}
        page.evaluate("header => editor.gotImage(header, new OffscreenCanvas(96, 48))", header)
        page.evaluate("editor.showPicture('difference')")
        wait(page, f"document.getElementById('caption').textContent.startsWith('{words}')")
    page.evaluate("editor.showPicture('now')")


def test_styles_that_cannot_be_had_are_not_those_of_another_object(window: Any) -> None:
    page = opened(window, window.url)  # what fails is written to its console
    driven = Driven(page)
    driven.click(25, 36)
    wait(page, STYLED)
    page.route("**/styles/*", lambda route: route.abort(), times=1)
    driven.click(65, 36)
    wait(page, "!document.querySelector('#axes input, #styles button')")
    driven.click(25, 36)
    wait(page, f"{STYLED} && document.querySelector('#axes input')")
    page.close()


def test_what_is_waited_for_is_told_as_long_as_it_takes(driven: Driven) -> None:
    page = driven.page
    driven.hold("/operations")
    page.keyboard.press("g")
    page.click(f"#palette [data-label='{TREE}']")
    driven.click(50, 45)
    wait(page, "globalThis.isHeld")
    page.evaluate(
        """() => { const later = new Promise((done) => { globalThis.later = done; });
            editor.during("Opening…", later); }"""
    )
    driven.release()
    driven.settle(1)
    assert page.inner_text("#pending") == "Opening…"
    page.evaluate("later()")
    wait(page, "document.getElementById('pending').hidden")


def test_a_rendering_that_fails_is_not_waited_for(
    driven: Driven, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*args: Any, **how: Any) -> None:
        raise RuntimeError("out of memory")

    page = driven.page
    page.click(f"#palette [data-label='{TREE}']")
    page.keyboard.press("g")
    with monkeypatch.context() as patched:
        patched.setattr(Studio, "render", fails)
        driven.click(50, 45)
        wait(page, "document.getElementById('messages').textContent.includes('out of memory')")
        wait(page, "document.getElementById('pending').hidden")


def test_a_slider_is_of_nothing_once_its_object_is_gone(driven: Driven) -> None:
    number = driven.number("editor.live.number")
    driven.page.evaluate("editor.slideStyle([1], true)")
    assert driven.number("editor.live.number") == number


def test_the_list_of_images_names_the_one_that_is_shown(driven: Driven) -> None:
    page = driven.page
    page.evaluate("document.getElementById('images').value = 'scene_1'")
    page.evaluate("dispatchEvent(new PopStateEvent('popstate'))")
    assert page.input_value("#images") == "scene_0"


def test_a_connection_that_was_lost_says_nothing_more(driven: Driven) -> None:
    page = driven.page
    page.evaluate("globalThis.lost = editor.live.socket; lost.close()")
    wait(page, "editor.live.socket !== lost && editor.live.socket.readyState === 1")
    driven.settle(0)
    state = '{"kind": "state", "done": 99, "version": 99, "undo": 7, "redo": 0}'
    page.evaluate("data => lost.onmessage({ data })", state)
    page.wait_for_timeout(50)
    assert driven.number("[editor.state.undo, editor.live.done]") == [0, 0]


def test_a_scene_that_was_left_is_not_missed(window: Any) -> None:
    page = opened(window, window.url)
    driven = Driven(page)
    page.evaluate("editor.live.scene = 'api/scenes/BBBBBBBBBBBBBBBBBBBBBB'")
    driven.hold("api/scenes/BBBB")
    page.evaluate("editor.live.socket.close()")
    wait(page, "globalThis.isHeld")
    Driven(page)
    driven.release()
    page.wait_for_timeout(100)
    assert "can be saved" not in messages(driven)
    page.close()
