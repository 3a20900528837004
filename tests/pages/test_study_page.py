"""A session in Chromium, in real time: what is measured is time, and virtual time has no frames."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pix2pixhd.engine.study import TIMES
from pix2pixhd.engine.study_report import make_report, read_sessions
from pix2pixhd.pages.study_page import write_study_page
from pix2pixhd.util.image import save_image

SHORT = TIMES[:2]
# Presses keys as a person would who chooses what is in the file of x, or is intact.
PERSON = """() => new Promise((done) => {
  const timer = setInterval(() => {
    const mode = document.body.dataset.mode;
    if (mode === "end") {
      clearInterval(timer);
      fetch(document.getElementById("save").href).then((file) => file.text()).then(done);
    } else if (mode === "choose" || mode === "show") press(trial.swapped ? "2" : "ArrowLeft");
    else press(" ");
  }, 20); })"""


@pytest.fixture
def study(tmp_path: Path) -> tuple[Path, dict]:
    """A page of three pairs and a check, with its key; times are to be filled in."""
    trials = []
    for number in range(4):
        files = {what: f"images/{what}{number}.png" for what in ("a", "b", "input")}
        for shade, file in enumerate(files.values()):
            save_image(np.full((32, 64, 3), 60 * shade + number, np.uint8), tmp_path / file)
        trials.append({"name": f"scéne_{number}", "check": number == 3, **files})
    return tmp_path / "index.html", {"study": "0123", "x": "ours", "y": "theirs", "trials": trials}


@pytest.fixture
def window(browser: Any) -> Iterator[Any]:
    page = browser.new_page()
    press = "document.dispatchEvent(new KeyboardEvent('keydown', {key, bubbles: true}))"
    page.add_init_script(f"globalThis.press = (key) => {press};")
    yield page
    page.close()


@pytest.mark.parametrize("times", [(), SHORT], ids=["no limit", "timed"])
def test_a_whole_session_by_keyboard_is_read_back(study, times, tmp_path, window) -> None:
    page, key = study
    write_study_page(page, {**key, "times": [*times, 1.0] if times else []})
    window.goto(page.as_uri())
    session = json.loads(window.evaluate(PERSON))
    assert session["complete"] and session["timed"] == bool(times)
    names = [answer["name"] for answer in session["answers"]]
    assert sorted(names) == [f"scéne_{number}" for number in range(4)]
    for answer in session["answers"]:
        assert answer["choice"] == ("intact" if answer["check"] else "x")
        assert answer["layout"]["pixel_ratio"] == 1 and answer["answer_ms"] > 0
        if times:
            # A busy machine drops frames, and the pictures stay a little longer: never shorter.
            late = answer["shown_ms"] - 1000 * answer["asked_seconds"]
            assert -17 <= late <= 300 and not answer["interrupted"]
            assert answer["asked_seconds"] in ((1.0,) if answer["check"] else (*times, 1.0))
    file = tmp_path / "result.json"
    file.write_text(json.dumps(session))
    report = make_report(read_sessions([file])[0], 0)
    assert (report.total.answers, report.total.for_x) == (3, 3)
    assert (report.people[0].checks, report.people[0].failed) == (1, 0)


def test_timed_pictures_are_hidden_before_and_after_and_no_key_answers_meanwhile(
    study, window
) -> None:
    page, key = study
    write_study_page(page, {**key, "times": [1.0]})
    script = """async () => {
    const seen = [];
    const look = () => seen.push([document.body.dataset.mode, state.answers.length,
      ...[...document.querySelectorAll("#pair img")].map((i) => getComputedStyle(i).opacity)]);
    const wait = (ms) => new Promise((done) => setTimeout(done, ms));
    const until = async (mode) => { while (document.body.dataset.mode !== mode) await wait(5); };
    press(" "); await until("ready"); look();
    press(" "); await wait(300); press("1"); look();
    await until("choose"); look();
    press("1"); await until("ready"); look();
    document.getElementById("stop").click();
    return {seen, result: result()}; }
    """
    window.goto(page.as_uri())
    told = window.evaluate(script)
    assert told["seen"] == [
        ["ready", 0, "0", "0"],
        ["show", 0, "1", "1"],
        ["choose", 0, "0", "0"],
        ["ready", 1, "0", "0"],
    ]
    # Stopped early: what there is can be saved.
    assert not told["result"]["complete"] and len(told["result"]["answers"]) == 1


def test_a_session_goes_on_after_a_reload(study, window) -> None:
    page, key = study
    write_study_page(page, {**key, "times": []})
    window.goto(page.as_uri())
    window.click("#go")
    there = "count => document.body.dataset.mode === 'show' && state.answers.length === count"
    for count in range(2):
        window.wait_for_function(there, arg=count)
        window.click("#second")
    window.reload()
    session = window.evaluate("result()")
    assert (session["reloads"], len(session["answers"])) == (1, 2)


def test_the_page_holds_no_name_at_a_glance_and_asks_no_network(study) -> None:
    page, key = study
    write_study_page(page, {**key, "times": []})
    text = page.read_text()
    assert "ours" not in text.replace("hours", "") and "theirs" not in text
    assert not re.search(r"(src|href)=", text) and "http" not in text
