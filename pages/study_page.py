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

STYLE = """
body { max-width: none; padding: .75rem; min-height: 100vh; min-height: 100dvh; display: flex; flex-direction: column;
  text-align: center; touch-action: manipulation; }
#top, #choose { display: flex; gap: .75rem; justify-content: center; align-items: center; }
#top { justify-content: space-between; font-size: .875rem; color: var(--soft); }
#top progress { flex: 1; max-width: 30rem; accent-color: var(--accent); }
#stage { flex: 1; display: flex; flex-direction: column; gap: .5rem; justify-content: center; align-items: center; }
#pair { display: flex; gap: .75rem; }
#pair.stacked { flex-direction: column; }
#stage img { display: block; background: var(--line); }
#stage .off { visibility: hidden; }
#say { margin: .4rem 0; min-height: 1.5em; }
button { font: inherit; padding: .45rem 1.4rem; border-radius: 6px; border: 1px solid var(--line);
  background: var(--card); color: var(--accent); cursor: pointer; }
button:disabled { color: var(--soft); cursor: default; opacity: .5; }
#text { max-width: 38rem; margin: 8vh auto 0; text-align: left; }
[hidden] { display: none !important; }
"""


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
    page = new_page("Which one looks more natural?", columns=2, image_width=640)
    with page.head:
        tags.style(raw(STYLE))
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
        tags.script(raw(Path(__file__).with_name("study.js").read_text(encoding="utf-8")))
    write_page(page, file)
