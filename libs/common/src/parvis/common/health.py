"""What /live, /ready and /metrics say of a process."""

from dataclasses import dataclass, field

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest


@dataclass
class Health:
    """The standing of a service: each part it depends on is fine (None) or says what is wrong.

    Ready when every part is fine. Live until `dead` is said: a part that waits for the world does not end the process.
    """

    parts: dict[str, str | None] = field(default_factory=dict[str, str | None])
    dead: str | None = None

    def good(self, part: str) -> None:
        self.parts[part] = None

    def bad(self, part: str, why: str) -> None:
        self.parts[part] = why

    @property
    def ready(self) -> bool:
        return self.dead is None and not any(self.parts.values())


def routes(health: Health) -> APIRouter:
    """The three pages every service has, for Kubernetes and for `parvis up`."""
    router = APIRouter(include_in_schema=False)

    @router.get("/live")
    async def live() -> JSONResponse:
        return JSONResponse({"dead": health.dead}, status_code=200 if health.dead is None else 503)

    @router.get("/ready")
    async def ready() -> JSONResponse:
        body = {name: why or "ok" for name, why in health.parts.items()}
        return JSONResponse(body, status_code=200 if health.ready else 503)

    @router.get("/metrics")
    async def metrics() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    _ = live, ready, metrics
    return router
