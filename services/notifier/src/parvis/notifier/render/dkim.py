"""Signs mails with DKIM (RFC 6376). Pure; no I/O."""

import base64
import re
from dataclasses import dataclass

import dkim

from parvis.common.contract.errors import Misconfigured, Rejected

# Every field that a reader sees or a program acts upon. Each is signed once more often than it occurs: a `From` or `Subject` that is
# added in transit then breaks the signature (RFC 6376 §8.15).
_SIGNED = (
    b"from", b"to", b"cc", b"subject", b"date", b"reply-to", b"message-id", b"in-reply-to", b"references", b"mime-version",
    b"content-type", b"content-transfer-encoding", b"content-language", b"auto-submitted", b"list-unsubscribe",
    b"list-unsubscribe-post",
)  # fmt: skip
_RELAXED = (b"relaxed", b"relaxed")  # relays refold header fields and strip trailing spaces
_PEM = re.compile(rb"-----BEGIN [A-Z ]+-----(.*?)-----END [A-Z ]+-----", re.DOTALL)
_ED25519 = bytes.fromhex("06032b6570")  # its object identifier in a PKCS#8 file
_TEST_MAIL = b"From: a@b.example\r\n\r\n"


@dataclass(frozen=True)
class DkimKey:
    """One private key, and the selector of its public key in the DNS."""

    selector: str
    private: bytes
    algorithm: bytes


@dataclass(frozen=True)
class DkimSigner:
    """Signs with every key: the old and the new one during a rotation, or RSA and Ed25519 together (RFC 8463)."""

    domain: str
    keys: tuple[DkimKey, ...] = ()

    def sign(self, content: bytes) -> bytes:
        """Raises: Rejected, if the mail cannot be signed."""
        try:
            return b"".join(self._signature(content, key) for key in self.keys) + content
        except dkim.DKIMException as error:
            raise Rejected(f"the mail cannot be signed: {type(error).__name__}") from error

    def _signature(self, content: bytes, key: DkimKey) -> bytes:
        return dkim.sign(
            content,
            key.selector.encode(),
            self.domain.encode(),
            key.private,
            canonicalize=_RELAXED,
            signature_algorithm=key.algorithm,
            include_headers=list(_over_signed(content)),
        )


def read_key(selector: str, text: bytes) -> DkimKey:
    """Read an RSA or Ed25519 key from PEM.

    Raises: Misconfigured, if it is no such key, or shorter than receivers accept (RFC 8301: 1024 bits; 2048 is usual).
    """
    pem = _PEM.search(text)
    der = base64.b64decode(pem[1]) if pem else b""
    if _ED25519 in der[:20]:
        key = DkimKey(selector, base64.b64encode(der[-32:]), b"ed25519-sha256")
    else:
        key = DkimKey(selector, text, b"rsa-sha256")
    try:
        DkimSigner("b.example", (key,)).sign(_TEST_MAIL)
    except (Rejected, ValueError) as error:
        raise Misconfigured(
            f"the DKIM key of the selector {selector} is not a private RSA or Ed25519 key in PEM"
        ) from error
    return key


def _over_signed(content: bytes) -> list[bytes]:
    head = content.partition(b"\r\n\r\n")[0].lower()
    present = [line.partition(b":")[0] for line in re.split(rb"\r\n(?![ \t])", head)]
    return [name for field in _SIGNED for name in [field] * (present.count(field) + 1)]
