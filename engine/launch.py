"""A process for each of several GPUs of this machine; several machines are torchrun's business."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from multiprocessing import resource_tracker
from typing import Any, TypeVar

from pix2pixhd.engine.program import run_program
from pix2pixhd.engine.stop_signal import HEARD, StopSignal
from pix2pixhd.engine.world import read_world

Options = TypeVar("Options")

GRACE = 2.0  # seconds from the first failure to SIGTERM for the others, and from that to SIGKILL


def launch(main: Callable[[Options], object], options: Options, gpu_ids: str) -> None:
    """Run `main(options)`, an entry script's own function, in as many processes as `gpu_ids` asks
    for. Exits over mistakes, and with the code of the first process that failed."""

    def run() -> None:
        if count := processes_to_start(gpu_ids):
            _start_and_watch(count, main, options, gpu_ids)
        else:
            from pix2pixhd.engine.distributed import shut_down

            signal.pthread_sigmask(signal.SIG_UNBLOCK, HEARD)  # see `_start_and_watch`
            main(options)
            shut_down()

    run_program(run)


def processes_to_start(gpu_ids: str) -> int:
    """How many processes a list of GPUs asks this one to start; 0, to do all itself, for one
    GPU, under a launcher, and where the GPUs are not there, which is told later."""
    ids = [int(part) for part in gpu_ids.split(",")]
    if len(ids) == 1 or read_world().size > 1:
        return 0
    import torch

    return len(ids) if max(ids) < torch.cuda.device_count() else 0


def _start_and_watch(count: int, *launched: Any) -> None:
    from torch.distributed import TCPStore
    from torch.multiprocessing import ProcessExitedException, start_processes

    # Where the processes meet: at a free port, which the store finds, until this process ends.
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(store.port)}
    os.environ |= dict.fromkeys(("WORLD_SIZE", "LOCAL_WORLD_SIZE"), str(count))
    os.environ["TORCHELASTIC_USE_AGENT_STORE"] = "True"
    # torchrun's name for the launch may be that of the parent, and theirs is this process.
    os.environ["TORCHELASTIC_RUN_ID"] = read_world().launch or ""
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // count)))
    logging.getLogger("torch.multiprocessing.spawn").setLevel(logging.ERROR)  # of whom it ends
    with StopSignal() as stop:
        try:
            # Signals that come while the processes load PyTorch wait for `launch` in them. (The
            # tracker is started first, for that unblocks them.)
            resource_tracker.ensure_running()
            signal.pthread_sigmask(signal.SIG_BLOCK, HEARD)
            context = start_processes(_child, launched, nprocs=count, join=False)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, HEARD)
            passed_on = None
            while not context.join(timeout=0.1, grace_period=GRACE):
                if stop.received and not passed_on:
                    passed_on = stop.received
                    for pid in (child.pid for child in context.processes if child.is_alive()):
                        os.kill(pid, passed_on)
        except ProcessExitedException as error:
            if error.exit_code >= 0:
                sys.exit(error.exit_code)
            if stop.received is None:
                print(f"error: {error.msg}", file=sys.stderr)
            sys.exit(128 + (stop.received or -error.exit_code))  # as shells give it


def _child(rank: int, *launched: Any) -> None:
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank)}
    multiprocessing.set_start_method(None, force=True)  # loading processes are not to be spawned
    os.setsid()  # a terminal's Ctrl-C comes by way of the parent alone, and thus once
    parent = multiprocessing.parent_process()
    # PyTorch has just had the kernel send SIGINT when the parent dies; it may have died before.
    if parent is not None and parent.is_alive():
        launch(*launched)
