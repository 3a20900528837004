#!/usr/bin/env python3
"""Print a table of runs: their figures by evaluate.py, the generator's size, and milliseconds of a
step and of an image, which are of this machine as busy as it is.

python scripts/ablation_table.py NAME NAME ...
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

import pix2pixhd
from pix2pixhd.engine.renderer import Renderer
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
    cells["ms a step"] = f"{1000 * statistics.median(times):.0f}" if times else ""
    renderer = pix2pixhd.load(name)
    weights = sum(weight.numel() for weight in renderer.model.netG.parameters())
    cells["parameters"] = f"{weights / 1e6:.2f} M"
    cells["ms an image"] = f"{1000 * seconds_of(renderer):.0f}"
    return cells


def seconds_of(renderer: Renderer) -> float:
    """For a label map of 256x128, the middle one of ten."""
    label, times = np.zeros((128, 256), np.uint8), []
    inst = label if renderer.options.model.instance else None
    for _ in range(10):
        start = time.perf_counter()
        renderer(label, inst)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main(names: list[str]) -> None:
    rows = [row(name) for name in names]
    columns = list(dict.fromkeys(column for cells in rows for column in cells))
    print(f"| {' | '.join(columns)} |\n|---{'|---:' * (len(columns) - 1)}|")
    for cells in rows:
        print(f"| {' | '.join(cells.get(column, '') for column in columns)} |")


if __name__ == "__main__":
    main(sys.argv[1:])
