"""`POST /v1/features`: which features fire on a picture, cell by cell."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from facet_worker.serve.answers import EventStream
from facet_worker.serve.body import read_json
from facet_worker.serve.host import EngineHost
from facet_worker.serve.images import Picture, open_pictures
from facet_worker.serve.routes import guarded
from facet_worker.serve.schemas import BodySchema


def features_route(host: EngineHost) -> Route:
    """On that host's engine."""
    schema, settings = BodySchema("analyse"), host.settings

    def read(value: Any) -> tuple[dict[str, Any], Picture]:
        body = schema.parse(value)
        return body, open_pictures([body["image"]], settings.image_pixels)[0]

    async def features(request: Request) -> Response:
        body, picture = await asyncio.to_thread(read, await read_json(request, settings))

        async def answer() -> AsyncGenerator[dict[str, Any], None]:
            yield await host.features(body["request"], picture.pixels)

        # A stream of one, so that a client that leaves gives up its place.
        return EventStream(answer(), media_type="application/json")

    return Route("/v1/features", guarded(host, "features", features), methods=["POST"])
