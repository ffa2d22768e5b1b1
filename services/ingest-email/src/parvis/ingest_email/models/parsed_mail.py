"""Defines a parsed mail, its attachments and its report, and the limits of the parser."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from parvis.common.contract.delivery import FailureClass


class MailModel(BaseModel):
    model_config = ConfigDict(frozen=True)


class ParsedAttachment(MailModel):
    """What came with the text; its bytes travel beside it."""

    name: str
    media_type: str
    size_bytes: int
    trouble: str | None = Field(default=None, description="why nobody should open it, or what of it is damaged")
    inline: bool = Field(default=False, description="shown inside the message by its sender")


ReportKind = Literal["bounce", "delayed", "delivered", "complaint", "disposition"]


class ReportedRecipient(MailModel):
    """What a report says of one recipient. Personal: `address`."""

    address: str = ""
    action: str = Field(default="failed", description="failed, delayed, delivered, relayed or expanded")
    status: str = Field(default="", description="such as 5.1.1; empty when it does not say")
    reply_code: str = Field(default="", description="such as 550; empty when it does not say")
    failure: FailureClass | None = Field(default=None, description="permanent: the address itself is dead")


class MailReport(MailModel):
    """What a mail says about another one: a bounce, a complaint (RFC 5965), a note that it was read (RFC 8098)."""

    kind: ReportKind
    recipients: tuple[ReportedRecipient, ...] = ()
    detail: str = Field(default="", description="kind of complaint or disposition, a word")
    message_id: str = Field(default="", description="of the mail that the report is about")
    is_structured: bool = Field(default=True, description="it says so in fields made for it, not in words alone")


class ParsedMail(MailModel):
    """A mail, read."""

    sender: str = Field(default="", description="address in From; empty when there is none to be read")
    sender_name: str = ""
    reply_to: str = ""
    subject: str = ""
    text: str = Field(default="", description="the sender's own words; all of it where they cannot be told apart")
    quoted: str = ""
    signature: str = ""
    message_id: str = ""
    in_reply_to: tuple[str, ...] = Field(default=(), description="In-Reply-To and References, nearest first")
    attachments: tuple[ParsedAttachment, ...] = ()
    remarks: tuple[str, ...] = Field(default=(), description="codes such as `remote-images:3`")
    machine: str | None = Field(default=None, description="the sign that a machine wrote it")
    report: MailReport | None = None
    authentication: tuple[str, ...] = Field(default=(), description="Authentication-Results, topmost first")
    trouble: str | None = Field(default=None, description="what could not be read, and why")


MAX_PARTS = 500
MAX_DEPTH = 50
MAX_ATTACHMENTS = 40
MAX_MESSAGE_IDS = 20
MAX_TEXT_CHARACTERS = 4 * 1024 * 1024
MAX_HEADERS_BYTES = 256 * 1024

# Names that mail programs invent for charsets, and what they mean. Latin-1 is read as Windows-1252, as browsers do.
CHARSETS = {
    "": "us-ascii",
    "ascii": "us-ascii",
    "us-ascii": "us-ascii",
    "iso-8859-1": "cp1252",
    "iso8859-1": "cp1252",
    "iso_8859-1": "cp1252",
    "latin1": "cp1252",
    "latin-1": "cp1252",
    "ansi": "cp1252",
    "x-ansi": "cp1252",
    "windows-1252": "cp1252",
    "x-cp1252": "cp1252",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "x-gbk": "gb18030",
    "ks_c_5601-1987": "cp949",
    "euc-kr": "cp949",
    "shift_jis": "cp932",
    "x-sjis": "cp932",
    "iso-8859-8-i": "iso-8859-8",
    "iso-8859-8-e": "iso-8859-8",
    "iso-8859-9": "cp1254",
    "unicode-1-1-utf-7": "utf-7",
    "unicode": "utf-16",
    "utf8": "utf-8",
    "utf-8mb4": "utf-8",
    "utf8mb4": "utf-8",
    "unicode-1-1-utf-8": "utf-8",
    "x-mac-roman": "mac_roman",
    "macintosh": "mac_roman",
    "x-user-defined": "cp1252",
    "cp-850": "cp850",
    "x-cp850": "cp850",
    "iso-8859-11": "cp874",
    "windows-874": "cp874",
    "tis-620": "cp874",
    "windows-31j": "cp932",
    "ms932": "cp932",
    "sjis": "cp932",
    "x-euc-jp": "euc_jp",
    "gb_2312-80": "gb18030",
    "x-x-big5": "big5hkscs",
    "big5": "big5hkscs",
    "x-windows-949": "cp949",
    "koi8-ru": "koi8-u",
    "x-cp1251": "cp1251",
    "win-1251": "cp1251",
    "x-mac-cyrillic": "mac_cyrillic",
    "x-mac-ce": "mac_latin2",
    "x-mac-greek": "mac_greek",
    "x-mac-turkish": "mac_turkish",
    "iso-8859-6-i": "iso-8859-6",
    "iso-8859-6-e": "iso-8859-6",
    "iso-8859-15-euro": "iso-8859-15",
    "ucs-2": "utf-16",
    "iso-10646-ucs-2": "utf-16",
    "csunicode": "utf-16",
    "cp65001": "utf-8",
    "x-utf-8": "utf-8",
    "utf-8-mac": "utf-8",
}
