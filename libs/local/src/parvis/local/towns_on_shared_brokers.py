"""Starts one town after another on the same brokers, each with its own topics and database, for tests."""

import asyncio
import itertools
from collections.abc import Coroutine, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from parvis.common.bus import admin
from parvis.common.cli.migrations import services_with_migrations
from parvis.common.contract.errors import Misconfigured
from parvis.common.contract.topics import Topic, all_topics
from parvis.common.storage.postgres import migrate
from parvis.common.town.loading import load_town_config
from parvis.local import host_environment
from parvis.local.stack import Stack


class TownsOnSharedBrokers:
    """Starts towns on shared brokers: brokers of its own cost a town more processor time than all its services.

    One at a time, so that towns do not compete for the processor. A town that kills, pauses or changes a broker needs
    brokers of its own: `Stack.start`.
    """

    def __init__(self, brokers: Stack) -> None:
        self._brokers = brokers
        self._numbers = itertools.count(1)
        self._is_open = False

    @property
    def kafka(self) -> str:
        """The shared Kafka, for a town with a PostgreSQL of its own."""
        return self._brokers.kafka

    @contextmanager
    def start(
        self,
        var: Path,
        *,
        services: Sequence[str],
        outside: bool = False,
        environment: Mapping[str, str] | None = None,
    ) -> Generator[Stack]:
        """Start the example town on the shared Kafka and PostgreSQL; otherwise as `Stack.start`.

        Raises: Misconfigured, when another town runs; else as `Stack.start`.
        """
        if self._is_open:
            raise Misconfigured(
                "another town runs on these brokers", mend="stop it first, or start this one with `Stack.start`"
            )
        self._is_open, name = True, f"town-{next(self._numbers)}"
        try:
            shared = self._create_topics_and_database(name)
            with Stack.start(
                var, services=services, outside=outside, prepare=False, environment={**(environment or {}), **shared}
            ) as stack:
                yield stack
        finally:
            self._remove_topics_and_database(name)
            self._is_open = False

    def _create_topics_and_database(self, name: str) -> dict[str, str]:
        """Create a town's topics and tables. Gives the settings that point its services to them."""
        _run_in_thread(admin.apply_topics(self._brokers.kafka, self._topics, prefix=name, replication=1))
        return {
            "PARVIS_KAFKA_BOOTSTRAP": self._brokers.kafka,
            "PARVIS_TOPIC_PREFIX": name,
            "PARVIS_DATABASE_URL": self._brokers.new_database(name, copy_of=self._template_database),
        }

    def _remove_topics_and_database(self, name: str) -> None:
        _run_in_thread(admin.remove_topics(self._brokers.kafka, self._topics, prefix=name))
        self._brokers.drop_database(name)

    @cached_property
    def _topics(self) -> list[Topic]:
        return all_topics(list(load_town_config(host_environment.config_dir()).departments))

    @cached_property
    def _template_database(self) -> str:
        """A migrated database to copy: a copy takes 0.2 s, the migrations take 2 s."""
        name = "empty-town"
        url = self._brokers.new_database(name)
        for schema, folder in services_with_migrations().items():
            _run_in_thread(migrate(url, schema, folder))
        return name


def _run_in_thread(work: Coroutine[Any, Any, object]) -> None:
    """Run a coroutine in a thread with its own event loop, because the caller's loop may be running."""
    with ThreadPoolExecutor(1, thread_name_prefix="towns") as thread:
        thread.submit(asyncio.run, work).result()
