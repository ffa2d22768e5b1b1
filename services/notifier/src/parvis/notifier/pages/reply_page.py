"""Serves the inbox: a signed link leads to a reply and its files, which a one-time code opens."""

import re
import secrets
import unicodedata
from contextlib import suppress
from datetime import timedelta
from urllib.parse import quote

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import RedirectResponse, Response

from parvis.common.contract.contact import ClaimCheck
from parvis.common.contract.errors import Poison, Unavailable
from parvis.common.contract.mail_tokens import sign_token
from parvis.common.contract.reply import ReplyRequested
from parvis.common.files.file_names import safe_file_name
from parvis.common.runtime.logs import logger
from parvis.notifier.decide.code_recipients import code_recipients, mask_address
from parvis.notifier.fetch.attachments import InfectedAttachment
from parvis.notifier.pages.dependencies import PageDependencies
from parvis.notifier.render.reply_text import ReplyTextRenderer
from parvis.notifier.store import one_time_codes as store
from parvis.notifier.store.effective_preferences import load_effective_preferences
from parvis.notifier.store.replies import replies_of
from parvis.notifier.store.send_counts import lock_addresses
from parvis.web.form_parsing import read_form
from parvis.web.security_headers import is_same_origin
from parvis.web.tokens import read_signed_values, sign_values

log = logger()
READING_LIFETIME = timedelta(minutes=30)
_DIGITS = 12  # a thousand guesses a second for a day find one of six codes in one of 2,000 cases
_LARGEST_FORM_BYTES = 4096
_COOKIE, _PURPOSE = "parvis-inbox", "inbox"


def routes(site: PageDependencies) -> APIRouter:
    router = APIRouter()

    @router.get("/inbox/{token}")
    async def show_reply(request: Request, token: str) -> Response:
        reply = await _load_reply(site, token)
        if _may_read(site, request, reply):
            return await _show_reply(site, request, reply, token)
        return await _show_code_form(site, request, reply, token)

    @router.post("/inbox/{token}/code")
    async def send_code(request: Request, token: str) -> Response:
        reply = await _load_reply(site, token, request)
        to = (await read_form(request, largest_bytes=_LARGEST_FORM_BYTES)).first("to")
        if not re.fullmatch(r"[0-9]{1,2}", to):
            raise HTTPException(422)
        state = await _send_code(site, reply, int(to))
        return await _show_code_form(site, request, reply, token, state=state)

    @router.post("/inbox/{token}/open")
    async def open_with_code(request: Request, token: str) -> Response:
        reply = await _load_reply(site, token, request)
        code = (await read_form(request, largest_bytes=_LARGEST_FORM_BYTES)).first("code")[:40]
        digits = "".join(str(unicodedata.decimal(sign)) for sign in code if sign.isdecimal())
        async with site.database.transaction() as connection:
            is_right = await store.use_code(
                connection, reply.reply_id, _digest(site, reply, digits), site.pages.clock()
            )
        if not is_right:
            return await _show_code_form(site, request, reply, token, state="wrong", status=422)
        log.info("reply-page.opened", reply_id=reply.reply_id, conversation_id=reply.conversation_id)
        return _grant_access(site, reply, token)

    @router.get("/inbox/{token}/files/{number}")
    async def send_file(request: Request, token: str, number: int) -> Response:
        reply = await _load_reply(site, token)
        if not _may_read(site, request, reply) or not 1 <= number <= len(reply.attachments):
            raise HTTPException(404)
        return await _serve_file(site, request, reply, token, number)

    _ = show_reply, send_code, open_with_code, send_file
    return router


async def _load_reply(site: PageDependencies, token: str, posted: Request | None = None) -> ReplyRequested:
    """Load the reply that a link names. Raises: HTTPException 404; 403 for a form sent from another site."""
    if posted and not is_same_origin(posted, site.public_url):
        raise HTTPException(403)
    reply_id = site.renderer.links.reply_of(token, site.pages.clock())
    if reply_id is None:
        raise HTTPException(404)
    async with site.database.transaction() as connection:
        replies = await replies_of(connection, [reply_id])
    if reply_id not in replies:
        raise HTTPException(404)
    return replies[reply_id]


async def _show_code_form(
    site: PageDependencies, request: Request, reply: ReplyRequested, token: str, *, state: str = "", status: int = 200
) -> Response:
    """Show the form that offers the addresses for a code or, once one was sent, asks for it."""
    async with site.database.transaction() as connection:
        preferences = await load_effective_preferences(connection, site.chooser, [reply])
    recipients = [
        (number, channel, mask_address(point.value))
        for number, (channel, point) in enumerate(code_recipients(reply, preferences, site.chooser))
    ]
    department = site.town_config.departments[site.town_config.current_department(reply.department)]
    return site.render_page(
        request,
        "code.html",
        status=status,
        reply=reply,
        token=token,
        recipients=recipients,
        state=state,
        department=department,
        hours=store.LIFETIME // timedelta(hours=1),
    )


