"""Change scenes object by object, on a page of this machine. `python edit.py --help` tells how."""

from __future__ import annotations

from importlib.util import find_spec

from pix2pixhd.engine.launch import launch
from pix2pixhd.engine.program import parse_command_line, run_program
from pix2pixhd.options.edit_options import EditOptions, is_loopback
from pix2pixhd.options.parsing import parse_edit
from pix2pixhd.util.errors import UserError

NEEDED = ("fastapi", "uvicorn", "websockets", "pydantic")


def require_packages() -> None:
    """
    Raises:
        UserError: a package is missing that this program alone needs.
    """
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        raise UserError(
            f"{', '.join(missing)}: not installed, and the editor's page needs it; "
            "pip install -r requirements-edit.txt"
        )


if __name__ == "__main__":
    OPTIONS = parse_command_line(parse_edit)
    run_program(require_packages)

import secrets
import socket
from pathlib import Path

from pix2pixhd.editor.studio import Studio
from pix2pixhd.engine.published import completed
from pix2pixhd.engine.renderer import Renderer
from pix2pixhd.engine.runtime import choose_runtime
from pix2pixhd.engine.trained import load_trained, networks_to_render
from pix2pixhd.options.test_options import TestOptions


def open_studio(options: TestOptions) -> Studio:
    """
    Raises:
        UserError: there is no such run, or its weights are not as they should be.
    """
    epoch, folder = options.results.which_epoch, options.run.folder
    options = completed(options, epoch)
    runtime = choose_runtime(options)
    networks = networks_to_render(options.model, folder, epoch, options.ema)
    model = load_trained(options.model, folder, epoch, networks, ema=options.ema)
    return Studio(Renderer(runtime.prepare(model, renders_only=True), options, runtime))


def listen(host: str, port: int) -> socket.socket:
    """
    Raises:
        UserError: the address is not this machine's, or the port is taken.
    """
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.create_server(address, family=family, backlog=256)
    except OSError as error:
        raise UserError(
            f"--host {host} --port {port}: cannot be listened at ({error.strerror}); give another "
            "--port, or 0 for any that is free"
        ) from error
    # Else a picture waits 40 ms for a small message before it to be acknowledged; connections
    # inherit it, and asyncio sets it only on sockets that it made itself.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def main(options: EditOptions) -> None:
    import uvicorn

    from pix2pixhd.editor.server import Place, create_app

    page = options.page
    listener = listen(page.host, page.port)
    studio = open_studio(options.rendering)
    port = listener.getsockname()[1]
    token = page.token
    if token is None and not is_loopback(page.host):
        token = secrets.token_hex(16)
    scenes = Path(page.scenes_dir) if page.scenes_dir else options.run.folder / "editor"
    app = create_app(studio, Place(page.host, token), scenes, page.scenes_memory * 2**20)
    named = socket.gethostname() if page.host in ("0.0.0.0", "::") else page.host
    named = f"[{named}]" if ":" in named else named
    for note in studio.notes:
        print(note)
    address = f"http://{named}:{port}/" + (f"?token={token}" if token else "")
    print(f"editor: {address}  (Ctrl-C ends it)", flush=True)
    config = uvicorn.Config(
        app,
        log_level="warning",
        lifespan="on",
        ws_per_message_deflate=False,  # what is large is compressed already
        ws_max_size=2**23,
        timeout_graceful_shutdown=1,
    )
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    launch(main, OPTIONS, OPTIONS.run.gpu_ids)
