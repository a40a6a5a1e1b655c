"""The worker as an ASGI application."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response

from facet_worker.errors import FacetError
from facet_worker.serve.access import Access
from facet_worker.serve.answers import error_response, facet_error_handler
from facet_worker.serve.chat.routes import chat_routes
from facet_worker.serve.host import EngineHost
from facet_worker.serve.routes.activations import activations_route
from facet_worker.serve.routes.attribute import attribute_route
from facet_worker.serve.routes.features import features_route
from facet_worker.serve.routes.generate import generate_route
from facet_worker.serve.routes.state import state_routes
from facet_worker.serve.settings import Settings


async def _http_error(request: Request, error: Exception) -> Response:
    if isinstance(error, HTTPException) and error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "")
        wrong = FacetError(
            f"{request.url.path[:120]} is not asked with {request.method}.", "method_not_allowed", fix=f"Ask it with {allowed}."
        )
        response = error_response(wrong)
        response.headers["Allow"] = allowed
        return response
    return error_response(FacetError(f"This worker has nothing at {request.url.path[:120]}.", "not_found"))


def create_app(host: EngineHost, settings: Settings | None = None) -> Starlette:
    """Everything that a worker answers; `settings` are the host's own unless given."""
    settings = settings or host.settings
    app = Starlette(
        routes=[
            generate_route(host),
            features_route(host),
            activations_route(host),
            attribute_route(host),
            *chat_routes(host),
            *state_routes(host),
        ],
        middleware=[Middleware(Access, token=settings.token, drained=settings.request_bytes)],
        exception_handlers={FacetError: facet_error_handler, HTTPException: _http_error, Exception: facet_error_handler},
    )
    app.state.host = host
    return app
