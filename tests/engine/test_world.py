"""Who is who among several processes, by what their launcher says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pix2pixhd.engine.world import World, read_world
from pix2pixhd.util.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
MEETING = {"MASTER_ADDR": "here", "MASTER_PORT": "1"}
TORCHRUN = {"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "4", **MEETING}


def test_alone() -> None:
    assert read_world({}) == read_world({"RANK": "", "WORLD_SIZE": ""}) == World(0, 1, 0)
    assert read_world({}).is_main


def test_torchrun_says_all() -> None:
    given = TORCHRUN | {"TORCHELASTIC_RUN_ID": "abc", "TORCHELASTIC_USE_AGENT_STORE": "True"}
    assert read_world(given) == World(5, 8, 1, launch="abc", local_size=4)
    assert not read_world(given).is_main
    assert read_world(given | {"TORCHELASTIC_RESTART_COUNT": "2"}).restarts == 2
    unnamed = read_world(given | {"TORCHELASTIC_RUN_ID": "none"})
    assert unnamed.launch == f"process {os.getppid()}"


def test_schedulers_say_less() -> None:
    slurm = {"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1", **MEETING}
    assert read_world(slurm) == World(5, 8, 1, address="here:1", local_size=8)
    pods = {"RANK": "1", "WORLD_SIZE": "2", **MEETING}
    assert read_world(pods) == World(1, 2, None, address="here:1", local_size=2)


@pytest.mark.parametrize(
    ("wrong", "found"),
    [
        ({"RANK": "one"}, "RANK=one, WORLD_SIZE=8, LOCAL_RANK=1, "),
        ({"LOCAL_RANK": "-1"}, "RANK=5, WORLD_SIZE=8, LOCAL_RANK=-1, "),
        ({"RANK": "8"}, "RANK=8, WORLD_SIZE=8, "),
        ({"LOCAL_WORLD_SIZE": "9"}, "RANK=5, .* LOCAL_WORLD_SIZE=9, "),
        ({"MASTER_PORT": "ssh"}, "RANK=5, .* MASTER_PORT=ssh: "),
        ({"MASTER_PORT": ""}, "RANK=5, WORLD_SIZE=8, .*, MASTER_ADDR=here: "),
    ],
)
def test_nonsense_is_refused(wrong: dict[str, str], found: str) -> None:
    words = "expected whole numbers, RANK below WORLD_SIZE, and the MASTER_ADDR and MASTER_PORT "
    with pytest.raises(UserError, match=f"^{found}.*{words}.* or start with torchrun$"):
        read_world(TORCHRUN | wrong)


def test_nobody_else_reads_them() -> None:
    """Only the launcher names them too: it tells its processes."""
    files = [f for room in ("engine", "options", "util", "data", "models", "pages") for f in
             (ROOT / room).rglob("*.py")]  # fmt: skip
    names = (
        '"RANK"',
        '"WORLD_SIZE"',
        '"LOCAL_RANK"',
        '"MASTER_ADDR"',
        '"LOCAL_WORLD',
        '"TORCHELASTIC_',
    )
    found = {f.stem for f in [*files, *ROOT.glob("*.py")] if any(n in f.read_text() for n in names)}
    assert found == {"world", "launch"}
