"""Which of several processes this is: the only reader of RANK and its kin.

Without PyTorch, so that a mistake on the command line is told at once.
"""

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

    @property
    def restarted_launch(self) -> str | None:
        """The launch, if these processes take the place of some that failed."""
        return self.launch if self.restarts else None


def read_world(environment: Mapping[str, str] = os.environ) -> World:
    """What torchrun says in the environment, or a scheduler such as Slurm, which says less.

    RANK and WORLD_SIZE are enough for one process; MASTER_ADDR and MASTER_PORT must be there for
    several. LOCAL_RANK chooses the GPU.

    Raises:
        UserError: the variables are there, but make no sense.
    """
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "TORCHELASTIC_RESTART_COUNT")
    given = {name: environment[name] for name in names if environment.get(name)}
    if not given.keys() >= {"RANK", "WORLD_SIZE"}:
        return World()
    found = ", ".join(f"{name}={value}" for name, value in given.items())
    remedy = "unset RANK and WORLD_SIZE, or start with torchrun"
    if not all(value.isascii() and value.isdigit() for value in given.values()):
        raise UserError(f"{found}: expected whole numbers; {remedy}")
    numbers = {name: int(value) for name, value in given.items()}
    rank, size, local_rank, restarts = (numbers.get(name) for name in names)
    assert rank is not None and size is not None
    if rank >= size:
        raise UserError(f"{found}: expected a rank below the number of processes; {remedy}")
    address, port = (environment.get(name) for name in ("MASTER_ADDR", "MASTER_PORT"))
    if size > 1 and not (address and port):
        raise UserError(
            f"{found}: one of {size} processes, but MASTER_ADDR and MASTER_PORT do not say where "
            f"to meet the others; {remedy}"
        )
    is_hosted = size == 1 or environment.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    launch = environment.get("TORCHELASTIC_RUN_ID")
    if launch == "none":  # torchrun's default; then its process tells one launch from another
        launch = f"process {os.getppid()}"
    meeting_place = "" if is_hosted else f"{address}:{port}"
    return World(rank, size, local_rank, meeting_place, launch, restarts or 0)
