"""Who may ask: those with the token, or, where none is set, programs on this machine."""

from __future__ import annotations

import hmac
import ipaddress
import socket

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from facet_worker.errors import FacetError
from facet_worker.serve.answers import error_response
from facet_worker.serve.body import Unread, drain

_OPEN = ("/health",)


def is_loopback(host: str) -> bool:
    """Whether every address of a name is this machine's own."""
    try:
        return ipaddress.ip_address(host.strip("[]").partition("%")[0]).is_loopback
    except ValueError:
        pass
    try:
        found = {str(entry[4][0]) for entry in socket.getaddrinfo(host, None)}
    except OSError:
        return False
    return bool(found) and all(ipaddress.ip_address(address.partition("%")[0]).is_loopback for address in found)


def _is_local_name(name: str) -> bool:
    # Only what needs no look-up: a name in a request is its sender's choice.
    if name.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _host_of(header: str) -> str:
    return header[1:].partition("]")[0] if header.startswith("[") else header.partition(":")[0]


class Access:
    """ASGI middleware. Without a token, web pages are kept out: neither a page of another origin nor a name that was bent to this address gets in."""

    def __init__(self, app: ASGIApp, token: str | None, drained: int = 0) -> None:
        """`drained`: how many bytes of a refused request's body may go by."""
        self.app, self.drained = app, drained
        self.token = token.encode() if token else None

    def refusal(self, path: str, headers: Headers) -> FacetError | None:
        """Why a request is not let in: `unauthorized` or `forbidden`."""
        if path in _OPEN:
            return None
        if self.token is not None:
            scheme, _, shown = headers.get("authorization", "").partition(" ")
            # Bytes as they came: a token need not be ASCII, and the comparison takes as long for a wrong one.
            right = hmac.compare_digest(shown.strip().encode("latin-1"), self.token)
            if scheme.lower() == "bearer" and right:
                return None
            return FacetError("This worker answers only to those who show its token.", "unauthorized")
        if "origin" in headers or not _is_local_name(_host_of(headers.get("host", ""))):
            return FacetError(
                "This worker has no token, so it answers only to programs on its own machine.",
                "forbidden",
                fix="Start the worker with a token and show that.",
            )
        return None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            error = self.refusal(scope["path"], Headers(scope=scope))
            if error is not None:
                await drain(Unread(receive), self.drained)
                return await error_response(error)(scope, receive, send)
        await self.app(scope, receive, send)
