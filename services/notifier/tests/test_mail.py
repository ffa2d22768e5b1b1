"""Facts about rendered mails: DKIM signatures, HTML part, attachments, one-click unsubscription."""

import base64
import email
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from email import policy
from email.message import EmailMessage
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import dkim
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st
from services.notifier.tests.parts import MakeReply

from parvis.common.contract.contact import ContactPoint
from parvis.common.contract.delivery import make_delivery_id
from parvis.common.contract.errors import Misconfigured, Rejected
from parvis.common.contract.reply import ReplyRequested
from parvis.common.testing import A_KEY, AN_INSTANT
from parvis.notifier.models.delivery import Delivery
from parvis.notifier.models.message import AttachedFile
from parvis.notifier.render.dkim import DkimKey, DkimSigner, read_key
from parvis.notifier.render.message_renderer import MessageRenderer
from parvis.notifier.render.signed_links import SignedLinks

DOMAIN = "example-town.example"
MAIL = ContactPoint(kind="email", value="celeste@citizens.example")
LINKS = SignedLinks("https://replies.example-town.example", A_KEY)
MAIL_DKIM = (
    subprocess.run(["perl", "-MMail::DKIM", "-e", "1"], capture_output=True, check=False).returncode == 0
    if shutil.which("perl")
    else False
)

Write = Callable[..., bytes]


def to(reply: ReplyRequested, address: str = MAIL.value) -> Delivery:
    return Delivery(
        delivery_id=make_delivery_id(reply.reply_id, "email"), reply_id=reply.reply_id, conversation_id=reply.conversation_id,
        reference=reply.reference, kind=reply.kind, channel="email", address=address, address_hash="", state="reserved",
        attempt=1, send_at=AN_INSTANT,
    )  # fmt: skip


@pytest.fixture
def write(renderer: MessageRenderer) -> Write:
    """Writes a reply as a mail."""

    def render(reply: ReplyRequested, *enclosures: AttachedFile, address: str = MAIL.value, **changes: Any) -> bytes:
        renders = replace(renderer, public_url=LINKS.public_url, **changes)
        return renders.render(reply, to(reply, address), AN_INSTANT, enclosures).content

    return render


def read(content: bytes) -> EmailMessage:
    message = email.message_from_bytes(content, policy=policy.default)
    assert isinstance(message, EmailMessage)
    return message


def twin(content: bytes, kind: str) -> str:
    part = read(content).get_body((kind,))
    assert part
    return str(part.get_content())


# --- DKIM


def rsa_key(bits: int = 2048) -> tuple[bytes, str]:
    """A private key in PEM, and its record in the DNS."""
    key = rsa.generate_private_key(65537, bits)
    public = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return _pem(key), f"v=DKIM1; k=rsa; p={base64.b64encode(public).decode()}"


def ed25519_key() -> tuple[bytes, str]:
    key = ed25519.Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return _pem(key), f"v=DKIM1; k=ed25519; p={base64.b64encode(public).decode()}"


def _pem(key: Any) -> bytes:
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


@pytest.fixture(scope="module")
def keys() -> tuple[DkimSigner, dict[str, str]]:
    """An old and a new RSA key and an Ed25519 one; what the DNS says of them."""
    made = {"s2025": rsa_key(), "s2026": rsa_key(), "ed2026": ed25519_key()}
    signer = DkimSigner(DOMAIN, tuple(read_key(selector, pem) for selector, (pem, _) in made.items()))
    return signer, {f"{selector}._domainkey.{DOMAIN}": record for selector, (_, record) in made.items()}


@pytest.fixture(params=["answer", "status"])
def signed(
    request: pytest.FixtureRequest, make_reply: MakeReply, write: Write, keys: tuple[DkimSigner, dict[str, str]]
) -> bytes:
    reply = make_reply(
        kind=request.param, legal=False, channel="email", points=(MAIL,), personal={"text": "C’est prêt.\n\n.fin"}
    )
    return write(reply, AttachedFile("acte n° 1.pdf", "application/pdf", b"%PDF-1.7\x00\xff" * 99), signer=keys[0])


def verdicts(content: bytes, zone: dict[str, str]) -> list[bool]:
    found = len(re.findall(rb"^DKIM-Signature:", content, re.MULTILINE))

    def dns(name: bytes, timeout: int = 5) -> bytes:
        return zone.get(name.decode().rstrip("."), "").encode()

    return [dkim.DKIM(content).verify(index, dnsfunc=dns) for index in range(found)]


def test_every_key_signs(signed: bytes, keys: tuple[DkimSigner, dict[str, str]]) -> None:
    assert verdicts(signed, keys[1]) == [True, True, True]


