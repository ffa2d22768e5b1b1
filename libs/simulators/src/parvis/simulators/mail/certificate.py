"""Makes the relay's self-signed certificate once and gives its TLS context."""

import ipaddress
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


def tls_context(certificate: Path, host: str) -> ssl.SSLContext:
    """Give the server's TLS context; create the certificate if it is missing or about to expire.

    Clients trust the file at `certificate`, which is used again after a restart.
    """
    key = certificate.with_suffix(".key")
    if not (_is_good(certificate) and key.exists()):
        _make(certificate, key, host)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


def _is_good(certificate: Path) -> bool:
    try:
        parsed = x509.load_pem_x509_certificate(certificate.read_bytes())
    except (OSError, ValueError):
        return False
    return parsed.not_valid_after_utc > datetime.now(UTC) + timedelta(days=2)


def _make(certificate: Path, key: Path, host: str) -> None:
    private, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Parvis simulated relay")])
    identifier = x509.SubjectKeyIdentifier.from_public_key(private.public_key())
    usage = dict.fromkeys(
        (
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "crl_sign",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    # OpenSSL's strict mode, the default since Python 3.13, requires these four extensions in a self-signed certificate.
    signed = (
        x509.CertificateBuilder(
            name, name, private.public_key(), x509.random_serial_number(), now, now + timedelta(days=365)
        )
        .add_extension(x509.SubjectAlternativeName(_names(host)), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.KeyUsage(digital_signature=True, key_cert_sign=True, **usage), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(identifier, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
        .sign(private, hashes.SHA256())
    )
    certificate.parent.mkdir(parents=True, exist_ok=True)
    key.touch(mode=0o600)
    key.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    written = certificate.with_suffix(".tmp")
    written.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    written.replace(certificate)


def _names(host: str) -> list[x509.GeneralName]:
    names: list[x509.GeneralName] = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return names if host == "localhost" else [*names, x509.DNSName(host)]
    return names if str(address) == "127.0.0.1" else [*names, x509.IPAddress(address)]
