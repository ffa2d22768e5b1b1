"""The rules file on disk, as it is now: read again when it changes; a bad one is refused, and the old rules stay."""

import asyncio
from pathlib import Path

from parvis.common.contract.errors import Misconfigured
from parvis.common.runtime import metrics
from parvis.common.runtime.health import Health
from parvis.common.runtime.logs import logger
from parvis.common.town.models import TownConfig
from parvis.router.rules import Rules, load_rules, version_in

log = logger()
LOOK_EVERY_S = 5.0


class LiveRules:
    """The rules that decide now. A batch takes them once, so that a change never falls into its middle.

    Raises: Misconfigured, when the first file is bad: a router without rules does not start.
    """

    def __init__(self, folder: Path, town_config: TownConfig, health: Health) -> None:
        self._folder, self._directory, self._health = folder, town_config, health
        self._current = load_rules(folder, town_config)
        self._seen = self._current.version

    def __call__(self) -> Rules:
        return self._current

    async def look(self) -> None:
        """Take a changed file once two looks in a row have seen the same bytes: an editor may be half way through."""
        version = await asyncio.to_thread(_version_in, self._folder)
        settled, self._seen = version == self._seen, version
        if version == self._current.version:
            self._accept(self._current)
        elif settled:
            await self._take(version)

    async def _take(self, version: str) -> None:
        try:
            rules = await asyncio.to_thread(load_rules, self._folder, self._directory)
        except Misconfigured as error:
            if self._health.notes.get("rules") != str(error):
                log.warning("rules.refused", version=version, reason=str(error))
            self._health.add_note("rules", str(error))
            metrics.rules_refused.set(1)
        else:
            self._accept(rules)
            log.info("rules.loaded", version=rules.version, count=len(rules.rules))

    def _accept(self, rules: Rules) -> None:
        self._current = rules
        self._health.notes.pop("rules", None)
        metrics.rules_refused.set(0)


def _version_in(folder: Path) -> str:
    try:
        return version_in(folder)
    except OSError:  # gone for the moment in which it is replaced, or for good: loading it says so
        return "missing"
