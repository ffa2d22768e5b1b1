"""Models the JSON bodies of the API's requests and responses, so that OpenAPI describes them."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Header, Query
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool

from parvis.common.contract.contact import ScanVerdict
from parvis.desk.decide.case_version import CaseVersion
from parvis.desk.decide.reply_recipient import find_recipient
from parvis.desk.models.case import NO_DATE, URGENCY_RANKS, AgentReply, Case, CaseContact, CaseFile, State
from parvis.desk.models.outgoing_file import MAX_FILES, OutgoingFile
from parvis.web.text_cleaning import clean_text

# What PostgreSQL cannot hold is refused, U+0000 and lone surrogates: the text would not be the one that was sent.
CleanText = Annotated[str, Field(pattern=r"^[^\x00]*$"), AfterValidator(clean_text)]
NOT_BLANK = r"^[^\x00]*[^\s\x00][^\x00]*$"
AgentName = Annotated[
    str,
    Field(
        min_length=1, max_length=80, pattern=NOT_BLANK, description="name of the agent", examples=["Camille Exemple"]
    ),
    AfterValidator(clean_text),
]
Department = Annotated[str, Query(description="the agent's department", examples=["voirie"])]
IdempotencyKey = Annotated[
    str | None,
    Header(alias="Idempotency-Key", max_length=200, description="the same key is the same reply, transfer or contact"),
]

IfMatch = Annotated[
    str | None, Header(alias="If-Match", max_length=100, description="the ETag of the case as it was read")
]


class ApiModel(BaseModel):
    model_config = ConfigDict(frozen=True)


class Refusal(ApiModel):
    """Why a call was not carried out."""

    detail: str = Field(description="the key of what is refused, or a sentence", examples=["no_reason"])


REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": Refusal, "description": meaning}
    for status, meaning in {
        400: "The body is not JSON in UTF-8.",
        401: "The bearer token is missing or unknown.",
        403: "The program has no right to do this.",
        404: "There is no such department, or no such case in it.",
        409: "The case, or what was sent, does not allow it.",
        412: "The case has changed since the version in If-Match.",
        413: "The body is too large.",
        422: "A parameter or a member of the body is invalid.",
        503: "The desk cannot answer now; try again after `Retry-After` seconds.",
    }.items()
}


class CaseSummary(ApiModel):
    """A row of a department's queue."""

    conversation_id: UUID
    reference: str
    department: str
    state: State
    taken_by: str | None
    procedure: str | None
    channel: str
    subject: str
    urgency: Literal["immediate", "high", "normal"]
    received_at: datetime
    answer_due_at: datetime | None
    escalate_at: datetime | None = Field(
        description="when the head of the department is told that the answer is about to be late"
    )
    silence_at: datetime | None = Field(description="when silence becomes a decision")
    silence_means: Literal["acceptance", "rejection", "none"] | None
    competent_at: datetime | None = Field(description="when another body became competent")
    tags: list[str] = Field(description="tags of the rules that matched, and of agents")
    undelivered: bool = Field(description="a reply was not delivered")


class CaseList(ApiModel):
    cases: list[CaseSummary]
    after: str | None = Field(description="cursor of the next page, for the parameter `after`; null at the end")


class ContactDetail(ApiModel):
    contact_id: UUID
    sequence: int
    channel: str
    received_at: datetime
    reason: dict[str, str] = Field(description="reason for the routing, one sentence per language")
    rule: str
    only_thanks: bool = Field(description="it says nothing but thanks: nobody has to act on it")
    display_name: str
    contact_point: str | None
    subject: str
    text: str
    corrected_text: str | None = Field(description="of a letter: what an agent read, instead of `text`, which OCR read")
    answers: dict[str, str]
    reply_channels: list[dict[str, str]]
    attachments: list[str] = Field(description="file names")


class FileDetail(ApiModel):
    """A file that an agent attached to an answer."""

    file_id: UUID
    name: str
    media_type: str
    size_bytes: int
    pages: int = Field(description="how many pages a letter has of it; 0 if it cannot be printed")
    scan: ScanVerdict

    @classmethod
    def of(cls, file: OutgoingFile) -> "FileDetail":
        claim = file.claim
        return cls(
            file_id=UUID(file.file_id), name=file.name, media_type=claim.media_type, size_bytes=claim.size_bytes,
            pages=file.pages, scan=claim.scan,
        )  # fmt: skip


class ReplyDetail(ApiModel):
    reply_id: UUID
    agent: str
    channel: str
    address: str
    text: str
    at: datetime
    due_at: datetime | None = Field(description="when a reply that could be withdrawn leaves, or left")
    files: list[FileDetail]


class DeliveryDetail(ApiModel):
    delivery_id: UUID
    reply_id: UUID
    kind: str
    channel: str
    state: str
    stage: str | None = Field(description="how far a letter has come: to-print, handed-over, posted, returned")
    failure_class: str | None
    at: datetime


