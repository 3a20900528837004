"""Which of several processes this is: the only reader of RANK and its kin (and without PyTorch)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from util.errors import UserError


@dataclass(frozen=True)
class World:
    """The processes that run one program together, and which of them this is."""

    rank: int = 0
    size: int = 1
    local_rank: int | None = 0  # among those of this machine; None: the launcher did not say
    address: str = ""  # host:port where rank 0 waits for the others; none if a launcher sees to it
    launch: str | None = None  # torchrun's name for this launch, which its restarts share
    restarts: int = 0  # how often torchrun has started these processes anew

    @property
    def is_main(self) -> bool:
        """Whether this is the process that writes, prints and decides."""
        return self.rank == 0


def read_world(environment: Mapping[str, str] = os.environ) -> World:
    """What a launcher says: torchrun, ours, or a scheduler such as Slurm, which says less.

    Raises:
        UserError: the variables are there, but make no sense.
    """
    given = {n: environment.get(n, "") for n in ("RANK", "WORLD_SIZE", "LOCAL_RANK")}
    if not (given["RANK"] and given["WORLD_SIZE"]):
        return World()
    found = ", ".join(f"{name}={value}" for name, value in given.items() if value)
    remedy = "unset RANK and WORLD_SIZE, or start with torchrun"
    if not all(value.isdecimal() for value in given.values() if value):
        raise UserError(f"{found}: expected whole numbers; {remedy}")
    rank, size = int(given["RANK"]), int(given["WORLD_SIZE"])
    if rank >= size:
        raise UserError(f"{found}: expected a rank below the number of processes; {remedy}")
    address, port = environment.get("MASTER_ADDR"), environment.get("MASTER_PORT")
    if size > 1 and not (address and port):
        raise UserError(
            f"{found}: one of {size} processes, but MASTER_ADDR and MASTER_PORT do not say where "
            f"to meet the others; {remedy}"
        )
    launch = environment.get("TORCHELASTIC_RUN_ID")
    if launch == "none":  # torchrun's default; then its process tells one launch from another
        launch = f"process {os.getppid()}"
    return World(
        rank,
        size,
        local_rank=int(given["LOCAL_RANK"]) if given["LOCAL_RANK"] else None,
        address="" if "TORCHELASTIC_USE_AGENT_STORE" in environment else f"{address}:{port}",
        launch=launch,
        restarts=int(environment.get("TORCHELASTIC_RESTART_COUNT", 0)),
    )
