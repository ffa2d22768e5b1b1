"""What schemathesis is told about our API: a client names each contact anew; a key sent twice is for trying again."""

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
