"""Gives each schemathesis call an Idempotency-Key of its own, because a key sent twice means a retry."""

import re
import uuid
from typing import Any

import schemathesis

_KEY = re.compile(r'"[!#-~]{1,198}"|[!#-~]{1,200}')


@schemathesis.hook
def before_call(_context: Any, case: Any, _options: dict[str, Any]) -> None:
    given = (case.headers or {}).get("Idempotency-Key")
    if isinstance(given, str) and _KEY.fullmatch(given):
        case.headers["Idempotency-Key"] = f'"{uuid.uuid4()}"'
