"""Runs the router with one piece of its speed replaced by the plain way: `python -m tests.bench.router.without msgspec`."""

import asyncio
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from aiokafka.partitioner import murmur2

from parvis.common.bus import cloudevents, producer, producer_batches
from parvis.common.contract import pydantic_to_msgspec


def without_msgspec() -> None:
    """Read, build and write the pydantic models themselves. Before anything of the router is imported."""
    setattr(pydantic_to_msgspec, "msgspec_struct", _as_it_is)  # noqa: B010 (a name of another module)
    for module in (pydantic_to_msgspec, cloudevents):
        setattr(module, "json_decoder", _model_decoder)  # noqa: B010
        setattr(module, "encode_json", _encode_model)  # noqa: B010


def _as_it_is(model: Any) -> Any:
    return model


def _model_decoder(model: Any) -> Any:
    return model.model_validate_json


def _encode_model(model: Any) -> bytes:
    return model.model_dump_json(exclude_none=True, by_alias=True).encode()


def without_record_batches() -> None:
    """Hand each record to aiokafka's own send(), which hashes its key and gives a future of its own."""

    async def send_each(self: Any, records: Sequence[Any], ends_at: float) -> None:
        kafka = await self._connected_client(ends_at)
        futures = [
            await kafka.send(record.topic, value=record.value, key=record.key, headers=list(record.headers))
            for record in records
        ]
        async with asyncio.timeout(ends_at - time.monotonic()):
            await asyncio.gather(*futures)

    setattr(producer.Producer, "_send_batches", send_each)  # noqa: B010


def without_partitioner() -> None:
    """Hash key by key, as aiokafka does."""
    hashes: Callable[[Sequence[bytes]], list[int]] = lambda keys: [murmur2(key) & 0x7FFFFFFF for key in keys]  # noqa: E731
    setattr(producer_batches, "murmur2_hashes", hashes)  # noqa: B010


def without_phrase_trie() -> None:
    """Give every word and phrase to RE2, however many there are."""
    from parvis.router.rules import rule_compiler

    setattr(rule_compiler, "_TRIE_FROM_PHRASES", sys.maxsize)  # noqa: B010


def without_new_conversations() -> None:
    """Assign every contact under row locks, as those are that continue a conversation."""
    from parvis.router.consume.contact_assignment import ContactAssigner

    async def open_none(*_: object) -> dict[str, object]:
        return {}

    setattr(ContactAssigner, "open_conversations", open_none)  # noqa: B010


def without_pipeline() -> None:
    """Finish each batch before the next begins."""
    from parvis.common.bus import consumer

    class Plain(consumer.Consumer):
        def __init__(self, *arguments: Any, stages: object, **named: Any) -> None:
            del stages
            super().__init__(*arguments, **named)

    setattr(consumer, "Consumer", Plain)  # noqa: B010


PIECES = {
    "msgspec": without_msgspec,
    "record-batches": without_record_batches,
    "partitioner": without_partitioner,
    "phrase-trie": without_phrase_trie,
    "new-conversations": without_new_conversations,
    "pipeline": without_pipeline,
}

if __name__ == "__main__":
    PIECES[sys.argv[1]]()
    from parvis.common.runtime.service import run_service
    from parvis.router.app import build

    run_service("router", build)
