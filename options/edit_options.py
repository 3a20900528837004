"""Options of `edit.py`, and the contradictions between them."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated

from pix2pixhd.options.base_options import TrainedRunOptions
from pix2pixhd.options.fields import Range
from pix2pixhd.options.generator_options import Count
from pix2pixhd.options.test_options import ResultOptions, TestOptions


@dataclass(frozen=True)
class PageOptions:
    """The page: where it is served, and which images it opens."""

    host: str = "127.0.0.1"
    """Address to listen at. The default is reached from this machine alone; 0.0.0.0 from all
    others, which then need a token."""
    port: Annotated[int, Range(0, 65_535)] = 8008
    """Port to listen at; 0: any that is free."""
    token: str | None = None
    """Word that the page's address must carry; by default one is made up where --host is not this
    machine's own, and printed."""
    scenes_dir: str | None = None
    """Folder in which scenes are kept; by default editor/ in the run's folder."""
    scenes_memory: Count = 1024
    """Megabytes of memory that scenes may take before idle ones are put on disk."""
    phase: str = "test"
    """Folders whose images are opened: <phase>_label and so on."""
    which_epoch: str = "latest"
    """Weights to use: latest, best (see --best_metric of training), or an epoch's number."""
    cluster_path: str = ResultOptions.cluster_path
    """Clustered features that styles are drawn from: as for test.py."""


@dataclass(frozen=True)
class EditOptions(TrainedRunOptions):
    """Open a page on which scenes are changed object by object."""

    page: PageOptions = field(default_factory=PageOptions)

    @property
    def rendering(self) -> TestOptions:
        """The same, as what renders takes it."""
        page = self.page
        results = ResultOptions(
            phase=page.phase, which_epoch=page.which_epoch, cluster_path=page.cluster_path
        )
        return TestOptions(self.run, self.data, self.model, self.ema, results)

    def problems(self) -> Iterator[str]:
        yield from super().problems()
        token = self.page.token
        if token is not None and not (token.isascii() and token.isalnum() and len(token) >= 8):
            yield "--token: must be 8 or more letters and digits, as it stands in an address"
        if "," in self.run.gpu_ids:
            yield f"--gpu_ids {self.run.gpu_ids}: the editor computes on one; name it alone"


def is_loopback(host: str) -> bool:
    """Whether an address is reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
