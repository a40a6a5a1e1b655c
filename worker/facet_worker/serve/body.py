"""A request's body, never more of it than is allowed."""

from __future__ import annotations

import asyncio
import json
from typing import Any, NoReturn

from starlette.requests import ClientDisconnect, Request
from starlette.types import Message, Receive

from facet_worker.errors import FacetError
from facet_worker.serve.settings import Settings


def _too_large(limit: int) -> FacetError:
    return FacetError(f"The request's body is larger than the {limit:,} bytes that this worker reads.", "too_large")


async def read_body(request: Request, settings: Settings) -> bytes:
    """The whole body. Throws `too_large` before anything is read where the header says so, else once more has come; `cancelled` when the client left."""
    limit = settings.request_bytes
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limit:
        raise _too_large(limit)
    parts, size = [], 0
    try:
        async with asyncio.timeout(settings.body_seconds):
            async for part in request.stream():
                size += len(part)
                if size > limit:
                    raise _too_large(limit)
                parts.append(part)
    except TimeoutError:
        raise FacetError(
            f"The request's body did not arrive within {settings.body_seconds:g} s.", "invalid_request", fix="Send it again, faster."
        ) from None
    except ClientDisconnect:
        raise FacetError("The client left before its request was read.", "cancelled") from None
    return b"".join(parts)


class Unread:
    """A request's `receive` that knows whether more of the body is to come."""

    def __init__(self, receive: Receive) -> None:
        self.receive, self.more = receive, True

    async def __call__(self) -> Message:
        message = await self.receive()
        self.more = self.more and message["type"] == "http.request" and bool(message.get("more_body", False))
        return message


async def drain(unread: Unread, limit: int, seconds: float = 5.0) -> None:
    """Lets a body that nobody wants go by, up to `limit` bytes: who still sends it would else lose the answer together with the connection."""
    try:
        async with asyncio.timeout(seconds):
            while unread.more and limit > 0:
                limit -= len((await unread()).get("body", b""))
    except TimeoutError:
        return


def parse_json(body: bytes) -> Any:
    """Strict JSON: no NaN, no infinity. Throws `invalid_request`."""

    def refuse(word: str) -> NoReturn:
        raise ValueError(f"{word} is no JSON")

    try:
        return json.loads(body, parse_constant=refuse)
    except RecursionError:
        raise FacetError("The request's body is nested too deeply.", "invalid_request") from None
    except ValueError as error:
        raise FacetError(f"The request's body is not JSON: {str(error)[:200]}.", "invalid_request") from None


async def read_json(request: Request, settings: Settings) -> Any:
    """`read_body` and `parse_json`, the latter beside the loop: a body may be tens of megabytes."""
    return await asyncio.to_thread(parse_json, await read_body(request, settings))
