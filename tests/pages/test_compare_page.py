import re

import numpy as np
from PIL import Image

from pix2pixhd.pages.compare_page import (
    Column,
    Row,
    best_of,
    differences,
    figures_of,
    write_compare_page,
)
from pix2pixhd.pages.html import Picture

PROTOCOL = {"images": 3, "extractor": "ab12"}
NAN = float("nan")


def run(name, value, *, better="lower", protocol=PROTOCOL, **more):
    figure = {"value": value, "better": better, "protocol": protocol, **more}
    return Column(name, {"kid": figure})


def write(folder, columns, count=3):
    rows = []
    for number in range(count):
        pictures = []
        for place, column in enumerate(columns):
            file = f"{place}_{number}.png"
            Image.fromarray(np.full((20, 40, 3), 40 * place, np.uint8)).save(folder / file)
            alt = f"{column.name} of in_{number}"
            pictures.append(Picture(file, (40, 20), column.name, alt))
        rows.append(Row(f"in_{number}", pictures))
    page = folder / "index.html"
    write_compare_page(page, "a / b", columns, rows, ["a <note>"])
    return page


def marked(page):
    return re.findall(r'class="best"[^>]*>\s*<strong>(.*?) ✓', page.read_text())


def test_the_better_one_is_marked(tmp_path):
    assert marked(write(tmp_path, [run("a", 0.25), run("b", 0.5)])) == ["0.25"]
    higher = [run("a", 0.25, better="higher"), run("b", 0.5, better="higher")]
    assert marked(write(tmp_path, higher)) == ["0.5"]


def test_figures_that_were_made_otherwise_are_not_compared(tmp_path):
    other = run("b", 0.5, protocol={**PROTOCOL, "extractor": "ffff"})
    page = write(tmp_path, [run("a", 0.25), other])
    assert marked(page) == []
    assert "not made alike: extractor ab12, ffff" in page.read_text()


def test_a_runs_own_checkpoint_is_no_difference(tmp_path):
    columns = [
        Column("a", run("a", 0.25).metrics, {"checkpoint": "a/latest"}),
        Column("b", run("b", 0.5).metrics, {"checkpoint": "b/9"}),
    ]
    assert marked(write(tmp_path, columns)) == ["0.25"]


def test_the_best_of_values():
    assert best_of([3, 1, NAN, 1], "lower") == {1, 3}
    assert best_of([3, 1, NAN], "higher") == {0}
    assert best_of([2, 2], "lower") == best_of([2, NAN], "lower") == set()


def test_differences_tell_what_is_missing():
    assert differences([{"size": 4, "images": 3}, {"images": 3}]) == ["size 4, not told"]


def test_classes_warnings_quotes_and_errors_are_told(tmp_path):
    more = {
        "by_class": {"road": 0.5},
        "warning": "few images",
        "quote": "KID of 3 images",
        "beside": {"standard_error": 0.125, "real": None},
    }
    text = write(tmp_path, [run("a", 0.25, **more), Column("b")]).read_text()
    for told in ("kid by class", "road", "few images", "a: KID of 3 images", "± 0.125, real –"):
        assert told in text
    assert "a &lt;note&gt;" in text


def test_figures_of_an_image():
    column = run("a", 0.5, per_image={"in_1": 0.25})
    assert (figures_of("in_1", column), figures_of("in_2", column)) == ("kid 0.25", "")


DRIVE = """async () => {
const seen = {};
const $ = id => document.getElementById(id);
const key = (key, more) => document.activeElement.dispatchEvent(
  new KeyboardEvent("keydown", {key, bubbles: true, cancelable: true, ...more}));
const shown = () =>
  [$("view-over").alt, $("view-under").alt, $("view-divider").style.left].join("|");
const step = (name, act) => { act(); seen[name] = shown(); };
key("j");
seen.walked = document.activeElement.querySelector("img").alt;
step("opened", () => document.activeElement.click());
seen.focus = document.activeElement.id;
step("divider", () => key("ArrowRight"));
seen.clip = $("view-over").style.clipPath;
seen.told = $("view-divider").getAttribute("aria-valuenow");
step("far", () => key("ArrowLeft", {shiftKey: true}));
step("end", () => key("End"));
step("next", () => key("ArrowDown"));
step("last", () => { key("j"); key("j"); key("j"); });
step("first", () => { key("k"); key("ArrowUp"); key("k"); });
step("chosen", () => key("1"));
step("none", () => key("9"));
step("swapped", () => $("view-swap").click());
step("button", () => $("view-down").click());
$("view-left").value = "2";
step("select", () => $("view-left").dispatchEvent(new Event("change")));
const box = $("view-box").getBoundingClientRect();
const point = (type, part, buttons) => $("view-box").dispatchEvent(new PointerEvent(
  type, {clientX: box.left + part * box.width, clientY: box.top + 9, buttons, bubbles: true}));
step("pressed", () => point("pointerdown", .25, 1));
step("dragged", () => point("pointermove", .75, 1));
step("hovered", () => point("pointermove", .1, 0));
seen.ratio = (box.width / box.height).toFixed(2);
seen.inside = box.top >= 0 && box.bottom <= innerHeight && box.right <= innerWidth;
const closed = new Promise(done => $("view").addEventListener("close", done));
$("view-close").click();
await closed;
seen.closed = `${$("view").open} ${document.activeElement.querySelector("img").alt}`;
return seen; }
"""


def test_the_view_is_driven_by_keys_buttons_and_a_pointer(tmp_path, browser):
    file = write(tmp_path, [Column("real", is_run=False), run("a", 1), run("b", 2)])
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    page.goto(file.as_uri())
    seen = page.evaluate(DRIVE)
    page.close()
    assert seen == {
        "walked": "b of in_0",
        "opened": "a of in_0|b of in_0|50%",
        "focus": "view-divider",
        "divider": "a of in_0|b of in_0|52%",
        "clip": "inset(0px 48% 0px 0px)",
        "told": "52",
        "far": "a of in_0|b of in_0|42%",
        "end": "a of in_0|b of in_0|100%",
        "next": "a of in_1|b of in_1|100%",
        "last": "a of in_2|b of in_2|100%",
        "first": "a of in_0|b of in_0|100%",
        "chosen": "b of in_0|real of in_0|100%",
        "none": "b of in_0|real of in_0|100%",
        "swapped": "real of in_0|b of in_0|100%",
        "button": "real of in_1|b of in_1|100%",
        "select": "b of in_1|b of in_1|100%",
        "pressed": "b of in_1|b of in_1|25%",
        "dragged": "b of in_1|b of in_1|75%",
        "hovered": "b of in_1|b of in_1|75%",
        "ratio": "2.00",
        "inside": True,
        "closed": "false b of in_1",
    }


def test_the_page_needs_nothing_from_elsewhere(tmp_path):
    text = write(tmp_path, [run("a", 1), run("b", 2)]).read_text()
    assert "http" not in text and ' src="http' not in text
    assert len(re.findall('loading="lazy"', text)) == 6
