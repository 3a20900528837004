"""Options of `evaluate.py compare`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from pix2pixhd.options.command_line import read_argv
from pix2pixhd.options.fields import expected, fits, types_of
from pix2pixhd.options.generator_options import Count
from pix2pixhd.util.errors import UserError


@dataclass(frozen=True)
class CompareOptions:
    """Lay the results of runs side by side, and over each other, in one page with their figures."""

    runs: Annotated[tuple[str, ...], tyro.conf.Positional] = field(default_factory=tuple)
    """Two or more: the name of a run that test.py or evaluate.py has rendered, or name=DIR, a
    folder of images or of a gallery."""
    results_dir: str = "./results/"
    """Galleries are in <results_dir>/<name>/<phase>_<which_epoch>."""
    phase: str = "test"
    """Phase of the galleries."""
    which_epoch: str = "latest"
    """Weights of the galleries: latest, or an epoch's number."""
    out: str | None = None
    """The page; by default <results_dir>/compare_X_Y_Z/index.html."""
    how_many: Count | None = None
    """Most images to show; by default all that the runs have in common."""

    @property
    def folders(self) -> dict[str, Path]:
        """The folder of each run, by the run's name."""
        return folders_of(self.runs, self.results_dir, f"{self.phase}_{self.which_epoch}")

    @property
    def page_file(self) -> Path:
        """The page to write."""
        names = "_".join(["compare", *self.folders]).replace("/", "_")
        return Path(self.out or Path(self.results_dir, names, "index.html"))

    def problems(self) -> Iterator[str]:
        """What is wrong with the options, one line each; none if sound."""
        if len(self.runs) < 2:
            given = f"{len(self.runs)} given"
            yield f"compare: needs two runs or more, {given}; give names of runs, or name=DIR"
        elif len(self.folders) < len(self.runs):
            remedy = "each needs a name of its own; give other=DIR for one of them"
            yield f"compare {' '.join(self.runs)}: names a run twice; {remedy}"
        yield from wrong_runs("compare", self.runs)
        if not fits(self.how_many, hint := types_of(type(self))["how_many"]):
            yield f"--how_many {self.how_many}: must be {expected(hint)}"
        if self.page_file.suffix.lower() not in (".html", ".htm"):
            yield f"--out {self.out}: must name a page, .html; give {self.out}/index.html"


def folders_of(runs: Sequence[str], results_dir: str, gallery: str) -> dict[str, Path]:
    """The folder of each run by its name: DIR of name=DIR, or <results_dir>/<name>/<gallery>."""
    pairs = (run.partition("=") for run in runs)
    return {
        name: Path(folder) if equals else Path(results_dir, name, gallery)
        for name, equals, folder in pairs
    }


def wrong_runs(command: str, runs: Sequence[str]) -> Iterator[str]:
    """A line for each that is neither a name nor name=DIR."""
    for run in runs:
        name, equals, folder = run.partition("=")
        if not name or (equals and not folder):
            yield f"{command} {run!r}: must be the name of a run, or name=DIR"


def parse_compare(argv: Sequence[str]) -> CompareOptions:
    """Options of `evaluate.py compare`; exits with 0 after --help.

    Raises:
        UserError: argv is at fault; one line for each problem.
    """
    options = read_argv(argv, CompareOptions())
    if problems := list(options.problems()):
        raise UserError(problems)
    return options


PARSERS = {"compare": parse_compare}
