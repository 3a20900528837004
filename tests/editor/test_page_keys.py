"""The editor's page by keyboard."""

from __future__ import annotations

from page_driver import BUILDING, ROAD, SKY, Driven, wait


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


def test_escape_closes_the_downloads(driven: Driven) -> None:
    driven.page.click("summary")
    driven.page.keyboard.press("Escape")
    assert not driven.page.locator("#downloads ul").is_visible()


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
    wait(page, "document.getElementById('object').textContent.includes('object 3')")
    page.keyboard.press("Control+z")
    driven.settle(0)
    assert driven.chosen().startswith("Click an object")  # the panel knows that it is gone


def test_the_palette_keeps_its_order_below_a_pointer_and_its_focus(driven: Driven) -> None:
    page = driven.page
    order = (
        "[...document.getElementById('palette').children].map((one) => one.dataset.label).join('')"
    )
    wait(page, "editor.labels.size === 5")
    driven.click(15, 20)
    page.click(f"#palette [data-label='{SKY}']")
    page.keyboard.press("l")
    driven.settle(1)
    wait(page, "editor.labels.size === 4")
    assert driven.number(order) == "01234"
    page.mouse.move(2, 2)
    wait(page, f"{order} === '01243'")
    page.fill("#search", "label")
    page.keyboard.press("Enter")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Control+z")
    driven.settle(0)
    wait(page, f"{order} === '01234'")
    assert driven.number("document.activeElement.dataset.label") == str(ROAD)
