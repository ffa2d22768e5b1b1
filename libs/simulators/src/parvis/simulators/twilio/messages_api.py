"""Implements Twilio's Messages API for the official client.

Source: twilio-oai `twilio_api_v2010.json`, paths `/Messages.json`, `/Messages/{Sid}.json`, `/Media`.
"""

import re
import secrets
from base64 import b64decode
from binascii import Error as Base64Error
from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from starlette.datastructures import FormData

from parvis.simulators.background_tasks import BackgroundTasks
from parvis.simulators.settings import Settings
from parvis.simulators.twilio.carrier import Carrier
from parvis.simulators.twilio.listing import list_messages
from parvis.simulators.twilio.magic_numbers import ApiError, Behaviour, api_error
from parvis.simulators.twilio.messages import API, Account, TwilioMessage, new_sid

_NUMBER = re.compile(r"(?:whatsapp:)?\+[1-9][0-9]{6,14}")
_SENDER_NAME = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9 ]{1,11}")


class ApiRefusal(Exception):
    """The API refuses the request; contains its answer."""

    def __init__(self, message: ApiError) -> None:
        super().__init__(message.message)
        self.why = message


async def answer_refusal(_: Request, refused: Exception) -> JSONResponse:
    if not isinstance(refused, ApiRefusal):
        raise refused
    headers = {"WWW-Authenticate": 'Basic realm="Twilio API"'} if refused.why.status == 401 else None
    return JSONResponse(refused.why.shown(), refused.why.status, headers)


class BasicAuthentication:
    """HTTP Basic authentication with the account's SID and token."""

    def __init__(self, settings: Settings) -> None:
        self._expected = f"{settings.twilio_account_sid}:{settings.twilio_auth_token.get_secret_value()}".encode()
        self._account_sid = settings.twilio_account_sid

    def check(self, request: Request, account_sid: str) -> None:
        scheme, _, encoded = request.headers.get("Authorization", "").partition(" ")
        try:
            credentials = b64decode(encoded, validate=True)
        except (Base64Error, ValueError):
            credentials = b""
        opens = scheme.lower() == "basic" and secrets.compare_digest(credentials, self._expected)
        if not opens or account_sid != self._account_sid:
            raise ApiRefusal(api_error(20003))


