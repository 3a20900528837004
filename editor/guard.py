"""Who may talk to the editor: this machine's own pages, or whoever knows the token."""

from __future__ import annotations

import ipaddress
import secrets
import socket
from collections.abc import MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any, NamedTuple
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pix2pixhd.options.edit_options import is_loopback

COOKIE = "pix2pixhd_editor"
MOST_BYTES = 2**22  # of a request's body, uploads apart
UPLOADS = "/api/upload/"
FORBIDDEN = 1008  # of WebSockets, "policy violation"

HEADERS = {
    # Nothing from elsewhere, whatever a name or a message holds.
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' blob: data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",  # addresses hold the token
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


class Place(NamedTuple):
    """Where the page is served."""

    host: str
    token: str | None  # None: none is needed


class Guard:
    """Looks at each request, WebSockets included, before the app does.

    `Host` must be a name of this machine: a page elsewhere whose name is made to point here (DNS
    rebinding) sends its own. `Origin` must be the page's own.
    """

    def __init__(self, app: ASGIApp, place: Place) -> None:
        self._app, self._token = app, place.token
        self._is_local = is_loopback(place.host)
        names = {place.host, socket.gethostname(), socket.getfqdn()}
        self._names = {"localhost"} if self._is_local else {"localhost", *map(str.lower, names)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if refusal := self._refusal(scope, headers):
            await _refuse(scope, receive, send, *refusal)
            return
        in_address = self._token is not None and self._token in _words(scope)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                out = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    out.setdefault(name, value)
                if in_address:
                    cookie = f"{_cookie(headers)}={self._token}; HttpOnly; SameSite=Strict; Path=/"
                    out.append("set-cookie", cookie)
            await send(message)

        await self._app(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope, headers: Headers) -> tuple[int, str] | None:
        """Status and message, for what is not let in."""
        host, origin = headers.get("host", ""), headers.get("origin")
        if not self._is_known(host):
            return 421, f"host {host[:100]!r}: not this editor's; use the address that it printed"
        if origin is not None and origin not in (f"http://{host}", f"https://{host}"):
            return 403, f"origin {origin[:100]!r}: not this editor's own page"
        # Pictures and the like that another site's page asks for, and that tell no origin.
        goes_there = headers.get("sec-fetch-mode") == "navigate"
        if headers.get("sec-fetch-site") in ("cross-site", "same-site") and not goes_there:
            return 403, "asked for by another site's page"
        if self._token is not None and not self._knows_token(scope, headers):
            return 401, "token: none or a wrong one; use the address that the editor printed"
        if scope["type"] == "http" and not scope["path"].startswith(UPLOADS):
            length = headers.get("content-length", "")
            if "transfer-encoding" in headers:
                return 411, "the request does not tell its length"
            if length.isdecimal() and int(length) > MOST_BYTES:
                return 413, f"request of {length} bytes, at most {MOST_BYTES} are taken"
        return None

    def _is_known(self, host: str) -> bool:
        """Of names a stranger may own one that points here, but not of addresses."""
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() else host
        name = name.strip("[]").lower()
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return name in self._names
        return address.is_loopback or not self._is_local

    def _knows_token(self, scope: Scope, headers: Headers) -> bool:
        given = _words(scope)
        try:
            cookies: MutableMapping[str, Any] = SimpleCookie(headers.get("cookie", ""))
        except CookieError:
            cookies = {}
        if (name := _cookie(headers)) in cookies:
            given.append(cookies[name].value)
        given.append(headers.get("authorization", "").removeprefix("Bearer "))
        assert self._token is not None
        expected = self._token.encode()
        return any(secrets.compare_digest(word.encode(), expected) for word in given)


def _cookie(headers: Headers) -> str:
    """Its name. It has the port as the browser knows it, which sends cookies to all ports of a
    machine: another editor's would take its place."""
    port = headers.get("host", "").rpartition(":")[2]
    return f"{COOKIE}_{port}" if port.isdecimal() else COOKIE


def _words(scope: Scope) -> list[str]:
    """The tokens in the address."""
    return parse_qs(scope["query_string"].decode("latin-1")).get("token", [])


async def _refuse(scope: Scope, receive: Receive, send: Send, status: int, message: str) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": FORBIDDEN, "reason": message[:120]})
    else:
        await JSONResponse({"error": message}, status, HEADERS)(scope, receive, send)
