"""The order of a gallery's rows, and the links between its pages.

Backwards the pages are the same files in reversed order, each with its rows reversed by the
stylesheet: so sorting works over all rows, opened from a disk and without a script.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

from dominate import tags

# At the end of a link it shows the rows of a page from the last to the first, see style.css.
DESCENDING = "descending"


def natural(name: str) -> tuple[list[str | int], str]:
    """Return a sort key that puts frame_2 before frame_10 and minds no capitals."""
    parts = re.split(r"([0-9]+)", name.casefold())
    # Numbers are at the odd places always, so a number is compared with numbers only.
    return [int(part) if place % 2 else part for place, part in enumerate(parts)], name


def file_name(number: int) -> str:
    """Return the file of a page, counted from 1."""
    return "index.html" if number == 1 else f"page_{number:04d}.html"


def near(current: int, last: int, reach: int = 2) -> list[int]:
    """Return the page numbers to offer: the first, the last, and those around the current."""
    return sorted({1, *range(max(1, current - reach), min(last, current + reach) + 1), last})


def add_bars(number: int, spans: Sequence[str]) -> None:
    """Add the links of a page, counted from 1, in either direction; the stylesheet shows one of the
    two bars.

    Args:
        spans: what each of the pages shows.
    """
    forwards = [(file_name(page), span) for page, span in enumerate(spans, 1)]
    backwards = [(f"{file}#{DESCENDING}", span) for file, span in reversed(forwards)]
    for links, current in ((forwards, number), (backwards, len(spans) + 1 - number)):
        with tags.div(cls="bar ascending" if links is forwards else "bar descending"):
            with tags.nav(aria_label="Order"):
                tags.span("Name", cls="label")
                _add_link("A to Z", forwards[0][0], links is forwards)
                _add_link("Z to A", backwards[0][0], links is backwards)
            if len(spans) > 1:
                _add_pager(links, current)


def _add_pager(links: list[tuple[str, str]], current: int) -> None:
    """Add links to pages, of which each has a file and the names that it shows."""
    with tags.nav(aria_label="Pages"):
        if current > 1:
            tags.a("‹", href=links[current - 2][0], title="Previous page")
        for before, number in itertools.pairwise([0, *near(current, len(links))]):
            if number > before + 1:
                tags.span("…")
            file, span = links[number - 1]
            _add_link(str(number), file, number == current)["title"] = span
        if current < len(links):
            tags.a("›", href=links[current][0], title="Next page")


def _add_link(label: str, href: str, is_current: bool) -> tags.html_tag:
    return tags.span(label, aria_current="page") if is_current else tags.a(label, href=href)
