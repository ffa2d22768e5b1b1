"""Facts about the HTTP answers of the webhooks and the records that they publish."""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from prometheus_client import REGISTRY
from twilio.request_validator import RequestValidator

from parvis.common.contract.contact import ContactReceived, make_contact_id
from parvis.common.contract.delivery import DeliveryReported
from parvis.common.contract.errors import OutcomeUnknown, Unavailable
from parvis.common.runtime.rate_limits import RateLimiter
from parvis.common.storage.blobs import BlobStore
from parvis.ingest_sms.parse.webhook_form import parse_form_fields

Twilio = Any  # the class in conftest.py, which no test can import
TOKEN = "the town's token, for tests only"
OLD_TOKEN = "the token before, for tests only"
PUBLIC_URL = "https://town.example/hooks"
SAMPLES = Path(__file__).parents[1] / "samples"
REPLY = "9c6d1f0e-5a51-5c5e-8d1f-1f0e5a515c5e"


def sample(name: str) -> bytes:
    return (SAMPLES / f"{name}.form").read_bytes()


async def test_a_message_is_on_kafka_before_200(twilio: Twilio) -> None:
    response = await twilio.post(sample("road-fr"))
    assert (response.status_code, response.headers["content-type"]) == (200, "text/xml; charset=utf-8")
    assert response.text.endswith("<Response/>")
    (record,) = twilio.producer.sent
    contact = ContactReceived.model_validate_json(record.value)
    headers = dict(record.headers)
    assert record.topic == "parvis.contact.received"
    assert record.key.decode() == contact.contact_point_hash
    assert headers["ce_id"].decode() == contact.contact_id == make_contact_id("sms", "+33536490100", "SM" + "01" * 16)
    assert b"+33639980001" not in record.key + b"".join(headers.values())


async def test_the_raw_form_is_stored(twilio: Twilio) -> None:
    await twilio.post(sample("emoji-and-spaces"))
    assert twilio.stored() == [sample("emoji-and-spaces")]


async def test_a_second_delivery_is_the_same_contact(twilio: Twilio) -> None:
    for _ in range(2):
        assert (await twilio.post(sample("road-fr"))).status_code == 200
    first, second = (dict(record.headers)["ce_id"] for record in twilio.producer.sent)
    assert first == second
    assert len(twilio.stored()) == 1


async def test_the_previous_token_is_accepted(twilio: Twilio) -> None:
    assert (await twilio.post(sample("road-fr"), token=OLD_TOKEN)).status_code == 200


async def test_an_unsigned_request_is_refused_and_not_stored(twilio: Twilio) -> None:
    assert (await twilio.post_unsigned(sample("road-fr"))).status_code == 403
    assert (await twilio.post(sample("road-fr"), token="another token")).status_code == 403
    signed_elsewhere = await twilio.post(
        sample("road-fr"), **{"X-Forwarded-Host": "evil.example", "Host": "evil.example"}
    )
    assert signed_elsewhere.status_code == 200  # headers decide nothing, in either direction
    assert len(twilio.producer.sent) == 1
    assert len(twilio.stored()) == 1


@pytest.mark.parametrize("body", [b"", b"AccountSid=AC1", b"\xff\xfe=%ff", b"a=1&" * 300, b"Body=" + b"x" * 70_000])
async def test_a_malformed_form_is_refused(twilio: Twilio, body: bytes) -> None:
    signed = body if len(body) < 1000 else b""
    signature = RequestValidator(TOKEN).compute_signature(f"{PUBLIC_URL}/sms", dict(parse_form_fields(signed)))
    response = await twilio.post_unsigned(body, **{"X-Twilio-Signature": signature})
    assert response.status_code in (400, 403)
    assert twilio.producer.sent == []


@pytest.mark.parametrize("error", [Unavailable("no broker"), OutcomeUnknown("no answer")])
async def test_an_unavailable_kafka_is_503(twilio: Twilio, error: Unavailable) -> None:
    twilio.producer.broken = error
    response = await twilio.post(sample("road-fr"))
    assert (response.status_code, response.content) == (503, b"")
    twilio.producer.broken = None
    assert (await twilio.post(sample("road-fr"))).status_code == 200


async def test_an_unavailable_blob_store_is_503_and_nothing_is_published(twilio: Twilio, tmp_path: Path) -> None:
    folder = tmp_path / "full"
    intake = replace(twilio.webhooks.intake, blobs=BlobStore(f"file://{folder}"))
    folder.rmdir()
    folder.write_text("a file where the folder was")
    response = await replace(twilio, webhooks=replace(twilio.webhooks, intake=intake)).post(sample("road-fr"))
    assert response.status_code == 503
    assert twilio.producer.sent == []


