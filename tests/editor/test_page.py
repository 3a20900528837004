"""The editor's page: what is done to a street, and what is shown of it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from page_driver import (
    BUILDING,
    CAR,
    ROAD,
    TREE,
    WIDTH,
    Driven,
    inside_and_outside,
    opened,
    picture_of,
    serving,
    wait,
)
from PIL import Image


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
    joined = driven.number("editor.selection[0].inst")
    page.keyboard.press("Control+z")
    driven.settle(2)
    driven.click(15, 20)
    page.keyboard.press("n")
    driven.settle(3)
    assert driven.number("editor.selection[0].inst") != joined

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
    assert re.fullmatch(r"drawn in \d+ ms", driven.number("document.getElementById('time').value"))
    page.keyboard.press("Control+Shift+z")
    wait(page, "editor.state.undo === 1")


def test_hover_names_and_shift_click_adds(driven: Driven) -> None:
    driven.page.mouse.move(*driven.spot(65, 36, "labels"))
    assert "label 2, object 2" in driven.number("document.getElementById('hover').value")
    assert driven.number("editor.hovered") == {"inst": 2001}
    assert min(driven.pixel(60, 36)) > 200  # outlined in both panes
    driven.click(25, 36)
    driven.page.keyboard.down("Shift")
    driven.click(65, 36)
    driven.page.keyboard.up("Shift")
    assert driven.chosen() == "2 objects"
    driven.page.keyboard.press("Delete")
    driven.settle(1)
    assert CAR not in driven.label and (driven.label[32:42] == ROAD).all()


def test_views(driven: Driven) -> None:
    page = driven.page
    colours = driven.number("editor.run.labels.map(({ colour }) => colour)")
    page.keyboard.press("2")
    page.locator("#opacity").fill("100")
    assert driven.pixel(15, 20) == colours[TREE]
    page.click(f"#palette [data-label='{CAR}']")
    page.keyboard.press("b")  # while painting, too
    driven.drag((40, 6), (50, 6))
    driven.settle(1)
    assert driven.pixel(45, 6) == colours[CAR]
    page.keyboard.press("v")
    page.locator("#opacity").fill("0")
    assert driven.pixel(15, 20) != colours[TREE] and driven.pixel(45, 6) != colours[CAR]
    page.keyboard.press("3")
    assert driven.pixel(15, 20) != colours[TREE]
    assert driven.pixel(72, 16) == colours[BUILDING]
    driven.drag((WIDTH / 2, 10), (5, 10))
    assert driven.pixel(15, 20) == colours[TREE]


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


def test_steps_keep_the_order_in_which_they_were_asked_for(driven: Driven) -> None:
    page = driven.page
    page.click(f"#palette [data-label='{TREE}']")
    page.keyboard.press("b")
    driven.drag((40, 6), (50, 6))
    driven.settle(1)
    driven.hold("history/undo")
    page.keyboard.press("Control+z")
    driven.drag((40, 16), (50, 16))
    driven.release()
    wait(page, "!editor.live.queue.length")
    driven.settle(1)
    assert driven.label[16, 45] == TREE != driven.label[6, 45]


def test_what_takes_the_place_of_an_object_is_chosen(driven: Driven) -> None:
    page = driven.page
    page.click(f"#palette [data-label='{BUILDING}']")
    page.keyboard.press("m")
    assert page.locator("#fills option").nth(1).inner_text() == f"label {BUILDING}"
    page.select_option("#fills", "chosen")
    driven.drag((65, 36), (45, 36))
    driven.settle(1)
    assert (driven.label[32:42, 60:76] == BUILDING).all()
    page.keyboard.press("x")
    driven.click(25, 36)
    driven.settle(2)
    assert (driven.label[32:42, 20:36] == BUILDING).all()
    page.keyboard.press("v")  # a tool without that choice
    driven.click(45, 36)
    page.keyboard.press("Delete")
    driven.settle(3)
    assert CAR not in driven.label and (driven.label[40:42, 42:54] == ROAD).all()
    page.keyboard.press("m")
    page.select_option("#fills", "")


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


def test_the_picture_stays_where_it_is_with_another_tool(driven: Driven) -> None:
    box = "editor.view.canvases.picture.getBoundingClientRect().top"
    tops = {driven.page.keyboard.press(key) or driven.number(box) for key in "vmbegx"}
    assert len(tops) == 1


def test_drawings_have_colours_in_place_of_labels(streets: Path, window: Any) -> None:
    with serving(streets, "drawing") as address:
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


def test_regions_are_chosen_where_there_are_no_instances(streets: Path, window: Any) -> None:
    with serving(streets, "plain") as address:
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
