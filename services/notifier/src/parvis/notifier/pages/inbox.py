"""A link in a message in; a code to an address we know, and for that code the reply, with its files, out."""

import secrets
from datetime import timedelta
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Form, HTTPException, Request
from fastapi.responses import RedirectResponse, Response

from parvis.common.contract.reply import ReplyRequested
from parvis.common.contract.reply_tokens import sign_token
from parvis.common.files.file_names import safe_file_name
from parvis.common.runtime.logs import logger
from parvis.notifier.decide.code_recipients import codes_may_go_to, masked
from parvis.notifier.pages.dependencies import Place
from parvis.notifier.render.reply_text import Words
from parvis.notifier.store import one_time_codes as store
from parvis.notifier.store.replies import replies_of
from parvis.notifier.store.send_counts import lock_addresses
from parvis.web.http import is_same_origin
from parvis.web.tokens import decrypt_values, encrypt_values

log = logger()
CODE_LASTS, READING_LASTS = timedelta(minutes=10), timedelta(minutes=30)
_COOKIE, _PURPOSE = "parvis-inbox", "inbox"


def routes(place: Place) -> APIRouter:
    router = APIRouter()

    @router.get("/inbox/{token}")
    async def look(request: Request, token: str) -> Response:
        reply = await _reply(place, token)
        if _may_read(place, request, reply):
            return _show(place, request, reply, token)
        return await _ask(place, request, reply, token)

    @router.post("/inbox/{token}/code")
    async def send_code(request: Request, token: str, to: Annotated[int, Form(ge=0, le=20)]) -> Response:
        reply = await _reply(place, token, request)
        state = await _send(place, reply, to)
        return await _ask(place, request, reply, token, state=state)

    @router.post("/inbox/{token}/open")
    async def open_it(request: Request, token: str, code: Annotated[str, Form(max_length=40)]) -> Response:
        reply = await _reply(place, token, request)
        digits = "".join(sign for sign in code if sign.isascii() and sign.isdigit())
        async with place.database.transaction() as connection:
            is_right = await store.use_code(
                connection, reply.reply_id, _digest(place, reply, digits), place.pages.clock()
            )
        if not is_right:
            return await _ask(place, request, reply, token, state="wrong", status=422)
        log.info("inbox.opened", reply_id=reply.reply_id, conversation_id=reply.conversation_id)
        return _let_in(place, reply, token)

    @router.get("/inbox/{token}/files/{number}")
    async def file(request: Request, token: str, number: int) -> Response:
        reply = await _reply(place, token)
        if not _may_read(place, request, reply) or not 1 <= number <= len(reply.attachments):
            raise HTTPException(404)
        return await _file(place, reply, number)

    _ = look, send_code, open_it, file
    return router


async def _reply(place: Place, token: str, posted: Request | None = None) -> ReplyRequested:
    """The reply that a link names; a form that another site sent names none."""
    if posted and not is_same_origin(posted, place.public_url):
        raise HTTPException(403)
    name = place.renderer.links.reply_of(token, place.pages.clock())
    if name is None:
        raise HTTPException(404)
    async with place.database.transaction() as connection:
        found = await replies_of(connection, [name])
    if name not in found:
        raise HTTPException(404)
    return found[name]


async def _ask(
    place: Place, request: Request, reply: ReplyRequested, token: str, *, state: str = "", status: int = 200
) -> Response:
    """The page that asks where a code shall go, or for the code that went."""
    async with place.database.transaction() as connection:
        kept = await place.kept_for(connection, [reply])
    ways = [
        (number, channel, masked(point.value))
        for number, (channel, point) in enumerate(codes_may_go_to(reply, kept, place.addressing))
    ]
    department = place.town_config.departments[place.town_config.current_department(reply.department)]
    return place.show(
        request,
        "code.html",
        status=status,
        reply=reply,
        token=token,
        ways=ways,
        state=state,
        department=department,
        minutes=int(CODE_LASTS.total_seconds() // 60),
    )


async def _send(place: Place, reply: ReplyRequested, to: int) -> str:
    """Send a code, counted before it leaves; what the page says of it."""
    at = place.pages.clock()
    digits = f"{secrets.randbelow(1_000_000):06}"
    async with place.database.transaction() as connection:
        kept = await place.kept_for(connection, [reply])
        ways = codes_may_go_to(reply, kept, place.addressing)
        if to >= len(ways):
            raise HTTPException(400)
        channel, point = ways[to]
        name = place.addressing.hash_of(point)
        await lock_addresses(connection, [name])
        code = store.Code(reply.reply_id, name, _digest(place, reply, digits), at, at + CODE_LASTS)
        if not await store.record_code(connection, code):
            log.warning("code.refused", reply_id=reply.reply_id, channel=channel, sender_hash=name, reason="too many")
            return "too_many"
    parcel = place.renderer.code(reply, channel, point.value, digits, at, minutes=int(CODE_LASTS.total_seconds() // 60))
    outcome = await place.channels[channel].send(parcel)
    log.info(
        "code.sent",
        reply_id=reply.reply_id,
        channel=channel,
        sender_hash=name,
        outcome=outcome.state,
        code=outcome.detail,
    )
    return "sent" if outcome.state in {"accepted", "unknown"} else "not_sent"


def _digest(place: Place, reply: ReplyRequested, digits: str) -> str:
    return sign_token(f"{reply.reply_id}\x1f{digits}", "code", place.key)


def _let_in(place: Place, reply: ReplyRequested, token: str) -> Response:
    until = place.pages.clock() + READING_LASTS
    sealed = encrypt_values({"reply": reply.reply_id, "until": int(until.timestamp())}, _PURPOSE, place.key)
    response = RedirectResponse(f"/inbox/{token}", status_code=303)
    response.set_cookie(
        _COOKIE, sealed, max_age=int(READING_LASTS.total_seconds()), path=f"/inbox/{token}", httponly=True, samesite="lax",
        secure=place.public_url.startswith("https:"),
    )  # fmt: skip
    return response


def _may_read(place: Place, request: Request, reply: ReplyRequested) -> bool:
    held = decrypt_values(request.cookies.get(_COOKIE, ""), _PURPOSE, place.key)
    return bool(held) and held.get("reply") == reply.reply_id and held.get("until", 0) > place.pages.clock().timestamp()


def _show(place: Place, request: Request, reply: ReplyRequested, token: str) -> Response:
    words = Words(place.town_config, place.renderer.templates, reply)
    # An answer's mail says how to reply to it; nobody can reply to a page. Its letter says what holds for both.
    said = words.say("letter" if words.template == "answer" else "email")
    files = [
        (number, _name(reply, number), claim.size_bytes)
        for number, claim in enumerate(reply.attachments, 1)
        if claim.scan != "infected"
    ]
    return place.show(
        request,
        "reply.html",
        reply=reply,
        token=token,
        subject=said.subject,
        paragraphs=said.text.split("\n\n"),
        spoken=words.language,
        files=files,
        department=words.department,
    )


def _name(reply: ReplyRequested, number: int) -> str:
    names = reply.personal.file_names
    return safe_file_name(names[number - 1]) if number <= len(names) else ""


async def _file(place: Place, reply: ReplyRequested, number: int) -> Response:
    claim = reply.attachments[number - 1]
    if claim.scan == "infected":
        raise HTTPException(404)
    name = _name(reply, number) or f"document-{number}"
    # Always kept, never shown in the page's own name: nothing in it runs (ASVS 5.4.1).
    headers = {"content-disposition": f"attachment; filename*=UTF-8''{quote(name)}"}
    return Response(await place.blobs.get(claim), media_type="application/octet-stream", headers=headers)
