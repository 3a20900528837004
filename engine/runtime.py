"""What a program computes on: device, precision, memory format, and the other processes."""

from __future__ import annotations

import functools
import timeit
from dataclasses import dataclass

import torch
from torch import nn

from pix2pixhd.engine.distributed import broadcast, initialise
from pix2pixhd.engine.world import World, read_world
from pix2pixhd.models.blocks import Convolution
from pix2pixhd.models.pix2pixhd import Pix2PixHDModel
from pix2pixhd.options.base_options import ProgramOptions, RunOptions
from pix2pixhd.options.ineffective import ineffective_flags
from pix2pixhd.util.errors import UserError

ALONE = World()


@dataclass(frozen=True)
class Runtime:
    """What a program computes on, and how."""

    device: torch.device
    dtype: torch.dtype = torch.float32  # of convolutions: float32, bfloat16 or float16
    compiles: bool = False  # with torch.compile: the step, or networks that only render
    channels_last: bool = False  # memory format of the networks
    world: World = ALONE  # the processes that share the work

    def autocast(self) -> torch.autocast:
        """The context for networks to run in.

        Weights are cast anew where they are used: gradients of the discriminators, which look
        twice, would else be added up in half precision, and a CUDA graph could not hold the cast.
        """
        half = self.dtype != torch.float32
        dtype = self.dtype if half else None
        return torch.autocast(self.device.type, dtype=dtype, enabled=half, cache_enabled=False)

    @property
    def precision(self) -> str:
        """The value of --precision that asks for this."""
        return {torch.bfloat16: "bf16", torch.float16: "fp16"}.get(self.dtype, "fp32")

    def prepare(self, model: Pix2PixHDModel, *, renders_only: bool = False) -> Pix2PixHDModel:
        """Put the model on the device, in the memory format; returns the model itself.

        Weights that nobody trains, VGG19's or all where the model `renders_only`, are kept in the
        precision that convolutions compute in; of a model that only renders, they must not change
        any more. Names in the model's state dict stay as they are.
        """
        memory_format = torch.channels_last if self.channels_last else torch.contiguous_format
        model.to(device=self.device, memory_format=memory_format)  # type: ignore[call-overload]
        frozen = model if renders_only else model.vgg
        for module in frozen.modules() if frozen is not None else ():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                module.to(self.dtype)
            if isinstance(module, Convolution):
                module.is_final = renders_only and arranges_weights(self.device)
        if self.compiles and renders_only:
            for network in (model.netG, model.netE):
                if network is not None:
                    network.compile()
        return model

    def print_rank0(self, *lines: str) -> None:
        """Print lines, once for all processes."""
        if self.world.is_main:
            for line in lines:
                print(line, flush=True)


def choose_runtime(options: ProgramOptions) -> Runtime:
    """The runtime of the options; prints a line for each wish that is not to be had.

    Raises:
        UserError: there are GPUs, but not the one asked for.
    """
    world = read_world()
    device, notes = choose_device(options.run.gpu_ids, world)
    if device.type == "cuda":
        torch.cuda.set_device(device)  # so that nothing is allocated on another GPU
    initialise(world, device)
    runtime, more = runtime_on(device, options.run, world)
    notes += more
    runtime.print_rank0(*notes, *ineffective_flags(options))
    return runtime


def runtime_on(
    device: torch.device, run: RunOptions, world: World = ALONE
) -> tuple[Runtime, list[str]]:
    """The runtime on a device, and lines to print on how it computes, where that was not said."""
    # By the first one's stopwatch for all of them.
    dtype, notes = broadcast(choose_dtype(run.precision, device), world)
    compiles = run.compile
    if compiles and (reason := why_not_compiled(device)):
        compiles = False
        notes.append(f"--compile: not compiling, {reason}")
    return Runtime(device, dtype, compiles, dtype != torch.float32, world), notes


def choose_device(gpu_ids: str, world: World = ALONE) -> tuple[torch.device, list[str]]:
    """The device for a list such as "0" or "0,1", or "-1" for the CPU: CUDA, Apple MPS or CPU.

    Args:
        gpu_ids: one number, or one for each process on this machine. With several processes, "0",
            the flag's default, stands for 0,1,2 and so on.
        world: the processes.

    Returns:
        The device, and lines to print where it is not quite what was asked for.

    Raises:
        UserError: there are GPUs, but not those numbers of them.
    """
    ids = [int(part) for part in gpu_ids.split(",")]
    if ids[0] < 0:
        return torch.device("cpu"), []
    if torch.cuda.is_available():
        return torch.device("cuda", _gpu(gpu_ids, ids, world)), []
    if torch.backends.mps.is_available() and world.size == 1:
        more = f"--gpu_ids {gpu_ids}: training on one device, Apple's GPU; --batchSize is as given"
        return torch.device("mps"), [more] if len(ids) > 1 else []
    return torch.device("cpu"), [f"--gpu_ids {gpu_ids}: there is no GPU here, running on the CPU"]


