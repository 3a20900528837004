"""Fetching what a device has computed; with a GPU, while it is at work on more."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from pix2pixhd.engine import launched
from pix2pixhd.engine.launched import Launched
from pix2pixhd.models.feature_bank import FeatureBank, instance_means


def test_on_a_cpu_there_is_nothing_to_wait_for() -> None:
    with Launched("item", torch.device("cpu")).fetching() as item:
        assert item == "item"


def test_the_side_stream_alone_waits_and_not_before_it_is_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[str] = []

    class Fake:
        def record_event(self) -> Any:
            calls.append("recorded")
            return self

        def wait(self) -> None:
            calls.append("waits")

    @contextlib.contextmanager
    def stream(other: str) -> Iterator[None]:
        calls.append(other)
        yield
        calls.append("back")

    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: Fake())
    monkeypatch.setattr(torch.cuda, "stream", stream)
    monkeypatch.setattr(launched, "side_stream", lambda device: "side")
    work = Launched("item", torch.device("cuda", 0))
    assert calls == ["recorded"]
    with work.fetching() as item:
        calls.append(item)
    assert calls == ["recorded", "side", "waits", "item", "back"]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_features_are_collected_behind_the_work_of_a_gpu() -> None:
    device = torch.device("cuda", 0)
    ids = torch.randint(0, 60000, (3, 1, 64, 128)).to(torch.uint16)
    label, features = torch.randint(0, 9, ids.shape).byte(), torch.randn(3, 2, 64, 128)
    on_host, on_gpu = FeatureBank(2, 9), FeatureBank(2, 9)
    on_host.add(features, ids, label)
    given = features.to(device), ids.to(device), label.to(device)
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        work = Launched(instance_means(*given), device)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    with work.fetching() as means:
        on_gpu.add_means(means)
    for number in range(9):
        assert torch.equal(*(torch.from_numpy(b.origins()[number]) for b in (on_host, on_gpu)))
        rows = (torch.from_numpy(bank.rows()[number]) for bank in (on_host, on_gpu))
        torch.testing.assert_close(*rows)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_compares_and_converts_ids_of_16_bits() -> None:
    ids = torch.tensor([[0, 65535], [32768, 32768]], dtype=torch.int32)
    narrow = ids.to(torch.uint16).cuda()
    assert torch.equal((narrow[:, 1:] != narrow[:, :-1]).cpu(), ids[:, 1:] != ids[:, :-1])
    assert torch.equal(narrow.to(torch.int32).cpu(), ids)
