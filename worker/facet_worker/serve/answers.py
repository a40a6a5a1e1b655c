"""How failures and streams become HTTP answers, the same on every route."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncGenerator, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from facet_worker.errors import FacetError

Event = dict[str, Any]
Encode = Callable[[Event], bytes]


def as_facet_error(error: BaseException) -> FacetError:
    """What is not ours is told to nobody but the log."""
    if isinstance(error, FacetError):
        return error
    return FacetError("Something went wrong in the worker.", "internal")


def error_response(error: FacetError) -> Response:
    """`{error: {code, message, fix, retry}}` with the code's status."""
    headers = {"Cache-Control": "no-store"}
    if error.retry_after_s is not None:
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after_s)))
    if error.code == "unauthorized":
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse({"error": error.to_json()}, error.status, headers)


async def facet_error_handler(_request: Request, error: Exception) -> Response:
    """Of Starlette's kind, for what a route throws."""
    return error_response(as_facet_error(error))


def ndjson(event: Event) -> bytes:
    """One line."""
    return json.dumps(event, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode() + b"\n"


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


class EventStream(Response):
    """Events as they come. What fails before the first is answered with the code's status, what fails later with a last `error` event.

    Whoever leaves closes `events` at once, also between two of them.
    """

    quiet_seconds = 15.0
    """After so long without an event a started answer says `alive`: what is between the two may take a silent connection for a dead one."""

    def __init__(
        self,
        events: AsyncGenerator[Event, None],
        encode: Encode = ndjson,
        media_type: str = "application/x-ndjson",
        end: bytes = b"",
        refused: Callable[[FacetError], Response] = error_response,
        alive: bytes = b"\n",
    ) -> None:
        """`encode` makes bytes of an event; `end` follows the last; `alive` means nothing to whoever reads."""
        super().__init__(media_type=media_type, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        # A stream's length is not known.
        del self.headers["content-length"]
        self.events, self.encode, self.end, self.alive, self.refused = events, encode, end, alive, refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = asyncio.ensure_future(self._answer(scope, receive, send))
        left = asyncio.ensure_future(_left(receive))
        try:
            await asyncio.wait({answer, left}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            left.cancel()
            answer.cancel()
            await asyncio.gather(answer, left, return_exceptions=True)
        if not answer.cancelled():
            answer.result()

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            try:
                first = await anext(self.events, None)
            except FacetError as error:
                return await self.refused(error)(scope, receive, send)
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            async for body in self._bodies(first):
                await send({"type": "http.response.body", "body": body, "more_body": True})
            await send({"type": "http.response.body", "body": self.end, "more_body": False})
        finally:
            await self.events.aclose()

    async def _bodies(self, first: Event | None) -> AsyncGenerator[bytes, None]:
        try:
            if first is not None:
                yield self.encode(first)
            async for event in self._with_pauses():
                yield self.alive if event is None else self.encode(event)
        except Exception as error:
            yield self.encode({"type": "error", "error": as_facet_error(error).to_json()})

    async def _with_pauses(self) -> AsyncGenerator[Event | None, None]:
        """The rest of the events, and None whenever none came for a while."""
        while True:
            coming = asyncio.ensure_future(anext(self.events, None))
            try:
                while not (await asyncio.wait({coming}, timeout=self.quiet_seconds))[0]:
                    yield None
            finally:
                if not coming.done():
                    coming.cancel()
                    await asyncio.gather(coming, return_exceptions=True)
            event = coming.result()
            if event is None:
                return
            yield event
