"""route-12: Parvis' router beside a plain loop, FastStream, Quix Streams and Kafka Streams, over the same topic of the same broker."""

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
from tests.bench.router.town import Town, ask, router_group

EVENTS = int(os.environ.get("PARVIS_BENCH_EVENTS", "200000"))  # noqa: TID251 (a benchmark's own knobs)
ROUNDS = int(os.environ.get("PARVIS_BENCH_ROUNDS", "3"))  # noqa: TID251
CHOSEN = os.environ.get("PARVIS_BENCH_CONTENDERS", "").split(",")  # noqa: TID251
_ROWS = "select count(*) from router.decision"


async def run(folder: Path) -> Sequence[Measure]:
    async with Town.start(folder) as town:
        return await Meeting(town, folder / "rounds.jsonl").hold()


@dataclass
class Meeting:
    """All rounds. What each gives is written down at once: a bench that is stopped leaves what it had.

    A contender that breaks, or writes anything else than the others, takes no further part, and the bench fails at its end.
    """

    town: Town
    file: Path
    expected: dict[int, Counter[str]] = field(default_factory=dict[int, Counter[str]])
    measures: list[Measure] = field(default_factory=list[Measure])
    broken: dict[str, str] = field(default_factory=dict[str, str])

    async def hold(self) -> list[Measure]:
        """Raises: Incomplete, when a contender broke."""
        self.file.unlink(missing_ok=True)
        taking_part = await self._who_can()
        for number in range(ROUNDS):
            for contender in taking_part if number % 2 == 0 else taking_part[::-1]:
                if contender.name in self.broken:
                    continue
                try:
                    await self._race(contender, number)
                except Broken as error:
                    print(f"  BROKEN {error}", flush=True)
                    self.broken[contender.name] = str(error)
        found = [*self.measures, *ratios(self.measures)]
        if self.broken:
            raise Incomplete(found, list(self.broken.values()))
        return found

    async def _who_can(self) -> list[Contender]:
        taking_part: list[Contender] = []
        for contender in CONTENDERS:
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
                taking_part.append(contender)
        return taking_part

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
        found = _measures(contender, lap, events)
        self.measures += found
        with self.file.open("a", encoding="utf-8") as rounds:
            rounds.writelines(json.dumps({"round": number, **asdict(one)}) + "\n" for one in found)
        told = ", ".join(f"{one.metric} {one.value:.2f}" for one in found if one.contender == contender.name)
        print(f"  round {number + 1} {contender.name}: {told}", flush=True)

    async def _check(self, contender: Contender, prefix: str, events: int, database: str) -> None:
        """Everybody must have given every department the same number, and Parvis have done all that it says it does.

        Raises: Broken.
        """
        written = await self.town.track.course.written(prefix)
        notices = written.pop("reply.requested", 0)
        wanted = self.expected[events] if contender.decides else Counter({"triage": events})
        if +written != wanted:
            wrong = {slug: (written[slug], wanted[slug]) for slug in written | wanted if written[slug] != wanted[slug]}
            raise Broken(f"{contender.name}: departments got (not as they must): {wrong}")
        rows = await ask(database, _ROWS) if database else 0
        if (notices, rows) != (events * contender.notices, events * contender.rows):
            raise Broken(f"{contender.name}: {notices} notices and {rows} rows for {events} events")


def _measures(contender: Contender, lap: Lap, events: int) -> list[Measure]:
    found = lap.measures(contender.name, events=events)
    if contender.kind == "java":
        found += lap.warm(f"{contender.name}-warm", events=events)
    return found


# Who is compared with whom, and what is aimed at.
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
    found: list[Measure] = []
    for ours, theirs, aim in _AIMS:
        pairs = zip(_rates(measures, ours), _rates(measures, theirs), strict=False)
        found += [Measure(f"{ours} / {theirs}", f"events_per_s, {aim}", "", a / b) for a, b in pairs]
    return found


def _rates(measures: Sequence[Measure], name: str) -> list[float]:
    return [one.value for one in measures if (one.contender, one.metric) == (name, "events_per_s")]


BENCH = Bench(f"contacts routed a second, and what they cost, over {EVENTS} contacts of route-12", run)