async def test_a_status_is_a_delivery_report_for_its_reply(twilio: Twilio) -> None:
    response = await twilio.post(sample("status-undelivered"), path=f"/sms/status?reply={REPLY}")
    assert response.status_code == 204
    (record,) = twilio.producer.sent
    report = DeliveryReported.model_validate_json(record.value)
    assert (record.topic, record.key.decode()) == ("parvis.delivery.reported", REPLY)
    assert (report.reply_id, report.outcome, report.failure_class, report.detail) == (
        REPLY,
        "undelivered",
        "permanent",
        "30005",
    )
    assert dict(record.headers)["ce_id"].decode() == f"{REPLY}.{report.provider_id}.undelivered"


async def test_a_status_for_another_reply_than_signed_is_refused(twilio: Twilio) -> None:
    body = sample("status-delivered")
    signature = RequestValidator(TOKEN).compute_signature(
        f"{PUBLIC_URL}/sms/status?reply={REPLY}", dict(parse_form_fields(body))
    )
    response = await twilio.post_unsigned(body, path="/sms/status?reply=other", **{"X-Twilio-Signature": signature})
    assert response.status_code == 403


async def test_a_status_without_a_reply_id_is_refused(twilio: Twilio) -> None:
    assert (await twilio.post(sample("status-delivered"), path="/sms/status")).status_code == 400


async def test_a_status_during_a_kafka_outage_is_503(twilio: Twilio) -> None:
    twilio.producer.broken = Unavailable("no broker")
    assert (await twilio.post(sample("status-delivered"), path=f"/sms/status?reply={REPLY}")).status_code == 503


async def test_an_account_cannot_sign_for_another(make: Any) -> None:
    other = "AC" + "f" * 32
    twilio = make(
        signature_verifier=make().webhooks.signature_verifier,
        accounts=frozenset(["AC" + "0123456789abcdef" * 2, other]),
    )
    assert (await twilio.write("Bonjour", AccountSid=other)).status_code == 403


async def test_a_sender_over_the_limit_gets_429_and_slows_no_other(make: Any) -> None:
    twilio = make(sender_limiter=RateLimiter(1, 2))
    statuses = [(await twilio.write("Bonjour", f"SM{number:032x}")).status_code for number in range(4)]
    assert statuses == [200, 200, 429, 429]
    assert (await twilio.write("Bonjour", "SM" + "9" * 32, From="+33639980002")).status_code == 200


async def test_a_fallback_without_a_spool_accepts_as_usual(twilio: Twilio) -> None:
    assert (await twilio.send("road-fr", path="/sms/fallback")).status_code == 200
    assert len(twilio.contacts()) == 1


async def test_signed_json_is_refused(twilio: Twilio) -> None:
    body = b'{"EventType": "onMessageAdded"}'
    query = f"bodySHA256={hashlib.sha256(body).hexdigest()}"
    signature = RequestValidator(TOKEN).compute_signature(f"{PUBLIC_URL}/sms?{query}", {})
    headers = {"X-Twilio-Signature": signature, "Content-Type": "application/json"}
    assert (await twilio.post_unsigned(body, path=f"/sms?{query}", **headers)).status_code in (400, 403)
    assert twilio.producer.sent == []


def refused(channel: str, why: str) -> float:
    labels = {"channel": channel, "why": why}
    return REGISTRY.get_sample_value("parvis_contacts_refused_total", labels) or 0


def refused_callbacks(why: str) -> float:
    return REGISTRY.get_sample_value("parvis_sms_callbacks_refused_total", {"why": why}) or 0


async def test_a_refused_callback_is_not_counted_as_a_contact(twilio: Twilio) -> None:
    contacts, callbacks = refused("sms", "malformed"), refused_callbacks("malformed")
    assert (await twilio.post(sample("status-delivered"), path="/sms/status")).status_code == 400
    assert refused("sms", "malformed") == contacts
    assert refused_callbacks("malformed") == callbacks + 1


async def test_a_refused_whatsapp_message_counts_for_whatsapp(twilio: Twilio) -> None:
    sms, whatsapp = refused("sms", "forged"), refused("whatsapp", "forged")
    assert (await twilio.send("whatsapp", token="another token")).status_code == 403
    assert (refused("sms", "forged"), refused("whatsapp", "forged")) == (sms, whatsapp + 1)


async def test_a_routing_error_never_marks_a_number_as_wrong(twilio: Twilio) -> None:
    form = dict(parse_form_fields(sample("status-undelivered"))) | {"ErrorCode": "21612"}
    await twilio.post(urlencode(form).encode(), path=f"/sms/status?reply={REPLY}")
    report = DeliveryReported.model_validate_json(twilio.producer.sent[0].value)
    assert (report.outcome, report.failure_class, report.detail) == ("undelivered", "unreachable", "21612")
