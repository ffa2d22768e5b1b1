"""Facts about addresses that a message asks for without proof: no reply goes there until an agent confirms it."""

from dataclasses import replace

import pytest

from parvis.common.contract.contact import ContactPersonalData, ContactPoint, ReplyAddress
from parvis.common.contract.errors import Rejected
from parvis.common.testing import AN_INSTANT, a_contact
from parvis.desk.decide.apply_agent_actions import ActionContext, confirm_wish
from parvis.desk.decide.reply_recipient import find_recipient
from parvis.desk.models.case import CaseContact

from .test_decide import AGENT, TOWN_CONFIG, a_case, opened


def mail(key: str, *wishes: str) -> CaseContact:
    stated = [ReplyAddress(channel="email", address=wish) for wish in wishes]
    point = ContactPoint(kind="email", value="ines@people.example")
    personal = ContactPersonalData.model_validate({"from": point, "reply_channels": stated})
    contact = a_contact(key=key, channel="email", personal=personal)
    return replace(opened("email", point), contact=contact)


def test_an_unproven_address_is_answered_only_after_an_agent_confirmed_it() -> None:
    first, forged = mail("1"), mail("2", "other@evil.example")
    context = ActionContext(AGENT, TOWN_CONFIG, AN_INSTANT)
    assert find_recipient([first, forged]).address == "ines@people.example"
    (row,) = confirm_wish(a_case(), context, [first, forged], forged.contact.contact_id).rows
    assert getattr(row, "kind", "") == "wish_confirmed"
    assert find_recipient([first, replace(forged, is_confirmed=True)]).address == "other@evil.example"
    with pytest.raises(Rejected, match="no_wish"):
        confirm_wish(a_case(), context, [first, forged], first.contact.contact_id)