@pytest.mark.skipif(not MAIL_DKIM, reason="Mail::DKIM is not installed: make system")
@pytest.mark.parametrize(
    ("old", "new", "verdict"),
    [
        (b"", b"", "pass"),
        (b"C=E2=80=99est", b"Ce n=E2=80=99est pas", "fail"),
        (b"\r\nSubject: ", b"\r\nSubject: Gratuit !\r\nSubject: ", "fail"),
        (b"\r\nDate: ", b"\r\nReply-To: <voleur@elsewhere.example>\r\nDate: ", "fail"),
    ],
    ids=["as we sent it", "another text", "a second subject", "an added reply-to"],
)
def test_another_library_accepts_our_signatures_and_no_changed_mail(
    signed: bytes, keys: tuple[DkimSigner, dict[str, str]], tmp_path: Path, old: bytes, new: bytes, verdict: str
) -> None:
    (tmp_path / "zone").write_text("".join(f"{name} {record}\n" for name, record in keys[1].items()))
    assert old in signed
    result = subprocess.run(
        ["perl", str(Path(__file__).with_name("dkim_check.pl")), str(tmp_path / "zone")],
        input=signed.replace(old, new, 1) if old else signed, capture_output=True, timeout=30, check=True,
    )  # fmt: skip
    verdicts_by_key = dict(line.split(": ") for line in result.stdout.decode().splitlines())
    assert {verdicts_by_key[selector] for selector in ("s2025", "s2026")} == {verdict}, result.stderr
    assert verdicts_by_key["ed2026"] in {
        verdict,
        "invalid",
    }  # a library that does not know Ed25519 yet says invalid, and goes by the others


def test_every_signed_field_is_signed_once_more_than_it_occurs(signed: bytes) -> None:
    fields = re.sub(rb"\s", b"", signed.partition(b"h=")[2].partition(b";")[0]).split(b":")
    message = read(signed)
    for name in (
        "From",
        "To",
        "Subject",
        "Date",
        "Message-ID",
        "Auto-Submitted",
        "List-Unsubscribe",
        "List-Unsubscribe-Post",
    ):
        assert fields.count(name.lower().encode()) == len(message.get_all(name, [])) + 1, name


