"""Tests the ten cases that the demo leaves on the desk, and what it says at its end."""

import asyncio
from collections.abc import Generator
from datetime import UTC, datetime
from typing import Any

import pytest

from parvis.local.demo.agents import DemoAgents
from parvis.local.demo.open_cases import COUNT
from parvis.local.demo.report import render_next_steps
from parvis.local.demo.scenario import DemoCast, leave_open_cases
from parvis.local.stack import Stack

pytestmark = [pytest.mark.journey, pytest.mark.stack]


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Generator[Stack]:
    """A town of its own: where other cases are open, the demo adds none."""
    with Stack.start(tmp_path_factory.mktemp("demo"), outside=True) as stack:
        yield stack


@pytest.fixture(scope="module")
def counts(town: Stack) -> dict[str, int]:
    return asyncio.run(leave_open_cases(town, DemoCast()))


@pytest.fixture(scope="module")
def cases(town: Stack, counts: dict[str, int]) -> list[dict[str, Any]]:
    async def read() -> list[dict[str, Any]]:
        async with DemoAgents(town) as agents:
            return [case for department in counts for case in await agents.cases(department)]

    return asyncio.run(read())


def test_ten_cases_are_open_and_a_second_demo_adds_none(town: Stack, counts: dict[str, int]):
    assert sum(counts.values()) >= COUNT
    assert asyncio.run(leave_open_cases(town, DemoCast())) == counts


def test_they_came_by_every_channel(cases: list[dict[str, Any]]):
    assert {case["channel"] for case in cases} >= {"sms", "whatsapp", "email", "web", "post", "counter", "phone"}


def test_one_is_late_one_a_danger_and_one_answer_came_back(cases: list[dict[str, Any]]):
    now = datetime.now(UTC)

    assert [case["department"] for case in cases if "danger" in case["tags"]] == ["police-municipale"]
    assert any(case["undelivered"] for case in cases)
    late = [case for case in cases if case["answer_due_at"] and datetime.fromisoformat(case["answer_due_at"]) < now]
    assert [case["channel"] for case in late] == ["post"]


def test_the_end_says_as_whom_to_enter_and_one_command_to_copy(town: Stack, counts: dict[str, int]):
    said = render_next_steps(town, counts, "P-7F3K-2Q9X-M4TC")

    assert f"État civil: {counts['etat-civil']} cases" in said
    assert said.rstrip().endswith("parvis trace P-7F3K-2Q9X-M4TC")