class MoveDetail(ApiModel):
    sequence: int
    from_department: str
    to_department: str
    reason: str
    stopped: dict[str, Any] | None = Field(
        description="for a transfer that stopped at another department: the reason, and the department requested"
    )
    at: datetime


class RelationDetail(ApiModel):
    """A split, or a link made or removed, between this case and another one."""

    sequence: int
    kind: Literal["split", "opened", "linked", "unlinked"]
    other_conversation: UUID
    other_reference: str
    other_department: str
    contacts: int = Field(description="number of messages moved")
    reason: str
    at: datetime


class CaseDetail(CaseSummary):
    """A case with its contacts, replies and history."""

    version: str = Field(
        description="the version of the case, also its ETag: sent as If-Match, a reply to a case that has changed since is refused"
    )
    answer_channel: str = Field(description="channel of the next reply; empty when no address is known")
    answer_address: str
    contacts: list[ContactDetail]
    moves: list[MoveDetail]
    steps: list[RelationDetail]
    replies: list[ReplyDetail]
    deliveries: list[DeliveryDetail]


class ActionBody(ApiModel):
    """What every request has. A member with a slip in its name is refused: the action would not be the one that was meant."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    agent: AgentName
    department: CleanText = Field(description="the agent's department", examples=["voirie"])
    quality: CleanText = Field(
        default="", max_length=80, description="the agent's function, beside their name on what the citizen gets"
    )


class ReplyBody(ActionBody):
    text: CleanText = Field(min_length=1, max_length=10_000)
    channel: Literal["", "sms", "email", "post"] = Field(
        default="", description="only to reply on another channel than the citizen prefers"
    )
    address: CleanText = Field(
        default="", max_length=1000, description="with `channel`: number, mail address or postal lines"
    )
    then: State = Field(default="waiting", description="state of the case afterwards")
    file_ids: list[UUID] = Field(
        default=[], max_length=MAX_FILES, description="files of the agent's draft that leave with the reply"
    )
    withdrawable: StrictBool = Field(
        default=False,
        description="it leaves a few seconds later (PARVIS_DESK_WITHDRAWAL_S) and can be withdrawn until then",
    )


class CallBody(ActionBody):
    text: CleanText = Field(min_length=1, max_length=10_000, description="notes on the call")
    then: State = "waiting"


class TransferBody(ActionBody):
    to_department: CleanText
    reason: CleanText = Field(min_length=1, max_length=400)


class SplitBody(ActionBody):
    contact_ids: list[UUID] = Field(min_length=1, max_length=200, description="contacts that get a case of their own")
    to_department: CleanText
    reason: CleanText = Field(min_length=1, max_length=400)


class LinkBody(ActionBody):
    reference: CleanText = Field(max_length=40, description="reference of the other case")
    wanted: Literal["linked", "unlinked"] = "linked"


def case_summary(case: Case) -> CaseSummary:
    return CaseSummary.model_validate(_summary_values(case))


def _summary_values(case: Case) -> dict[str, Any]:
    names = {rank: name for name, rank in URGENCY_RANKS.items()}
    due, escalate = (at if at < NO_DATE else None for at in (case.answer_due_at, case.escalate_at))
    return case.__dict__ | {"urgency": names[case.urgency], "answer_due_at": due, "escalate_at": escalate}


def case_detail(file: CaseFile, version: CaseVersion) -> CaseDetail:
    target = find_recipient(file.contacts)
    return CaseDetail.model_validate(
        _summary_values(file.case)
        | {
            "version": str(version),
            "answer_channel": target.channel,
            "answer_address": target.address,
            "contacts": [_contact(opened) for opened in file.contacts],
            "moves": [MoveDetail.model_validate(move.__dict__) for move in file.moves],
            "steps": [RelationDetail.model_validate(step.__dict__) for step in file.relations],
            "replies": [_reply(reply) for reply in file.replies if not reply.withdrawn_at],
            "deliveries": [DeliveryDetail.model_validate(delivery.__dict__) for delivery in file.deliveries],
        }
    )


def _reply(reply: AgentReply) -> ReplyDetail:
    files = [FileDetail.of(OutgoingFile.decode(stored)) for stored in reply.files]
    return ReplyDetail.model_validate(reply.__dict__ | {"files": files})


def _contact(opened: CaseContact) -> ContactDetail:
    contact, personal = opened.contact, opened.contact.personal
    return ContactDetail(
        contact_id=UUID(contact.contact_id),
        sequence=opened.number,
        channel=contact.channel,
        received_at=contact.received_at,
        reason=opened.routing.reason,
        rule=opened.routing.rule,
        only_thanks=bool(opened.routing.only_thanks),
        display_name=personal.display_name,
        contact_point=personal.from_.value if personal.from_ else None,
        subject=personal.subject,
        text=personal.text,
        corrected_text=opened.correction.text if opened.correction else None,
        answers=personal.answers,
        reply_channels=[{"channel": reply.channel, "address": reply.address} for reply in personal.reply_channels],
        attachments=list(personal.file_names),
    )
