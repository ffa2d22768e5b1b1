"""Tests that a request which its topic can never take is refused clearly and keeps its text."""

from typing import Any

import pytest

from parvis.common.storage import outbox

pytestmark = pytest.mark.asyncio(loop_scope="module")
ROADS: dict[str, Any] = {
    "problem": "pothole",
    "place": "12 rue des Lilas",
    "details": "Un trou.",
    "reply-channel": "none",
}


async def test_a_form_too_large_for_its_topic_keeps_its_text(monkeypatch: pytest.MonkeyPatch, browser: Any) -> None:
    inputs = await browser.open("road-report") | ROADS
    with monkeypatch.context() as smaller:
        smaller.setattr(outbox, "largest_record_bytes", lambda _topic: 100)  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]
        answer = await browser.send("road-report", inputs)

    assert answer.status_code == 413
    assert "Votre demande est trop longue" in answer.text
    assert "12 rue des Lilas" in answer.text
    assert not await browser.events()
    assert (await browser.send("road-report", inputs)).status_code == 303
