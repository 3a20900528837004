"""The editor's page: styles of what is selected."""

from __future__ import annotations

from page_driver import Driven, wait


def test_sliders_follow_what_is_undone(driven: Driven) -> None:
    page = driven.page
    driven.click(25, 36)
    wait(page, "!document.getElementById('axes').inert")
    slider = page.locator("#axes input").first
    before = slider.input_value()
    slider.fill("2.5")
    driven.settle(1)
    page.keyboard.press("Control+z")
    driven.settle(0)
    assert driven.number("document.activeElement.closest('#axes') !== null")
    wait(page, "before => document.querySelector('#axes input').value === before", before)
    assert driven.number("Math.abs(editor.panels.axes[0])") < 2


def test_the_sliders_of_the_object_before_are_not_those_of_the_next(driven: Driven) -> None:
    page, inert = driven.page, "document.getElementById('axes').inert"
    driven.click(25, 36)
    wait(page, f"!{inert}")
    driven.hold("/styles/2001")
    driven.click(65, 36)
    wait(page, "globalThis.isHeld")
    assert driven.number(inert)
    driven.release()
    wait(page, f"!{inert}")
