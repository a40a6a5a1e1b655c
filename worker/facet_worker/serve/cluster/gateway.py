"""The HTTP side of a replica group: lets in, reads, hands on to a replica, and answers for replicas that are lost."""

from __future__ import annotations

import asyncio
import ipaddress
import json
from collections.abc import AsyncGenerator, Callable
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST
from ray import serve
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from facet_worker.errors import FacetError
from facet_worker.serve.access import Access
from facet_worker.serve.answers import Event, EventStream, error_response, ndjson
from facet_worker.serve.body import read_body
from facet_worker.serve.chat.routes import chat_error, server_sent
from facet_worker.serve.cluster.options import GroupOptions
from facet_worker.serve.cluster.relay import Refused, Waiting, relay

REPLICA = "Replica"
CHAT = "/v1/chat/completions"
_KEPT = ("/info", "/v1/models")
"""What is the same for every replica of a group, and asked for often."""
_STREAMS = ("/v1/generate", "/v1/attribute")


async def _nowhere(*_: object) -> None: ...


def _as_it_came(encode: Callable[[Event], bytes]) -> Callable[[Any], bytes]:
    """For a stream of a replica's bytes, and of the events that are added here."""
    return lambda part: part if isinstance(part, bytes) else encode(part)


def _is_streamed_chat(body: bytes) -> bool:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) and value.get("stream") is True


def _is_this_machine(address: str | None) -> bool:
    try:
        return address is not None and ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


class Gateway:
    """A Ray Serve deployment's class, its application's ingress. `replicas` is the handle that Ray gives."""

    def __init__(self, options: dict[str, Any], replicas: Any) -> None:
        group = GroupOptions.model_validate(options)
        self.settings = group.settings()
        self.access = Access(_nowhere, self.settings.token)
        self.replicas = replicas.options(stream=True)
        self.waiting = Waiting()
        self.options = options
        self.kept: dict[str, bytes] = {}

    async def __call__(self, request: Request) -> Response:
        """Every request."""
        path = request.scope["path"].removeprefix(request.scope.get("root_path", "")) or "/"
        refused = chat_error if path.startswith("/v1/chat") else error_response
        try:
            self._let_in(path, request)
            if path == "/health":
                return await self._health()
            if path in _KEPT and request.method == "GET":
                return Response(await self._kept_answer(path), media_type="application/json", headers={"Cache-Control": "no-store"})
            return await self._handed_on(path, request)
        except FacetError as error:
            return refused(error)

    async def dictionaries(self) -> list[str]:
        """References of what the replicas serve."""
        return [info["dictionary"]["ref"] for info in json.loads(await self._kept_answer("/info"))["dictionaries"]]

    def _let_in(self, path: str, request: Request) -> None:
        refusal = self.access.refusal(path, request.headers)
        if refusal is not None:
            raise refusal
        # Ray binds the socket, wherever its config says: without a token, only this machine's programs are answered all the same.
        if self.settings.token is None and not _is_this_machine(request.client.host if request.client else None):
            raise FacetError(
                "This worker has no token, so it answers only to programs on its own machine.", "forbidden", fix="Set FACET_WORKER_TOKEN."
            )

    def _scope(self, path: str, request: Request) -> dict[str, Any]:
        kept = ("type", "http_version", "method", "scheme", "query_string", "headers", "client", "server")
        scope = {name: request.scope[name] for name in kept if name in request.scope}
        return {**scope, "path": path, "raw_path": path.encode(), "root_path": ""}

    async def _handed_on(self, path: str, request: Request) -> Response:
        body = await read_body(request, self.settings)
        scope = self._scope(path, request)
        streamed_chat = path == CHAT and await asyncio.to_thread(_is_streamed_chat, body)
        tell = streamed_chat or path in _STREAMS
        parts: Any = relay(lambda: self.replicas.answer.remote(scope, body), self.waiting, tell)
        refused = _passed_chat if path == CHAT else _passed
        if streamed_chat:
            return EventStream(parts, _as_it_came(server_sent), "text/event-stream", refused=refused, alive=b":\n\n")
        if tell:
            return EventStream(parts, _as_it_came(ndjson), refused=refused)
        kind = CONTENT_TYPE_LATEST if path == "/metrics" else "application/json"
        return EventStream(_joined(parts), _as_it_came(ndjson), kind, refused=refused)

    async def _kept_answer(self, path: str) -> bytes:
        if path in self.kept:
            return self.kept[path]
        token = self.settings.token
        headers = [(b"host", b"localhost"), *([(b"authorization", f"Bearer {token}".encode())] if token else [])]
        target = {"path": path, "raw_path": path.encode(), "root_path": "", "query_string": b""}
        scope = {"type": "http", "http_version": "1.1", "method": "GET", "scheme": "http", "headers": headers, **target}
        made_of: list[Any] = []
        found = relay(lambda: self.replicas.answer.remote(scope, b""), self.waiting, False, made_of.append)
        answer = b"".join([part async for part in found if isinstance(part, bytes)])
        # While a change is rolled out, a replica that is still the old one may have answered.
        if made_of == [self.options]:
            self.kept[path] = answer
        return answer

    async def _health(self) -> Response:
        """By Ray's own checks, which run each replica's device."""
        here = serve.get_replica_context()
        status = await asyncio.to_thread(serve.status)
        states = status.applications[here.app_name].deployments[REPLICA].replica_states
        up = {str(getattr(state, "value", state)): count for state, count in states.items()}
        if not up.get("RUNNING"):
            raise FacetError("No replica of this model is up.", "engine_unavailable", fix="Try again once one is.", retry_after_s=30)
        return JSONResponse({"status": "ok", "replicas": up, "waiting": len(self.waiting)}, headers={"Cache-Control": "no-store"})


async def _joined(parts: AsyncGenerator[Any, None]) -> AsyncGenerator[Any, None]:
    """The whole answer as one part: until it is there, a lost replica is answered with a status."""
    try:
        whole = b"".join([part async for part in parts])
    finally:
        await parts.aclose()
    yield whole


def _verbatim(status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> Response:
    response = Response(body, status)
    response.raw_headers[:] = [
        *((n, v) for n, v in headers if n.lower() != b"content-length"),
        (b"content-length", str(len(body)).encode()),
    ]
    return response


def _passed(error: FacetError) -> Response:
    return _verbatim(*error.answer) if isinstance(error, Refused) else error_response(error)


def _passed_chat(error: FacetError) -> Response:
    return _verbatim(*error.answer) if isinstance(error, Refused) else chat_error(error)
