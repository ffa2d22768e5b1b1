"""Defines the settings PARVIS_INGEST_EMAIL_*."""

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from parvis.common.runtime.settings import ServiceSettings


class Settings(ServiceSettings):
    """What the mail door listens on, whom it believes, and how much it takes."""

    model_config = SettingsConfigDict(env_prefix="PARVIS_INGEST_EMAIL_", extra="ignore")

    port: int = Field(default=8102, ge=0, le=65535, description="HTTP port: /live, /ready and /metrics")
    smtp_port: int = Field(default=2525, ge=0, le=65535, description="SMTP, for the town's mail server; 0 closes it")
    lmtp_port: int = Field(default=2424, ge=0, le=65535, description="LMTP, for the town's mail server; 0 closes it")
    authserv_id: str = Field(
        default="",
        max_length=253,
        description="the name our own mail server writes in Authentication-Results; empty believes none. "
        "The server must remove this name from what comes in",
    )
    largest_mail_bytes: int = Field(
        default=40 * 1024 * 1024, ge=64 * 1024, le=200 * 1024 * 1024, description="bytes; more is refused with 552"
    )
    connections: int = Field(default=200, ge=1, le=10_000, description="at once, SMTP and LMTP together; more get 421")
    client_connections: int = Field(
        default=50, ge=1, le=10_000, description="at once from one client; our own mail servers may have all"
    )
    trusted_networks: str = Field(
        default="127.0.0.0/8 ::1/128",
        description="our own mail servers, who say with XFORWARD whose mail they bring, separated by spaces",
    )
    client_mails_per_minute: float = Field(
        default=300,
        ge=1,
        le=1_000_000,
        description="of one client, in the long run; four minutes' worth at once; more get 451",
    )
    domain_mails_per_minute: float = Field(
        default=6000,
        ge=1,
        le=1_000_000,
        description="the same of one sender's domain, behind a mail server that does not say whose mail it brings",
    )
    large_mails_bytes: int = Field(
        default=160 * 1024 * 1024,
        ge=1024 * 1024,
        description="bytes of all mails over 256 KiB under way; who comes then waits half a minute, then gets 452",
    )
    tls_certificate: Path | None = Field(default=None, description="PEM file with the chain; set, STARTTLS is offered")
    tls_key: Path | None = Field(default=None, description="PEM file of its key, where the certificate's has none")
    tls_required: bool = Field(default=False, description="take nothing before STARTTLS")
    readers: int = Field(default=2, ge=1, le=32, description="processes that read mails, one mail at a time each")
    reader_memory_bytes: int = Field(
        default=1024 * 1024 * 1024, ge=256 * 1024 * 1024, description="address space of one reading process"
    )
    reader_cpu_s: int = Field(default=10, ge=1, le=300, description="processor seconds one mail may take")
    reader_wall_s: float = Field(
        default=5,
        gt=0,
        le=600,
        description="seconds one mail may take by the clock; less than the eight a sender waits",
    )
    imap_url: str = Field(
        default="",
        description="hosted mailboxes to pull, such as imaps://mairie@town.example@imap.host.example/INBOX, separated by "
        "spaces; imap:// begins with STARTTLS; empty pulls none and needs no database",
    )
    imap_password: SecretStr | None = Field(
        default=None, description="one line a mailbox, in the order of the addresses; one line alone serves them all"
    )
    imap_token_file: Path | None = Field(
        default=None, description="a file with an OAuth 2 access token, read at each login, in place of passwords"
    )
    imap_ca_file: Path | None = Field(default=None, description="certificates to believe, where not the system's")
    imap_plain: bool = Field(
        default=False, description="let imap:// go without TLS; to this machine itself it always may"
    )
    imap_done_folder: str = Field(default="Traités", min_length=1, description="where mails go when they are contacts")
    imap_aside_folder: str = Field(
        default="Trop volumineux",
        min_length=1,
        description="where mails go that are too large, or cannot become contacts",
    )
    imap_poll_s: float = Field(
        default=60, ge=1, le=3600, description="seconds between two looks, where the host has no IDLE"
    )
    imap_idle_s: float = Field(
        default=540, ge=2, le=1740, description="seconds until IDLE is begun anew; hosts end it after 30 minutes"
    )
