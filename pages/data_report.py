"""What is told of a data set, as plain text and as figures for programs."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

WIDTH = 80  # columns of the text
BAR = 24  # of them, those of the longest bar
ROWS = 80  # labels that the text lists


@dataclass(frozen=True)
class LabelRow:
    """A label in the histogram."""

    label: int
    name: str  # empty where it has none
    colour: tuple[int, int, int]
    pixels: int
    share: float  # of all pixels
    images: int
    note: str = ""  # near empty, outside the range, ...


@dataclass
class DataReport:
    """What is told of a data set."""

    title: str
    facts: list[tuple[str, str]]  # what, and the figures
    problems: list[str] = field(default_factory=list)  # over which training would refuse it
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    labels: list[LabelRow] = field(default_factory=list)
    suggestions: list[tuple[str, str]] = field(default_factory=list)  # flags, and why
    command: list[str] = field(default_factory=list)  # words of what to type next

    @property
    def exit_code(self) -> int:
        """2 if training would refuse the data, 1 if something is worth a look, else 0."""
        return 2 if self.problems else int(bool(self.warnings))

    @property
    def verdict(self) -> str:
        """The exit code in words."""
        words = ("Sound.", "Usable, but look at the warnings.", "Not usable as it is.")
        return words[self.exit_code]

    @property
    def next_heading(self) -> str:
        """Above the command."""
        return "Next, once the problems are solved" if self.problems else "Next"

    def figures(self) -> dict[str, Any]:
        """All of it, as JSON can hold it."""
        return {"exit_code": self.exit_code, **asdict(self)}

    def text(self) -> str:
        """All of it, in lines of 80 columns where paths are no longer."""
        return "\n".join(self._lines()) + "\n"

    def _lines(self) -> Iterator[str]:
        yield from (self.title, "=" * min(WIDTH, len(self.title)), self.verdict)
        for heading, lines in (("Problems", self.problems), ("Warnings", self.warnings)):
            yield from _listed(heading, lines)
        yield from ("", "Files")
        for what, figures in self.facts:
            yield from _wrapped(figures, f"  {what:14}", " " * 16)
        if self.labels:
            yield from ("", f"{'Labels':{WIDTH - 17 - BAR}}{'pixels':>8}{'images':>8}")
            longest = max(row.share for row in self.labels) or 1
            for row in self.labels[:ROWS]:
                yield _bar_line(row, longest)
            if len(self.labels) > ROWS:
                yield f"  ... and {len(self.labels) - ROWS} more"
        yield from _listed("Notes", self.notes)
        if self.suggestions:
            yield from ("", "Flags that suit it")
            room = max(len(flags) for flags, _ in self.suggestions) + 2
            for flags, reason in self.suggestions:
                yield from _wrapped(reason, f"  {flags:{room}}", " " * (room + 2))
        if self.command:
            yield from ("", self.next_heading, *command_lines(self.command))


def command_lines(words: Sequence[str]) -> list[str]:
    """A command in lines that a shell reads as one, each flag beside its value."""
    parts: list[list[str]] = []
    for word in words:
        if word.startswith("--") or not parts:
            parts.append([])
        parts[-1].append(word)
    lines: list[str] = []
    for part in map(shlex.join, parts):
        if lines and len(lines[-1]) + len(part) < WIDTH - 4:
            lines[-1] += f" {part}"
        else:
            lines.append(f"    {part}" if lines else f"  {part}")
    return [f"{line} \\" for line in lines[:-1]] + lines[-1:]


def _bar_line(row: LabelRow, longest: float) -> str:
    note = f" ({row.note})" if row.note else ""
    room = WIDTH - 17 - BAR
    name = f"{row.label:>6} {row.name}".rstrip()[: room - len(note)] + note
    bar = "#" * round(row.share / longest * BAR)
    return f"{name:{room}}{percent(row.share):>8}{row.images:>8,} {bar}".rstrip()


def percent(share: float) -> str:
    """A share in per cent, with the digits that its size asks for."""
    if share >= 0.0995:
        return f"{share:.0%}"
    return f"{share:.1%}" if share >= 0.00095 else "<0.01%" if share < 0.00005 else f"{share:.2%}"


def _listed(heading: str, lines: Iterable[str]) -> Iterator[str]:
    for number, line in enumerate(lines):
        if not number:
            yield from ("", heading)
        yield from _wrapped(line, "  - ", "    ")


def _wrapped(text: str, first: str, others: str) -> list[str]:
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=first,
        subsequent_indent=others,
        break_long_words=False,
        break_on_hyphens=False,
    ) or [first.rstrip()]
