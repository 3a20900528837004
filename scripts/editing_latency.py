"""What `benchmark.py` times of the editor: from an operation, sent as the page sends it, to the
encoded picture of it, come over a WebSocket of this machine. Weights are random.
"""

from __future__ import annotations

import itertools
import json
import re
import shlex
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from edit import listen, require_packages
from pix2pixhd.editor.scene import THING, Scene
from pix2pixhd.editor.studio import Studio
from pix2pixhd.engine.builders import build_model
from pix2pixhd.engine.renderer import Renderer
from pix2pixhd.engine.runtime import Runtime, runtime_on
from pix2pixhd.options.base_options import RunOptions
from pix2pixhd.options.parsing import parse_train
from pix2pixhd.options.test_options import ResultOptions, TestOptions
from pix2pixhd.options.train_options import TrainOptions
from scripts.checkout import SCRIPTS
from scripts.timing import Settings, Timed, Way, compare, time_calls

SIZES = {"demo": (256, 128), "train_512p_feat": (1024, 512)}  # of images of scripts/*.sh
CAR, TREE, ROAD = 26, 21, 7
OBJECT = CAR * THING

Send = Callable[[dict[str, Any], bool], None]
"""Takes an operation, and whether a stroke ends with it."""

Operation = Callable[[Send, int], bool]
"""Sends an operation, the next one each time; returns whether the picture in full is its result."""


def restyle(send: Send, number: int) -> bool:
    send({"kind": "style", "instances": [OBJECT], "style": {"vector": [number % 2] * 3}}, True)
    return True


def relabel(send: Send, number: int) -> bool:
    label = (TREE, CAR)[number % 2]
    send({"kind": "label", "instances": [OBJECT], "label": label, "instance": OBJECT}, True)
    return True


def stroke_on(send: Send, number: int) -> bool:
    """A stroke begins, and is on its way."""
    piece = {"points": [[9.0, 5.0], [9.0, 20.0]], "widths": [6.0]}
    send({"kind": "stroke", "label": (TREE, CAR)[number % 2], "instance": "new"} | piece, False)
    return False


def short_stroke(send: Send, number: int) -> bool:
    """Its end follows at once, so that a preview may be in the way."""
    stroke_on(send, number)
    end = {"points": [[9.0, 20.0], [9.0, 25.0]], "widths": [6.0], "extend": True}
    send({"kind": "stroke", "label": (TREE, CAR)[number % 2]} | end, True)
    return True


OPERATIONS: dict[str, Operation] = {
    "style": restyle,
    "label": relabel,
    "stroke under way, first picture": stroke_on,
    "short stroke, in full": short_stroke,
}


def editing(settings: Settings) -> list[Timed]:
    """Operations of the editor on scenes of rectangles.

    Raises:
        UserError: a package of the editor is missing, or --train_flags are wrong.
    """
    require_packages()
    device, found = torch.device(settings.device), []
    runtimes = {
        precision: runtime_on(device, RunOptions(precision=precision))[0]
        for precision in settings.precision
    }
    for script, (width, height) in SIZES.items():
        options, scale = options_of(script, settings.train_flags), settings.scale or 1
        shape = max(32, height // scale), max(64, width // scale)
        for name, operation in OPERATIONS.items():
            ways: dict[str, Way] = {
                f"{'by default: ' * (precision == 'auto')}{runtime.precision}": partial(
                    time_operation, operation, options, runtime, shape
                )
                for precision, runtime in runtimes.items()
            }
            case = f"{script}, {shape[1]}x{shape[0]}: {name}"
            found += compare(case, ways, settings)
    return found


def options_of(script: str, more: str) -> TrainOptions:
    """Of what scripts/<script>.sh trains, and further flags."""
    text = (SCRIPTS / f"{script}.sh").read_text().replace("\\\n", "")
    [line] = re.findall(r"^python train\.py (.*)$", text, re.M)
    flags = [flag.replace("$name", script) for flag in shlex.split(line) if flag != "$@"]
    return parse_train([*flags, *shlex.split(more)])


def scene_of(studio: Studio, shape: tuple[int, int]) -> Scene:
    """Rectangles of labels, and an object on them."""
    blocks = np.random.default_rng(0).integers(ROAD, TREE, (4, 8))
    rows, columns = (np.arange(shape[axis]) * blocks.shape[axis] // shape[axis] for axis in (0, 1))
    label = blocks[rows][:, columns]
    inst = label.copy()
    middle = tuple(slice(side // 2, side // 2 + side // 4) for side in shape)
    label[middle], inst[middle] = CAR, OBJECT
    return studio.upload(label, inst)


@contextmanager
def serving(studio: Studio, shape: tuple[int, int], folder: Path) -> Iterator[Any]:
    """A WebSocket to a scene of a server in a thread."""
    import uvicorn
    from websockets.sync.client import connect

    from pix2pixhd.editor.server import Place, create_app
    from pix2pixhd.editor.sessions import Session

    app = create_app(studio, Place("127.0.0.1", None), folder, 2**30)
    session = app.state.sessions.add(Session(scene_of(studio, shape)))
    config = uvicorn.Config(app, log_level="error", ws_per_message_deflate=False)
    server = uvicorn.Server(config)
    with listen("127.0.0.1", 0) as listener:
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            address = f"ws://127.0.0.1:{listener.getsockname()[1]}/api/scenes/{session.id}/live"
            while not server.started:
                time.sleep(0.01)
            with connect(address, max_size=None, compression=None) as socket:
                yield socket
        finally:
            server.should_exit = True
            thread.join()


def time_operation(
    operation: Operation,
    options: TrainOptions,
    runtime: Runtime,
    shape: tuple[int, int],
    device: str,
    samples: int,
) -> Timed:
    """Time an operation on a scene of a size, till its picture has come."""
    with ExitStack() as stack:

        def build() -> Callable[[], object]:
            folder = stack.enter_context(TemporaryDirectory())
            model = runtime.prepare(build_model(options).eval(), renders_only=True)
            run = replace(options.run, checkpoints_dir=folder)
            data = replace(options.data, dataroot=folder)
            chosen = TestOptions(run, data, options.model, False, ResultOptions())
            studio = Studio(Renderer(model, chosen, runtime))
            socket = stack.enter_context(serving(studio, shape, Path(folder)))
            wait_for_picture(socket, 0, in_full=True)
            return partial(next_picture, socket, operation, itertools.count(1), itertools.count())

        return time_calls(build, device, samples)


def next_picture(
    socket: Any, operation: Operation, numbers: Iterator[int], calls: Iterator[int]
) -> None:
    """Do the operation and wait for its picture."""
    sent = 0

    def send(asked: dict[str, Any], last: bool) -> None:
        nonlocal sent
        sent = next(numbers)
        socket.send(json.dumps({"number": sent, "operation": asked, "last": last}))

    in_full = operation(send, next(calls))
    wait_for_picture(socket, sent, in_full)  # each operation makes a version


def wait_for_picture(socket: Any, version: int, in_full: bool) -> None:
    while True:
        data = socket.recv()
        if isinstance(data, str):
            message = json.loads(data)
            assert message["kind"] != "error", message
            continue
        length = int.from_bytes(data[:4], "little")
        header = json.loads(data[4 : 4 + length])
        is_new = header["kind"] == "image" and header["version"] >= version
        if is_new and not (in_full and header["preview"]):
            return