def _gpu(gpu_ids: str, ids: list[int], world: World) -> int:
    """The number of this process's GPU."""
    count = torch.cuda.device_count()
    if max(ids) >= count:
        raise UserError(f"--gpu_ids {gpu_ids}: this machine has GPUs 0 to {count - 1}")
    is_default = ids == [0] and world.size > 1
    ids = list(range(count)) if is_default else ids
    # A launcher that does not say which process of its machine this is starts as many on each.
    number = world.rank % len(ids) if world.local_rank is None else world.local_rank
    if number < len(ids) and (is_default or len(ids) <= world.size):
        return ids[number]
    if is_default:
        raise UserError(
            f"LOCAL_RANK={number} on a machine with {count} GPU{'s'[: count - 1]}; start a process "
            "for each GPU (torchrun --nproc_per_node) that sees all of them, or give --gpu_ids -1 "
            "for the CPU"
        )
    raise UserError(
        f"--gpu_ids {gpu_ids}: names {len(ids)} for {world.size} processes, of which this one has "
        f"LOCAL_RANK={number}: expected one GPU for each process of this machine; leave the flag "
        "out under torchrun"
    )


def choose_dtype(precision: str, device: torch.device) -> tuple[torch.dtype, list[str]]:
    """The type to compute convolutions in, and a line where that is not what was asked for, or
    slower, or where nothing was.

    Args:
        precision: auto, fp32, bf16 or fp16.
    """
    kind, told = device.type, f"--precision {precision}: "
    if precision == "fp32":
        return torch.float32, []
    if precision == "fp16":
        if kind == "cuda":
            return torch.float16, []
        return torch.float32, [f"{told}it needs a CUDA device, computing in fp32"]
    if kind == "cpu":
        half, full = (time_convolution(dtype) for dtype in (torch.bfloat16, torch.float32))
        if precision == "bf16":  # a run that began so goes on so, even if the clock is near a tie
            slower = f"{told}{half / full:.1f} times as slow as fp32 on this CPU"
            return torch.bfloat16, [slower] if half > full else []
        if half < full:
            return torch.bfloat16, [f"{told}bf16, {full / half:.1f} times as fast as fp32 here"]
        return torch.float32, [f"{told}fp32, bf16 is {half / full:.1f} times as slow here"]
    if kind == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.bfloat16, [f"{told}bf16"] if precision == "auto" else []
    lack = torch.cuda.get_device_name(device) if kind == "cuda" else f"a device of {kind}"
    return torch.float32, [f"{told}{lack} has no bfloat16, computing in fp32"]


@functools.cache  # of two runtimes in one process, the clock should not choose otherwise
def time_convolution(dtype: torch.dtype) -> float:
    """Seconds that a residual block's convolution takes on the CPU, in the memory format that goes
    with the type: the quickest of a few."""
    format = torch.contiguous_format if dtype == torch.float32 else torch.channels_last
    convolution = nn.Conv2d(256, 256, kernel_size=3, dtype=dtype).to(memory_format=format)
    x = torch.ones(1, 256, 34, 66, dtype=dtype).to(memory_format=format)
    with torch.no_grad():
        return min(timeit.repeat(lambda: convolution(x), number=1, repeat=5))


def why_not_compiled(device: torch.device) -> str | None:
    """None if torch.compile pays on the device, else the reason why not, in a few words."""
    if device.type == "cpu":
        return "compiled networks are slower than PyTorch's own kernels on a CPU"
    try:
        torch.compile(lambda x: torch.relu(x + 1), dynamic=False)(torch.ones(8, device=device))
    # The compiler and its helpers raise types of their own, which differ between versions.
    except Exception as error:
        return first_line(error)
    return None


def arranges_weights(device: torch.device) -> bool:
    """Whether this build of PyTorch computes on the device by a library, oneDNN, for which weights
    can be arranged beforehand."""
    operators = torch.ops.mkldnn
    names = ("_reorder_convolution_weight", "_convolution_pointwise")
    is_there = torch.backends.mkldnn.is_available() and all(hasattr(operators, n) for n in names)
    return device.type == "cpu" and is_there


def first_line(error: Exception) -> str:
    """What an error says, in a line."""
    lines = filter(str.strip, str(error).splitlines())
    return next(lines, type(error).__name__)[:200]
