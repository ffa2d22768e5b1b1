"""Accumulates the texts, files, remarks and problems of a mail while its parts are walked. Pure; no I/O."""

from dataclasses import dataclass, field, replace

from parvis.common.files.archive_screening import screen_archive
from parvis.common.files.file_names import safe_file_name
from parvis.common.files.media_types import media_type_of
from parvis.ingest_email.models.parsed_mail import MAX_ATTACHMENTS, MAX_TEXT_CHARACTERS, ParsedAttachment


@dataclass(frozen=True)
class TextPart:
    """A decoded text part."""

    text: str
    is_plain: bool = True
    remote_images: int = 0
    is_guess: bool = False  # its charset was not the declared one
    is_cut: bool = False  # the original has more


@dataclass
class CollectedParts:
    """The contents of a mail in their order."""

    texts: list[TextPart] = field(default_factory=list[TextPart])
    quoted: list[str] = field(default_factory=list[str])
    attachments: list[tuple[ParsedAttachment, bytes]] = field(default_factory=list[tuple[ParsedAttachment, bytes]])
    remarks: dict[str, int] = field(default_factory=dict[str, int])
    troubles: list[str] = field(default_factory=list[str])
    skips_text: bool = False  # the text is already known: collect files only

    @property
    def has_text(self) -> bool:
        return any(added.text.strip() for added in self.texts)

    @property
    def words(self) -> str:
        return "\n".join(added.text for added in self.texts)

    @property
    def remark_codes(self) -> tuple[str, ...]:
        """Return the remarks as in the event: `remote-images:3`, or without a number if not counted."""
        return tuple(f"{code}:{min(count, 999_999)}" if count else code for code, count in self.remarks.items())

    def add_remark(self, code: str, count: int = 0) -> None:
        self.remarks[code] = self.remarks.get(code, 0) + count

    def add_trouble(self, words: str) -> None:
        if words not in self.troubles:
            self.troubles.append(words)

    def add_text(self, added: TextPart) -> None:
        if added.remote_images:
            self.add_remark("remote-images", added.remote_images)
        if added.is_guess:
            self.remarks["charset-guessed"] = 0
        if not added.text.strip():
            return
        room = max(0, MAX_TEXT_CHARACTERS - sum(len(text_part.text) for text_part in self.texts))
        if added.is_cut or len(added.text) > room:
            self.remarks["text-cut"] = 0
        self.texts.append(replace(added, text=added.text[:room]))

    def add_file(
        self, name: str, media_type: str, content: bytes, *, trouble: str | None = None, inline: bool = False
    ) -> None:
        """Add a file with the type that its bytes show; `trouble` is the reason not to open it."""
        if len(self.attachments) >= MAX_ATTACHMENTS:
            self.add_trouble(f"over {MAX_ATTACHMENTS} attachments: the others are in the original only")
            return
        by_content = media_type_of(content, declared=media_type, name=name)
        shape = ParsedAttachment(
            name=safe_file_name(name) or "attachment",
            media_type=by_content,
            size_bytes=len(content),
            trouble=trouble or screen_archive(content, by_content),
            inline=inline,
        )
        self.attachments.append((shape, content))

    def merge(self, other: "CollectedParts", *, with_words: bool) -> None:
        """Add the contents of another body; its texts only if `with_words`."""
        if with_words:
            self.texts += other.texts
        self.quoted += other.quoted
        for code, count in other.remarks.items():
            if with_words or code != "remote-images":
                self.add_remark(code, count)
        for words in other.troubles:
            self.add_trouble(words)
        for attachment, content in other.attachments:
            if len(self.attachments) < MAX_ATTACHMENTS:
                self.attachments.append((attachment, content))
