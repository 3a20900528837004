"""What programs that render share: batches, each process's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
import torch
from programs import write_tiny_data

from pix2pixhd.data import create_dataset
from pix2pixhd.engine.render import Rendering, batches_on, for_each_batch, one_behind, side_stream
from pix2pixhd.engine.runtime import Runtime
from pix2pixhd.engine.training import open_data
from pix2pixhd.engine.world import World
from pix2pixhd.models.conditioning import image_to_float
from pix2pixhd.options.base_options import DataOptions, ModelOptions
from pix2pixhd.options.train_options import TrainOptions
from pix2pixhd.util.batch import Batch
from pix2pixhd.util.errors import UserError


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


def test_processes_of_a_machine_share_its_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that train and those that render."""
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr("pix2pixhd.data.default_workers", lambda *args: asked.append(args) or 0)
    data = DataOptions(dataroot=str(write_tiny_data(tmp_path, count=5)))
    options = TrainOptions(data=data, model=ModelOptions(label_nc=5))
    runtime = Runtime(torch.device("cpu"), world=World(local_size=4))
    dataset, _ = open_data(options, runtime)
    for_each_batch(lambda batch: None, lambda batch, item: None, dataset, data, runtime)
    assert asked == [(5, 4)] * 2


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


def test_what_was_made_before_a_mistake_is_looked_at() -> None:
    def make() -> Iterator[int]:
        yield from range(2)
        raise UserError("damaged")

    seen: list[int] = []
    with pytest.raises(UserError, match="damaged"):
        for number in one_behind(make()):
            seen.append(number)
    assert seen == [0, 1]


@pytest.mark.parametrize("with_image", [True, False])
def test_real_images_that_are_only_shown_are_not_sent(with_image: bool) -> None:
    ones = torch.ones(1, 1, 2, 2, dtype=torch.uint8)
    batch = Batch(label=ones, path=["a"], inst=ones, image=ones)
    (sent,) = batches_on(torch.device("meta"), [batch], with_image=with_image)
    assert sent.image is not None and sent.image.is_meta == with_image
    assert sent.label.is_meta and sent.inst is not None and sent.inst.is_meta


@pytest.mark.parametrize(
    ("channels", "bits", "dtype"),
    [
        (3, None, None),  # the pictures have it all
        (3, 8, None),
        (1, None, torch.uint8),
        (5, None, torch.uint8),
        (3, 16, torch.uint16),
        (2, 32, torch.float32),
    ],
)
def test_values_are_kept_where_pictures_tell_less(
    channels: int, bits: Literal[8, 16, 32] | None, dtype: torch.dtype | None
) -> None:
    real = torch.randint(0, 65536, (2, channels, 4, 6)).to(torch.uint16)
    batch = Batch(torch.zeros(2, 1, 4, 6, dtype=torch.uint8), ["a", "b"], image=real)
    fakes = torch.rand(2, 2, channels, 4, 6) * 2 - 1
    values = Rendering(batch, *fakes).values(DataOptions(output_bits=bits), sample=1)
    if dtype is None:
        assert values == {}
        return
    assert list(values) == ["synthesized_image", "synthesized_image_2", "real_image"]
    largest = {torch.uint8: 255, torch.uint16: 65535, torch.float32: 1}[dtype]
    for name, image in zip(values, (*fakes[:, 1], image_to_float(real[1])), strict=True):
        found = torch.from_numpy(values[name])
        assert found.dtype == dtype
        expected = (image + 1) / 2 * largest
        torch.testing.assert_close(
            found.float(), expected, rtol=1e-6, atol=0.51 if largest > 1 else 0
        )


def test_values_in_the_range_of_the_data() -> None:
    batch = Batch(torch.zeros(1, 1, 4, 6, dtype=torch.uint8), ["a"])
    data = DataOptions(output_bits=16, value_range="0,4000")
    values = Rendering(batch, torch.ones(1, 1, 4, 6)).values(data)
    assert (values["synthesized_image"] == 4000).all()
