"""What every entry script does before PyTorch is loaded, which takes seconds.

So `--help` and a misspelt flag are answered at once, and several processes are soon started.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import TypeVar

from engine.processes import launched, run_in_processes
from options.encode_options import EncodeOptions, PrecomputeOptions
from options.test_options import TestOptions
from options.train_options import TrainOptions
from util.errors import run_program

Options = TypeVar("Options", TrainOptions, TestOptions, EncodeOptions, PrecomputeOptions)


def start(parse: Callable[[Sequence[str]], Options]) -> Options:
    """The options of the command line; exits where `parse` does.

    Where they ask for several GPUs, this process becomes the one that starts a process for each and
    exits when they have ended.
    """
    # Idle threads of OpenMP are to sleep, not spin on cores that the loading processes need.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    options = run_program(lambda: parse(sys.argv[1:]))
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # no traceback of a half-loaded PyTorch
    if count := processes_to_start(options.run.gpu_ids):
        sys.exit(run_in_processes(count, [sys.executable, *sys.argv]))
    return options


def processes_to_start(gpu_ids: str) -> int:
    """How many processes a list of GPUs asks this one to start; 0: do it all here.

    That is so for one GPU, under a launcher, and where the GPUs are not there, which is told later.
    """
    ids = [int(part) for part in gpu_ids.split(",")]
    if len(ids) == 1 or launched():
        return 0
    if ids[0] < 0:
        return len(ids)
    import torch

    return len(ids) if max(ids) < torch.cuda.device_count() else 0
