"""The benchmark runs at a tiny size and writes sound figures. No test is about speed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from models.encoder import instance_average
from scripts import benchmark
from scripts.benchmarks import pooling
from util.errors import UserError

TINY = ("--size", "32x16", "--repeats", "3", "--threads", "1", "--device", "cpu")
NETWORKS = "--ngf 2 --ndf 2 --n_downsample_global 1 --n_blocks_global 1 --no_vgg_loss"
ONE_RECIPE = ("--recipes", "train_512p", f"--train_flags={NETWORKS}")


@pytest.mark.parametrize("sections", [(), ("pooling",)])
def test_writes_a_table_and_json(
    sections: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "figures" / "all.json"
    benchmark.main([*sections, *TINY, *ONE_RECIPE, "--json", str(file)])
    content = json.loads(file.read_text())
    facts = content["machine"]
    assert {"date", "platform", "cpus", "python", "torch", "numpy"} <= facts.keys()
    assert (facts["size"], facts["repeats"], facts["device"]) == ("32x16", "3", "cpu")
    found = {row["section"] for row in content["measurements"]}
    assert found == set(sections or benchmark.SECTIONS)
    rows = [row for row in content["measurements"] if row["section"] == "pooling"]
    cases = {row["case"] for row in rows}
    assert cases == {
        f"{case}, {count} instances"
        for case in ("forward", "forward + backward")
        for count in (25, 500)
    }
    assert len(rows) == 2 * len(cases)
    for row in rows:
        low, high = row["quartiles_ms"]
        assert 0 < low <= row["median_ms"] <= high
        assert len(row["seconds"]) == 3
        if row["way"] == "instance_average":
            assert 0 <= row["figures"]["largest difference"] <= 1e-5
            assert row["figures"]["times as fast"] > 0
    printed = capsys.readouterr().out
    assert all(case in printed for case in cases)


@pytest.mark.parametrize("count", [1, 25, 500])
def test_a_map_has_as_many_instances_as_asked_for(count: int) -> None:
    ids = pooling.instance_map(32, 16, count, torch.Generator().manual_seed(1))
    assert (ids.shape, ids.dtype) == ((1, 1, 16, 32), torch.int32)
    assert ids.unique().tolist() == list(range(26000, 26000 + count))


def test_the_loop_keeps_samples_apart() -> None:
    ids = torch.tensor([[[[1, 1, 2]]], [[[1, 2, 2]]]])
    features = torch.tensor([[[[0.0, 2.0, 5.0]]], [[[7.0, 4.0, 8.0]]]])
    expected = torch.tensor([[[[1.0, 1.0, 5.0]]], [[[7.0, 6.0, 6.0]]]])
    assert torch.equal(pooling.loop_average(features, ids), expected)
    assert torch.equal(instance_average(features, ids), expected)


def test_ways_that_disagree_are_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pooling, "instance_average", lambda features, ids: features + 0)
    with pytest.raises(AssertionError, match="differ"):
        benchmark.main(["pooling", *TINY])


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("poolin",), "no such section; there are pooling"),
        (("--device", "tpu"), "--device tpu"),
        (("--device", "cuda:99"), "--device cuda:99"),
        (("pooling", "--size", "8x8"), "--size 8x8"),
        (("training", "--recipes", "train_4k"), "--recipes train_4k: no such recipe; there are"),
        (("training", "--against", "/nowhere"), "--against /nowhere: has no models/networks.py"),
        (("training", "--vgg_weights", "/no.pth"), "--vgg_weights"),
    ],
)
def test_what_cannot_be_measured_is_named(flags: tuple[str, ...], message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        benchmark.main([*TINY, *flags])
    assert len(caught.value.problems) == 1


@pytest.mark.parametrize("flags", [("--size", "1024"), ("--repeats", "0")])
def test_a_malformed_flag_is_refused(
    flags: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        benchmark.main(list(flags))
    assert f"argument {flags[0]}: '{flags[1]}' is not" in capsys.readouterr().err


def test_runs_from_any_folder(tmp_path: Path) -> None:
    program = [sys.executable, benchmark.__file__, "none"]
    ended = subprocess.run(program, cwd=tmp_path, capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (
        2,
        f"error: none: no such section; there are {', '.join(benchmark.SECTIONS)}\n",
    )
