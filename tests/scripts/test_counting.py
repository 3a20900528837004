"""Operators are counted with the arithmetic and the memory traffic that they have."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from scripts.counting import Operators, count_launches, is_launch, stored_bytes

X = torch.zeros(2, 3, 8, 8)  # 1536 bytes
W = torch.zeros(4, 3, 3, 3)  # 432 bytes


@pytest.mark.parametrize(
    ("call", "name", "moved"),
    [
        (lambda: X + X, "add", 3 * 1536),  # of the same tensor: read twice
        (lambda: X.clone().relu_(), "relu_", 2 * 1536),
        (lambda: torch.zeros_like(X), "zeros_like", 1536),
        (lambda: X.clone().fill_(1.0), "fill_", 1536),
        (lambda: X + torch.zeros(1).expand(2, 3, 8, 8), "add", 2 * 1536 + 4),
        (lambda: X.bfloat16(), "_to_copy", 1536 + 768),
        (lambda: F.conv2d(X, W), "convolution", 1536 + 432 + 2 * 4 * 6 * 6 * 4),
    ],
)
def test_traffic_is_what_is_read_and_written(call, name, moved) -> None:  # type: ignore[no-untyped-def]
    with Operators() as operators:
        call()
    last = operators.found[-1]
    assert (last.name, last.bytes) == (f"aten.{name}", moved)


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_convolutions_count_their_arithmetic(context: type) -> None:
    with context(), Operators() as operators:
        F.conv2d(X, W)
    assert [x.flops for x in operators.found] == [2 * (2 * 4 * 6 * 6) * 3 * 3 * 3]


def test_views_move_nothing() -> None:
    assert count_launches(lambda: X.view(-1)[1:].reshape(1, -1).detach(), "cpu") == 0


def test_gradients_and_adam_are_counted() -> None:
    weight = torch.nn.Parameter(W.clone())
    adam = torch.optim.Adam([weight], fused=True)

    def step() -> None:
        F.conv2d(X, weight).sum().backward()
        adam.step()

    step()
    with Operators() as operators:
        step()
    by_name = {x.name: x for x in operators.found}
    assert by_name["aten.convolution_backward"].flops > 0
    # Read: weight, gradient, two moments, the count of steps; written: all but the gradient.
    assert 7 * 432 <= by_name["aten._fused_adam_"].bytes <= 7 * 432 + 8


def test_the_peak_is_of_what_was_held_at_once() -> None:
    with Operators() as operators:
        first = X + 1
        second = first + 1
        del first
        third = second.view(-1) + 1
    assert operators.peak == 3 * 1536 and len(third) == X.numel()


def test_a_tensor_of_nothing_takes_no_bytes() -> None:
    assert stored_bytes(torch.zeros(0, 3)) == 0


@pytest.mark.parametrize(
    ("name", "launches"),
    [
        ("cudaLaunchKernel", True),
        ("cudaLaunchKernelExC", True),
        ("cuLaunchKernelEx", True),
        ("cudaGraphLaunch", True),
        ("cudaMemcpyAsync", False),
        ("void LaunchKernel<float>", False),
        ("aten::relu", False),
    ],
)
def test_launches_are_known_by_name(name: str, launches: bool) -> None:
    assert is_launch(name) == launches