class MessagesApi:
    """The routes of the API."""

    def __init__(self, settings: Settings, account: Account, carrier: Carrier, background: BackgroundTasks) -> None:
        self._account = account
        self._carrier = carrier
        self._login = BasicAuthentication(settings)
        self._silence_s = settings.silence_s
        self._background = background

    def routes(self) -> APIRouter:
        router = APIRouter(prefix=f"{API}/Accounts/{{account_sid}}")
        for method, path, answer in (
            ("POST", "/Messages.json", self.create),
            ("GET", "/Messages.json", self.list),
            ("GET", "/Messages/{sid}.json", self.fetch),
            ("POST", "/Messages/{sid}.json", self.redact),
            ("DELETE", "/Messages/{sid}.json", self.delete),
            ("GET", "/Messages/{sid}/Media.json", self.list_media),
            ("DELETE", "/Messages/{sid}/Media/{media_sid}.json", self.delete_media),
            ("GET", "/Messages/{sid}/Media/{media_sid}", self.fetch_media),
        ):
            router.add_api_route(path, answer, methods=[method])
        return router

    async def create(self, request: Request, account_sid: str) -> Response:
        self._login.check(request, account_sid)
        try:
            message, behaviour = _read(await request.form(), self._carrier)
        except ApiRefusal as refused:
            self._account.log_call(refused.why.code)
            raise
        self._account.log_call(message.sid if behaviour.is_stored else behaviour.name)
        created = message.resource(account_sid)
        if behaviour.is_stored:
            self._account.store_message(message)
            await self._carrier.send(message, behaviour)
        if behaviour.answer == "never":
            await self._background.silence(self._silence_s)
        if behaviour.answer != "created":
            raise ApiRefusal(api_error(20500))
        return JSONResponse(created, 201)

    async def list(self, request: Request, account_sid: str) -> Response:
        self._login.check(request, account_sid)
        self._account.list_requests += 1
        if self._carrier.faults.lists == "hang":
            await self._background.silence(self._silence_s)
        if self._carrier.faults.lists:
            raise ApiRefusal(api_error(20500))
        return JSONResponse(list_messages(self._account, request.url.path, request.query_params))

    async def fetch(self, request: Request, account_sid: str, sid: str) -> Response:
        return JSONResponse(self._find(request, account_sid, sid).resource(account_sid))

    async def redact(self, request: Request, account_sid: str, sid: str) -> Response:
        message = self._find(request, account_sid, sid)
        if (await request.form()).get("Body") == "":
            message.body = ""
        return JSONResponse(message.resource(account_sid))

    async def delete(self, request: Request, account_sid: str, sid: str) -> Response:
        del self._account.messages[self._find(request, account_sid, sid).sid]
        return Response(status_code=204)

    async def list_media(self, request: Request, account_sid: str, sid: str) -> Response:
        message = self._find(request, account_sid, sid)
        shown = [media.resource(account_sid, sid) for media in message.media]
        path = request.url.path
        page = {"first_page_uri": path, "next_page_uri": None, "previous_page_uri": None, "uri": path, "page": 0}
        return JSONResponse({"media_list": shown, "start": 0, "end": max(len(shown) - 1, 0), "page_size": 50, **page})

    async def fetch_media(self, request: Request, account_sid: str, sid: str, media_sid: str) -> Response:
        files = self._find(request, account_sid, sid).media
        if self._carrier.faults.media == "hang":
            await self._background.silence(self._silence_s)
        if self._carrier.faults.media:
            raise ApiRefusal(api_error(20404 if self._carrier.faults.media == "lost" else 20500, request.url.path))
        for file in files:
            if media_sid == file.sid:
                return Response(file.content, media_type=file.content_type)
            if media_sid == f"{file.sid}.json":
                return JSONResponse(file.resource(account_sid, sid))
        raise ApiRefusal(api_error(20404, request.url.path))

    async def delete_media(self, request: Request, account_sid: str, sid: str, media_sid: str) -> Response:
        message = self._find(request, account_sid, sid)
        message.media = [media for media in message.media if media.sid != media_sid]
        return Response(status_code=204)

    def _find(self, request: Request, account_sid: str, sid: str) -> TwilioMessage:
        self._login.check(request, account_sid)
        if sid not in self._account.messages:
            raise ApiRefusal(api_error(20404, request.url.path))
        return self._account.messages[sid]


def _read(form: FormData, carrier: Carrier) -> tuple[TwilioMessage, Behaviour]:
    """Check a request to send, in Twilio's order.

    Raises: ApiRefusal.
    """
    fields = {name: value for name, value in form.items() if isinstance(value, str)}
    to, sender, service = (
        fields.get("To", "").strip(),
        fields.get("From", "").strip(),
        fields.get("MessagingServiceSid"),
    )
    body, callback = fields.get("Body", ""), fields.get("StatusCallback")
    if not to:
        raise ApiRefusal(api_error(21604))
    if not sender and not service:
        raise ApiRefusal(api_error(21603))
    if not body.strip() and "MediaUrl" not in fields and "ContentSid" not in fields:
        raise ApiRefusal(api_error(21602))
    if len(body) > 1600:
        raise ApiRefusal(api_error(21617))
    if not _NUMBER.fullmatch(to):
        raise ApiRefusal(api_error(21211, to))
    if sender and not (_NUMBER.fullmatch(sender) or _SENDER_NAME.fullmatch(sender)):
        raise ApiRefusal(api_error(21212, sender))
    if callback is not None and not _is_web_address(callback):
        raise ApiRefusal(api_error(21609, callback))
    behaviour = carrier.faults.next_behaviour(to)
    if behaviour.refused_with:
        raise ApiRefusal(api_error(behaviour.refused_with, to))
    if to in carrier.opted_out:
        raise ApiRefusal(api_error(21610, to))
    sid = new_sid("MM" if "MediaUrl" in fields else "SM")
    message = TwilioMessage(sid, "outbound-api", sender or None, to, body, "queued", service, callback)
    return message, behaviour


def _is_web_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname)
