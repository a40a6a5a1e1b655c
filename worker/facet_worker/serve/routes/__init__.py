"""One file an endpoint; each makes its route from a host."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response

from facet_worker.errors import FacetError
from facet_worker.serve.body import Unread, drain
from facet_worker.serve.host import EngineHost

Handler = Callable[[Request], Awaitable[Response]]


def guarded(host: EngineHost, endpoint: str, handler: Handler) -> Handler:
    """A handler that is not begun where the line is full, and whose refusals are counted; what ends its stream is counted by the host."""

    async def handle(request: Request) -> Response:
        unread = Unread(request.receive)
        try:
            with host.reading():
                return await handler(Request(request.scope, unread))
        except FacetError as error:
            host.metrics.requests.labels(endpoint, error.code).inc()
            await drain(unread, host.settings.request_bytes)
            raise

    return handle
