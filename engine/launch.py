"""From a command line to the processes that run a program: here, or one for each of several GPUs.

PyTorch starts and watches them on one machine. Several machines, and restarts, are torchrun's.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Sequence
from multiprocessing import resource_tracker
from typing import TypeVar

from engine.program import exit_at_once, run_program
from engine.stop_signal import HEARD, StopSignal
from engine.world import read_world
from options.encode_options import EncodeOptions, PrecomputeOptions
from options.test_options import TestOptions
from options.train_options import TrainOptions

Options = TypeVar("Options", TrainOptions, TestOptions, EncodeOptions, PrecomputeOptions)

GRACE = 2.0  # seconds from the first failure to SIGTERM for the others, and from that to SIGKILL


def parse_command_line(parse: Callable[[Sequence[str]], Options]) -> Options:
    """The options; called before PyTorch is loaded, which takes seconds. Exits over mistakes."""
    # Idle threads of OpenMP are to sleep, not spin on cores that the loading processes need.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    options = run_program(lambda: parse(sys.argv[1:]))
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # no traceback of a half-loaded PyTorch
    return options


def launch(main: Callable[[Options], object], options: Options) -> None:
    """Run `main(options)` in as many processes as the GPUs ask for, and exit as it does.

    Args:
        main: a function of the entry script's own, which the processes import.
        options: given to each of them; they do not parse the command line again.
    """
    if count := run_program(lambda: processes_to_start(options.run.gpu_ids)):
        sys.exit(_start_and_watch(count, main, options))
    _run(main, options)


def processes_to_start(gpu_ids: str) -> int:
    """How many processes a list of GPUs asks this one to start; 0: do it all here.

    That is so for one GPU, under a launcher, and where the GPUs are not there, which is told later.
    """
    ids = [int(part) for part in gpu_ids.split(",")]
    if len(ids) == 1 or read_world().size > 1:
        return 0
    import torch

    return len(ids) if max(ids) < torch.cuda.device_count() else 0


def _run(main: Callable[[Options], object], options: Options) -> None:
    from engine.distributed import shut_down

    def run() -> None:
        main(options)
        shut_down()

    run_program(run)


def _start_and_watch(count: int, main: Callable[[Options], object], options: Options) -> int:
    """Returns the exit code of the first process that failed, as shells give it, or 0."""
    from torch.distributed import TCPStore
    from torch.multiprocessing import ProcessExitedException, start_processes

    logging.getLogger("torch.multiprocessing.spawn").setLevel(
        logging.ERROR
    )  # what it ends, and why
    # The store is this process's: it finds a free port itself, and is gone when this process is.
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    os.environ["OMP_NUM_THREADS"] = os.environ.get(
        "OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // count))
    )
    if name := read_world().launch:  # the processes are children of this one, not of torchrun
        os.environ["TORCHELASTIC_RUN_ID"] = name
    os.environ |= {"WORLD_SIZE": str(count), "TORCHELASTIC_USE_AGENT_STORE": "True"}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(store.port)}
    is_passed_on = False
    with StopSignal() as stop:
        try:
            # Signals that come while the processes load PyTorch wait for `_child`. (The tracker is
            # started first: it would unblock them.)
            resource_tracker.ensure_running()
            signal.pthread_sigmask(signal.SIG_BLOCK, HEARD)
            context = start_processes(_child, (main, options), nprocs=count, join=False)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, HEARD)
            while not context.join(timeout=0.1, grace_period=GRACE):
                if stop.received and not is_passed_on:
                    is_passed_on = True
                    for child in context.processes:
                        if child.is_alive():
                            os.kill(child.pid, stop.received)
        except ProcessExitedException as error:
            if error.exit_code >= 0:
                return error.exit_code
            if stop.received is None:
                print(f"error: {error.msg}", file=sys.stderr)
            return 128 + (stop.received or -error.exit_code)
        except KeyboardInterrupt:  # the second Ctrl-C, for processes that hear nothing any more
            for child in multiprocessing.active_children():
                child.kill()
            return 128 + signal.SIGINT
    return 0


def _child(rank: int, main: Callable[[Options], object], options: Options) -> None:
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank)}
    multiprocessing.set_start_method(None, force=True)  # loading processes are not to be spawned
    os.setsid()  # a terminal's Ctrl-C comes by way of the parent alone, and thus once
    # PyTorch had the kernel send SIGINT when the parent dies; it is heard even under nohup or `&`.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HEARD)
    parent = multiprocessing.parent_process()
    if parent is None or not parent.is_alive():  # it died before that
        exit_at_once(128 + signal.SIGINT)
    _run(main, options)
