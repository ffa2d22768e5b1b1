"""Lists the first bytes and media types of file formats. Data only."""

import re

UNKNOWN = "application/octet-stream"
ZIP = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08PK\x03\x04")  # whole, empty, split
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"

# (offset, bytes) → media type.
SIGNATURES: tuple[tuple[int, bytes, str], ...] = (
    (0, b"%PDF-", "application/pdf"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (0, b"II*\x00", "image/tiff"),
    (0, b"MM\x00*", "image/tiff"),
    (0, b"II+\x00", "image/tiff"),
    (0, b"MM\x00+", "image/tiff"),
    (0, b"8BPS", "image/vnd.adobe.photoshop"),
    (0, b"\x00\x00\x00\x0cjP  \r\n\x87\n", "image/jp2"),
    (0, b"{\\rtf", "application/rtf"),
    (0, b"%!PS", "application/postscript"),
    (0, b"\x78\x9f\x3e\x22", "application/ms-tnef"),
    (0, b"-----BEGIN PGP MESSAGE", "application/pgp-encrypted"),
    (0, b"#!AMR", "audio/amr"),
    (0, b"\xff\xfb", "audio/mpeg"),
    (0, b"OggS", "audio/ogg"),
    (0, b"fLaC", "audio/flac"),
    (0, b"\x1aE\xdf\xa3", "video/webm"),
    (0, b"\x1f\x8b", "application/gzip"),
    (0, b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (0, b"Rar!\x1a\x07", "application/vnd.rar"),
    (0, b"BZh", "application/x-bzip2"),
    (0, b"\xfd7zXZ\x00", "application/x-xz"),
    (0, b"\x28\xb5\x2f\xfd", "application/zstd"),
    (0, b"MSCF\x00\x00\x00\x00", "application/vnd.ms-cab-compressed"),
    (257, b"ustar", "application/x-tar"),
    (0x8001, b"CD001", "application/x-iso9660-image"),
    (0, b"\x7fELF", "application/x-elf"),
    (0, b"\xca\xfe\xba\xbe", "application/x-mach-binary"),
    (0, b"\xcf\xfa\xed\xfe", "application/x-mach-binary"),
    (0, b"L\x00\x00\x00\x01\x14\x02\x00", "application/x-ms-shortcut"),
    (0, b"ITSF\x03\x00\x00\x00", "application/vnd.ms-htmlhelp"),
    (0, b"#!/", "application/x-shellscript"),
)
# Letters that a text may begin with too: they count where what follows is none.
LETTERS = (
    (b"BM", "image/bmp"),
    (b"MZ", "application/vnd.microsoft.portable-executable"),
    (b"ID3", "audio/mpeg"),
)

RIFF = {b"WEBP": "image/webp", b"WAVE": "audio/wav", b"AVI ": "video/x-msvideo"}

# ISO base media: the brand after "ftyp".
BRANDS = (
    (b"hei", "image/heic"),
    (b"hev", "image/heic"),
    (b"mif1", "image/heic"),
    (b"msf1", "image/heic"),
    (b"avif", "image/avif"),
    (b"3gp", "video/3gpp"),
    (b"3g2", "video/3gpp2"),
    (b"qt  ", "video/quicktime"),
    (b"M4A", "audio/mp4"),
)

# A member that only such a document has → what the zip is.
MEMBERS = (
    (b"word/document", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    (b"xl/workbook", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    (b"ppt/presentation", "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
    (b"visio/document", "application/vnd.ms-visio.drawing"),
    (b"Index/Document.iwa", "application/vnd.apple.pages"),
    (b"META-INF/MANIFEST.MF", "application/java-archive"),
    (b"AndroidManifest.xml", "application/vnd.android.package-archive"),
)

# An OLE storage's directory names its streams in UTF-16.
OLE_STREAMS = tuple(
    (stream.encode("utf-16-le"), kind)
    for stream, kind in (
        ("__substg1.0_", "application/vnd.ms-outlook"),
        ("WordDocument", "application/msword"),
        ("Workbook", "application/vnd.ms-excel"),
        ("PowerPoint Document", "application/vnd.ms-powerpoint"),
    )
)

# WHATWG MIME Sniffing §7.1, and what else begins a page.
HTML = re.compile(
    rb"<(?:!doctype html|html|head|script|iframe|h1|div|font|table|a|style|title|b|body|br|p|meta|link|base|form|img|object"
    rb"|embed|frameset|!--)(?:[\s>/-]|$)",
    re.IGNORECASE,
)

# Kinds of plain text that no content shows: the sender's word is taken, all are shown as text alike.
DECLARED_TEXTS = frozenset(
    ["text/plain", "text/csv", "text/calendar", "text/vcard", "text/markdown", "application/json", "message/rfc822",
     "message/delivery-status", "message/disposition-notification", "text/rfc822-headers", "application/pgp-signature"]
)  # fmt: skip
ENDINGS = {
    "csv": "text/csv",
    "md": "text/markdown",
    "json": "application/json",
    "eml": "message/rfc822",
    "ics": "text/calendar",
    "vcf": "text/vcard",
}
# ASN.1 has no mark of its own.
DER = frozenset(
    ["application/pkcs7-signature", "application/x-pkcs7-signature", "application/pkcs7-mime", "application/x-pkcs7-mime",
     "application/pkix-cert", "application/x-x509-ca-cert"]
)  # fmt: skip

ARCHIVES = frozenset(
    ["application/zip", "application/gzip", "application/x-7z-compressed", "application/vnd.rar", "application/x-bzip2", "application/x-xz",
     "application/zstd", "application/vnd.ms-cab-compressed", "application/x-tar", "application/x-iso9660-image",
     "application/epub+zip"]
)  # fmt: skip
