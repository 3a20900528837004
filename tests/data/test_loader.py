from __future__ import annotations

import contextlib
import gc
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from shared_data import shared
from tiny_scenes import pixels
from torch.utils.data import BatchSampler, Dataset
from torch.utils.data._utils.pin_memory import pin_memory

from pix2pixhd.data import create_dataset, create_loader
from pix2pixhd.data.loader import Loader, collate
from pix2pixhd.data.sampler import EpochSampler
from pix2pixhd.options.base_options import DataOptions, ModelOptions
from pix2pixhd.util.batch import Batch
from pix2pixhd.util.errors import UserError
from pix2pixhd.util.image import save_values

MakeSet = Callable[..., Path]


def options(root: Path, **changes: Any) -> DataOptions:
    usual = DataOptions(dataroot=str(root), resize_or_crop="crop", fineSize=8, nThreads=0)
    return replace(usual, **changes)


def loader(root: Path, *, seed: int = 0, is_train: bool = True, **changes: Any) -> Loader:
    data = options(root, **changes)
    dataset = create_dataset(
        data, ModelOptions(label_nc=5), phase="train", seed=seed, is_train=is_train
    )
    return create_loader(dataset, data, seed=seed, is_train=is_train)


def epoch(batches: Loader, number: int, images_done: int = 0) -> list[Batch]:
    batches.batch_sampler.start(number, images_done)
    return list(batches)


def same(one: list[Batch], other: list[Batch]) -> bool:
    return len(one) == len(other) and all(
        a.path == b.path
        and all(torch.equal(getattr(a, n), getattr(b, n)) for n in ("label", "inst", "image"))
        for a, b in zip(one, other, strict=True)
    )


def indices(sampler: EpochSampler) -> list[int]:
    return [index for batch in sampler for index, _ in batch]


def test_fewer_images_than_a_batch_of_several_processes() -> None:
    with pytest.raises(UserError, match="only 3 images; give --batchSize 2 or less"):
        EpochSampler(3, 8, seed=0, shuffle=True, ranks=2)


def test_an_epoch_shows_every_image_once_in_an_order_of_its_own() -> None:
    sampler = EpochSampler(10, 1, seed=3, shuffle=True)
    orders = []
    for number in (1, 2, 3):
        sampler.start(number)
        orders.append(indices(sampler))
        assert sorted(orders[-1]) == list(range(10))
    assert len({tuple(order) for order in orders}) == 3
    assert indices(EpochSampler(10, 1, seed=3, shuffle=True)) == orders[0]
    assert indices(EpochSampler(10, 1, seed=4, shuffle=True)) != orders[0]
    assert indices(EpochSampler(10, 1, seed=3, shuffle=False)) == list(range(10))


def test_counters_run_on_through_epochs_and_leave_out_what_is_dropped() -> None:
    sampler = EpochSampler(7, 3, seed=0, shuffle=True)
    assert (sampler.epoch_size, sampler.dropped, len(sampler)) == (6, 1, 2)
    counters = []
    for number in (1, 2):
        sampler.start(number)
        counters += [[counter for _, counter in batch] for batch in sampler]
    assert counters == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9, 10, 11]]


