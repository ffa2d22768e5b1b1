"""Refuses requests for host names that are not the desk's own, except for the pages that a probe asks for by address."""

from collections.abc import Sequence

from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

_PROBES = frozenset({"/live", "/ready", "/metrics"})


class OwnHosts:
    """ASGI middleware against DNS rebinding: another site must not reach the desk through a name of its own that resolves to it."""

    def __init__(self, app: ASGIApp, hosts: Sequence[str]) -> None:
        self._app = app
        self._checked = TrustedHostMiddleware(app, allowed_hosts=[host for host in hosts if host], www_redirect=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_probe = scope["type"] == "http" and scope["path"] in _PROBES
        await (self._app if is_probe else self._checked)(scope, receive, send)
