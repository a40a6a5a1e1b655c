"""One replica: a worker's whole ASGI application around one model, asked by calls in place of a socket."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from typing import Any

from facet_worker.serve.cluster.options import GroupOptions

Part = tuple[str, Any]
"""`("accepted", options)` when it is a request's turn, `("start", (status, headers))`, then `("body", bytes)`s."""


class Replica:
    """A Ray Serve deployment's class. Ray lets in what can run at once, calls `check_health`, and starts another where the process ends."""

    def __init__(self, options: dict[str, Any]) -> None:
        """Loads the model. `options`: of `GroupOptions`. Throws what keeps it from starting, which Ray then says in its status."""
        import torch

        from facet_worker.compiling import check_compiler
        from facet_worker.serve.app import create_app
        from facet_worker.serve.command import dictionaries_of, model_of
        from facet_worker.serve.host import EngineHost
        from facet_worker.serve.server import BROKEN
        from facet_worker.torch_engine import TorchEngine

        self.options = options
        group = GroupOptions.model_validate(options)
        model, revision = model_of(group.model)
        device = group.device or ("cuda" if torch.cuda.is_available() else "cpu")
        dtype = group.dtype or ("bfloat16" if device.startswith("cuda") else "float32")
        if device == "cpu":
            # Replicas on one machine share its cores; each would take all of them.
            torch.set_num_threads(max(1, int(group.cpus)))
        if group.compile:
            check_compiler(device)
        folders, compiler = dictionaries_of(group.dictionary), "inductor" if group.compile else None
        engine = TorchEngine.load(model, folders, revision, device, dtype, group.model_id, group.unchecked_dictionary, compiler)
        self.host = EngineHost(engine, group.settings())
        self.app = create_app(self.host)
        # A broken device ends the process, whose streams then end with an error; Ray starts another.
        self.host.on_broken = lambda: os._exit(BROKEN)
        logging.getLogger("facet_worker").info("Serving %s.", ", ".join(engine.dictionaries()))

    async def check_health(self) -> None:
        """Runs the device; Ray replaces a replica for which this throws."""
        await self.host.check()

    async def answer(self, scope: dict[str, Any], body: bytes) -> AsyncIterator[Part]:
        """One request through the application. Closing or cancelling this is a client that left."""
        yield "accepted", self.options
        parts: asyncio.Queue[Part | None] = asyncio.Queue()
        unread, gone = [body], asyncio.Event()

        async def receive() -> dict[str, Any]:
            if unread:
                return {"type": "http.request", "body": unread.pop(), "more_body": False}
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                parts.put_nowait(("start", (message["status"], [(bytes(name), bytes(value)) for name, value in message["headers"]])))
            elif message.get("body"):
                parts.put_nowait(("body", bytes(message["body"])))

        async def run() -> None:
            try:
                await self.app(scope, receive, send)
            finally:
                parts.put_nowait(None)

        running = asyncio.ensure_future(run())
        try:
            while (part := await parts.get()) is not None:
                yield part
            await running
        finally:
            gone.set()
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
