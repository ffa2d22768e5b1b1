"""Declares the settings PARVIS_INGEST_POSTAL_*."""

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from parvis.common.runtime.settings import ServiceSettings


class Settings(ServiceSettings):
    """The watched folder or bucket, the polling, and the limits of one letter."""

    model_config = SettingsConfigDict(env_prefix="PARVIS_INGEST_POSTAL_", extra="ignore")

    port: int = Field(default=8104, ge=0, le=65535, description="HTTP port: /live, /ready and /metrics")
    folder: Path | None = Field(
        default=None, description="directory with ready/, done/, quarantine/ and tmp/; empty: scans/ in PARVIS_VAR"
    )
    bucket: str = Field(
        default="",
        description="URL of a bucket to watch instead of a folder: s3://bucket/folder, gs://, az:// or file:///folder; scans lie under ready/",
    )
    drop_box: str = Field(
        default="mail-room",
        pattern=r"^[a-z0-9][a-z0-9-]{0,60}$",
        description="name of this drop box; part of each contact id: never change it",
    )
    poll_s: float = Field(default=2.0, gt=0, le=300, description="seconds between two polls of the folder")
    settle_s: float = Field(default=10.0, ge=0, le=600, description="seconds without change before a file is opened")
    quarantine_after_s: float = Field(
        default=900.0, gt=0, description="seconds without change before an unfinished file is quarantined"
    )
    readers: int = Field(
        default=1,
        ge=1,
        le=64,
        description="letters read at the same time; each takes one processor and up to the memory limit",
    )
    size_limit_mib: int = Field(default=50, ge=1, le=1024, description="largest file, MiB")
    pages_limit: int = Field(default=50, ge=1, le=100, description="pages read of one letter; agents read the rest")
    batch_pages_limit: int = Field(
        default=500, ge=1, le=2000, description="pages of one file that are searched for separator sheets"
    )
    letters_limit: int = Field(
        default=200, ge=1, le=1000, description="letters in one batch; a longer batch goes to an agent undivided"
    )
    megapixels_limit: int = Field(
        default=50, ge=1, le=500, description="largest page in megapixels; A4 at 600 dpi has 35"
    )
    reading_limit_s: float = Field(default=120.0, gt=0, le=3600, description="seconds that reading one letter may take")
    memory_limit_mib: int = Field(default=1024, ge=256, description="memory of one reading process, MiB")


class SheetSettings(BaseSettings):
    """The setting with which `parvis separators` signs a batch cover sheet."""

    model_config = SettingsConfigDict(env_prefix="PARVIS_", extra="ignore")

    secret_key: SecretStr = Field(min_length=16, description="signs tokens in pages, mails and letters")
