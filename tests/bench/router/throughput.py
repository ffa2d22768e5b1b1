"""Compares the router with a plain loop, FastStream, Quix Streams and Kafka Streams on the workload route-12."""

import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from parvis.router.settings import Settings
from tests.bench.measure import Bench, Incomplete, Measure
from tests.bench.router.contenders import CONTENDERS, Contender
from tests.bench.router.installing import Missing
from tests.bench.router.race import Broken, Lap
from tests.bench.router.town import Town, query_number, router_group

EVENTS = int(os.environ.get("PARVIS_BENCH_EVENTS", "200000"))  # noqa: TID251 (a benchmark's own knobs)
ROUNDS = int(os.environ.get("PARVIS_BENCH_ROUNDS", "3"))  # noqa: TID251
CHOSEN = os.environ.get("PARVIS_BENCH_CONTENDERS", "").split(",")  # noqa: TID251
_ROWS = "select count(*) from router.decision"


async def run(folder: Path) -> Sequence[Measure]:
    async with Town.start(folder) as town:
        return await Competition(town, folder / "rounds.jsonl").run()


@dataclass
class Competition:
    """All rounds. Each round is written to the file at once, so that an interrupted benchmark leaves its results.

    A contender that fails, or produces other records than expected, is disqualified, and the benchmark fails at its end.
    """

    town: Town
    file: Path
    contenders: Sequence[Contender] = CONTENDERS
    expected: dict[int, Counter[str]] = field(default_factory=dict[int, Counter[str]])
    measures: list[Measure] = field(default_factory=list[Measure])
    broken: dict[str, str] = field(default_factory=dict[str, str])

    async def run(self) -> list[Measure]:
        """Run all rounds. Raises: Incomplete, when a contender failed."""
        self.file.unlink(missing_ok=True)
        taking_part = await self._available_contenders()
        for number in range(ROUNDS):
            for contender in taking_part if number % 2 == 0 else taking_part[::-1]:
                if contender.name in self.broken:
                    continue
                try:
                    await self._race(contender, number)
                except Broken as error:
                    print(f"  BROKEN {error}", flush=True)
                    self.broken[contender.name] = str(error)
        measures = [*self.measures, *ratios(self.measures)]
        if self.broken:
            raise Incomplete(measures, list(self.broken.values()))
        return measures

    async def _available_contenders(self) -> list[Contender]:
        available: list[Contender] = []
        for contender in self.contenders:
            if CHOSEN != [""] and contender.name not in CHOSEN:
                continue
            try:
                if contender.workers > 1 and "workers" not in Settings.model_fields:
                    raise Missing("this router has no PARVIS_ROUTER_WORKERS")
                if contender.kind != "parvis":
                    self.town.peer(contender, number=0, prefix="none", events=0)
            except Missing as missing:
                print(f"  SKIPPED {contender.name}: {missing}", flush=True)
            else:
                available.append(contender)
        return available

    async def _race(self, contender: Contender, number: int) -> None:
        events = max(1000, int(EVENTS * contender.part))
        prefix = f"n{events}"
        course = self.town.track.course
        if events not in self.expected:
            print(f"  writing {events} events", flush=True)
            self.expected[events] = await course.fill(prefix, events)
        await course.clear(prefix)
        database = ""
        if contender.kind == "parvis":
            database = await self.town.database("race")
            await course.rewind(router_group(prefix), prefix)
            start = self.town.router(contender, database=database, prefix=prefix, events=events)
        else:
            start = self.town.peer(contender, number=number, prefix=prefix, events=events)
        lap = await self.town.track.run(start)
        await self._check(contender, prefix, events, database)
        measures = _measures(contender, lap, events)
        self.measures += measures
        with self.file.open("a", encoding="utf-8") as rounds:
            rounds.writelines(json.dumps({"round": number, **asdict(measure)}) + "\n" for measure in measures)
        figures = ", ".join(
            f"{measure.metric} {measure.value:.2f}" for measure in measures if measure.contender == contender.name
        )
        print(f"  round {number + 1} {contender.name}: {figures}", flush=True)

    async def _check(self, contender: Contender, prefix: str, events: int, database: str) -> None:
        """Check the number of records per department, and for Parvis the notices and rows.

        Raises: Broken.
        """
        written = await self.town.track.course.written(prefix)
        notices = written.pop("reply.requested", 0)
        wanted = self.expected[events] if contender.decides else Counter({"triage": events})
        if +written != wanted:
            wrong = {slug: (written[slug], wanted[slug]) for slug in written | wanted if written[slug] != wanted[slug]}
            raise Broken(f"{contender.name}: departments got (not as they must): {wrong}")
        rows = await query_number(database, _ROWS) if database else 0
        if (notices, rows) != (events * contender.notices, events * contender.rows):
            raise Broken(f"{contender.name}: {notices} notices and {rows} rows for {events} events")


def _measures(contender: Contender, lap: Lap, events: int) -> list[Measure]:
    measures = lap.measures(contender.name, events=events)
    if contender.kind == "java":
        measures += lap.warm(f"{contender.name}-warm", events=events)
    return measures


# Pairs of contenders, and the target for the ratio of their rates.
_AIMS = (
    ("parvis", "plain", "target >= 1.4"),
    ("parvis-decisions", "plain", "target >= 2"),
    ("parvis-decisions", "faststream-batch", "target >= 1.6"),
    ("parvis-decisions", "quixstreams", "target >= 1.6"),
    ("parvis-decisions", "kafka-streams", "target > 1"),
    ("parvis-without-rows", "plain", "target >= 3.5"),
    ("parvis-without-rows", "kafka-streams-warm", "target > 1"),
    ("parvis-two-workers", "parvis", "as it comes"),
)


def ratios(measures: Sequence[Measure]) -> list[Measure]:
    """The rates of two contenders, one divided by the other, round by round."""
    results: list[Measure] = []
    for ours, theirs, aim in _AIMS:
        pairs = zip(_rates(measures, ours), _rates(measures, theirs), strict=False)
        results += [Measure(f"{ours} / {theirs}", f"events_per_s, {aim}", "", a / b) for a, b in pairs]
    return results


def _rates(measures: Sequence[Measure], name: str) -> list[float]:
    return [measure.value for measure in measures if (measure.contender, measure.metric) == (name, "events_per_s")]


BENCH = Bench(f"contacts routed a second, and what they cost, over {EVENTS} contacts of route-12", run)