@pytest.mark.parametrize("done", [0, 2, 4, 6])
def test_started_within_an_epoch_it_yields_the_rest(done: int) -> None:
    sampler = EpochSampler(7, 2, seed=0, shuffle=True)
    sampler.start(5)
    whole = list(sampler)
    sampler.start(5, done)
    assert list(sampler) == whole[done // 2 :]
    assert len(sampler) == 3 - done // 2


@pytest.mark.parametrize("done", [1, 8, -2])
def test_a_place_within_a_batch_or_outside_the_epoch(done: int) -> None:
    with pytest.raises(UserError, match=rf"stopped after {done} images of epoch 2.*--batchSize"):
        EpochSampler(7, 2, seed=0, shuffle=True).start(2, done)


def test_fewer_images_than_a_batch(make_set: MakeSet) -> None:
    with pytest.raises(UserError, match="--batchSize 5: the data set has only 4 images"):
        loader(make_set(), batchSize=5)


def test_a_batch(make_set: MakeSet) -> None:
    (batch,) = loader(make_set(), batchSize=4, serial_batches=True)
    assert batch.label.shape == batch.inst.shape == (4, 1, 8, 8)
    assert batch.image.shape == (4, 3, 8, 8)
    assert [Path(path).stem for path in batch.path] == ["000", "001", "002", "003"]


@pytest.mark.parametrize("label_nc", [0, 5])
@pytest.mark.parametrize("cached", [False, True])
@pytest.mark.parametrize("workers", [0, 1])
def test_photographs_travel_as_bytes(
    make_set: MakeSet, tmp_path: Path, label_nc: int, cached: bool, workers: int
) -> None:
    """A quarter of what floats take, by whichever way they come."""
    root = make_set(folders=("A", "B") if label_nc == 0 else ("label", "img"))
    data = options(root, batchSize=2, nThreads=workers, cache=str(tmp_path) if cached else None)
    model = ModelOptions(label_nc=label_nc, instance=False)
    dataset = create_dataset(data, model, phase="train", seed=0, is_train=True)
    batches = create_loader(dataset, data, seed=0, is_train=True)
    for number in (1, 2):  # when the cache is filled, and from it
        for batch in epoch(batches, number):
            assert batch.image.nbytes == 2 * 3 * 8 * 8
            assert batch.label.nbytes == 2 * (1 if label_nc else 3) * 8 * 8


def save_deep(root: Path, number: int, values: np.ndarray) -> None:
    save_values(values, root / f"train_img/{number:03}.tif")
    (root / f"train_img/{number:03}.png").unlink()


def test_wider_photographs_keep_their_type(make_set: MakeSet, tmp_path: Path) -> None:
    """Nothing on the way narrows even dark ones."""
    root = make_set(count=2)
    dark = np.arange(2 * 3 * 8 * 16, dtype=np.uint16).reshape(2, 3, 8, 16) % 256
    for number, values in enumerate(dark):
        save_deep(root, number, values)
    data = options(root, cache=str(tmp_path / "cache"), resize_or_crop="none", flip=False)
    dataset = create_dataset(data, ModelOptions(), phase="train", seed=0, is_train=True)
    for _ in range(2):  # when the cache is filled, and from it
        batch = collate([dataset[0], dataset[1]])
        assert batch.image.dtype == torch.uint16
        np.testing.assert_array_equal(batch.image, dark)


def test_photographs_of_several_depths_make_a_batch(make_set: MakeSet) -> None:
    """Of whichever order: white is white."""
    root = make_set(count=3)
    whites = (np.uint8(255), np.uint16(65535), np.float32(1))
    for number, white in enumerate(whites):
        save_deep(root, number, np.full((3, 8, 16), white))
    data = options(root, resize_or_crop="none")
    dataset = create_dataset(data, ModelOptions(), phase="train", seed=0, is_train=True)
    for order in permutations(range(3), 2):
        batch = collate([dataset[n] for n in order])
        assert batch.image.dtype == torch.float32
        assert (batch.image == 1).all()


def test_instance_ids_of_several_depths_make_a_batch(make_set: MakeSet) -> None:
    root = make_set(count=2)
    (root / "train_inst/001.png").unlink()
    wide = np.full((8, 16), 70000, np.int32)
    Image.fromarray(wide).save(root / "train_inst/001.tif")
    data = options(root, resize_or_crop="none", flip=False)
    dataset = create_dataset(data, ModelOptions(), phase="train", seed=0, is_train=True)
    assert [dataset[n].inst.dtype for n in (0, 1)] == [torch.uint16, torch.int32]
    ids = collate([dataset[0], dataset[1]]).inst
    assert ids.dtype == torch.int32
    np.testing.assert_array_equal(ids[:, 0], [pixels("inst", 0, (16, 8)), wide])


def test_pinning_pins_every_map(make_set: MakeSet, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the function that a DataLoader calls; pinned memory itself needs a CUDA device."""
    batch = next(iter(loader(make_set())))
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: tensor.float() + 1)
    pinned = pin_memory(batch)
    assert pinned.path == batch.path
    for name, tensor in batch.tensors().items():
        assert torch.equal(getattr(pinned, name), tensor.float() + 1)
    error = UserError("x")
    assert pin_memory(error) is error


def test_any_number_of_workers_gives_the_same_batches(make_set: MakeSet) -> None:
    root = make_set(count=7)
    alone, one, two = (loader(root, batchSize=2, nThreads=n) for n in (0, 1, 2))
    before, workers = set(multiprocessing.active_children()), []
    for number in (1, 2):
        batches = epoch(alone, number)
        assert same(epoch(one, number), batches)
        assert same(epoch(two, number), batches)
        workers.append({*multiprocessing.active_children()} - before)
    assert len(workers[0]) >= 3
    assert workers[0] == workers[1]  # they persist


@pytest.mark.parametrize(
    ("of_machine", "images", "neighbours", "workers"),
    [(2, 12, 1, 2), (64, 12, 1, 8), (64, 4, 1, 4), (64, 1, 1, 0), (7, 12, 2, 3), (2, 12, 8, 1)],
)
@pytest.mark.filterwarnings("ignore:This DataLoader will create")
def test_as_many_workers_as_cores_unless_told(
    make_set: MakeSet,
    monkeypatch: pytest.MonkeyPatch,
    of_machine: int,
    images: int,
    neighbours: int,
    workers: int,
) -> None:
    monkeypatch.setattr("pix2pixhd.data.cores", lambda: of_machine)
    data = DataOptions(dataroot=str(make_set(count=images)))
    dataset = create_dataset(data, ModelOptions(), phase="train")
    for is_train in (True, False):
        for threads, expected in ((None, workers), (5, 5)):
            told = replace(data, nThreads=threads)
            batches = create_loader(dataset, told, seed=0, is_train=is_train, neighbours=neighbours)
            assert batches.num_workers == expected


def test_a_resumed_run_sees_what_an_uninterrupted_one_sees(make_set: MakeSet) -> None:
    root = make_set(count=7)
    whole = epoch(loader(root, batchSize=2, nThreads=1), 1)
    second = loader(root, batchSize=2, nThreads=1)
    assert same(epoch(second, 1, images_done=2), whole[1:])
    assert epoch(second, 1, images_done=6) == []
    assert not same(epoch(second, 2), whole)


def test_an_epoch_left_halfway_does_not_leak_into_the_next(make_set: MakeSet) -> None:
    root = make_set(count=6)
    batches = loader(root, nThreads=2)
    next(iter(batches))
    assert same(epoch(batches, 2), epoch(loader(root), 2))


def test_order_is_the_seeds_or_the_files(make_set: MakeSet) -> None:
    root = make_set(count=6)
    orders = [
        [batch.path for batch in epoch(loader(root, **changes), 1)]
        for changes in ({}, {"seed": 1}, {"serial_batches": True})
    ]
    assert orders[2] == sorted(orders[0])
    assert len({str(order) for order in orders}) == 3


def test_the_programs_own_random_numbers_are_left_alone(make_set: MakeSet) -> None:
    root = make_set()
    before = torch.get_rng_state()
    epoch(loader(root, nThreads=1), 1)
    assert torch.equal(torch.get_rng_state(), before)


def test_testing_takes_all_in_order(make_set: MakeSet) -> None:
    batches = list(loader(make_set(count=5), is_train=False, batchSize=2))
    names = [[Path(path).stem for path in batch.path] for batch in batches]
    assert names == [["000", "001"], ["002", "003"], ["004"]]


@pytest.mark.parametrize("workers", [0, 1])
def test_a_users_mistake_comes_out_of_a_worker_as_it_is(make_set: MakeSet, workers: int) -> None:
    root = make_set()
    bad = root / "train_img/002.png"
    bad.write_bytes(b"")
    seen, told = [], []
    try:
        for batch in loader(root, nThreads=workers, serial_batches=True):
            seen += batch.path
    except UserError as error:
        told = error.problems
    assert len(seen) == 2
    assert told == [f"{bad}: the file is empty (0 bytes), expected an image; copy it here again"]


def test_workers_end_with_the_error(make_set: MakeSet) -> None:
    root = make_set()
    (root / "train_img/002.png").write_bytes(b"")
    running = set(multiprocessing.active_children())
    gc.disable()
    try:
        with contextlib.suppress(UserError):
            epoch(loader(root, nThreads=1), 1)
        assert set(multiprocessing.active_children()) <= running
    finally:
        gc.enable()


def test_a_program_that_ends_with_workers_running_does_not_hang(make_set: MakeSet) -> None:
    """As a notebook does, in which nobody ends them."""
    program = (
        "import sys, test_loader; from pathlib import Path;"
        "loader = test_loader.loader(Path(sys.argv[1]), nThreads=2);"
        "print(next(iter(loader)).path)"
    )
    paths = os.pathsep.join([*map(str, Path(__file__).parents[:3]), *sys.path])
    ended = subprocess.run(
        [sys.executable, "-c", program, make_set()],
        env=os.environ | {"PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ".png" in ended.stdout


def test_a_batch_of_different_sizes(make_set: MakeSet) -> None:
    root = make_set(folders=("label", "inst"))
    for name in ("label", "inst"):
        Image.new("L", (16, 9)).save(root / f"train_{name}/003.png")
    with pytest.raises(UserError, match=r"003.png: 16x9 pixels .* 16x8 from .*002.png.*batchSize"):
        list(loader(root, is_train=False, batchSize=2, resize_or_crop="none"))


def test_workers_leave_ctrl_c_to_the_main_process(make_set: MakeSet) -> None:
    running = set(multiprocessing.active_children())
    batches = iter(loader(make_set(count=12), nThreads=1))
    next(batches)
    (worker,) = set(multiprocessing.active_children()) - running
    os.kill(worker.pid, signal.SIGINT)
    assert len(list(batches)) == 11


def test_real_cityscapes() -> None:
    root = shared("cityscapes_sample")
    data = options(root, resize_or_crop="scale_width", loadSize=128, nThreads=1)
    dataset = create_dataset(data, ModelOptions(), phase="train", seed=0, is_train=True)
    batches = list(create_loader(dataset, data, seed=0, is_train=True))
    assert len(batches) == 8
    for batch in batches:
        assert batch.label.shape == batch.inst.shape == (1, 1, 64, 128)
        ids = batch.inst.int()
        labels = torch.where(ids >= 1000, ids // 1000, ids)
        assert ids.max() > 24000
        # Cityscapes' two maps disagree on a few outlines of void.
        assert (labels == batch.label).float().mean() > 0.99


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_processes_share_each_batch(ranks: int) -> None:
    """Whatever their number, and whether they continue: a run may change it in between."""
    whole = EpochSampler(20, 6, seed=3, shuffle=True)
    shares = [EpochSampler(20, 6, 3, shuffle=True, rank=r, ranks=ranks) for r in range(ranks)]
    for place in ((1, 0), (2, 6)):
        for sampler in (whole, *shares):
            sampler.start(*place)
        together = [
            [key for share in parts for key in share] for parts in zip(*shares, strict=True)
        ]
        assert together == list(whole)
        assert len({index for batch in together for index, _ in batch}) == 18 - place[1]
    with pytest.raises(UserError, match=r"--batchSize 7: .*multiple of 4"):
        EpochSampler(20, 7, seed=3, shuffle=True, rank=0, ranks=4)


class _Killed(Dataset[Batch]):
    def __len__(self) -> int:
        return 2

    def __getitem__(self, key: int) -> Batch:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError


def test_a_worker_that_is_killed_is_told_in_a_line() -> None:
    batches = Loader(_Killed(), batch_sampler=BatchSampler([0, 1], 1, False), workers=1, seed=0)
    expected = r"--nThreads 1: a loading process ended \(DataLoader worker \(pid"
    with pytest.raises(UserError, match=expected) as caught:
        list(batches)
    assert "\n" not in str(caught.value) and "lower --nThreads" in str(caught.value)
