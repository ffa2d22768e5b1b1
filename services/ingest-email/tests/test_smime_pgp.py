"""Tests signed, enveloped and packed mails."""

import base64
import contextlib
import struct
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import pkcs7
from hypothesis import given
from hypothesis import strategies as st

from parvis.ingest_email.parse.mail import parse_mail
from parvis.ingest_email.parse.mime import asn1_der
from parvis.ingest_email.parse.mime.rtf import decompress_rtf, rtf_to_text
from parvis.ingest_email.parse.mime.tnef import parse_tnef

WORDS = b"Content-Type: text/plain; charset=utf-8\r\n\r\nBonjour\r\n"
Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@pytest.fixture(scope="module", params=["rsa", "ec"])
def key(request: pytest.FixtureRequest) -> Key:
    return rsa.generate_private_key(65537, 2048) if request.param == "rsa" else ec.generate_private_key(ec.SECP256R1())


def certificate(key: Key) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "camille@citizens.example")])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = (
        made.serial_number(x509.random_serial_number()).not_valid_before(now).not_valid_after(now + timedelta(days=1))
    )
    return made.sign(key, hashes.SHA256())


def signature(key: Key, *options: pkcs7.PKCS7Options) -> bytes:
    builder = pkcs7.PKCS7SignatureBuilder().set_data(WORDS).add_signer(certificate(key), key, hashes.SHA256())
    return builder.sign(serialization.Encoding.DER, [pkcs7.PKCS7Options.Binary, *options])


def detached(key: Key) -> bytes:
    signed = base64.encodebytes(signature(key, pkcs7.PKCS7Options.DetachedSignature))
    head = b'From: a@b.example\r\nContent-Type: multipart/signed; protocol="application/pkcs7-signature"; boundary=s\r\n\r\n'
    last = b"\r\n--s\r\nContent-Type: application/pkcs7-signature; name=smime.p7s\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    return head + b"--s\r\n" + WORDS + last + signed + b"--s--\r\n"


def enveloped(content: bytes, kind: str) -> bytes:
    head = f"From: a@b.example\nContent-Type: application/pkcs7-mime; smime-type={kind}; name=smime.p7m\n"
    return head.encode() + b"Content-Transfer-Encoding: base64\n\n" + base64.encodebytes(content)


def test_a_signature_that_fits_its_certificate_is_said_to_fit(key: Key) -> None:
    mail, _ = parse_mail(detached(key))
    assert (mail.text, mail.remarks) == ("Bonjour", ("smime-valid",))
    assert [one.name for one in mail.attachments] == ["smime.p7s"]


def test_a_mail_that_was_changed_on_the_way_is_said_to_be_broken(key: Key) -> None:
    mail, _ = parse_mail(detached(key).replace(b"Bonjour", b"Bonsoir"))
    assert (mail.text, mail.remarks) == ("Bonsoir", ("smime-broken",))


def test_line_ends_do_not_break_a_signature(key: Key) -> None:
    mail, _ = parse_mail(detached(key).replace(b"\r\n", b"\n"))
    assert mail.remarks == ("smime-valid",)


def test_the_mail_in_a_signed_envelope_is_read(key: Key) -> None:
    mail, _ = parse_mail(enveloped(signature(key), "signed-data"))
    assert (mail.text, mail.remarks, mail.trouble) == ("Bonjour", ("smime-valid",), None)


def test_a_signature_nobody_can_read_is_not_verified() -> None:
    content = b"Content-Type: multipart/signed; boundary=s\n\n--s\n\nBonjour\n--s\nContent-Type: application/pkcs7-signature\n\nx\n--s--\n"
    mail, _ = parse_mail(content)
    assert (mail.text, mail.remarks) == ("Bonjour", ("smime-not-verified",))


def test_an_encrypted_mail_goes_to_people_with_its_envelope() -> None:
    key = rsa.generate_private_key(65537, 2048)
    builder = pkcs7.PKCS7EnvelopeBuilder().set_data(WORDS).add_recipient(certificate(key))
    mail, contents = parse_mail(enveloped(builder.encrypt(serialization.Encoding.DER, []), "enveloped-data"))
    assert mail.remarks == ("encrypted",)
    assert mail.trouble
    assert (mail.text, len(contents)) == ("", 1)


@pytest.mark.parametrize("content", [b"\x30\x00", b"\x30\x02\x06\x00"])
def test_an_envelope_without_content_is_broken_and_the_text_beside_it_stays(content: bytes) -> None:
    head = b"Content-Type: multipart/mixed; boundary=s\n\n--s\n\nBonjour\n--s\n"
    mail, _ = parse_mail(head + enveloped(content, "signed-data") + b"\n--s--\n")
    assert (mail.text, mail.trouble) == ("Bonjour", "the S/MIME envelope is malformed")


