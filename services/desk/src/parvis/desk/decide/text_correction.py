"""Decides what correcting the text of a letter, which OCR read, adds to its case. No I/O."""

import uuid
from collections.abc import Sequence

from parvis.common.contract.channels import channel
from parvis.common.contract.errors import Rejected
from parvis.common.text.invisible_characters import remove_invisible_characters
from parvis.desk.decide.apply_agent_actions import ActionContext, add_row
from parvis.desk.models.case import Case, CaseActionRecord, CaseChanges, CaseContact

LONGEST_LETTER = 40_000


def correct_text(
    case: Case, context: ActionContext, contacts: Sequence[CaseContact], contact_id: str, text: str, *, key: str
) -> CaseChanges:
    """Keep what an agent read on the picture of a letter beside what the machine read.

    Raises: Rejected, with the key of its sentence: `no_letter`, `no_text`, `letter_too_long`.
    Retry:  the same idempotency key, or the text that it has already, adds one correction.
    """
    letter = next((opened for opened in contacts if opened.contact.contact_id == contact_id), None)
    if letter is None or not channel(letter.contact.channel).is_scanned:
        raise Rejected("no_letter")
    text = text.strip()
    if not remove_invisible_characters(text):
        raise Rejected("no_text")
    if len(text) > LONGEST_LETTER:
        raise Rejected("letter_too_long")
    act_id = str(uuid.uuid5(uuid.UUID(contact_id), f"text:{key}"))
    if letter.correction and letter.correction.text == text and letter.correction.act_id != act_id:
        return CaseChanges()
    row = CaseActionRecord(
        act_id, case.conversation_id, "text_corrected", context.agent.name, text, context.at, contact_id=contact_id
    )
    return add_row(case, row, context)
