"""What programs that render share: batches, each process's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from programs import write_tiny_data

from pix2pixhd.data import create_dataset
from pix2pixhd.engine.render import for_each_batch, one_behind, side_stream
from pix2pixhd.engine.runtime import Runtime
from pix2pixhd.engine.world import World
from pix2pixhd.options.base_options import DataOptions, ModelOptions
from pix2pixhd.util.batch import Batch


def names(tmp_path: Path, world: World, batch_size: int | None = None) -> list[list[str]]:
    data = DataOptions(dataroot=str(write_tiny_data(tmp_path, count=5)), nThreads=0, batchSize=2)
    model = ModelOptions(label_nc=5)
    dataset = create_dataset(data, model, phase="train", seed=0, is_train=False)
    runtime = Runtime(torch.device("cpu"), torch.bfloat16, world=world)
    found: list[list[str]] = []

    def compute(batch: Batch) -> list[str]:
        assert torch.is_inference_mode_enabled()
        assert torch.get_autocast_dtype("cpu") == torch.bfloat16
        return [Path(path).stem for path in batch.path]

    def use(batch: Batch, stems: list[str]) -> None:
        assert not torch.is_inference_mode_enabled() and len(batch.label) == len(stems)
        found.append(stems)

    for_each_batch(compute, use, dataset, data, runtime, batch_size=batch_size)
    assert len(dataset) == 5, "as it was"
    return found


def test_processes_take_turns_with_the_images(tmp_path: Path) -> None:
    assert names(tmp_path, World()) == [
        ["scene_0", "scene_1"],
        ["scene_2", "scene_3"],
        ["scene_4"],
    ]
    assert names(tmp_path, World(1, 2)) == [["scene_1", "scene_3"]]
    assert names(tmp_path, World(0, 2), batch_size=1) == [["scene_0"], ["scene_2"], ["scene_4"]]


def test_one_stream_beside_the_main_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "Stream", lambda device: object())
    side_stream.cache_clear()
    one, other = (torch.device("cuda", number) for number in range(2))
    try:
        assert side_stream(one) is side_stream(torch.device("cuda", 0))
        assert side_stream(one) is not side_stream(other)
    finally:
        side_stream.cache_clear()


def test_one_batch_is_in_the_making_while_another_is_looked_at() -> None:
    made: list[int] = []

    def make() -> Iterator[int]:
        for number in range(3):
            made.append(number)
            yield number

    seen = [(number, len(made)) for number in one_behind(make())]
    assert seen == [(0, 2), (1, 3), (2, 3)]
    assert list(one_behind([])) == []
