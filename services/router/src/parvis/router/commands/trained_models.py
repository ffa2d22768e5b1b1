"""Implements `parvis router models|activate|back|off`: lists the trained models and chooses the one that decides."""

import argparse
import asyncio
import json
from collections.abc import Sequence

from parvis.common.contract.errors import Poison, Rejected
from parvis.common.runtime.clock import now
from parvis.common.runtime.settings import SharedSettings, load_settings
from parvis.common.storage.blobs import BlobStore
from parvis.common.storage.postgres import Database
from parvis.common.town.loading import load_town_config
from parvis.router.decide.classifier.model_archive import InvalidModel, read_header
from parvis.router.fetch.active_model import claim_check_of, find_incompatibility
from parvis.router.models.stored_rows import TrainedModelRow
from parvis.router.sandbox.protocol import embedder_version
from parvis.router.store import trained_models


def show(_: argparse.Namespace) -> int:
    """List the stored models; a star marks the active one."""
    rows, active = asyncio.run(_read_models(load_settings(SharedSettings)))
    if not rows:
        print("no model is stored; train one with: parvis router train")
        return 0
    print(f"  {'version':16}{'trained':18}{'texts':>7}{'macro-F1':>10}{'decides from':>14}{'of texts':>10}{'right':>8}")
    for row in rows:
        mark = "*" if active and row.version == active.version else " "
        print(f"{mark} {row.version:16}{row.trained_at:%Y-%m-%d %H:%M}  {_format_report(row)}")
    print(f"{active.version} decides" if active else "no model decides: what no rule decides goes to triage")
    return 0


def _format_report(row: TrainedModelRow) -> str:
    try:
        report = json.loads(row.report)
        return (
            f"{report['examples']:>7}{report['macro_f1']:>10.3f}"
            f"{report['threshold']:>14.2f}{report['coverage']:>10.0%}{report['precision']:>8.1%}"
        )
    except (ValueError, TypeError, LookupError):
        return "its report in router.model is damaged"


def activate(arguments: argparse.Namespace) -> int:
    """Activate a model; running routers use it within seconds."""
    asyncio.run(_activate(load_settings(SharedSettings), arguments.version))
    print(f"{arguments.version} decides from now on; undo with: parvis router back")
    return 0


def back(_: argparse.Namespace) -> int:
    """Activate the model that was active before; if none was, deactivate the model."""
    version = asyncio.run(_go_back(load_settings(SharedSettings)))
    print(f"{version} decides again" if version else "no model decides any more")
    return 0


def off(_: argparse.Namespace) -> int:
    """Deactivate the active model."""
    asyncio.run(_deactivate(load_settings(SharedSettings)))
    print("no model decides any more; undo with: parvis router back")
    return 0


async def _read_models(town: SharedSettings) -> tuple[Sequence[TrainedModelRow], TrainedModelRow | None]:
    database = _database(town)
    try:
        async with database.transaction() as connection:
            return await trained_models.list_models(connection), await trained_models.find_active_model(connection)
    finally:
        await database.close()


async def _activate(town: SharedSettings, version: str) -> None:
    rows, _ = await _read_models(town)
    row = next((row for row in rows if row.version == version), None)
    if row is None:
        raise Rejected(f"there is no model {version}; list them with: parvis router models")
    try:
        header = read_header(await BlobStore(town.blobs_url).get(claim_check_of(row)))
    except (Poison, InvalidModel) as error:
        raise Rejected(f"{version} cannot be used: {error}") from error
    departments = load_town_config(town.config_dir).departments
    if reason := find_incompatibility(header, departments, embedder_version()):
        raise Rejected(f"{version} cannot be used: {reason}")
    await _record(town, version)


async def _go_back(town: SharedSettings) -> str | None:
    database = _database(town)
    try:
        async with database.transaction() as connection:
            previous = await trained_models.find_previous_model(connection)
            if previous is None:
                raise Rejected("no model was ever active: there is nothing to go back to")
            await trained_models.record_activation(connection, previous[0], now())
            return previous[0]
    finally:
        await database.close()


async def _deactivate(town: SharedSettings) -> None:
    await _record(town, None)


async def _record(town: SharedSettings, version: str | None) -> None:
    database = _database(town)
    try:
        async with database.transaction() as connection:
            await trained_models.record_activation(connection, version, now())
    finally:
        await database.close()


def _database(town: SharedSettings) -> Database:
    return Database(town.database_url.get_secret_value(), service="router-models")
