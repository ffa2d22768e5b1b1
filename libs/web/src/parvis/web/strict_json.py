"""Reads JSON bodies strictly: no name twice in one object, no NaN or Infinity (RFC 8259)."""

import json
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import HTTPException, Request, Response
from fastapi.routing import APIRoute


class NotStrictJson(ValueError):
    """JSON that Python reads and RFC 8259 does not define: two programs would read it differently."""


def load_strict_json(body: bytes) -> Any:
    """The document of a body in UTF-8. Raises: ValueError, RecursionError."""
    return json.loads(body.decode("utf-8"), parse_constant=_refuse_constant, object_pairs_hook=_unique_names)


def _refuse_constant(name: str) -> None:
    raise NotStrictJson(f"{name} is no JSON number")


def _unique_names(members: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose names are unique (RFC 8259 §4): of two values, one would be lost."""
    found = dict(members)
    if len(found) != len(members):
        raise NotStrictJson("a name twice in one object")
    return found


class _StrictRequest(Request):
    async def json(self) -> Any:
        if not hasattr(self, "_json"):
            try:
                self._json = load_strict_json(await self.body())
            except NotStrictJson as error:
                raise HTTPException(400, str(error)) from error
        return self._json


class StrictJsonRoute(APIRoute):
    """A route whose JSON body is read strictly: 400 when it is not. Set it as `app.router.route_class` before the routes."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def read_strictly(request: Request) -> Response:
            return await handle(_StrictRequest(request.scope, request.receive))

        return read_strictly
