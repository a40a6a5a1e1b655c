"""`POST /v1/generate`: runs a request and streams the engine's events, one JSON object a line."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from facet_worker.errors import FacetError
from facet_worker.serve.answers import EventStream
from facet_worker.serve.body import read_json
from facet_worker.serve.host import EngineHost
from facet_worker.serve.images import Picture, Pictures, name_images, open_pictures
from facet_worker.serve.routes import guarded
from facet_worker.serve.schemas import BodySchema
from facet_worker.serve.taps import tap_of


def generate_route(host: EngineHost) -> Route:
    """On that host's engine."""
    schema, settings = BodySchema("generate"), host.settings

    def read(value: Any) -> tuple[dict[str, Any], list[Picture]]:
        body = schema.parse(value)
        if "tap" in body and not settings.taps:
            raise FacetError("This worker shows no hidden states.", "forbidden", fix="Start it with --taps, for tests and measurements.")
        name_images(body["request"], body["images"])
        return body, open_pictures(body["images"], settings.image_pixels)

    async def generate(request: Request) -> Response:
        body, pictures = await asyncio.to_thread(read, await read_json(request, settings))
        units = {int(feature): float(unit) for feature, unit in body["units"].items()}
        tap = partial(tap_of, body["tap"]) if "tap" in body else None
        return EventStream(host.generate(body["request"], Pictures(pictures), units, tap))

    return Route("/v1/generate", guarded(host, "generate", generate), methods=["POST"])
