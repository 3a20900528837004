"""The roofline's figures follow from what was counted."""

from __future__ import annotations

import pytest

from pix2pixhd.util.errors import UserError
from scripts import roofline
from scripts.counting import Operator


def test_times_follow_from_counts() -> None:
    operators = [
        Operator("aten.convolution", flops=10**12, bytes=10**9),
        Operator("aten.convolution_backward", flops=0, bytes=4 * 10**9),
        Operator("aten.native_batch_norm", flops=0, bytes=2 * 10**9),
        Operator("aten._fused_adam_", flops=0, bytes=3 * 10**9),
        Operator("aten.relu", flops=0, bytes=5 * 10**9),
    ]
    counts = ["5", "1", "5", "3", "7"]  # operators, TFLOP, GB of convolutions, Adam and all else
    # At 500 TFLOP/s and 2 TB/s: 2 ms of arithmetic, and half a ms for a GB.
    assert roofline.row(operators, 500, 2) == [*counts, "2", "9", "6.5"]


@pytest.mark.slow
def test_a_table_of_a_recipe(capsys: pytest.CaptureFixture[str]) -> None:
    roofline.main(["--recipe", "train_512p_feat", "--scale", "8"])
    head, _, *rows = capsys.readouterr().out.splitlines()
    plain, ours, again, rendering = [line.split("|")[1:-1] for line in rows]
    assert "512x256" not in head and "train_512p_feat, 128x64" in plain[0]
    tflop, operators = 3, 2
    assert float(again[tflop]) > float(ours[tflop]) > float(rendering[tflop]) > 0
    assert int(plain[operators]) > int(ours[operators]) > int(rendering[operators])
    peaks = [float(line[-1]) for line in (plain, ours, again, rendering)]
    assert sorted(peaks, reverse=True) == peaks
    assert float(plain[tflop]) > float(ours[tflop])  # D looks at the fake once more


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--peak_tflops", "0"], "--peak_tflops 0.0: must be more than 0"),
        (["--recipe", "train_4k"], "--recipe train_4k: no such recipe"),
    ],
)
def test_a_wrong_flag_is_one_line(flags: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        roofline.main(flags)
