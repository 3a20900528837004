"""How long the parts of the system take on this machine, next to a plainer way of doing the same.

python scripts/benchmark.py                                    all sections
python scripts/benchmark.py training --precision fp32 bf16 --json training.json
python scripts/benchmark.py end_to_end --against ../pix2pixHD  next to the public code
"""

from __future__ import annotations

import dataclasses
import datetime
import json
import os
import platform
import re
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

# Run as a program, Python looks for modules in scripts/ only.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pix2pixhd.engine.program import ENVIRONMENT, run_program

os.environ |= ENVIRONMENT  # as programs have it

import torch

from pix2pixhd.engine.runtime import why_not_compiled
from pix2pixhd.options.command_line import read_argv
from pix2pixhd.util.errors import UserError
from pix2pixhd.util.files import replacing
from scripts.benchmark_sections import loading, networks, pooling
from scripts.editing_latency import editing
from scripts.end_to_end import end_to_end
from scripts.timing import Settings, Timed

SECTIONS: dict[str, Callable[[Settings], list[Timed]]] = {
    "training": partial(networks, "training"),
    "rendering": partial(networks, "rendering"),
    "loading": loading,
    "pooling": pooling,
    "editing": editing,
    "end_to_end": end_to_end,
}


def problems(settings: Settings) -> list[str]:
    """What cannot be done, or would have no effect, one line each."""
    device, folder = settings.device, settings.against
    least = {"rounds": 1, "samples": 1, "images": 1, "threads": 0, "scale": 0, "workers": 0}
    given = vars(settings) | {"workers": min(settings.workers, default=0)}
    low = [name for name in least if given[name] < least[name]]
    found = [f"--{name} {given[name]}: must be {least[name]} or more" for name in low]
    if not re.fullmatch(r"cpu|cuda(:\d+)?", device):
        found.append(f"--device {device}: expected cpu, cuda or cuda:N")
    elif device != "cpu" and int(device[5:] or 0) >= (count := torch.cuda.device_count()):
        found.append(f"--device {device}: this machine has {count} GPUs; give --device cpu")
    if "fp16" in settings.precision and device == "cpu":
        found.append("--precision fp16: needs a CUDA device; give fp32 or bf16")
    if settings.compile and not found and (reason := why_not_compiled(torch.device(device))):
        found.append(f"--compile: {reason}; leave it out")
    if frames := settings.frames:
        folders = ("test_label", "test_inst", "train_label", "train_inst", "train_img")
        if lacks := [name for name in folders if not (frames / name).is_dir()]:
            found.append(f"--frames {frames}: has no {', '.join(lacks)}; give a --dataroot")
    if folder and not {"all", "training", "rendering", "end_to_end"} & set(settings.sections):
        found.append(f"--against {folder}: has no effect; add training, rendering or end_to_end")
    elif folder and not (folder / "models" / "models.py").is_file():
        found.append(f"--against {folder}: has no models/models.py; give a checkout of pix2pixHD")
    return found


def machine(settings: Settings) -> dict[str, str]:
    """What the figures depend on besides the code."""
    cpuinfo = Path("/proc/cpuinfo")
    names = re.findall(r"model name\s*: (.+)", cpuinfo.read_text()) if cpuinfo.is_file() else []
    facts = {
        "date": datetime.datetime.now().astimezone().date().isoformat(),
        "platform": f"{platform.system()} {platform.machine()}",
        "processor": names[0] if names else platform.processor(),
        "cpus, load": f"{os.cpu_count()}, {os.getloadavg()[0]:.1f}",
        "threads": str(torch.get_num_threads()),
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "device": settings.device,
    }
    if settings.device != "cpu":
        facts["gpu"] = torch.cuda.get_device_name(settings.device)
        facts["cuda"], facts["cudnn"] = f"{torch.version.cuda}", f"{torch.backends.cudnn.version()}"
    return facts


def table(rows: Sequence[Timed], device: str) -> str:
    """A Markdown table of the rows; "times as fast" is by the first one of the same case."""
    counted = "operators" if device == "cpu" else "launches"
    head = f"what|how|median (ms)|quartiles (ms)|images/s|times as fast|{counted}|peak (GiB)"
    lines, first = [head.split("|")], dict[str, float]()
    for row in rows:
        if row.failure:
            lines.append([row.case, row.way, row.failure, "", "", "", "", ""])
            continue
        low, median, high = row.quartiles()
        times = first.setdefault(row.case, median) / median
        span = f"{rounded(1e3 * low)} to {rounded(1e3 * high)}"
        line = [row.case, row.way, rounded(1e3 * median), span, rounded(row.images / median)]
        memory = rounded(row.peak_memory / 2**30)
        lines.append([*line, rounded(times), f"{row.launches or ''}", memory])
    return markdown(lines)


def rounded(figure: float) -> str:
    """To four digits; nothing for 0."""
    return f"{float(f'{figure:.4g}'):.12g}" if figure else ""


def markdown(lines: Sequence[Sequence[str]]) -> str:
    """A table of them, the first its head, without columns of nothing."""
    columns = [column for column in zip(*lines, strict=True) if any(column[1:])]
    widths = [max(map(len, column)) for column in columns]
    lines = [list(line) for line in zip(*columns, strict=True)]
    lines.insert(1, ["-" * (width - 1) + ":" for width in widths])
    return "\n".join("| " + " | ".join(map(str.rjust, line, widths)) + " |" for line in lines)


def main(argv: Sequence[str]) -> None:
    """Measure what the command line asks for; exits with 2 where it is no command line.

    Raises:
        UserError: it asks for what is not to be had.
    """
    settings = read_argv(argv, Settings())
    if found := problems(settings):
        raise UserError(found)
    if settings.threads:
        torch.set_num_threads(settings.threads)
    if settings.device != "cpu":
        torch.cuda.set_device(int(settings.device[5:] or 0))
        torch.backends.cudnn.benchmark = True  # as in a training
    facts = machine(settings)
    print(", ".join(f"{name} {value}" for name, value in facts.items()), flush=True)
    records = []
    for name in SECTIONS if "all" in settings.sections else settings.sections:
        rows = SECTIONS[name](settings)
        print(f"\n{name}\n\n{table(rows, settings.device)}", flush=True)
        records += [{"section": name} | dataclasses.asdict(row) for row in rows]
    if settings.json:
        with replacing(settings.json) as file:
            file.write(json.dumps({"machine": facts, "rows": records}, indent=1).encode())


if __name__ == "__main__":
    run_program(lambda: main(sys.argv[1:]))