async def _send_code(site: PageDependencies, reply: ReplyRequested, to: int) -> str:
    """Send a code, which is recorded and counted first. Gives the state that the page shows: sent, not_sent, too_many."""
    at = site.pages.clock()
    digits = f"{secrets.randbelow(10**_DIGITS):0{_DIGITS}}"
    async with site.database.transaction() as connection:
        preferences = await load_effective_preferences(connection, site.chooser, [reply])
        recipients = code_recipients(reply, preferences, site.chooser)
        if to >= len(recipients):
            raise HTTPException(400)
        channel, point = recipients[to]
        address_hash = site.chooser.hash_of(point)
        await lock_addresses(connection, [address_hash])
        if await store.is_code_under_way(connection, reply.reply_id, address_hash, at):
            return "sent"
        code = store.OneTimeCode(reply.reply_id, address_hash, _digest(site, reply, digits), at, at + store.LIFETIME)
        if not await store.record_code(connection, code):
            log.warning(
                "access-code.rate_limited",
                reply_id=reply.reply_id,
                channel=channel,
                sender_hash=address_hash,
                reason="too many",
            )
            return "too_many"
    message = site.renderer.render_code(reply, channel, point.value, digits, at, lifetime=store.LIFETIME)
    outcome = await site.senders[channel].send(message)
    log.info(
        "one-time-code.sent",
        reply_id=reply.reply_id,
        channel=channel,
        sender_hash=address_hash,
        outcome=outcome.state,
        code=outcome.detail,
    )
    if outcome.state in {"accepted", "unknown"}:
        return "sent"
    async with site.database.transaction() as connection:
        await store.end_code(connection, code)
    return "not_sent"


def _digest(site: PageDependencies, reply: ReplyRequested, digits: str) -> str:
    return sign_token(f"{reply.reply_id}\x1f{digits}", "code", site.key)


def _grant_access(site: PageDependencies, reply: ReplyRequested, token: str) -> Response:
    until = site.pages.clock() + READING_LIFETIME
    sealed = sign_values({"reply": reply.reply_id, "until": int(until.timestamp())}, _PURPOSE, site.key)
    response = RedirectResponse(f"/inbox/{token}", status_code=303)
    response.set_cookie(
        _COOKIE, sealed, max_age=int(READING_LIFETIME.total_seconds()), path=f"/inbox/{token}", httponly=True, samesite="lax",
        secure=site.public_url.startswith("https:"),
    )  # fmt: skip
    return response


def _may_read(site: PageDependencies, request: Request, reply: ReplyRequested) -> bool:
    access = read_signed_values(request.cookies.get(_COOKIE, ""), _PURPOSE, site.key)
    return (
        bool(access)
        and access.get("reply") == reply.reply_id
        and access.get("until", 0) > site.pages.clock().timestamp()
    )


async def _show_reply(site: PageDependencies, request: Request, reply: ReplyRequested, token: str) -> Response:
    reply_text = ReplyTextRenderer(site.town_config, site.renderer.templates, reply)
    # The mail of an answer says how to reply to it, and nobody can reply to a page; its letter does not.
    rendered = reply_text.render("letter" if reply_text.template == "answer" else "email")
    return site.render_page(
        request,
        "reply.html",
        reply=reply,
        token=token,
        subject=rendered.subject,
        paragraphs=rendered.text.split("\n\n"),
        spoken=reply_text.language,
        files=await _listed_files(site, reply),
        department=reply_text.department,
    )


async def _listed_files(site: PageDependencies, reply: ReplyRequested) -> list[tuple[int, str, int, bool]]:
    """Number, name, size, and whether the file can be opened: a pending one only after its scan. Infected files are left out."""
    files: list[tuple[int, str, int, bool]] = []
    for number, claim in enumerate(reply.attachments, 1):
        with suppress(InfectedAttachment):
            files.append((number, _file_name(reply, number), claim.size_bytes, await _can_be_opened(site, claim)))
    return files


async def _can_be_opened(site: PageDependencies, claim: ClaimCheck) -> bool:
    """Raises: InfectedAttachment."""
    match site.attachments.verdict(claim):
        case "infected":
            raise InfectedAttachment("infected")
        case "pending":
            with suppress(Poison):  # its link leads to the page that says what is wrong
                return await _is_scanned_now(site, claim)
            return True
        case _:
            return True


async def _is_scanned_now(site: PageDependencies, claim: ClaimCheck) -> bool:
    try:
        await site.attachments.open(claim)
    except Unavailable:
        return False
    return True


def _file_name(reply: ReplyRequested, number: int) -> str:
    names = reply.personal.file_names
    return safe_file_name(names[number - 1]) if number <= len(names) else ""


async def _serve_file(
    site: PageDependencies, request: Request, reply: ReplyRequested, token: str, number: int
) -> Response:
    try:
        content = await site.attachments.open(reply.attachments[number - 1])
    except InfectedAttachment as error:
        raise HTTPException(404) from error
    except Unavailable:
        return _file_problem(site, request, reply, token, "file_later", status=503)
    except Poison as error:
        log.exception("blob.missing", reply_id=reply.reply_id, conversation_id=reply.conversation_id, reason=str(error))
        return _file_problem(site, request, reply, token, "file_gone", status=410)
    name = _file_name(reply, number) or f"document-{number}"
    # Always downloaded, never shown on our origin: nothing in it runs (ASVS 5.4.1).
    headers = {"content-disposition": f"attachment; filename*=UTF-8''{quote(name)}"}
    return Response(content, media_type="application/octet-stream", headers=headers)


def _file_problem(
    site: PageDependencies, request: Request, reply: ReplyRequested, token: str, problem: str, *, status: int
) -> Response:
    department = site.town_config.departments[site.town_config.current_department(reply.department)]
    return site.render_page(
        request, "file.html", status=status, reply=reply, token=token, problem=problem, department=department
    )
