"""Which of several processes this is: the only reader of RANK and its kin (and without PyTorch)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pix2pixhd.util.errors import UserError

LAUNCH_FILE = "launch.txt"  # in a run's folder: the launch that its state is of


@dataclass(frozen=True)
class World:
    """The processes that run one program together, and which of them this is."""

    rank: int = 0
    size: int = 1
    local_rank: int | None = 0  # among those of this machine; None: the launcher did not say
    address: str = ""  # host:port where rank 0 waits for the others; none if a launcher sees to it
    launch: str | None = None  # torchrun's name for this launch, which its restarts share
    restarts: int = 0  # how often torchrun has started these processes anew
    local_size: int = 1  # how many are on this machine; all, if the launcher did not say

    @property
    def is_main(self) -> bool:
        """Whether this is the process that writes, prints and decides."""
        return self.rank == 0

    def is_restarted(self, folder: Path) -> bool:
        """Whether torchrun started these processes anew, and the folder has a state that this
        launch saved, not an earlier run of that name."""
        marker = folder / LAUNCH_FILE
        if not (self.restarts and marker.is_file() and (folder / "latest_state.pth").is_file()):
            return False
        return marker.read_text(errors="replace").strip() == self.launch


def read_world(environment: Mapping[str, str] = os.environ) -> World:
    """What a launcher says: torchrun, ours, or a scheduler such as Slurm, which says less.

    Raises:
        UserError: the variables are there, but make no sense.
    """
    counts = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    names = (*counts, "MASTER_ADDR", "MASTER_PORT")
    given = {name: environment[name] for name in names if environment.get(name)}
    if not {"RANK", "WORLD_SIZE"} <= given.keys():
        return World()
    try:
        rank, size = int(given["RANK"]), int(given["WORLD_SIZE"])
        local_rank = int(given["LOCAL_RANK"]) if "LOCAL_RANK" in given else None
        local_size = int(environment.get("LOCAL_WORLD_SIZE") or size)
        address = f"{given['MASTER_ADDR']}:{int(given['MASTER_PORT'])}" if size > 1 else ""
        restarts = int(environment.get("TORCHELASTIC_RESTART_COUNT", 0))
        if not 0 <= rank < size or (local_rank or 0) < 0 or not 0 < local_size <= size:
            raise ValueError
    except (ValueError, KeyError) as error:
        raise UserError(
            f"{', '.join(f'{name}={value}' for name, value in given.items())}: expected whole "
            "numbers, RANK below WORLD_SIZE, and the MASTER_ADDR and MASTER_PORT where several "
            "processes meet; unset RANK and WORLD_SIZE, or start with torchrun"
        ) from error
    if "TORCHELASTIC_USE_AGENT_STORE" in environment:
        address = ""
    launch = environment.get("TORCHELASTIC_RUN_ID") or None
    if launch == "none":  # torchrun's default; then its process tells one launch from another
        launch = f"process {os.getppid()}"
    return World(rank, size, local_rank, address, launch, restarts, local_size)
