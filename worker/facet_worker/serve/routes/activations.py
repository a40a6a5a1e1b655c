"""`POST /v1/activations`: which features fire on the prompt of some messages, images and words apart, whole and position by position."""

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
from facet_worker.serve.images import Picture, Pictures, name_images, open_pictures
from facet_worker.serve.routes import guarded
from facet_worker.serve.schemas import BodySchema


def activations_route(host: EngineHost) -> Route:
    """On that host's engine."""
    schema, settings = BodySchema("activations"), host.settings

    def read(value: Any) -> tuple[dict[str, Any], list[Picture]]:
        body = schema.parse(value)
        name_images(body["request"], body["images"])
        return body, open_pictures(body["images"], settings.image_pixels)

    async def activations(request: Request) -> Response:
        body, pictures = await asyncio.to_thread(read, await read_json(request, settings))

        async def answer() -> AsyncGenerator[dict[str, Any], None]:
            yield await host.activations(body["request"], Pictures(pictures))

        # A stream of one, so that a client that leaves gives up its place.
        return EventStream(answer(), media_type="application/json")

    return Route("/v1/activations", guarded(host, "activations", activations), methods=["POST"])
