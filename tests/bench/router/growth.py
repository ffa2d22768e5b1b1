"""Measures the cost per contact with more rules and more stored decisions, and memory over a long run."""

import os
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from tests.bench.measure import Bench, Incomplete, Measure
from tests.bench.router import stored, work
from tests.bench.router.contenders import CONTENDERS
from tests.bench.router.race import Broken, Lap
from tests.bench.router.town import Town, router_group

EVENTS = int(os.environ.get("PARVIS_BENCH_EVENTS", "100000"))  # noqa: TID251 (a benchmark's own knobs)
ROUNDS = int(os.environ.get("PARVIS_BENCH_ROUNDS", "3"))  # noqa: TID251
STORED = [int(each) for each in os.environ.get("PARVIS_BENCH_DECISIONS", "1000000,10000000").split(",")]  # noqa: TID251
LONG_RUN = int(os.environ.get("PARVIS_BENCH_LONG_RUN", "1000000"))  # noqa: TID251 (0 leaves it out)
RULES = (10, 100, 1000)


async def run(folder: Path) -> Sequence[Measure]:
    """Run all questions. Raises: Incomplete, when the router failed."""
    growth = Growth(folder)
    try:
        await growth.measure_rules()
        await growth.measure_decisions()
        await growth.measure_memory()
    except (Broken, SQLAlchemyError) as error:
        raise Incomplete(growth.measures, [str(error)]) from error
    return growth.measures


@dataclass
class Growth:
    """Runs each question on a stack of its own, so that they do not influence each other."""

    folder: Path
    measures: list[Measure] = field(default_factory=list[Measure])

    async def measure_rules(self) -> None:
        results: list[Measure] = []
        async with self._town(f"{RULES} rules") as town:
            await town.track.course.fill("rules", EVENTS)
            towns = {count: work.write_town(self.folder / "config" / f"{count}-rules", rules=count) for count in RULES}
            for number in range(ROUNDS):
                for count in RULES if number % 2 == 0 else RULES[::-1]:
                    database = await town.database("rules")
                    lap = await self._lap(town, database, "rules", EVENTS, config=towns[count])
                    results += _print_measures(f"parvis, {count} rules", lap)
        few, many = (f"parvis, {count} rules" for count in (RULES[0], RULES[-1]))
        self.measures += [*results, *_ratios(results, few, many, "target <= 2")]

    async def measure_decisions(self) -> None:
        results: list[Measure] = []
        async with self._town(f"{STORED} stored decisions") as town:
            await town.track.course.fill("first", stored.SEEDED)
            databases = {f"parvis, {count} decisions": await self._stored(town, count) for count in STORED}
            for number in range(ROUNDS):
                # New contacts each round: known ones would cost the database less.
                await town.track.course.fill(f"round{number}", EVENTS, seed=50 + number)
                for name, database in list(databases.items())[:: 1 if number % 2 == 0 else -1]:
                    lap = await self._lap(town, database, f"round{number}", EVENTS)
                    results += _print_measures(name, lap)
            few, *_, many = databases
        self.measures += [*results, *_ratios(results, few, many, "target <= 1.3")]

    async def measure_memory(self) -> None:
        if not LONG_RUN:
            return
        async with self._town(f"a long run of {LONG_RUN} contacts") as town:
            await town.track.course.fill("long", LONG_RUN)
            lap = await self._lap(town, await town.database("long"), "long", LONG_RUN)
            name = "parvis, long run"
            self.measures += [
                *_print_measures(name, lap),
                Measure(name, "memory after a tenth", "MB", lap.tenth.resident_mb, LONG_RUN),
                Measure(name, "memory at the end", "MB", lap.last.resident_mb, LONG_RUN),
            ]

    @asynccontextmanager
    async def _town(self, question: str) -> AsyncGenerator[Town]:
        print(f"  {question}", flush=True)
        async with Town.start(self.folder) as town:
            yield town

    async def _stored(self, town: Town, count: int) -> str:
        """A database with this many decisions: some made by the router, and copies of them under other ids."""
        database = await town.database(f"stored_{count}")
        await self._lap(town, database, "first", stored.SEEDED)
        await stored.multiply(database, count)
        return database

    async def _lap(self, town: Town, database: str, prefix: str, events: int, *, config: Path | None = None) -> Lap:
        """Raises: Broken."""
        course = town.track.course
        await course.clear(prefix)
        await course.rewind(router_group(prefix), prefix)
        start = town.router(CONTENDERS[0], database=database, prefix=prefix, events=events, config=config)
        lap = await town.track.run(start)
        written = await course.written(prefix)
        if sum(written.values()) - written["reply.requested"] != events:
            raise Broken(f"the departments got {dict(written)} of {events} contacts")
        return lap


def _print_measures(name: str, lap: Lap) -> list[Measure]:
    results = lap.measures(name, events=lap.last.committed)
    print(f"  {name}: " + ", ".join(f"{measure.metric} {measure.value:.2f}" for measure in results), flush=True)
    return results


def _ratios(measures: Sequence[Measure], few: str, many: str, aim: str) -> list[Measure]:
    """The ratio of the costs, round by round: processor time of router and PostgreSQL, and elapsed time."""
    results: list[Measure] = []
    for metrics, exponent in ((("cpu_s_per_100k", "postgres_cpu_s_per_100k"), 1), (("events_per_s",), -1)):
        pairs = zip(_sums(measures, few, metrics), _sums(measures, many, metrics), strict=True)
        label = "processor time" if exponent > 0 else "time"
        results += [Measure(f"{many} / {few}", f"{label} a contact, {aim}", "", (b / a) ** exponent) for a, b in pairs]
    return results


def _sums(measures: Sequence[Measure], name: str, metrics: Sequence[str]) -> list[float]:
    columns = [
        [measure.value for measure in measures if (measure.contender, measure.metric) == (name, metric)]
        for metric in metrics
    ]
    return [sum(values) for values in zip(*columns, strict=True)]


BENCH = Bench("what a contact costs with more rules, with more stored decisions, and after a long run", run)
