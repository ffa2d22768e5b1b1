"""Shows the audit trail to auditors, with a filter by day, account, action and subject."""

from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import Response

from parvis.common.contract.references import find_references
from parvis.desk.pages.accounts_page import begin_of_day, end_of_day
from parvis.desk.pages.dependencies import DeskDependencies
from parvis.desk.store.accounts import find_case_by_reference
from parvis.desk.store.audit_trail import AuditFilter, read_audit

_PAGE_SIZE = 100


def routes(dependencies: DeskDependencies) -> APIRouter:
    """The page, a hundred entries at a time, newest first."""
    router = APIRouter()

    @router.get("/audit", dependencies=[dependencies.access.allow("audit.read")])
    async def show(request: Request) -> Response:
        session = dependencies.require_session(request)
        asked = {name: request.query_params.get(name, "").strip()[:80].replace("\x00", "") for name in _FIELDS}
        before = asked["before"]
        quoted = next(iter(find_references(asked["subject"])), None)
        async with dependencies.access.database.transaction() as connection:
            case = await find_case_by_reference(connection, quoted) if quoted else None
            wanted = AuditFilter(
                account_id=_uuid(asked["account"]),
                action=asked["action"],
                subject=case or _uuid(asked["subject"]),
                before=int(before) if before.isascii() and before.isdigit() and len(before) < 18 else None,
                since=begin_of_day(dependencies, asked["since"]),
                until=end_of_day(dependencies, asked["until"]),
            )
            entries = await read_audit(connection, wanted, _PAGE_SIZE)
        older = asked | {"before": str(entries[-1].number)} if len(entries) == _PAGE_SIZE else None
        return dependencies.render_page(
            request, "audit.html", session, entries=entries, asked=asked, older=urlencode(older) if older else None
        )

    _ = show
    return router


_FIELDS = ("since", "until", "account", "action", "subject", "before")


def _uuid(text: str) -> str:
    """A UUID as the trail writes it; other text as it is, which finds nothing that is not written so."""
    try:
        return str(UUID(text))
    except ValueError:
        return text
