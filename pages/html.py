"""What the pages have in common: the skeleton, the style and the figures. Made with dominate."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote

from dominate import document, tags
from dominate.util import raw

from util.files import replacing

# Everything is in the page itself, so that a folder can be zipped, mailed and opened from disk.
# A dark room must not be lit by white: `color-scheme` darkens also the page that is still loading.
STYLE = """
:root {
  color-scheme: light dark;
  --ink: #20262c; --soft: #66707a; --paper: #faf9f7; --card: #ffffff; --line: #e3e0da;
  --accent: #1f5fa8;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ink: #d8dde2; --soft: #8d98a3; --paper: #14171a; --card: #1a1e22; --line: #2c3238;
    --accent: #7db4f0;
  }
  .chart img { filter: invert(.9) hue-rotate(180deg); }
}
* { box-sizing: border-box; }
html { text-size-adjust: 100%; }
body {
  margin: 0 auto; padding: clamp(1rem, 3vw, 2.5rem);
  max-width: calc(var(--columns) * (var(--width) + 1rem) + 5rem);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
  color: var(--ink); background: var(--paper);
}
a { color: var(--accent); text-decoration: none; }
a:hover, a:focus-visible { text-decoration: underline; }
h1 { margin: 0; font-size: 1.5rem; line-height: 1.25; font-weight: 650; letter-spacing: -.01em; }
h1, h2 { overflow-wrap: anywhere; }
h2 { margin: 0 0 .6rem; font-size: 1rem; line-height: 1.4; font-weight: 600; }
h2 small { margin-left: .6em; font-size: .8125rem; font-weight: 400; color: var(--soft); }
header p { margin: .35rem 0 0; color: var(--soft); }
section { margin-top: 1.5rem; padding-top: 1.25rem; border-top: 1px solid var(--line); }
figure { margin: 0; min-width: 0; max-width: var(--width); }
figure a { display: block; }
figure img {
  display: block; width: 100%; height: auto; border-radius: 6px; background: var(--line);
}
figcaption { margin-top: .35rem; font-size: .8125rem; color: var(--soft); }
.pictures {
  display: grid; gap: 1rem;
  grid-template-columns: repeat(var(--columns), minmax(0, var(--width)));
}
.chart { margin-top: 1.5rem; overflow-x: auto; }
.chart figure { max-width: 90rem; min-width: 42rem; }
.chart img { background: none; }
.bar {
  display: flex; flex-wrap: wrap; gap: .5rem 1.5rem; justify-content: space-between;
  align-items: center; margin-top: 1.25rem; font-size: .875rem;
}
.bar nav { display: flex; flex-wrap: wrap; gap: .25rem; align-items: center; }
.bar nav > * { padding: .2rem .6rem; border-radius: 6px; color: var(--soft); }
.bar nav > .label { padding-left: 0; }
.bar nav > a { color: var(--accent); background: var(--card); border: 1px solid var(--line); }
.bar nav > a:hover { border-color: var(--accent); text-decoration: none; }
.bar nav > [aria-current] {
  color: var(--paper); background: var(--ink); border: 1px solid var(--ink); font-weight: 600;
}
footer { margin-top: 1.5rem; border-top: 1px solid var(--line); }
@media (max-width: 44rem) {
  .pictures { grid-template-columns: minmax(0, 1fr); }
  .pictures figure { max-width: none; }
  .bar nav > * { padding: .45rem .75rem; }
}
"""


def new_page(title: str, *, columns: int, image_width: int, refresh_seconds: int = 0) -> document:
    """Start a page.

    Args:
        title: of the window.
        columns: pictures side by side where there is room; on a phone they are stacked.
        image_width: of a picture, in CSS pixels, where there is room.
        refresh_seconds: the browser loads the page again this often; 0 for never.
    """
    page = document(title=title)
    page["lang"] = "en"
    page.body["style"] = f"--columns: {columns}; --width: {image_width}px"
    with page.head:
        tags.meta(charset="utf-8")
        tags.meta(name="viewport", content="width=device-width, initial-scale=1")
        tags.meta(name="color-scheme", content="light dark")
        if refresh_seconds:
            tags.meta(http_equiv="refresh", content=str(refresh_seconds))
        tags.style(raw(STYLE))
    return page


def add_figure(
    source: str,
    size: tuple[int, int],
    caption: str,
    alt: str,
    *,
    full: str | None = None,
    eager: bool = False,
) -> None:
    """Add a picture with its caption to the element that is open; a click shows it in full size.

    Args:
        source: URL of the picture.
        size: its width and height in pixels: the browser keeps the place before it has loaded.
        caption: the line below, if any.
        alt: what it shows, for those who cannot see it.
        full: URL of the full size, if that is another file.
        eager: load at once, and before the page is shown, instead of when scrolled to.
    """
    # Decoding before the page is shown keeps the pictures on top from flashing at a refresh.
    hints = {"decoding": "sync"} if eager else {"decoding": "async", "loading": "lazy"}
    with tags.figure():
        with tags.a(href=full or source):
            tags.img(src=source, width=size[0], height=size[1], alt=alt, **hints)
        if caption:
            tags.figcaption(caption)


def url(path: str) -> str:
    """Quote a relative path, which may hold spaces, `#`, `%`, `?` or any bytes, as a link."""
    return quote(os.fsencode(path))


def in_words(what: str) -> str:
    """Turn the name of a picture into a caption: synthesized_image becomes synthesized image."""
    return what.replace("_", " ")


def write_page(page: document, path: Path) -> None:
    """Write the page whole or not at all; raises UserError where it cannot be written."""
    with replacing(path) as file:
        # A file's name may hold bytes that are no text: its link works, its heading shows "?".
        file.write(page.render().encode(errors="replace"))
