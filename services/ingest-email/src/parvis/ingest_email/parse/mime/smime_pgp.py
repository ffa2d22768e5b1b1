"""Opens signed, compressed and encrypted parts and checks S/MIME signatures (RFC 8551, 3156). Pure; no I/O."""

import hashlib
import re
import zlib
from collections.abc import Sequence

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from parvis.ingest_email.parse.mime import asn1_der
from parvis.ingest_email.parse.mime.collected_parts import CollectedParts
from parvis.ingest_email.parse.mime.part_tree import MimePart

ENVELOPES = frozenset({"application/pkcs7-mime", "application/x-pkcs7-mime"})
ARMOUR = "-----BEGIN PGP "
ENCRYPTED = "the mail is encrypted: ask the sender to send it unencrypted, or open it with the key"
_SIGNED, _COMPRESSED, _ZLIB_LIMIT = (
    bytes.fromhex("2a864886f70d010702"),
    bytes.fromhex("2a864886f70d0109100109"),
    40 * 1024 * 1024,
)
_MESSAGE_DIGEST, _PSS = bytes.fromhex("2a864886f70d010904"), bytes.fromhex("2a864886f70d01010a")
_DIGESTS = {
    bytes.fromhex("2b0e03021a"): hashes.SHA1(),  # noqa: S303 (old mail programs sign so)
    bytes.fromhex("608648016503040201"): hashes.SHA256(),
    bytes.fromhex("608648016503040202"): hashes.SHA384(),
    bytes.fromhex("608648016503040203"): hashes.SHA512(),
}
_BEGIN, _SIGNATURE, _END = (
    "-----BEGIN PGP SIGNED MESSAGE-----\n",
    "-----BEGIN PGP SIGNATURE-----",
    "-----END PGP SIGNATURE-----",
)
_DASHED = re.compile(r"^- ", re.MULTILINE)

VALID, BROKEN, UNKNOWN, PGP_UNKNOWN = "smime-valid", "smime-broken", "smime-not-verified", "pgp-not-verified"


def mark_encrypted(body: CollectedParts) -> None:
    body.add_remark("encrypted")
    body.add_trouble(ENCRYPTED)


def remove_pgp_armour(text: str, body: CollectedParts) -> str:
    """Remove the PGP armour around signed text, which is not verified; leave encrypted text as it is."""
    if "-----BEGIN PGP MESSAGE-----" in text:
        mark_encrypted(body)
    pieces: list[str] = []
    at = 0
    while (start := text.find(_BEGIN, at)) >= 0 and (signature := text.find(_SIGNATURE, start)) >= 0:
        _, _, words = text[start:signature].partition("\n\n")  # after the Hash headers
        pieces += [text[at:start], _DASHED.sub("", words)]
        end = text.find(_END, signature)
        at = end + len(_END) if end >= 0 else len(text)
        body.add_remark(PGP_UNKNOWN)
    return "".join([*pieces, text[at:]])


def open_envelope(part: MimePart, body: CollectedParts) -> bytes | None:
    """Return the mail inside a signed or compressed S/MIME envelope; None if it is encrypted or malformed."""
    try:
        kind, inside = _parse_content_info(part.decoded.content)
        if kind == _COMPRESSED:
            return zlib.decompressobj().decompress(
                inside.children()[2].children()[1].children()[0].octets(), _ZLIB_LIMIT
            )
        if kind != _SIGNED:
            mark_encrypted(body)
            return None
        content = inside.children()[2].children()[1].children()[0].octets()
    except (asn1_der.DerError, IndexError, zlib.error, RecursionError):
        if part.content_type.get("smime-type") in ("enveloped-data", "authenveloped-data", ""):
            mark_encrypted(body)
        else:
            body.add_trouble("the S/MIME envelope is malformed")
        return None
    body.add_remark(_check_signed_data(inside, content))
    return content


def check_signature(part: MimePart) -> str:
    """Verify a multipart/signed against the certificate it contains. The owner of the certificate is not checked."""
    signature = part.children[1]
    if "pkcs7" not in signature.media_type:
        return PGP_UNKNOWN if "pgp" in signature.media_type else UNKNOWN
    signed = part.children[0].raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")
    try:
        kind, inside = _parse_content_info(signature.decoded.content)
    except (asn1_der.DerError, IndexError, RecursionError):
        return UNKNOWN
    return _check_signed_data(inside, signed) if kind == _SIGNED else UNKNOWN


def _parse_content_info(content: bytes) -> tuple[bytes, asn1_der.DerElement]:
    """The content type and the content (RFC 5652 §3).

    Raises: DerError, IndexError or RecursionError for anything else.
    """
    children = asn1_der.parse_der(content).children()
    return children[0].content, children[1].children()[0]


def _check_signed_data(signed_data: asn1_der.DerElement, content: bytes) -> str:
    try:
        parts = signed_data.children()
        certificates = [
            x509.load_der_x509_certificate(element.encoded)
            for part in parts
            if part.tag == 0xA0
            for element in part.children()
        ]
        checks = [_check_signer(signer.children(), certificates, content) for signer in parts[-1].children()]
    except (asn1_der.DerError, IndexError, KeyError, ValueError, TypeError, RecursionError, UnsupportedAlgorithm):
        return UNKNOWN
    if not checks or None in checks:
        return UNKNOWN
    return VALID if all(checks) else BROKEN


def _check_signer(
    signer: Sequence[asn1_der.DerElement], certificates: Sequence[x509.Certificate], content: bytes
) -> bool | None:
    """Verify one SignerInfo (RFC 5652 §5.3); None if the mail does not contain its certificate."""
    serial = int.from_bytes(signer[1].children()[1].content, "big") if signer[1].tag == 0x30 else None
    certificate = next((candidate for candidate in certificates if serial in (None, candidate.serial_number)), None)
    if certificate is None:
        return None
    digest = _DIGESTS[signer[2].children()[0].content]
    signed, rest = content, signer[3:]
    if rest[0].tag == 0xA0:
        declared_digest = next(
            attribute.children()[1].children()[0].content
            for attribute in rest[0].children()
            if attribute.children()[0].content == _MESSAGE_DIGEST
        )
        if declared_digest != hashlib.new(digest.name, content).digest():
            return False
        signed, rest = b"\x31" + rest[0].encoded[1:], rest[1:]
    return _verify_signature(certificate, signed, rest[1].content, digest, is_pss=rest[0].children()[0].content == _PSS)


def _verify_signature(
    certificate: x509.Certificate, signed: bytes, signature: bytes, digest: hashes.HashAlgorithm, *, is_pss: bool
) -> bool:
    key = certificate.public_key()
    try:
        if isinstance(key, rsa.RSAPublicKey):
            scheme = padding.PSS(padding.MGF1(digest), padding.PSS.AUTO) if is_pss else padding.PKCS1v15()
            key.verify(signature, signed, scheme, digest)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, signed, ec.ECDSA(digest))
        else:
            raise UnsupportedAlgorithm("key")
    except InvalidSignature:
        return False
    return True
