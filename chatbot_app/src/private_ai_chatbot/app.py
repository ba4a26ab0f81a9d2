"""The two ASGI applications: the visitors' one, and metrics and probes for a port of their own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Scope

from . import __version__
from .config import Settings
from .edge import Edge
from .endpoints import Chat, Question, Service
from .errors import ApiError

_METRICS_MAX_AGE_SECONDS = 5.0
STATIC = Path(__file__).parent / "static"


class _PageFiles(StaticFiles):
    """Files that a browser keeps but asks about each time: a new version is seen at once."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["cache-control"] = "no-cache"
        return response


def create_app(service: Service) -> ASGIApp:
    """The application for visitors."""
    settings = service.settings

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        yield
        await service.aclose()

    async def config(_request: Request) -> Response:
        return JSONResponse(_page_config(settings))

    async def backend_status(_request: Request) -> Response:
        await service.backend.refresh()
        return JSONResponse(_backend_status(service))

    async def models(_request: Request) -> Response:
        model = {"id": settings.model_name, "object": "model", "created": 0, "owned_by": "private"}
        return JSONResponse({"object": "list", "data": [model]})

    async def index(_request: Request) -> Response:
        if not (STATIC / "index.html").is_file():
            raise ApiError(404, "The page is not part of this installation.", code="not_found")
        return FileResponse(STATIC / "index.html", headers={"Cache-Control": "no-cache"})

    app = Starlette(
        routes=[
            Route("/", index),
            Route("/v1/chat/completions", Chat(service), methods=["POST"]),
            Route("/v1/models", models),
            Route("/api/completions", Question(service), methods=["POST"]),
            Route("/api/backend-status", backend_status),
            Route("/api/config", config),
            *_probes(service),
            Mount(
                "/static", GZipMiddleware(_PageFiles(directory=STATIC, check_dir=False), minimum_size=1024)
            ),
        ],
        exception_handlers={ApiError: _api_error, HTTPException: _http_error},
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    return Edge(app, settings.root_path)


def create_metrics_app(service: Service) -> ASGIApp:
    """`/metrics`, and the probes again: they go on answering while the visitors' port drains."""

    async def metrics(_request: Request) -> Response:
        # Without visitors nobody else asks, and a broken link has to be seen all the same.
        await service.backend.refresh(_METRICS_MAX_AGE_SECONDS)
        return Response(generate_latest(service.metrics.registry), media_type=CONTENT_TYPE_LATEST)

    app = Starlette(
        routes=[Route("/metrics", metrics), *_probes(service)],
        exception_handlers={HTTPException: _http_error},
    )
    return Edge(app)


def _probes(service: Service) -> list[Route]:
    async def healthz(_request: Request) -> Response:
        return JSONResponse({"status": "ok", "version": __version__})

    async def readyz(_request: Request) -> Response:
        # An absent model does not make this replica unready: the page is what tells visitors about it.
        status_code = 503 if service.draining else 200
        status = "draining" if service.draining else "ready"
        return JSONResponse({"status": status, "upstream": service.backend.state}, status_code)

    return [Route("/healthz", healthz), Route("/readyz", readyz)]


def _page_config(settings: Settings) -> dict[str, object]:
    return {
        "title": settings.title,
        "language": settings.language,
        "model": settings.model_name,
        "version": __version__,
        "limits": {
            "max_message_chars": settings.max_message_chars,
            "max_messages": settings.max_messages,
            "max_tokens": settings.max_tokens,
        },
        "system_prompt": settings.system_prompt or None,
        "temperature": settings.temperature,
        "top_p": settings.top_p,
    }


def _backend_status(service: Service) -> dict[str, object]:
    backend, gateway = service.backend, service.backend.gateway
    return {
        "status": backend.state,
        "address": urlsplit(service.settings.address).hostname,
        "reason": backend.reason,
        "queued": gateway.queued if gateway else None,
        "active": gateway.active if gateway else None,
        "up": gateway.up if gateway else None,
        "limit": gateway.limit if gateway else None,
    }


async def _api_error(_request: Request, exc: Exception) -> Response:
    assert isinstance(exc, ApiError)
    return JSONResponse(exc.body(), exc.status, exc.headers())


async def _http_error(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, HTTPException)
    code = {404: "not_found", 405: "method_not_allowed"}.get(exc.status_code, "error")
    error = ApiError(exc.status_code, f"{request.method} is not possible here: {exc.detail}.", code=code)
    return JSONResponse(error.body(), exc.status_code, dict(exc.headers or {}))


def build(settings: Settings, transport: httpx.AsyncBaseTransport | None = None) -> tuple[Service, ASGIApp]:
    """A service and its application."""
    service = Service(settings, transport)
    return service, create_app(service)


__all__ = ["Scope", "build", "create_app", "create_metrics_app"]
