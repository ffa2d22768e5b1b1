"""Watches the rules files on disk and reloads them when they change."""

import asyncio
from pathlib import Path

from parvis.common.contract.errors import Misconfigured
from parvis.common.runtime import metrics
from parvis.common.runtime.health import Health
from parvis.common.runtime.logs import logger
from parvis.common.town.models import TownConfig
from parvis.router.fetch.rules_files import compute_version, load_rules
from parvis.router.rules.rule_set import RuleSet

log = logger()
POLL_INTERVAL_S = 5.0


class RulesWatcher:
    """Holds the active rule set. Call it once per batch, so that a reload never splits a batch.

    A changed file that cannot be loaded is refused, on /ready and in the log; the previous rules stay active.

    Raises: Misconfigured, when the files are invalid at the start: a router without rules must not start.
    """

    def __init__(self, folder: Path, town_config: TownConfig, health: Health) -> None:
        self._folder, self._town_config, self._health = folder, town_config, health
        self._current = load_rules(folder, town_config)
        self._seen_version = self._current.version

    def __call__(self) -> RuleSet:
        return self._current

    async def poll(self) -> None:
        """Reload changed files once two polls in a row read the same bytes: an editor may still be saving."""
        version = await asyncio.to_thread(_version_on_disk, self._folder)
        is_settled, self._seen_version = version == self._seen_version, version
        if version == self._current.version:
            self._accept(self._current)
        elif is_settled:
            await self._reload(version)

    async def _reload(self, version: str) -> None:
        try:
            rules = await asyncio.to_thread(load_rules, self._folder, self._town_config)
        except Misconfigured as error:
            if self._health.notes.get("rules") != str(error):
                log.warning("rules.refused", version=version, reason=str(error))
            self._health.add_note("rules", str(error))
            metrics.rules_refused.set(1)
        else:
            self._accept(rules)
            log.info("rules.loaded", version=rules.version, count=len(rules.rules))

    def _accept(self, rules: RuleSet) -> None:
        self._current = rules
        self._health.notes.pop("rules", None)
        metrics.rules_refused.set(0)


def _version_on_disk(folder: Path) -> str:
    try:
        return compute_version(folder)
    except OSError:  # missing during a replacement, or unreadable: loading it will report the reason
        return "missing"