@given(st.binary(max_size=200))
def test_no_envelope_is_too_strange(content: bytes) -> None:
    parse_mail(enveloped(content, "signed-data"))
    parse_mail(enveloped(b"\x30\x80" + content, ""))
    with contextlib.suppress(asn1_der.DerError):
        asn1_der.parse_der(content).children()


def attribute(level: int, name: int, value: bytes) -> bytes:
    return struct.pack("<BII", level, name, len(value)) + value + struct.pack("<H", sum(value) % 65536)


def padded(value: bytes) -> bytes:
    return struct.pack("<I", len(value)) + value + bytes(-len(value) % 4)


def properties(*values: tuple[int, int, bytes]) -> bytes:
    packed = (struct.pack("<HHI", kind, name, 1) + padded(value) for kind, name, value in values)
    return struct.pack("<I", len(values)) + b"".join(packed)


def winmail(*attributes: bytes) -> bytes:
    return b"\x78\x9f\x3e\x22\x00\x00" + attribute(1, 0x00069007, struct.pack("<II", 1252, 0)) + b"".join(attributes)


PLAN = (
    attribute(2, 0x00069002, bytes(14)),
    attribute(2, 0x00018010, b"PLAN~1.PDF\x00"),
    attribute(2, 0x0006800F, b"%PDF-1.4 plan"),
    attribute(2, 0x00069005, properties((0x1F, 0x3707, "Plan général.pdf\x00".encode("utf-16-le")))),
)


def test_what_outlook_packed_is_unpacked() -> None:
    body = attribute(1, 0x0002800C, "Voici le plan : été.\x00".encode("cp1252"))
    head = b"From: a@b.example\nContent-Type: application/octet-stream; name=winmail.dat\nContent-Transfer-Encoding: base64\n\n"
    mail, contents = parse_mail(head + base64.encodebytes(winmail(body, *PLAN)))
    assert (mail.text, mail.remarks) == ("Voici le plan : été.", ("winmail",))
    assert [(one.name, one.media_type) for one in mail.attachments] == [
        ("winmail.dat", "application/ms-tnef"),
        ("Plan général.pdf", "application/pdf"),
    ]
    assert contents[1] == b"%PDF-1.4 plan"


def test_a_page_in_it_is_a_page() -> None:
    unpacked = parse_tnef(winmail(attribute(1, 0x00069003, properties((0x102, 0x1013, b"<p>Bonjour</p>")))))
    assert (unpacked.body, unpacked.is_html) == (b"<p>Bonjour</p>", True)


def test_rtf_in_it_is_read() -> None:
    rtf = b"{\\rtf1\\ansi\\ansicpg1252{\\fonttbl{\\f0 Arial;}}\\f0 D\\'e9chets\\par \\u8364? 5}"
    packed = struct.pack("<II4sI", len(rtf) + 12, len(rtf), b"MELA", 0) + rtf
    unpacked = parse_tnef(winmail(attribute(1, 0x00069003, properties((0x102, 0x1009, packed)))))
    assert unpacked.body.decode() == "Déchets\n€ 5"


def test_packed_rtf_is_unpacked_by_the_example_of_its_definition() -> None:
    """[MS-OXRTFCP] §4.1.1 and §4.1.2."""
    first = "2d0000002b0000004c5a4675f1c5c7a703000a007263706731323542320af32068656c090020627705b06c647d0a800fa0"
    assert decompress_rtf(bytes.fromhex(first)) == b"{\\rtf1\\ansi\\ansicpg1252\\pard hello world}\r\n"
    second = bytes.fromhex("1a0000001c0000004c5a4675e2d44b51410004205758595a0d6e7d010eb0")
    assert decompress_rtf(second) == b"{\\rtf1 WXYZWXYZWXYZWXYZWXYZ}"


def test_a_page_wrapped_in_rtf_is_a_page() -> None:
    rtf = rb"{\rtf1\ansi\fromhtml1 {\*\htmltag64 <p>}\htmlrtf {\htmlrtf0 Bonjour{\*\htmltag72 </p>}\htmlrtf }\htmlrtf0}"
    shown = rtf_to_text(rtf)
    assert (shown.text, shown.is_html) == ("<p>Bonjour</p>", True)


def test_rtf_of_an_unknown_code_page_is_western() -> None:
    assert rtf_to_text(rb"{\rtf1\ansi\ansicpg9999 D\'e9chets}").text == "Déchets"


def test_an_envelope_that_is_cut_short_gives_what_it_has() -> None:
    unpacked = parse_tnef(winmail(*PLAN)[:-20])
    assert unpacked.trouble == "winmail.dat is cut short"
    assert unpacked.files[0].content == b"%PDF-1.4 plan"


@given(st.binary(max_size=300), st.integers(0, 400))
def test_no_winmail_is_too_strange(content: bytes, cut: int) -> None:
    parse_tnef(b"\x78\x9f\x3e\x22" + content)
    parse_tnef(winmail(*PLAN)[:cut] + content)
    parse_tnef(winmail(attribute(1, 0x00069003, content)))
    decompress_rtf(content)
    rtf_to_text(content)
