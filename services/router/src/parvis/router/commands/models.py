"""`parvis router models|activate|back|off`: which trained model decides."""

import argparse
import asyncio
import json
from collections.abc import Sequence

from parvis.common.contract.errors import Poison, Rejected
from parvis.common.runtime.clock import now
from parvis.common.runtime.settings import TownSettings, load_settings
from parvis.common.storage.blobs import BlobStore
from parvis.common.storage.postgres import Database
from parvis.common.town.loading import load_town_config
from parvis.router.decide.classifier.model import BadModel, head_of
from parvis.router.models.stored_rows import ModelRow
from parvis.router.read.live_model import claim_of, foreign_to
from parvis.router.store import models


def show(_: argparse.Namespace) -> int:
    """Every model that was kept; the one that decides is marked."""
    rows, active = asyncio.run(_models(load_settings(TownSettings)))
    if not rows:
        print("no model was trained: parvis router train")
        return 0
    print(f"  {'version':16}{'trained':18}{'texts':>7}{'macro-F1':>10}{'decides from':>14}{'of texts':>10}{'right':>8}")
    for row in rows:
        report = json.loads(row.report)
        mark = "*" if active and row.version == active.version else " "
        print(
            f"{mark} {row.version:16}{row.trained_at:%Y-%m-%d %H:%M}  {report['examples']:>7}{report['macro_f1']:>10.3f}"
            f"{report['threshold']:>14.2f}{report['coverage']:>10.0%}{report['precision']:>8.1%}"
        )
    print(f"{active.version} decides" if active else "no model decides: what no rule decides goes to triage")
    return 0


def activate(arguments: argparse.Namespace) -> int:
    """Let one decide; running routers take it within seconds."""
    asyncio.run(_activated(load_settings(TownSettings), arguments.version))
    print(f"{arguments.version} decides from now on; undo with: parvis router back")
    return 0


def back(_: argparse.Namespace) -> int:
    """Let the one decide that did before; or none, if none did."""
    version = asyncio.run(_gone_back(load_settings(TownSettings)))
    print(f"{version} decides again" if version else "no model decides any more")
    return 0


def off(_: argparse.Namespace) -> int:
    """Let none decide."""
    asyncio.run(_switched_off(load_settings(TownSettings)))
    print("no model decides any more; undo with: parvis router back")
    return 0


async def _models(town: TownSettings) -> tuple[Sequence[ModelRow], ModelRow | None]:
    database = _database(town)
    try:
        async with database.transaction() as connection:
            return await models.models(connection), await models.active_model(connection)
    finally:
        await database.close()


async def _activated(town: TownSettings, version: str) -> None:
    rows, _ = await _models(town)
    row = next((row for row in rows if row.version == version), None)
    if row is None:
        raise Rejected(f"there is no model {version}: parvis router models")
    try:
        head = head_of(await BlobStore(town.blobs_url).get(claim_of(row)))
    except (Poison, BadModel) as error:
        raise Rejected(f"{version} cannot decide: {error}") from error
    if strange := foreign_to(head, load_town_config(town.config_dir).departments):
        raise Rejected(f"{version} cannot decide: {strange}")
    await _say(town, version)


async def _gone_back(town: TownSettings) -> str | None:
    database = _database(town)
    try:
        async with database.transaction() as connection:
            before = await models.model_before(connection)
            if before is None:
                raise Rejected("no model ever decided: there is nothing to go back to")
            await models.activate(connection, before[0], now())
            return before[0]
    finally:
        await database.close()


async def _switched_off(town: TownSettings) -> None:
    await _say(town, None)


async def _say(town: TownSettings, version: str | None) -> None:
    database = _database(town)
    try:
        async with database.transaction() as connection:
            await models.activate(connection, version, now())
    finally:
        await database.close()


def _database(town: TownSettings) -> Database:
    return Database(town.database_url.get_secret_value(), service="router-models")
