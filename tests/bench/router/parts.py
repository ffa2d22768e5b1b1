"""Runs the router without one of its parts, to measure what it costs: `python -m tests.bench.router.parts decisions`.

The production code has no switch for this. The benchmark counts notices and rows after each race, which shows whether the
part was really removed.
"""

import sys
from collections.abc import Callable
from typing import Any

from parvis.common.runtime.service import run_service
from parvis.router.app import build
from parvis.router.consume import record_factory
from parvis.router.decide.conversation_working_set import ConversationWorkingSet
from parvis.router.store import conversation_lookup, conversations, decisions, new_conversations


def without_notices() -> None:
    """Remove the notices to citizens."""
    setattr(record_factory, "registration_notice", _nothing)  # noqa: B010 (a name of another module)
    setattr(record_factory, "receipt_notice", _nothing)  # noqa: B010


def without_rows() -> None:
    """Keep only rules and records: every contact opens a conversation, nothing is stored or locked."""
    without_notices()
    setattr(new_conversations, "insert_new_conversations", _at_once(set))  # noqa: B010
    setattr(decisions, "find_decisions", _at_once(dict))  # noqa: B010
    setattr(decisions, "insert_decisions", _nothing_later)  # noqa: B010
    setattr(conversation_lookup, "lock_candidates", _at_once(ConversationWorkingSet))  # noqa: B010
    setattr(conversations, "record_references", _at_once(list))  # noqa: B010


def _nothing(*_: object, **__: object) -> None:
    return None


async def _nothing_later(*_: object, **__: object) -> None:
    return None


def _at_once(make: Callable[[], object]) -> Any:
    async def answer(*_: object, **__: object) -> object:
        return make()

    return answer


if __name__ == "__main__":
    {"decisions": without_notices, "without-rows": without_rows}[sys.argv[1]]()
    run_service("router", build)
