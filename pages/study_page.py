"""The page of a study: people choose between two pictures. What it does is in study.js."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dominate import tags
from dominate.util import raw

from pix2pixhd.pages.html import new_page, write_page

HERE = Path(__file__)


def write_study_page(file: Path, key: Mapping[str, Any]) -> None:
    """Write the page; its pictures are beside it.

    Args:
        file: the page.
        key: `study` (its id), `x`, `y` (names of the runs), `times` (seconds; empty: no limit) and
            `trials`, each with `name`, `check`, `a`, `b`, `input`: files from the page's folder,
            `a` being of x, or the one that is right in a check. In the page it is base64: not read
            at a glance, though no secret.

    Raises UserError where it cannot be written.
    """
    page = new_page("Which one looks more natural?", columns=2, image_width=640, command="study")
    with page.head:
        tags.style(raw(HERE.with_name("study.css").read_text(encoding="utf-8")))
    with page.body:
        with tags.div(id="top"):
            tags.span(id="count")
            tags.progress(id="progress", value="0")
            tags.button("Stop", id="stop", type="button")
        with tags.main(id="stage"):
            tags.div(id="text", aria_live="polite")
            tags.div(id="shown")
            tags.div(id="pair")
        tags.p(id="say", aria_live="polite")
        with tags.div(id="choose"):
            tags.button("Left", id="first", type="button")
            tags.button("Go on", id="go", type="button")
            tags.button("Right", id="second", type="button")
        tags.noscript("This page needs JavaScript.")
        coded = base64.b64encode(json.dumps(key).encode()).decode()
        tags.script(coded, id="key", type="text/plain")
        tags.script(raw(HERE.with_name("study.js").read_text(encoding="utf-8")))
    write_page(page, file)
