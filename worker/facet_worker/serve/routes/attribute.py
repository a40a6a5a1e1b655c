"""`POST /v1/attribute`: which features make a token of an answer what it is; streams the engine's events, one JSON object a line."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from facet_worker.serve.answers import EventStream
from facet_worker.serve.body import read_json
from facet_worker.serve.host import EngineHost
from facet_worker.serve.images import Picture, Pictures, name_images, open_pictures
from facet_worker.serve.routes import guarded
from facet_worker.serve.schemas import BodySchema


def attribute_route(host: EngineHost) -> Route:
    """On that host's engine."""
    schema, settings = BodySchema("attribute"), host.settings

    def read(value: Any) -> tuple[dict[str, Any], list[Picture]]:
        body = schema.parse(value)
        name_images(body["request"], body["images"])
        return body, open_pictures(body["images"], settings.image_pixels)

    async def attribute(request: Request) -> Response:
        body, pictures = await asyncio.to_thread(read, await read_json(request, settings))
        units = {int(feature): float(unit) for feature, unit in body["units"].items()}
        return EventStream(host.attribute(body["request"], Pictures(pictures), units))

    return Route("/v1/attribute", guarded(host, "attribute", attribute), methods=["POST"])
