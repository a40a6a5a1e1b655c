"""`GET /info`, `/health` and `/metrics`: what this worker is, whether it works, and what it did."""

from __future__ import annotations

import time

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from facet_worker.serve.host import EngineHost
from facet_worker.serve.settings import PROTOCOL


def state_routes(host: EngineHost) -> list[Route]:
    """Of that host."""
    settings, first = host.settings, host.infos[0]

    async def info(_request: Request) -> Response:
        limits = {
            "requestBytes": settings.request_bytes,
            "imagePixels": settings.image_pixels,
            "maxPositions": first["maxPositions"],
            "concurrency": host.concurrency,
            "queue": settings.queue,
        }
        identity = {"protocol": PROTOCOL, "name": first["name"], "version": first["version"]}
        place = {"device": str(host.device), "dtype": first["dtype"], "taps": settings.taps}
        return JSONResponse({**identity, **place, "limits": limits, "dictionaries": host.infos}, headers={"Cache-Control": "no-store"})

    async def health(_request: Request) -> Response:
        started = time.perf_counter()
        await host.check()
        took = round(1e3 * (time.perf_counter() - started), 2)
        state = {"status": "ok", "device": str(host.device), "deviceMs": took, "running": host.line.running, "waiting": len(host.line)}
        return JSONResponse(state, headers={"Cache-Control": "no-store"})

    async def metrics(_request: Request) -> Response:
        return Response(generate_latest(host.metrics.registry), media_type=CONTENT_TYPE_LATEST)

    return [Route("/info", info), Route("/health", health), Route("/metrics", metrics)]
