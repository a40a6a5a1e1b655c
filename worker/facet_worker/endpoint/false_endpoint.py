"""A real HTTP server on this machine that answers as endpoints do at their best and at their worst; for tests."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Reply = tuple[int, dict[str, str], bytes]
Behaviour = Callable[[dict[str, Any], int], "Reply | str | float"]
"""Of a request and its number: a whole reply, or words for a good answer, or seconds to hang before hanging up."""


def good(text: str, finish: str = "stop", read: int = 100, written: int = 10) -> Reply:
    found = {
        "choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": finish}],
        "usage": {"prompt_tokens": read, "completion_tokens": written},
    }
    return 200, {"content-type": "application/json"}, json.dumps(found).encode()


class FalseEndpoint:
    """What was asked, and how to answer it."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self.bodies: list[dict[str, Any]] = []
        self.times: list[float] = []
        self.keys: list[str | None] = []
        self.under_way = self.most_under_way = 0
        self.url = ""
        self._lock = threading.Lock()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        body = json.loads(handler.rfile.read(int(handler.headers["content-length"])))
        with self._lock:
            number = len(self.bodies)
            self.bodies.append(body)
            self.times.append(time.monotonic())
            self.keys.append(handler.headers.get("authorization"))
            self.under_way += 1
            self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            found = self.behaviour(body, number)
        finally:
            with self._lock:
                self.under_way -= 1
        if isinstance(found, float):
            time.sleep(found)
            return
        status, headers, data = good(found) if isinstance(found, str) else found
        handler.send_response(status)
        for name, value in {"content-length": str(len(data)), **headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(data)


@contextmanager
def serving(behaviour: Behaviour) -> Iterator[FalseEndpoint]:
    """The server, on a free port, while the block lasts."""
    endpoint = FalseEndpoint(behaviour)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            endpoint.answer(self)

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            pass

    server = Server(("127.0.0.1", 0), Handler)
    endpoint.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield endpoint
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def question(body: dict[str, Any]) -> str:
    """The text of a request."""
    return str(body["messages"][0]["content"][-1]["text"])
