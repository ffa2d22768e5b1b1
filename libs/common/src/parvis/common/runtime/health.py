"""Tracks whether the parts of a service work, and serves /live, /ready and /metrics."""

from dataclasses import dataclass, field

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route


@dataclass
class Health:
    """The state of a service's parts: None for one that works, else what is wrong; notes are for the operator.

    Ready when every part works. Live until `dead` is set: a part that waits for Kafka or PostgreSQL does not end the process.
    """

    parts: dict[str, str | None] = field(default_factory=dict[str, str | None])
    notes: dict[str, str] = field(default_factory=dict[str, str])
    dead: str | None = None

    def mark_ok(self, part: str) -> None:
        self.parts[part] = None

    def mark_failing(self, part: str, reason: str) -> None:
        self.parts[part] = reason

    def add_note(self, name: str, fact: str) -> None:
        """Show a fact on /ready that does not decide whether the service is ready."""
        self.notes[name] = fact

    @property
    def is_ready(self) -> bool:
        return self.dead is None and not any(self.parts.values())


def health_routes(health: Health) -> list[Route]:
    """Build the three pages that every service has, for Kubernetes and for `parvis up`."""

    async def live(_: Request) -> Response:
        return JSONResponse({"dead": health.dead}, status_code=200 if health.dead is None else 503)

    async def ready(_: Request) -> Response:
        body = {name: why or "ok" for name, why in health.parts.items()} | health.notes
        return JSONResponse(body, status_code=200 if health.is_ready else 503)

    async def metrics(_: Request) -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    pages = {"/live": live, "/ready": ready, "/metrics": metrics}
    return [Route(path, page, include_in_schema=False) for path, page in pages.items()]
