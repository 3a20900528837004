"""The report of a study: its figures as text, JSON and a page with a plot."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from dominate import tags
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from pix2pixhd.pages.html import new_page, write_page
from pix2pixhd.pages.loss_curves import CURVE, FAINT, GRID, INK
from pix2pixhd.util.files import replacing
from pix2pixhd.util.words import counted

PLOT = "preference.png"
HEADINGS = ("shown for", "answers", "for X", "share", "95 % interval", "p", "truly shown")
INTERVALS = (
    "Intervals are exact binomial ones (Clopper-Pearson) and p is of a two-sided test against one "
    "half. Both take answers as independent; those of one person or about one input are not "
    "quite, so the truth is less certain than they say."
)


@dataclass(frozen=True)
class Preference:
    """How often X was chosen."""

    seconds: float | None  # shown for; None: all times, or no limit
    answers: int
    for_x: int
    low: float  # of the 95 % interval of the share, 0..1
    high: float
    p: float  # of so lopsided a result, or more so, where there is no preference
    median_shown: float | None  # seconds, measured

    @property
    def share(self) -> float:
        """Of answers for X, 0..1; not a number where there are none."""
        return self.for_x / self.answers if self.answers else float("nan")

    def cells(self) -> list[str]:
        """As the row of a table, below HEADINGS."""
        share = f"{self.share:.1%}" if self.answers else "-"
        shown = "-" if self.median_shown is None else f"{self.median_shown:.3g} s"
        time = "all" if self.seconds is None else f"{self.seconds:g} s"
        interval = f"{self.low:.1%} to {self.high:.1%}"
        return [time, str(self.answers), str(self.for_x), share, interval, f"{self.p:.2g}", shown]


@dataclass(frozen=True)
class Person:
    """A session, and how attentive it was."""

    session: str
    answers: int  # to pairs
    for_x: int
    checks: int
    failed: int
    left_out: bool


@dataclass
class StudyReport:
    """What a study found."""

    study: str  # its id
    x: str
    y: str
    people: list[Person]
    total: Preference
    by_time: list[Preference]  # empty where there was no limit
    max_failed: float  # share of checks
    notes: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """Who answered, what was left out, in sentences."""
        left = [person for person in self.people if person.left_out]
        checks, failed = (
            sum(getattr(p, what) for p in self.people) for what in ("checks", "failed")
        )
        people = f"{len(self.people) - len(left)} of {len(self.people)} people counted"
        lines = [f"{people}, {counted(self.total.answers, 'answer')}."]
        if checks:
            lines.append(f"Attention checks failed: {failed} of {checks} ({failed / checks:.1%}).")
        else:
            lines.append("There were no attention checks.")
        if left:
            gone = counted(sum(person.answers for person in left), "answer")
            who = "1 person" if len(left) == 1 else f"{len(left)} people"
            limit = f"more than {self.max_failed:.0%} of the checks"
            lines.append(f"Left out as they failed {limit}: {who}, {gone}.")
        return lines + self.notes

    def figures(self) -> dict[str, Any]:
        """The same for other programs."""
        named = {"study": self.study, "x": self.x, "y": self.y, "max_failed": self.max_failed}
        rows = [asdict(row) for row in (self.total, *self.by_time)]
        for row in rows:
            row["share"] = row["for_x"] / row["answers"] if row["answers"] else None
        people = [asdict(person) for person in self.people]
        checks, failed = (sum(p[what] for p in people) for what in ("checks", "failed"))
        named["failed_checks"] = failed / checks if checks else None
        return {
            **named,
            "total": rows[0],
            "by_time": rows[1:],
            "people": people,
            "notes": self.notes,
        }

    def text(self) -> str:
        """For a terminal."""
        rows = [list(HEADINGS), *(row.cells() for row in (self.total, *self.by_time))]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        table = [
            "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
            for row in rows
        ]
        return "\n".join([f"X is {self.x}, Y is {self.y}.", *self.lines(), "", *table, ""])


def write_report_page(file: Path, report: StudyReport) -> None:
    """Write the page, with its plot beside it; raises UserError where that cannot be done."""
    draw_preference(report, file.parent / PLOT)
    title = f"Study: {report.x} or {report.y}"
    page = new_page(title, columns=2, image_width=480, command="study-report")
    with page.body:
        with tags.header():
            tags.h1(f"{report.x} (X) or {report.y} (Y)")
            for line in report.lines():
                tags.p(line)
        with tags.section():
            tags.h2("Preference for X")
            with tags.div(cls="chart"), tags.figure():
                tags.img(src=PLOT, alt="share of answers for X, with its interval")
            _add_table(HEADINGS, [row.cells() for row in (report.total, *report.by_time)])
            tags.p(INTERVALS)
        with tags.section():
            tags.h2("People")
            headings = ("session", "answers", "for X", "checks", "failed", "")
            rows = [
                [p.session, p.answers, p.for_x, p.checks, p.failed, "left out" * p.left_out]
                for p in report.people
            ]
            _add_table(headings, [[str(cell) for cell in row] for row in rows])
    write_page(page, file)


def draw_preference(report: StudyReport, out: Path) -> None:
    """Draw the share of answers for X and its interval, for each time or for all, into a PNG."""
    figure = Figure(figsize=(9, 4), dpi=120, layout="constrained", facecolor="white")
    axes = figure.add_subplot()
    rows = [row for row in report.by_time or [report.total] if row.answers]
    shares = [row.share for row in rows]
    spread = [
        [row.share - row.low for row in rows],
        [row.high - row.share for row in rows],
    ]
    axes.axhline(0.5, color=FAINT, linewidth=1, linestyle="--")
    places = range(len(rows))
    axes.errorbar(places, shares, spread, fmt="o", color=CURVE, capsize=4, linewidth=1.5)
    labels = ["no limit" if row.seconds is None else f"{row.seconds:g} s" for row in rows]
    axes.set_xticks(places, [f"{t}\n{r.answers}" for t, r in zip(labels, rows, strict=True)])
    axes.set_xlim(-0.5, max(len(rows), 1) - 0.5)
    axes.set_ylim(0, 1)
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    title = f"answers for {report.x}, by the time shown and with their number"
    axes.set_title(title, loc="left", fontsize=12, fontweight="bold", color=INK, parse_math=False)
    axes.tick_params(colors=FAINT, labelsize=10, length=0)
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.spines[:].set_visible(False)
    with replacing(out) as file:
        figure.savefig(file, format="png")


def _add_table(headings: tuple[str, ...], rows: list[list[str]]) -> None:
    with tags.div(style="overflow-x: auto"), tags.table(cls="table"):
        with tags.tr():
            for heading in headings:
                tags.th(heading, scope="col", style="padding-right: 1rem")
        for row in rows:
            with tags.tr():
                for cell in row:
                    tags.td(cell)