@pytest.mark.parametrize("text", [b"", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", b"\xff\x00"])
def test_a_file_that_is_no_key_is_a_configuration_error(text: bytes) -> None:
    with pytest.raises(Misconfigured, match="s2026"):
        read_key("s2026", text)


def test_without_a_key_a_mail_leaves_unsigned(make_reply: MakeReply, write: Write) -> None:
    assert read(write(make_reply(channel="email", points=(MAIL,))))["DKIM-Signature"] is None


def test_a_key_is_never_shown_by_what_failed() -> None:
    with pytest.raises(Rejected) as caught:
        DkimSigner(DOMAIN, (DkimKey("s", b"secret", b"rsa-sha256"),)).sign(b"From: a@b.example\r\n\r\nx")
    assert "secret" not in str(caught.value)


# --- one click out (RFC 8058)


def test_information_offers_one_click_unsubscription(make_reply: MakeReply, write: Write) -> None:
    reply = make_reply(kind="status", legal=False, channel="email", points=(MAIL,))
    message = read(write(reply))
    link = message["List-Unsubscribe"].strip("<>")
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert link.startswith("https://")
    assert LINKS.delivery_of(link.rpartition("/")[2]) == make_delivery_id(reply.reply_id, "email")
    assert "celeste" not in link


@pytest.mark.parametrize(
    ("kind", "legal"),
    [
        ("registration", True),
        ("receipt", True),
        ("transfer", True),
        ("status", True),
        ("answer", False),
        ("question", False),
    ],
)
def test_legal_notices_and_answers_offer_no_unsubscription(
    make_reply: MakeReply, write: Write, kind: str, *, legal: bool
) -> None:
    variables = {"received_on": "x", "procedure": "x", "answer_due_on": "x", "silence_rule": "x"}
    message = read(
        write(make_reply(kind=kind, legal=legal, channel="email", points=(MAIL,), personal={"variables": variables}))
    )
    assert not [name for name in message if name.lower().startswith("list-")]


@given(st.text(max_size=90))
def test_a_forged_token_opens_nothing(text: str) -> None:
    assert LINKS.delivery_of(text) is None
    assert LINKS.reply_of(text, AN_INSTANT) is None


def test_a_link_for_one_purpose_is_none_for_another(make_reply: MakeReply) -> None:
    reply = make_reply()
    out = LINKS.unsubscribe(make_delivery_id(reply.reply_id, "email")).rpartition("/")[2]
    inbox = LINKS.inbox(reply.reply_id, AN_INSTANT.replace(year=2027)).rpartition("/")[2]
    assert LINKS.reply_of(inbox, AN_INSTANT) == reply.reply_id
    assert LINKS.reply_of(inbox, AN_INSTANT.replace(year=2028)) is None
    assert LINKS.reply_of(out, AN_INSTANT) is None
    assert LINKS.delivery_of(inbox) is None


# --- the page


class Seen(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words += data


def seen_in(page: str) -> Seen:
    seen = Seen()
    seen.feed(page)
    return seen


@pytest.mark.parametrize("language", ["fr", "en"])
def test_the_page_has_its_language_one_heading_no_table_and_fetches_nothing(
    make_reply: MakeReply, write: Write, language: str
) -> None:
    page = twin(write(make_reply(channel="email", points=(MAIL,), language=language)), "html")
    seen = seen_in(page)
    names = [name for name, _ in seen.tags]
    assert dict(seen.tags)["html"] == {"lang": language}
    assert names.count("h1") == 1
    assert not {"table", "img", "script", "link", "iframe", "form", "input"} & set(names)
    assert not re.search(r"@import|url\(", page)
    assert "prefers-color-scheme:dark" in page
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in [found for _, found in seen.tags]
    assert "width:" not in page.replace("max-width:", "")


def test_both_parts_have_the_same_text(make_reply: MakeReply, write: Write) -> None:
    content = write(
        make_reply(channel="email", points=(MAIL,), personal={"text": "Un & deux <trois>\n« quatre »\n\ncinq"})
    )
    shown = " ".join(seen_in(twin(content, "html").partition("</h1>")[2]).words.split())
    assert shown == " ".join(twin(content, "plain").split())


def test_only_our_own_addresses_become_links(make_reply: MakeReply, write: Write) -> None:
    text = "Voir https://www.example-town.example/x, https://evil.example/ et https://www.example-town.example.evil.example/"
    links = [found.get("href") for name, found in seen_in(twin(write(make_reply(channel="email", points=(MAIL,), personal={"text": text})), "html")).tags if name == "a"]  # fmt: skip
    assert links == ["https://www.example-town.example/x"]


CANARY = "kanari-7f3a"


@given(st.text(max_size=60), st.sampled_from(["registration", "receipt"]), st.sampled_from(["fr", "en"]))
def test_no_word_of_a_citizen_is_in_an_acknowledgement(
    renderer: MessageRenderer, make_reply: MakeReply, around: str, kind: str, language: str
) -> None:
    """Whatever they wrote, and wherever an asker put it: text, subject, a name, a file's name."""
    theirs = f"{around}{CANARY}{around}"
    variables = dict.fromkeys(
        ("text", "subject", "name", "department", "town", "reference", "department_email", "town_web"), theirs
    )
    personal = {"text": theirs, "variables": variables, "file_names": (theirs,), "in_reply_to": f"<{CANARY}@x.example"}
    content = renderer.render(reply := make_reply(kind=kind, channel="email", points=(MAIL,), personal=personal, language=language), to(reply), AN_INSTANT).content  # fmt: skip
    message = read(content)
    for part in message.walk():
        part_content = part.get_content() if not part.is_multipart() else ""
        assert CANARY not in str(part_content)
    assert all(CANARY not in str(value) for value in message.values())


# --- files and addresses


def test_files_go_with_an_answer_under_their_own_names(make_reply: MakeReply, write: Write) -> None:
    files = [
        AttachedFile("acte d’état civil.pdf", "application/pdf", bytes(range(256)) * 40),
        AttachedFile('a\r\nBcc: x@y.example".txt', "text/plain; charset=utf-8", "é\r\n.\r\n".encode()),
        AttachedFile("", "message/rfc822\r\nX: y", b"From: x\r\n\r\n"),
    ]
    content = write(make_reply(channel="email", points=(MAIL,)), *files)
    message = read(content)
    found = list(message.iter_attachments())
    assert [part.get_filename() for part in found] == ["acte d’état civil.pdf", "a Bcc- x@y.example-.txt", "document-3"]
    assert [part.get_payload(decode=True) for part in found] == [file.content for file in files]
    assert [part.get_content_type() for part in found] == ["application/pdf", "text/plain", "application/octet-stream"]
    assert message["Bcc"] is None
    assert "Votre acte est prêt." in twin(content, "plain")
    assert all(len(line) <= 998 for line in content.split(b"\r\n"))


@pytest.mark.parametrize(
    ("address", "written"),
    [
        ("zoé@citizens.example", "zoé@citizens.example"),
        ("zoe@café.example", "zoe@xn--caf-dma.example"),
        ("用户@例子.example", "用户@xn--fsqu00a.example"),
    ],
)
def test_an_address_beyond_ascii_is_written_raw_and_its_domain_as_the_dns_knows_it(
    make_reply: MakeReply, write: Write, keys: tuple[DkimSigner, dict[str, str]], address: str, written: str
) -> None:
    content = write(make_reply(channel="email", points=(MAIL,)), address=address, signer=keys[0])
    assert f"\r\nTo: <{written}>\r\n".encode() in content
    assert verdicts(content, keys[1]) == [True, True, True]


@pytest.mark.parametrize("address", ["a@b>, <x@y.example", "a\r\nBcc: x@y.example"])
def test_an_address_that_is_none_is_refused(make_reply: MakeReply, write: Write, address: str) -> None:
    with pytest.raises(Rejected):
        write(make_reply(channel="email", points=(MAIL,)), address=address)
