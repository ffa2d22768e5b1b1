"""Facts about the forms of the notifier's pages: token and origin are looked at first, then a small form is read."""

from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio
from services.notifier.tests.parts import MakeReply, Notifier
from services.notifier.tests.site import Site, site_of, stored_reply

FORM = {"content-type": "application/x-www-form-urlencoded"}
FOREIGN = FORM | {"sec-fetch-site": "cross-site"}
MULTIPART = {"content-type": "multipart/form-data; boundary=x"}


@pytest_asyncio.fixture
async def site(notifier: Notifier) -> AsyncGenerator[Site]:
    async with site_of(notifier) as made:
        yield made


class Flood:
    """A body of ten megabytes that counts how much of it was asked for."""

    def __init__(self) -> None:
        self.sent_bytes = 0

    async def __aiter__(self) -> AsyncGenerator[bytes]:
        for _ in range(160):
            self.sent_bytes += 65536
            yield b"a" * 65536


@pytest.mark.parametrize("page", ["code", "open"])
async def test_of_a_form_without_a_link_or_from_elsewhere_nothing_is_read(
    site: Site, make_reply: MakeReply, page: str
) -> None:
    reply = await stored_reply(site, make_reply)
    for path, headers, status in (("/inbox/x", FORM, 404), (site.path(reply), FOREIGN, 403)):
        flood = Flood()
        assert (await site.browser.post(f"{path}/{page}", content=flood, headers=headers)).status_code == status
        assert flood.sent_bytes == 0


@pytest.mark.parametrize("headers", [FORM, MULTIPART])
@pytest.mark.parametrize("page", ["code", "open"])
async def test_a_form_with_a_link_is_read_to_four_kilobytes(
    site: Site, make_reply: MakeReply, page: str, headers: dict[str, str]
) -> None:
    reply, flood = await stored_reply(site, make_reply), Flood()

    answer = await site.browser.post(f"{site.path(reply)}/{page}", content=flood, headers=headers)

    assert answer.status_code in {400, 413}
    assert flood.sent_bytes <= 2 * 65536


@pytest.mark.parametrize("to", ["", "x", "-1", "100", "\u0661"])
async def test_a_code_goes_to_an_address_of_the_page_alone(site: Site, make_reply: MakeReply, to: str) -> None:
    reply = await stored_reply(site, make_reply)

    assert (await site.browser.post(f"{site.path(reply)}/code", data={"to": to})).status_code in {400, 422}
