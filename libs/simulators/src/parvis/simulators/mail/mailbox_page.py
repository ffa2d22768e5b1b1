"""Serves the citizens' mailboxes as web pages, with a form to write to the town."""

from urllib.parse import quote, urlencode

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from parvis.simulators.mail.control import send
from parvis.simulators.mail.mailboxes import Mailboxes, StoredMail
from parvis.simulators.mail.mime_builder import OutgoingMail
from parvis.simulators.mail.mime_reader import read_mail
from parvis.simulators.mail.recipients import MAGIC
from parvis.simulators.mail.smtp_client import CitizenSmtpClient
from parvis.simulators.page_rendering import render_page
from parvis.simulators.settings import Settings

SHOWN = 200  # mails in the list; a load test sends thousands
# Types that a browser shows without running anything; others are downloaded.
_INLINE = frozenset({"application/pdf", "image/png", "image/jpeg", "image/gif"})


class MailboxPages:
    """Routes of the mail pages, /live and /ready."""

    def __init__(self, settings: Settings, box: Mailboxes, postman: CitizenSmtpClient) -> None:
        self._town_mailbox = settings.town_mailbox
        self._box = box
        self._postman = postman

    def routes(self) -> APIRouter:
        router = APIRouter()
        router.add_api_route("/", self.inbox, methods=["GET"], response_class=HTMLResponse)
        router.add_api_route("/mail/{mail_id}", self.mail, methods=["GET"], response_class=HTMLResponse)
        router.add_api_route("/mail/{mail_id}/raw", self.raw, methods=["GET"])
        router.add_api_route("/mail/{mail_id}/html", self.html, methods=["GET"], response_class=HTMLResponse)
        router.add_api_route("/mail/{mail_id}/attachments/{number}", self.attachment, methods=["GET"])
        router.add_api_route("/write", self.write, methods=["GET"], response_class=HTMLResponse)
        router.add_api_route("/write", self.send, methods=["POST"])
        router.add_api_route("/addresses", self.addresses, methods=["GET"], response_class=HTMLResponse)
        return router

    def _find(self, mail_id: str) -> StoredMail:
        mail = self._box.find(mail_id)
        if mail is None:
            raise HTTPException(404, "no such mail")
        return mail

    async def inbox(self, request: Request) -> HTMLResponse:
        recipient = request.query_params.get("to")
        mails = [mail for mail in reversed(self._box.mails) if recipient in (None, *_addresses(mail))][:SHOWN]
        rows = [{"mail": mail, "addresses": _addresses(mail), "reading": read_mail(mail.content)} for mail in mails]
        sent = [mail.shown() | {"created": mail.created_at} for mail in list(reversed(self._postman.sent))[:20]]
        return render_page(request, "inbox.html", {"rows": rows, "recipient": recipient, "sent": sent}, refresh=True)

    async def mail(self, request: Request, mail_id: str) -> HTMLResponse:
        mail = self._find(mail_id)
        return render_page(
            request, "mail.html", {"mail": mail, "addresses": _addresses(mail), "reading": read_mail(mail.content)}
        )

    async def raw(self, mail_id: str) -> Response:
        named = {"Content-Disposition": f'attachment; filename="{mail_id}.eml"'}
        return Response(self._find(mail_id).content, media_type="message/rfc822", headers=named)

    async def html(self, mail_id: str) -> Response:
        # Shown in a sandboxed frame. If it is opened directly, the policy also prevents scripts and requests.
        policy = "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'"
        return HTMLResponse(
            read_mail(self._find(mail_id).content).html or "", headers={"Content-Security-Policy": policy}
        )

    async def attachment(self, mail_id: str, number: int) -> Response:
        parts = read_mail(self._find(mail_id).content).attachments
        if not 0 <= number < len(parts):
            raise HTTPException(404, "no such attachment")
        part = parts[number]
        how = "inline" if part.content_type in _INLINE else "attachment"
        headers = {
            "Content-Disposition": f"{how}; filename*=UTF-8''{quote(part.filename)}",
            "X-Content-Type-Options": "nosniff",
        }
        shown_as = part.content_type if how == "inline" else "application/octet-stream"
        return Response(part.content, media_type=shown_as, headers=headers)

    async def write(self, request: Request) -> HTMLResponse:
        query = request.query_params
        values = {
            "citizen": query.get("from", "camille@citizens.example"),
            "to": query.get("to", self._town_mailbox),
            "subject": query.get("subject", ""),
            "in_reply_to": query.get("in_reply_to", ""),
        }
        return render_page(request, "write_mail.html", values)

    async def send(self, request: Request) -> Response:
        form = {name: str(value) for name, value in (await request.form()).items()}
        outgoing = OutgoingMail(
            sender=form.get("from", ""),
            to=form.get("to") or None,
            subject=form.get("subject", ""),
            text=form.get("text", ""),
            in_reply_to=form.get("in_reply_to") or None,
        )
        try:
            await send(outgoing, self._postman, self._town_mailbox)
        except ValueError as error:
            raise HTTPException(422, str(error)) from error
        language = urlencode({"lang": request.query_params.get("lang", "fr")})
        return RedirectResponse(f"/?{language}", status_code=303)

    async def addresses(self, request: Request) -> HTMLResponse:
        return render_page(request, "addresses.html", {"recipients": MAGIC})


def _addresses(mail: StoredMail) -> list[str]:
    return [recipient.address for recipient in mail.recipients]
