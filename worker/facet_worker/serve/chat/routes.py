"""`POST /v1/chat/completions` and `GET /v1/models`, as OpenAI's clients ask for them."""

from __future__ import annotations

import asyncio
import json
import secrets
import threading
import time
from collections.abc import AsyncGenerator
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from facet_worker.errors import FacetError
from facet_worker.serve.answers import Event, EventStream, error_response
from facet_worker.serve.body import read_json
from facet_worker.serve.chat.answer import ChatAnswer, openai_error
from facet_worker.serve.chat.body import ChatFieldError, ChatRequest, read_chat
from facet_worker.serve.host import EngineHost
from facet_worker.serve.images import Picture, Pictures, open_pictures
from facet_worker.serve.routes import Handler, guarded
from facet_worker.serve.schemas import BodySchema

ENDPOINT = "chat"
END = b"data: [DONE]\n\n"


def chat_error(error: FacetError) -> Response:
    """The status and headers of our own errors, in OpenAI's shape."""
    headers = {name: value for name, value in error_response(error).headers.items() if name not in ("content-length", "content-type")}
    # OpenAI's client would try a 409 or a 500 again whatever it is.
    headers["x-should-retry"] = "true" if error.retry else "false"
    return JSONResponse(openai_error(error), error.status, headers)


def _as_openai(handler: Handler) -> Handler:
    async def handle(request: Request) -> Response:
        try:
            return await handler(request)
        except FacetError as error:
            return chat_error(error)

    return handle


def server_sent(event: Event) -> bytes:
    """One message of an event stream; a place in the line becomes a comment, which clients skip and which keeps the connection alive."""
    if event.get("type") == "queued":
        return f": {event['position']} ahead in the line\n\n".encode()
    if event.get("type") == "error":
        said = event["error"]
        event = openai_error(FacetError(said["message"], said["code"], fix=said["fix"]))
    return b"data: " + json.dumps(event, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode() + b"\n\n"


class _Asked:
    """A body that was read: what it asks for, valid, and its pictures."""

    def __init__(self, body: Any, schema: BodySchema, pixels: int) -> None:
        self.chat: ChatRequest = read_chat(body)
        try:
            self.request = self.chat.for_engine(schema.parse(self.chat.request))
        except ChatFieldError:
            raise
        except FacetError as error:
            # The wire contract's schema names the field, before a colon.
            raise ChatFieldError(str(error).partition(":")[0], str(error)) from None
        self.pictures: list[Picture] = open_pictures(self.chat.images, pixels)


def chat_routes(host: EngineHost) -> list[Route]:
    """On that host's engine."""
    schema, settings = BodySchema("generate-request"), host.settings

    async def chat(request: Request) -> Response:
        body = await read_json(request, settings)
        asked = await asyncio.to_thread(_Asked, body, schema, settings.image_pixels)
        enough = threading.Event()
        answer = ChatAnswer(asked.chat, f"chatcmpl-{secrets.token_hex(12)}", int(time.time()), enough.set)
        units = {int(feature): unit for feature, unit in asked.chat.units.items()}
        events = host.generate(asked.request, Pictures(asked.pictures), units, endpoint=ENDPOINT, enough=enough.is_set)
        if asked.chat.stream:
            return EventStream(_chunks(events, answer), server_sent, "text/event-stream", end=END, refused=chat_error, alive=b":\n\n")
        # A stream of one, so that a client that leaves gives up its place.
        return EventStream(_whole(events, answer), _json, "application/json", refused=chat_error)

    async def models(_request: Request) -> Response:
        return JSONResponse({"object": "list", "data": [_model(info) for info in host.infos]}, headers={"Cache-Control": "no-store"})

    async def model(request: Request) -> Response:
        ref = request.path_params["ref"]
        found = next((info for info in host.infos if info["dictionary"]["ref"] == ref), None)
        if found is None:
            served = ", ".join(info["dictionary"]["ref"] for info in host.infos)
            return chat_error(FacetError(f"This worker serves {served}, not {ref[:200]}.", "dictionary_not_found"))
        return JSONResponse(_model(found), headers={"Cache-Control": "no-store"})

    return [
        Route("/v1/chat/completions", _as_openai(guarded(host, ENDPOINT, chat)), methods=["POST"]),
        Route("/v1/models", models),
        Route("/v1/models/{ref:path}", model),
    ]


def _model(info: dict[str, Any]) -> dict[str, Any]:
    """A dictionary as a model: what is chosen by `model` is a model with the features that can be clamped."""
    return {"id": info["dictionary"]["ref"], "object": "model", "created": 0, "owned_by": "facet", "facet": info}


def _json(event: Event) -> bytes:
    return json.dumps(event, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


async def _chunks(events: AsyncGenerator[Event, None], answer: ChatAnswer) -> AsyncGenerator[Event, None]:
    try:
        async for event in events:
            if event["type"] == "queued":
                yield event
                continue
            for chunk in answer.feed(event):
                yield chunk
    finally:
        await events.aclose()


async def _whole(events: AsyncGenerator[Event, None], answer: ChatAnswer) -> AsyncGenerator[Event, None]:
    try:
        async for event in events:
            for _ in answer.feed(event):
                pass
    finally:
        await events.aclose()
    yield answer.completion()
