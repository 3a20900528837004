"""`metrics.jsonl`: one JSON object a line, for each printed iteration, in full precision."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from util.files import replacing, writing

Record = dict[str, Any]


def append_record(path: Path, record: Mapping[str, float]) -> None:
    """Append a line; NaN and infinity, which JSON does not know, become null.

    Raises:
        UserError: the file cannot be written.
    """
    finite = {name: value if math.isfinite(value) else None for name, value in record.items()}
    with writing(path), path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(finite, allow_nan=False) + "\n")


def read_records(path: Path, every: int = 1) -> Iterator[Record]:
    """Yield the records of every `every`-th line; lines cut short by a crash are skipped."""
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in itertools.islice(file, 0, None, every):
            try:
                record = json.loads(line)
            except json.JSONDecodeError:
                continue
            if isinstance(record, dict):
                yield record


def drop_records_after(path: Path, step: int) -> None:
    """Keep the records up to image `step`, and no broken lines.

    A run that was killed has logged more than it saved. Continued, it logs those images again.
    """
    if not path.exists():
        return
    kept = [record for record in read_records(path) if record.get("step", 0) <= step]
    with replacing(path, durable=True) as file:
        file.writelines(json.dumps(record).encode() + b"\n" for record in kept)
