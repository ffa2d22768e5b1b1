"""Lets supervisors download the cases of their department, or of a list, as a file for a spreadsheet or a program."""

from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request
from fastapi.responses import Response, StreamingResponse

from parvis.common.contract.channels import channels
from parvis.common.town.models import TownConfig, localized
from parvis.desk.models.case import SILENCE_MEANINGS, STATES
from parvis.desk.models.queue import EVERY_CASE, QueueFilter
from parvis.desk.pages.dependencies import DeskDependencies
from parvis.desk.pages.queue_page import read_filter, reader_of
from parvis.desk.render.case_export import COLUMNS, Labels
from parvis.desk.render.view_models import channel_label
from parvis.desk.store.case_exports import MEDIA_TYPES, CaseExport, ExportFormat
from parvis.web.language_negotiation import negotiate_language
from parvis.web.translations import Translations


def routes(dependencies: DeskDependencies) -> APIRouter:
    """The download, which the form below a list asks for."""
    router = APIRouter()

    @router.get("/queue/export", dependencies=[dependencies.access.allow("queue.export")])
    async def export(request: Request) -> Response:
        session, town_config = dependencies.require_session(request), dependencies.town_config
        language = negotiate_language(request, town_config.town)
        form: ExportFormat = "json" if request.query_params.get("format") == "json" else "csv"
        wanted = read_filter(request.query_params)
        found = CaseExport(
            dependencies.cases.database,
            reader_of(dependencies, session),
            QueueFilter(EVERY_CASE) if request.query_params.get("what") == "all" else wanted,
            ZoneInfo(town_config.town.time_zone),
            lambda connection: dependencies.access.may_still(connection, request, session, "queue.export"),
            export_labels(dependencies.pages.words, town_config, language),
        )
        headers = found.headers(form, dependencies.clock())
        return StreamingResponse(found.text(form), media_type=MEDIA_TYPES[form], headers=headers)

    _ = export
    return router


def export_labels(words: Translations, town_config: TownConfig, language: str) -> Labels:
    """The names of the columns, under "", and the words for what an agent sees as words on the pages."""

    def sentences(prefix: str, names: tuple[str, ...]) -> dict[str, str]:
        return {name: words.translate(f"{prefix}.{name}", language) for name in names}

    return {
        "": sentences("export", COLUMNS),
        "state": sentences("state", STATES),
        "urgency": sentences("export_urgency", ("immediate", "high", "normal")),
        "silence_means": sentences("export_silence", SILENCE_MEANINGS),
        "undelivered": sentences("export_truth", ("true", "false")),
        "channel": {row.name: channel_label(words, row.name, language=language) for row in channels()},
        "department": {slug: localized(one.name, language) for slug, one in town_config.departments.items()},
        "procedure": {slug: localized(one.title, language) for slug, one in town_config.procedures.items()},
    }
