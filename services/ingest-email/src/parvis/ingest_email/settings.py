"""Defines the settings PARVIS_INGEST_EMAIL_*."""

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from parvis.common.runtime.settings import ServiceSettings


class Settings(ServiceSettings):
    """Ports, trusted mail servers, limits and hosted mailboxes of ingest-email."""

    model_config = SettingsConfigDict(env_prefix="PARVIS_INGEST_EMAIL_", extra="ignore")

    port: int = Field(default=8102, ge=0, le=65535, description="HTTP port: /live, /ready and /metrics")
    smtp_port: int = Field(
        default=2525, ge=0, le=65535, description="SMTP port for the town's mail server; 0 disables SMTP"
    )
    lmtp_port: int = Field(
        default=2424, ge=0, le=65535, description="LMTP port for the town's mail server; 0 disables LMTP"
    )
    authserv_id: str = Field(
        default="",
        max_length=253,
        description="name that our own mail server writes in Authentication-Results; if empty, no result is trusted. "
        "The server must remove results with this name from incoming mail",
    )
    largest_mail_bytes: int = Field(
        default=40 * 1024 * 1024,
        ge=64 * 1024,
        le=200 * 1024 * 1024,
        description="largest mail in bytes; larger ones are refused with 552",
    )
    connections: int = Field(
        default=200,
        ge=1,
        le=10_000,
        description="simultaneous connections, SMTP and LMTP together; further ones get 421",
    )
    client_connections: int = Field(
        default=50,
        ge=1,
        le=10_000,
        description="simultaneous connections of one client; trusted mail servers have no limit of their own",
    )
    trusted_networks: str = Field(
        default="127.0.0.0/8 ::1/128",
        description="networks of our own mail servers, separated by spaces; their XFORWARD and XCLIENT are believed",
    )
    client_mails_per_minute: float = Field(
        default=300,
        ge=1,
        le=1_000_000,
        description="mails per minute of one client on average, with a burst of four minutes' worth; more get 451",
    )
    domain_mails_per_minute: float = Field(
        default=6000,
        ge=1,
        le=1_000_000,
        description="mails per minute of one sender domain, for trusted mail servers that send no XFORWARD or XCLIENT",
    )
    large_mails_bytes: int = Field(
        default=160 * 1024 * 1024,
        ge=1024 * 1024,
        description="total bytes of mails over 256 KiB being received; a further one waits 30 seconds, then gets 452",
    )
    tls_certificate: Path | None = Field(
        default=None, description="PEM file with the certificate chain; STARTTLS is offered if set"
    )
    tls_key: Path | None = Field(
        default=None, description="PEM file with the private key, if the certificate file does not contain it"
    )
    tls_required: bool = Field(default=False, description="refuse mail before STARTTLS")
    readers: int = Field(
        default=2,
        ge=1,
        le=32,
        description="parser processes; each parses one mail at a time, and one more parses mails over 512 KiB",
    )
    reader_memory_bytes: int = Field(
        default=1024 * 1024 * 1024, ge=256 * 1024 * 1024, description="address space of one parser process, in bytes"
    )
    reader_cpu_s: int = Field(default=10, ge=1, le=300, description="processor seconds to parse one mail")
    reader_wall_s: float = Field(
        default=5,
        gt=0,
        le=600,
        description="seconds of wall-clock time to parse one mail; must be below the 8 seconds within which a mail is answered",
    )
    imap_url: str = Field(
        default="",
        description="hosted mailboxes to poll, such as imaps://mairie@town.example@imap.host.example/INBOX, separated by "
        "spaces; imap:// uses STARTTLS; if empty, none is polled and no database is needed",
    )
    imap_password: SecretStr | None = Field(
        default=None,
        description="passwords, one line for each mailbox in the order of imap_url; a single line is used for all",
    )
    imap_token_file: Path | None = Field(
        default=None, description="file with an OAuth 2 access token, read at each login and used instead of passwords"
    )
    imap_ca_file: Path | None = Field(
        default=None, description="PEM file of trusted certificate authorities; default is the system's"
    )
    imap_plain: bool = Field(default=False, description="allow imap:// without TLS; always allowed to this machine")
    imap_done_folder: str = Field(
        default="Traités", min_length=1, description="folder for mails that have become contacts"
    )
    imap_aside_folder: str = Field(
        default="Trop volumineux",
        min_length=1,
        description="folder for mails that are too large or cannot become contacts",
    )
    imap_poll_s: float = Field(
        default=60, ge=1, le=3600, description="seconds between two polls if the host does not offer IDLE"
    )
    imap_idle_s: float = Field(
        default=540, ge=2, le=1740, description="seconds after which IDLE is restarted; hosts end it after 30 minutes"
    )
