"""What a contact costs with more rules and with more stored decisions, and whether memory stays flat over a long run."""

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
    """Raises: Incomplete, when the router broke."""
    growth = Growth(folder)
    try:
        await growth.with_rules()
        await growth.with_decisions()
        await growth.over_time()
    except (Broken, SQLAlchemyError) as error:
        raise Incomplete(growth.measures, [str(error)]) from error
    return growth.measures


@dataclass
class Growth:
    """Each question has a stack of its own, so that none works among the files that another left."""

    folder: Path
    measures: list[Measure] = field(default_factory=list[Measure])

    async def with_rules(self) -> None:
        found: list[Measure] = []
        async with self._town(f"{RULES} rules") as town:
            await town.track.course.fill("rules", EVENTS)
            towns = {count: work.write_town(self.folder / "config" / f"{count}-rules", rules=count) for count in RULES}
            for number in range(ROUNDS):
                for count in RULES if number % 2 == 0 else RULES[::-1]:
                    database = await town.database("rules")
                    lap = await self._lap(town, database, "rules", EVENTS, config=towns[count])
                    found += _told(f"parvis, {count} rules", lap)
        few, many = (f"parvis, {count} rules" for count in (RULES[0], RULES[-1]))
        self.measures += [*found, *_ratios(found, few, many, "target <= 2")]

    async def with_decisions(self) -> None:
        found: list[Measure] = []
        async with self._town(f"{STORED} stored decisions") as town:
            await town.track.course.fill("first", stored.SEEDED)
            databases = {f"parvis, {count} decisions": await self._stored(town, count) for count in STORED}
            for number in range(ROUNDS):
                # New contacts each round: those that a database knows already would cost it less.
                await town.track.course.fill(f"round{number}", EVENTS, seed=50 + number)
                for name, database in list(databases.items())[:: 1 if number % 2 == 0 else -1]:
                    lap = await self._lap(town, database, f"round{number}", EVENTS)
                    found += _told(name, lap)
            few, *_, many = databases
        self.measures += [*found, *_ratios(found, few, many, "target <= 1.3")]

    async def over_time(self) -> None:
        if not LONG_RUN:
            return
        async with self._town(f"a long run of {LONG_RUN} contacts") as town:
            await town.track.course.fill("long", LONG_RUN)
            lap = await self._lap(town, await town.database("long"), "long", LONG_RUN)
            name = "parvis, long run"
            self.measures += [
                *_told(name, lap),
                Measure(name, "memory after a tenth", "MB", lap.tenth.held_mb, LONG_RUN),
                Measure(name, "memory at the end", "MB", lap.last.held_mb, LONG_RUN),
            ]

    @asynccontextmanager
    async def _town(self, question: str) -> AsyncGenerator[Town]:
        print(f"  {question}", flush=True)
        async with Town.start(self.folder) as town:
            yield town

    async def _stored(self, town: Town, count: int) -> str:
        """A database with so many decisions: some that the router made, and the same again and again under other ids."""
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


def _told(name: str, lap: Lap) -> list[Measure]:
    found = lap.measures(name, events=lap.last.committed)
    print(f"  {name}: " + ", ".join(f"{one.metric} {one.value:.2f}" for one in found), flush=True)
    return found


def _ratios(measures: Sequence[Measure], few: str, many: str, aim: str) -> list[Measure]:
    """What more of it costs, as a multiple, round by round: processor time of router and PostgreSQL, and time."""
    found: list[Measure] = []
    for metrics, sign in ((("cpu_s_per_100k", "postgres_cpu_s_per_100k"), 1), (("events_per_s",), -1)):
        pairs = zip(_sums(measures, few, metrics), _sums(measures, many, metrics), strict=True)
        what = "processor time" if sign > 0 else "time"
        found += [Measure(f"{many} / {few}", f"{what} a contact, {aim}", "", (b / a) ** sign) for a, b in pairs]
    return found


def _sums(measures: Sequence[Measure], name: str, metrics: Sequence[str]) -> list[float]:
    columns = [[one.value for one in measures if (one.contender, one.metric) == (name, metric)] for metric in metrics]
    return [sum(values) for values in zip(*columns, strict=True)]


BENCH = Bench("what a contact costs with more rules, with more stored decisions, and after a long run", run)
