#!/usr/bin/env python3
"""Print a table of runs: their figures by evaluate.py, and how long they took for an image.

python scripts/ablation_table.py NAME NAME ...
"""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pix2pixhd.util.log_files import METRICS


def row(name: str) -> dict[str, str]:
    """A run's cells by the headings of their columns."""
    [figures] = Path("results", name).glob("test_latest*/metrics.json")
    cells = {"run": name}
    for metric, figure in json.loads(figures.read_text())["metrics"].items():
        cells[metric] = f"{figure['value']:.3f}"
    lines = Path("checkpoints", name, METRICS).read_text().splitlines()
    times = [logged["time"] for line in lines if "time" in (logged := json.loads(line))]
    # The first ones have the start in them.
    cells["ms an image"] = f"{1000 * statistics.median(times):.0f}" if times else ""
    return cells


def main(names: list[str]) -> None:
    rows = [row(name) for name in names]
    columns = list(dict.fromkeys(column for cells in rows for column in cells))
    print(f"| {' | '.join(columns)} |\n|---{'|---:' * (len(columns) - 1)}|")
    for cells in rows:
        print(f"| {' | '.join(cells.get(column, '') for column in columns)} |")


if __name__ == "__main__":
    main(sys.argv[1:])
