"""What every entry script does first: choose the device and the precision, and say what is odd."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from options.encode_options import EncodeOptions, PrecomputeOptions
from options.parsing import ineffective_flags
from options.test_options import TestOptions
from options.train_options import TrainOptions
from util.device import choose_device


@dataclass(frozen=True)
class Machine:
    """What a program computes on."""

    device: torch.device
    half_precision: bool  # float16 where it is safe

    def autocast(self) -> torch.autocast:
        """The context for networks to run in."""
        return torch.autocast(self.device.type, dtype=torch.float16, enabled=self.half_precision)


def choose_machine(
    options: TrainOptions | TestOptions | EncodeOptions | PrecomputeOptions,
) -> Machine:
    """The device and precision of the options; prints a line for each that is not to be had.

    Raises:
        UserError: there are GPUs, but not the one asked for.
    """
    device, notes = choose_device(options.run.gpu_ids)
    asked = options.run.fp16 or options.run.data_type == 16
    if device.type == "cuda":
        torch.cuda.set_device(device)  # so that nothing is allocated on another GPU
    half_precision = asked and device.type == "cuda"
    if asked and not half_precision:
        notes.append("half precision needs a CUDA device, computing in float32")
    for line in notes + ineffective_flags(options):
        print(line, flush=True)
    return Machine(device, half_precision)
