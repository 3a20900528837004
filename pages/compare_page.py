"""The page of a comparison: the same inputs down, runs across, and a view that lays two of them
over each other, which compare.js drives."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dominate import tags
from dominate.util import raw

from pix2pixhd.pages.html import Picture, add_figure, new_page, write_page

# Keys of a protocol that tell runs apart; figures may be compared where all others agree.
OF_A_RUN = ("checkpoint", "command", "versions")

HELP = (
    "A click on a picture, or Enter, lays it over another. There, left and right move the divider, "
    "Home and End to its ends; up and down, or J and K, walk through the inputs; 1 to 9 take the "
    "column of that number; Escape leads back. J and K walk through this page, too."
)


class Dialog(tags.html_tag):
    """The element `dialog`, which dominate does not have."""

    tagname = "dialog"


@dataclass(frozen=True)
class Column:
    """A run, by its name, or what its results stand beside."""

    name: str
    metrics: Mapping[str, Any] = field(default_factory=dict)  # "metrics" of metrics.json
    protocol: Mapping[str, Any] = field(default_factory=dict)  # of all of them
    is_run: bool = True  # runs come last

    def protocol_of(self, metric: str) -> dict[str, Any]:
        """How a figure was made, but for what tells runs apart."""
        of_metric = self.metrics[metric].get("protocol", {})
        both = {**self.protocol, **of_metric}
        return {key: both[key] for key in both if not key.startswith(OF_A_RUN)}


@dataclass(frozen=True)
class Row:
    """An input, with a picture for each column."""

    name: str
    pictures: Sequence[Picture]


def write_compare_page(
    file: Path, title: str, columns: Sequence[Column], rows: Sequence[Row], notes: Sequence[str]
) -> None:
    """Write the page; its pictures are there already.

    Args:
        file: the page.
        title: of the window and at the top.
        columns: what each row shows, in this order; those without metrics are no less compared.
        rows: in the page's order; every row has a picture for each column.
        notes: lines at the top.

    Raises UserError where the file cannot be written.
    """
    page = new_page(title, columns=len(columns), image_width=360, command="compare")
    runs = [column for column in columns if column.metrics]
    with page.body:
        with tags.header():
            tags.h1(title)
            for note in notes:
                tags.p(note)
            tags.p(HELP)
        if runs:
            _add_figures(runs)
        with tags.main(data_first=str(len(columns) - sum(column.is_run for column in columns))):
            for row in rows:
                _add_row(row, columns)
        _add_view(columns)
        script = Path(__file__).with_name("compare.js").read_text(encoding="utf-8")
        tags.script(raw(script), type="module")
    write_page(page, file)


def best_of(values: Sequence[float], better: str) -> set[int]:
    """Places of the best among finite values; none where there is nothing to choose."""
    finite = {place: value for place, value in enumerate(values) if math.isfinite(value)}
    if len(set(finite.values())) < 2:
        return set()
    best = (min if better == "lower" else max)(finite.values())
    return {place for place, value in finite.items() if value == best}


def differences(protocols: Sequence[Mapping[str, Any]]) -> list[str]:
    """What protocols do not agree on: `images 50, 20`, a line for each key."""
    keys = dict.fromkeys(key for protocol in protocols for key in protocol)
    told = {key: [protocol.get(key, "not told") for protocol in protocols] for key in keys}
    return [
        f"{key} {', '.join(map(str, values))}"
        for key, values in told.items()
        if any(value != values[0] for value in values)
    ]


def _add_figures(runs: Sequence[Column]) -> None:
    """Add the table of all figures, by class folded, and how they were made."""
    names = list(dict.fromkeys(name for run in runs for name in run.metrics))
    with tags.section():
        tags.h2("Figures", tags.small("the better one is marked where figures were made alike"))
        with tags.div(cls="scroll"), tags.table(cls="table figures"):
            _add_heads(runs)
            for name in names:
                _add_figure_row(name, runs)
        for name in names:
            _add_classes(name, runs)
        quotes = [
            f"{run.name}: {figure['quote']}"
            for run in runs
            for figure in run.metrics.values()
            if figure.get("quote")
        ]
        if quotes:
            with tags.details():
                tags.summary("How each was made")
                with tags.ul(cls="lines"):
                    for quote in quotes:
                        tags.li(quote)


def _add_heads(runs: Sequence[Column]) -> None:
    with tags.tr():
        tags.th()
        for run in runs:
            tags.th(run.name, scope="col")


def _add_figure_row(name: str, runs: Sequence[Column]) -> None:
    """Add a figure's row; under it what keeps its values from being compared, and warnings."""
    having = [run for run in runs if name in run.metrics]
    better = having[0].metrics[name].get("better", "lower")
    unlike = differences([run.protocol_of(name) for run in having])
    lines = [f"not made alike: {line}" for line in unlike]
    warnings = [run.metrics[name].get("warning") for run in having]
    lines += dict.fromkeys(line for line in warnings if line)
    values = [_number(run.metrics.get(name, {}).get("value")) for run in runs]
    best = set() if unlike else best_of(values, better)
    with tags.tr():
        tags.th(name, tags.small(f"{better} is better"), scope="row")
        for place, (run, value) in enumerate(zip(runs, values, strict=True)):
            beside = run.metrics.get(name, {}).get("beside") or {}
            _add_value(value, place in best, beside)
    for line in lines:
        with tags.tr():
            tags.td(tags.small(line), colspan=len(runs) + 1)


