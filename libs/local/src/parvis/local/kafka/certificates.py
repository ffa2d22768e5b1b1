"""Makes a private certificate authority, and signs certificates for a broker on the loopback and for its users."""

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from parvis.local.private_file import write_private

_LASTS = timedelta(days=365)
_USAGE_NAMES = (
    "content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "crl_sign", "encipher_only", "decipher_only",
)  # fmt: skip
_LOOPBACK = (x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1")))


@dataclass(frozen=True)
class CertificateAuthority:
    """Signs certificates into a folder; its own key exists only in this process."""

    folder: Path
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def make(cls, folder: Path) -> "CertificateAuthority":
        folder.mkdir(parents=True, exist_ok=True)
        key, name = ec.generate_private_key(ec.SECP256R1()), _name("Parvis private authority")
        certificate = (
            _builder(name, name, key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .add_extension(_authority_identifier(key), critical=False)
            .sign(key, hashes.SHA256())
        )
        (folder / "ca.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        return cls(folder, certificate, key)

    @property
    def ca_file(self) -> Path:
        return self.folder / "ca.pem"

    def sign_for_broker(self) -> Path:
        """Give a PEM file with the key and the certificate of a broker on the loopback."""
        names = x509.SubjectAlternativeName(_LOOPBACK)
        return self._sign("broker", [(names, False)], ExtendedKeyUsageOID.SERVER_AUTH)

    def sign_for_user(self, user: str) -> Path:
        """Give a PEM file with the key and the certificate of `CN=<user>`."""
        return self._sign(user, [], ExtendedKeyUsageOID.CLIENT_AUTH)

    def _sign(
        self, name: str, extensions: list[tuple[x509.ExtensionType, bool]], purpose: x509.ObjectIdentifier
    ) -> Path:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(_name(name), self.certificate.subject, key.public_key())
        for extension, is_critical in (
            *extensions,
            (x509.BasicConstraints(ca=False, path_length=None), True),
            (_usage(signs_certificates=False), True),
            (x509.ExtendedKeyUsage([purpose]), False),
            (_authority_identifier(self.key), False),
        ):
            builder = builder.add_extension(extension, is_critical)
        file = self.folder / f"{name}.pem"
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        signed = builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        write_private(file, (private + signed).decode())
        return file


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC) - timedelta(minutes=5)  # for clocks that are a little late
    return x509.CertificateBuilder(issuer, subject, key, x509.random_serial_number(), now, now + _LASTS).add_extension(
        x509.SubjectKeyIdentifier.from_public_key(key), critical=False
    )


def _authority_identifier(key: ec.EllipticCurvePrivateKey) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(digital_signature=True, key_cert_sign=signs_certificates, **dict.fromkeys(_USAGE_NAMES, False))
