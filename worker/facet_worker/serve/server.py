"""The worker on a socket: ready when it says so, ended gracefully, and gone with a code when its device is broken."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
import threading
from collections.abc import Callable
from types import FrameType

import uvicorn

from facet_worker.errors import FacetError
from facet_worker.serve.access import is_loopback
from facet_worker.serve.app import create_app
from facet_worker.serve.host import EngineHost

BROKEN = 70
"""Exit code of a worker whose device computes no more: its supervisor starts another."""
_BROKEN_SECONDS = 3.0


class _Server(uvicorn.Server):
    def __init__(self, host: EngineHost, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self.host, self.ready = host, ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self.ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.host.close()
        grace = _BROKEN_SECONDS if self.host.broken else self.host.settings.grace_seconds
        # What still runs then gets its last line; whoever does not even read that is cut off a little later.
        self.config.timeout_graceful_shutdown = int(grace) + 3
        asyncio.get_running_loop().call_later(grace, self.host.end_all)
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        # Not passed on to the signal's usual handler afterwards: a worker that was told to stop and did so ends with 0.
        self.force_exit = self.should_exit
        self.should_exit = True


def bind(host: str, port: int, token: str | None) -> socket.socket:
    """A listening socket. Throws `forbidden` for an address that others can reach where no token is set, `engine_unavailable` for one that is taken."""
    if token is None and not is_loopback(host):
        raise FacetError(
            f"Others can reach {host}, and no token is set, so anybody could use this worker.",
            "forbidden",
            fix="Set FACET_WORKER_TOKEN or --token-file, or listen on 127.0.0.1.",
        )
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
    except OSError as error:
        raise FacetError(
            f"The worker cannot listen on {host}, port {port}: {error.strerror}.", "engine_unavailable", fix="Choose another --port."
        ) from error
    return listening


def address_of(listening: socket.socket) -> str:
    """As a URL."""
    name, port = listening.getsockname()[:2]
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"


def listen(host: EngineHost, ready: Callable[[], None] = lambda: None) -> uvicorn.Server:
    """The server, to be run on a socket; it ends by itself where the device is broken."""
    config = uvicorn.Config(create_app(host), log_level="warning", access_log=False, server_header=False, lifespan="off", ws="none")
    server = _Server(host, config, ready)

    def broken() -> None:
        server.should_exit = True

    host.on_broken = broken
    return server


def run(host: EngineHost, listening: socket.socket, ready: Callable[[], None] = lambda: None) -> None:
    """Serves until told to stop. Does not return where the device is broken: the process ends with `BROKEN`."""
    server = listen(host, ready)
    stop = host.on_broken

    def broken() -> None:
        stop()
        # A broken device may hold up everything else too.
        last = threading.Timer(_BROKEN_SECONDS + 10, os._exit, [BROKEN])
        last.daemon = True
        last.start()

    host.on_broken = broken
    server.run(sockets=[listening])
    if host.broken:
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        # Not sys.exit: that waits for the engine's thread, which may wait for the device.
        os._exit(BROKEN)