def _add_classes(name: str, runs: Sequence[Column]) -> None:
    """Add a figure by class, folded, where it has classes."""
    by_run = [run.metrics.get(name, {}).get("by_class") or {} for run in runs]
    classes = list(dict.fromkeys(label for by_class in by_run for label in by_class))
    if not classes:
        return
    having = [run for run in runs if name in run.metrics]
    alike = not differences([run.protocol_of(name) for run in having])
    with tags.details():
        tags.summary(f"{name} by class")
        with tags.div(cls="scroll"), tags.table(cls="table figures"):
            _add_heads(runs)
            for label in classes:
                values = [_number(by_class.get(label)) for by_class in by_run]
                better = having[0].metrics[name].get("better", "lower")
                best = best_of(values, better) if alike else set()
                with tags.tr():
                    tags.th(label, scope="row")
                    for place, value in enumerate(values):
                        _add_value(value, place in best, {})


def _add_value(value: float, is_best: bool, beside: Mapping[str, Any]) -> None:
    told = [
        f"± {_text(_number(number))}" if what == "standard_error" else
        f"{what.replace('_', ' ')} {_text(_number(number))}"
        for what, number in beside.items()
    ]  # fmt: skip
    with tags.td(cls="best" if is_best else "", title="best" if is_best else ""):
        tags.strong(_text(value) + " ✓") if is_best else tags.span(_text(value))
        if told:
            tags.small(", ".join(told))


def _add_row(row: Row, columns: Sequence[Column]) -> None:
    """Add an input: the pictures, and below those of runs their own figures of it."""
    with tags.section(data_name=row.name):
        tags.h2(row.name)
        with tags.div(cls="pictures"):
            for column, picture in zip(columns, row.pictures, strict=True):
                with tags.div():
                    add_figure(picture)
                    if told := figures_of(row.name, column):
                        tags.small(told, cls="own")


def figures_of(name: str, column: Column) -> str:
    """The figures of one image: `lpips 0.21, psnr 18.2`; empty where there are none."""
    found = {
        metric: figure["per_image"][name]
        for metric, figure in column.metrics.items()
        if name in (figure.get("per_image") or {})
    }
    return ", ".join(f"{metric} {_text(_number(value))}" for metric, value in found.items())


def _add_view(columns: Sequence[Column]) -> None:
    """Add the view of two results over each other, closed."""
    with Dialog(id="view", aria_label="Two results over each other"):
        with tags.div(cls="tools"):
            tags.strong(id="view-name", aria_live="polite")
            for side in ("left", "right"):
                with tags.label(side, tags.span(" ")), tags.select(id=f"view-{side}"):
                    for place, column in enumerate(columns):
                        tags.option(f"{place + 1} {column.name}", value=str(place))
            tags.button("Swap", type="button", id="view-swap")
            tags.button("↑", type="button", id="view-up", aria_label="Previous input")
            tags.button("↓", type="button", id="view-down", aria_label="Next input")
            tags.button("Close", type="button", id="view-close")
        with tags.div(cls="stage"), tags.div(id="view-box"):
            tags.img(id="view-under", alt="", draggable="false")
            tags.img(id="view-over", alt="", draggable="false")
            tags.div(
                id="view-divider",
                role="slider",
                tabindex="0",
                aria_label="Divider",
                aria_valuemin="0",
                aria_valuemax="100",
                aria_valuenow="50",
            )
        with tags.div(cls="tools told"):
            tags.span(id="view-told-left")
            tags.span(id="view-told-right")


def _number(value: Any) -> float:
    """A value of metrics.json, where NaN may be written as null."""
    return float(value) if isinstance(value, int | float) else math.nan


def _text(value: float) -> str:
    return f"{value:.4g}" if math.isfinite(value) else "–"
