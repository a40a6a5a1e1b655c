"""One request's way through Ray to a replica and back, with an end that says what happened when the replica is lost."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Any, Protocol

from ray.exceptions import ObjectLostError, RayActorError, RayError, WorkerCrashedError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError, ReplicaUnavailableError

from facet_worker.errors import ERRORS, FacetError
from facet_worker.serve.answers import Event
from facet_worker.serve.cluster.replica import Part

Headers = list[tuple[bytes, bytes]]
_TOLD_EVERY = 0.25


class Parts(Protocol):
    """What a replica answers, as Ray's handles give it."""

    def __aiter__(self) -> AsyncIterator[Part]: ...
    def __anext__(self) -> Any: ...
    def cancel(self) -> None: ...


class Refused(FacetError):
    """A replica's own refusal, to be passed on as it came."""

    def __init__(self, status: int, headers: Headers, body: bytes) -> None:
        try:
            said = json.loads(body)["error"]
            code = said["code"] if said["code"] in ERRORS else "internal"
            super().__init__(str(said["message"]), code, fix=str(said["fix"]))
        except (ValueError, KeyError, TypeError):
            super().__init__("The worker refused the request without saying why.", "internal")
        self.answer = (status, headers, body)


def as_ours(error: BaseException) -> FacetError | None:
    """What Ray throws, in the wire contract's codes; None for what is none of Ray's."""
    if isinstance(error, FacetError):
        return error
    if isinstance(error, BackPressureError):
        return FacetError("Every replica is busy and no more requests may wait.", "engine_busy", retry_after_s=5)
    if isinstance(error, RayActorError | WorkerCrashedError | ObjectLostError | ReplicaUnavailableError):
        return FacetError(
            "The replica that ran this request was lost; another is being started.",
            "engine_unavailable",
            fix="Run again.",
            retry_after_s=5,
        )
    if isinstance(error, DeploymentUnavailableError):
        return FacetError("No replica of this model is up.", "engine_unavailable", fix="Try again once one is.", retry_after_s=30)
    if isinstance(error, RayError):
        return FacetError("The replica failed while it answered.", "engine_failed")
    return None


class Waiting:
    """Who waits for a replica at this gateway, in the order in which they came: Ray serves them in it."""

    def __init__(self) -> None:
        self.line: list[object] = []

    def __len__(self) -> int:
        return len(self.line)


async def relay(
    ask: Callable[[], Parts], waiting: Waiting, tell: bool, accepted: Callable[[Any], None] = lambda _: None
) -> AsyncGenerator[bytes | Event, None]:
    """The bytes of a replica's answer, and before them, where `tell`, `queued` events while others are served. `accepted` gets that replica's options.

    Closing this frees the replica within one token. Throws `Refused`, and `FacetError`s for what Ray says; both also after events have gone out.
    """
    ticket, told = object(), -1
    waiting.line.append(ticket)
    parts: Parts | None = None
    try:
        parts = asked = ask()
        first = asyncio.ensure_future(asked.__anext__())
        # Whoever leaves while it waits asks for its outcome no more.
        first.add_done_callback(lambda done: done.cancelled() or done.exception())
        while not (await asyncio.wait({first}, timeout=_TOLD_EVERY))[0]:
            position = waiting.line.index(ticket)
            if tell and position != told:
                told = position
                yield {"type": "queued", "position": position}
        accepted((await first)[1])
        waiting.line.remove(ticket)
        status, headers = (await asked.__anext__())[1]
        if status != 200:
            raise Refused(status, headers, b"".join([body async for _, body in asked]))
        async for _, body in asked:
            yield body
    except (asyncio.CancelledError, GeneratorExit):
        if parts is not None:
            # Throws what the call itself threw, where that came first.
            with contextlib.suppress(Exception):
                parts.cancel()
        raise
    except Exception as error:
        ours = as_ours(error) or as_ours(error.__cause__ or error)
        if ours is None:
            raise
        raise ours from None
    finally:
        if ticket in waiting.line:
            waiting.line.remove(ticket)
