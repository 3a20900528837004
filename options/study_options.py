"""Options of `evaluate.py study` and `evaluate.py study-report`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from pix2pixhd.options.command_line import read_argv
from pix2pixhd.options.compare_options import folders_of, wrong_runs
from pix2pixhd.options.fields import Range, expected, fits, types_of
from pix2pixhd.options.generator_options import Count
from pix2pixhd.util.errors import UserError

Share = Annotated[float, Range(0, 1)]
NUMBERS = ("pairs", "checks", "seed", "max_failed")


@dataclass(frozen=True)
class StudyOptions:
    """Write a study: a folder with a page on which people choose between the results of two runs.

    The folder needs no server: zip it and mail it. What people send back is for study-report.
    """

    runs: tyro.conf.Positional[tuple[str, ...]] = ()
    """X and Y: names of runs that test.py has rendered, or name=DIR for a folder of images."""
    timed: bool = False
    """Show each pair for 1/8, 1/4, 1/2, 1, 2, 4 or 8 seconds, drawn at random; else for as
    long as it takes."""
    pairs: Count | None = None
    """Pairs that a person is shown, drawn once for all people; by default all there are."""
    checks: Share = 0.1
    """Attention checks, as a share of the pairs: one side is the other with its parts shuffled."""
    seed: int = 0
    """Of the draw of pairs and checks. Order, sides and times are drawn anew for each person."""
    out: str = "./study/"
    """The folder to write."""
    results_dir: str = "./results/"
    """Where the galleries of the runs are."""
    phase: str = "test"
    """Of the galleries: <results_dir>/<name>/<phase>_<which_epoch>."""
    which_epoch: str = "latest"
    """Of the galleries."""

    @property
    def folders(self) -> dict[str, Path]:
        """The folder of each run, by the run's name."""
        return folders_of(self.runs, self.results_dir, f"{self.phase}_{self.which_epoch}")

    def problems(self) -> Iterator[str]:
        """Mistakes of the command line, a line each."""
        yield from _wrong_values(self)
        yield from wrong_runs("study", self.runs)
        if len(self.runs) != 2:
            given = " ".join(self.runs) or "none"
            yield f"study: needs two runs, found {given}; give X Y, each a name or name=DIR"
        elif len(self.folders) == 1:
            name = next(iter(self.folders))
            yield f"study: both runs are called {name!r}; name one of them: other=DIR"


@dataclass(frozen=True)
class StudyReportOptions:
    """Read the result files of a study: which run people preferred, and how sure that is."""

    files: tyro.conf.Positional[tuple[str, ...]] = ()
    """The result files of a study, one a person."""
    out: str = "./study_report/"
    """The folder of the report: index.html and report.json."""
    max_failed: Share = 0.25
    """Leave out people who failed more than this share of their attention checks."""

    def problems(self) -> Iterator[str]:
        """Mistakes of the command line, a line each."""
        yield from _wrong_values(self)
        if not self.files:
            yield "study-report: no result files; give those that people sent back"


def _wrong_values(options: StudyOptions | StudyReportOptions) -> Iterator[str]:
    if not options.out:
        yield "--out '': must name a folder; leave it out for the default"
    types = types_of(type(options))
    for name in (name for name in NUMBERS if name in types):
        if not fits(value := getattr(options, name), types[name]):
            yield f"--{name} {value}: must be {expected(types[name])}"


def parse_study(argv: Sequence[str]) -> StudyOptions:
    """Options of `evaluate.py study`; raises UserError where argv is at fault."""
    options = read_argv(argv, StudyOptions())
    if found := list(options.problems()):
        raise UserError(found)
    return options


def parse_study_report(argv: Sequence[str]) -> StudyReportOptions:
    """Options of `evaluate.py study-report`; raises UserError where argv is at fault."""
    options = read_argv(argv, StudyReportOptions())
    if found := list(options.problems()):
        raise UserError(found)
    return options


PARSERS = {"study": parse_study, "study-report": parse_study_report}
