"""What a program computes on: device, precision, memory format, and the other processes."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import torch
from torch import nn

from engine.device import choose_device
from engine.distributed import broadcast, initialise
from engine.world import World, read_world
from models.pix2pixhd import Pix2PixHDModel
from options.encode_options import EncodeOptions, PrecomputeOptions
from options.parsing import ineffective_flags
from options.test_options import TestOptions
from options.train_options import TrainOptions


@dataclass(frozen=True)
class Runtime:
    """What a program computes on, and how."""

    device: torch.device
    dtype: torch.dtype = torch.float32  # of convolutions: float32, bfloat16 or float16
    compiles: bool = False  # networks, with torch.compile
    channels_last: bool = False  # memory format of the networks
    world: World = field(default_factory=World)  # the processes that share the work

    def autocast(self) -> torch.autocast:
        """The context for networks to run in."""
        half = self.dtype != torch.float32
        return torch.autocast(self.device.type, dtype=self.dtype if half else None, enabled=half)

    def prepare(self, model: Pix2PixHDModel) -> Pix2PixHDModel:
        """Put the model on the device, in the memory format, and compile its networks if asked to.

        Names in its state dict stay as they are. Returns the model itself.
        """
        memory_format = torch.channels_last if self.channels_last else torch.contiguous_format
        model.to(device=self.device, memory_format=memory_format)  # type: ignore[call-overload]
        if self.compiles:
            model.compile_networks()
        return model

    def print_rank0(self, *lines: str) -> None:
        """Print lines, once for all processes."""
        if self.world.is_main:
            for line in lines:
                print(line, flush=True)


def choose_runtime(
    options: TrainOptions | TestOptions | EncodeOptions | PrecomputeOptions,
) -> Runtime:
    """The runtime of the options; prints a line for each wish that is not to be had.

    Raises:
        UserError: there are GPUs, but not the one asked for.
    """
    world = read_world()
    device, notes = choose_device(options.run.gpu_ids, world)
    if device.type == "cuda":
        torch.cuda.set_device(device)  # so that nothing is allocated on another GPU
        torch.backends.cudnn.benchmark = True  # most data sets have images of few sizes
    initialise(world, device)
    # By the first one's stopwatch for all of them.
    dtype, more = broadcast(choose_dtype(options.run.precision, device), world)
    notes += more
    compiles = options.run.compile
    if compiles and (reason := why_not_compiled(device)):
        compiles = False
        notes.append(f"--compile: not compiling, {reason}")
    channels_last = device.type == "cuda" and dtype != torch.float32
    runtime = Runtime(device, dtype, compiles, channels_last, world)
    runtime.print_rank0(*notes, *ineffective_flags(options))
    return runtime


def choose_dtype(precision: str, device: torch.device) -> tuple[torch.dtype, list[str]]:
    """The type to compute convolutions in, and lines to print where it is not the one asked for.

    Args:
        precision: auto, fp32, bf16 or fp16.
    """
    if device.type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
        if precision == "auto":
            return (torch.bfloat16 if native else torch.float32), []
        if precision == "bf16" and not native:
            name = torch.cuda.get_device_name(device)
            return torch.float32, [f"--precision bf16: {name} has no bfloat16, computing in fp32"]
        return {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision], []
    if precision == "fp16":
        return torch.float32, ["half precision needs a CUDA device, computing in float32"]
    if precision == "bf16" and device.type == "cpu":
        seconds, half_seconds = (time_convolution(t) for t in (torch.float32, torch.bfloat16))
        if half_seconds < seconds:
            return torch.bfloat16, []
        ratio = half_seconds / seconds
        return torch.float32, [
            f"--precision bf16: {ratio:.1f} times as slow as fp32 on this CPU, computing in fp32"
        ]
    if precision == "bf16":
        return torch.float32, [f"--precision bf16: not on {device.type}, computing in fp32"]
    return torch.float32, []


def time_convolution(dtype: torch.dtype) -> float:
    """Seconds that a residual block's convolution takes on the CPU: the quickest of a few."""
    convolution = nn.Conv2d(256, 256, kernel_size=3).to(dtype)
    x = torch.ones(1, 256, 34, 66, dtype=dtype)
    seconds = []
    with torch.no_grad():
        for _ in range(5):
            start = time.perf_counter()
            convolution(x)
            seconds.append(time.perf_counter() - start)
    return min(seconds)


def why_not_compiled(device: torch.device) -> str | None:
    """None if torch.compile works on the device, else the reason why not, in a few words."""
    try:
        torch.compile(lambda x: torch.relu(x + 1), dynamic=False)(torch.ones(8, device=device))
    # The compiler and its helpers raise types of their own, which differ between versions.
    except Exception as error:
        lines = [line for line in str(error).splitlines() if line.strip()]
        return lines[0][:200] if lines else type(error).__name__
    return None
