"""What programs that render share: batches, each process's own."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from programs import write_tiny_data

from data import create_dataset
from engine.render import each_batch, side_stream
from engine.runtime import Runtime
from engine.world import World
from options.base_options import DataOptions, ModelOptions


def names(tmp_path: Path, world: World, batch_size: int | None = None) -> list[list[str]]:
    data = DataOptions(dataroot=str(write_tiny_data(tmp_path, count=5)), nThreads=0, batchSize=2)
    model = ModelOptions(label_nc=5)
    dataset = create_dataset(data, model, phase="train", seed=0, is_train=False)
    runtime = Runtime(torch.device("cpu"), torch.bfloat16, world=world)
    found = []
    with each_batch(dataset, data, runtime, batch_size=batch_size) as batches:
        for batch in batches:
            assert torch.is_inference_mode_enabled()
            assert torch.get_autocast_dtype("cpu") == torch.bfloat16
            found.append([Path(path).stem for path in batch.path])
    assert not torch.is_inference_mode_enabled()
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
