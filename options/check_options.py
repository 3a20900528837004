"""Options of `check_data.py`, and flags made from options."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pix2pixhd.options.base_options import DataOptions, ModelOptions, ProgramOptions
from pix2pixhd.options.fields import changed, flat


@dataclass(frozen=True)
class ReportOptions:
    """What is looked at, and where the report goes."""

    phase: str = "train"
    """Folders to look at: <phase>_label and so on."""
    check_data: Literal["sample", "full"] = "full"
    """Pixels that are looked at: of all files, or of a sample, which is enough to find faults that
    are in many of them."""
    out: str | None = None
    """The page; by default ./results/check_<folder of --dataroot>_<phase>/index.html."""
    page: bool = True
    """Write the page with samples beside the text."""
    json: str | None = None
    """Also write the figures to this file, for other programs."""


@dataclass(frozen=True)
class CheckOptions(ProgramOptions):
    """Look at a data set before training: what is wrong, what it holds, which flags it needs.

    Exit code: 0 sound, 1 with warnings, 2 if training would refuse it.
    """

    report: ReportOptions = field(default_factory=ReportOptions)

    @property
    def set_name(self) -> str:
        """The data set by its folder's name."""
        return Path(self.data.dataroot).resolve().name or "data"

    @property
    def page_file(self) -> Path:
        """The page to write."""
        folder = f"check_{self.set_name}_{self.report.phase}"
        return Path(self.report.out or Path("results", folder, "index.html"))

    def problems(self) -> Iterator[str]:
        yield from super().problems()
        if self.page_file.suffix.lower() not in (".html", ".htm"):
            out = self.report.out
            yield f"--out {out}: must name a page, .html; give {out}/index.html"


def not_default(data: DataOptions, model: ModelOptions) -> dict[str, Any]:
    """The data's and the networks' options that differ from the defaults: {flag: value}."""
    return changed(flat(data), flat(DataOptions())) | changed(flat(model), flat(ModelOptions()))
