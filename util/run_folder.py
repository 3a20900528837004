"""The folder of a run: what a new run must not overwrite, and what it must be able to write."""

from __future__ import annotations

from pathlib import Path

from util.checkpoint import save_text
from util.files import writing


def set_run_aside(folder: Path) -> list[str]:
    """Rename the folder of an earlier run to `<folder>.1` (or 2, ...), if it got anywhere.

    Returns:
        The line that says so, if there was such a run.

    Raises:
        UserError: the folder cannot be renamed.
    """
    traces = ("*_net_*.pth", "metrics.jsonl", "web/images/*")
    if not any(any(folder.glob(trace)) for trace in traces):
        return []
    number = 1
    while (aside := folder.with_name(f"{folder.name}.{number}")).exists():
        number += 1
    with writing(aside):
        folder.rename(aside)
    return [f"{folder}: held an earlier run, now in {aside} (--continue_train goes on with a run)"]


def write_all(folder: Path, texts: dict[str, str]) -> None:
    """Write text files, {name: text}, into a folder that is made if it is not there.

    Raises:
        UserError: the folder cannot be made or written.
    """
    for name, text in texts.items():
        save_text(text, folder / name)
