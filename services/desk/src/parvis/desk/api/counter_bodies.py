"""Models the JSON bodies of the registration of a visit or a call."""

from typing import Literal
from uuid import UUID

from pydantic import Field

from parvis.desk.api.json_bodies import ActionBody, ApiModel, CleanText


class CounterContactBody(ActionBody):
    """Someone at the counter or on the phone."""

    channel: Literal["counter", "phone"] = "counter"
    procedure: CleanText = ""
    subject: CleanText = Field(default="", max_length=300)
    text: CleanText = Field(min_length=1, max_length=10_000)
    name: CleanText = Field(default="", max_length=400)
    phone: CleanText = Field(default="", max_length=40)
    email: CleanText = Field(default="", max_length=254)
    reply_channel: Literal["", "sms", "email", "post", "phone"] = ""
    reply_address: CleanText = Field(default="", max_length=1000)
    to_department: CleanText = Field(
        default="",
        description="department that deals with it; empty: the agent's own, or for reception the one that the rules choose",
    )
    reference: CleanText = Field(
        default="", max_length=40, description="reference of an earlier contact, as the person quotes it"
    )
    language: str = Field(default="fr", pattern=r"^[a-z]{2,3}$")


class CounterContactCreated(ApiModel):
    contact_id: UUID
    reference: str
