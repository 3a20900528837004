"""The editor's program: packages, flags, its address."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import pytest

import edit
from pix2pixhd.options.edit_options import is_loopback
from pix2pixhd.options.parsing import parse_edit
from pix2pixhd.util.errors import UserError


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    edit.require_packages()
    monkeypatch.setattr(edit, "NEEDED", ("pydantic", "no_such_package"))
    with pytest.raises(UserError, match=r"^no_such_package: not installed, .* requirements-edit"):
        edit.require_packages()


def test_the_address_is_printed_with_a_token_where_it_needs_one(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--name", "styled", "--checkpoints_dir", str(root / "ck"), "--gpu_ids", "-1"]
    monkeypatch.setattr("uvicorn.Server.run", lambda self, sockets: None)
    for flags, expected in (
        ([], r"http://127\.0\.0\.1:\d+/  "),
        (["--host", "0.0.0.0"], r"http://[^/]+/\?token=[0-9a-f]{32}  "),
        (["--token", "sesame123"], r"http://127\.0\.0\.1:\d+/\?token=sesame123  "),
    ):
        edit.main(parse_edit([*where, "--port", "0", "--precision", "fp32", *flags]))
        assert re.search("^editor: " + expected, capsys.readouterr().out, re.M)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--token", "short"], "--token: must be 8 or more letters and digits"),
        (["--token", "with/slash"], "--token: must be 8 or more letters and digits"),
        (["--gpu_ids", "0,1"], "--gpu_ids 0,1: the editor computes on one"),
        (["--port", "70000"], "--port"),
    ],
)
def test_bad_flags(root: Path, flags: list[str], message: str) -> None:
    where = ["--name", "styled", "--checkpoints_dir", str(root / "ck")]
    with pytest.raises(UserError, match=message):
        parse_edit([*where, *flags])


@pytest.mark.parametrize(
    ("host", "is_this_machine"),
    [("127.0.0.1", True), ("localhost", True), ("::1", True), ("0.0.0.0", False), ("me", False)],
)
def test_loopback(host: str, is_this_machine: bool) -> None:
    assert is_loopback(host) == is_this_machine


def test_a_port_that_is_taken() -> None:
    with edit.listen("127.0.0.1", 0) as listener:
        assert listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)  # pictures do not wait
        port = listener.getsockname()[1]
        with pytest.raises(UserError, match=rf"--port {port}: cannot be listened at"):
            edit.listen("127.0.0.1", port)
