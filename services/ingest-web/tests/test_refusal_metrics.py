"""Facts about the reasons of refusal in the metrics: one spelling in every service, without spaces."""

import pytest

from parvis.common.runtime import metrics

from .conftest import Browser

pytestmark = pytest.mark.asyncio(loop_scope="module")


def refused() -> dict[str, float]:
    samples = [sample for metric in metrics.contacts_refused.collect() for sample in metric.samples]
    return {s.labels["why"]: s.value for s in samples if s.labels["channel"] == "web" and s.name.endswith("_total")}


async def test_a_form_from_another_site_is_counted_under_a_label_without_spaces(browser: Browser) -> None:
    before = refused().get("another-site", 0.0)
    answer = await browser.http.post("/demarches/road-report", data={}, headers={"sec-fetch-site": "cross-site"})

    assert answer.status_code == 403
    assert refused()["another-site"] == before + 1
    assert not [why for why in refused() if " " in why]
