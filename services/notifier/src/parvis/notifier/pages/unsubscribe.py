"""A click in a mail program, or on a page, in; no more information by mail out (RFC 8058)."""

import uuid

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import HTMLResponse

from parvis.common.contract.delivery import DeliveryId
from parvis.common.contract.preference import PersonalPreference, PreferenceChanged
from parvis.notifier.decide.code_recipients import masked
from parvis.notifier.decide.preferences import Standing
from parvis.notifier.models.delivery import Delivery
from parvis.notifier.pages.dependencies import Place
from parvis.notifier.store import deliveries
from parvis.notifier.store.preferences import standing_of
from parvis.notifier.store.send_counts import lock_addresses

SOURCE = "unsubscribe"


def routes(place: Place) -> APIRouter:
    router = APIRouter()

    @router.get("/unsubscribe/{token}")
    async def ask(request: Request, token: str) -> HTMLResponse:
        """A page with one button: what follows links by itself, as scanners of mail do, takes nobody off."""
        delivery = await _delivery(place, token)
        return place.show(request, "unsubscribe.html", address=masked(delivery.address), is_done=False)

    @router.post("/unsubscribe/{token}")
    async def leave(request: Request, token: str) -> HTMLResponse:
        """The button, or a mail program on the citizen's word: no cookie, no login, no second question."""
        delivery = await _delivery(place, token)
        await _stop(place, delivery)
        return place.show(request, "unsubscribe.html", address=masked(delivery.address), is_done=True)

    _ = ask, leave
    return router


async def _delivery(place: Place, token: str) -> Delivery:
    name = place.renderer.links.delivery_of(token)
    found = await _find(place, name) if name else None
    if found is None:
        raise HTTPException(404)
    return found


async def _find(place: Place, name: DeliveryId) -> Delivery | None:
    async with place.database.transaction() as connection:
        return (await deliveries.lock(connection, [name])).get(name)


async def _stop(place: Place, delivery: Delivery) -> None:
    """Write the preference down: it holds from now on, here and for whoever reads the topic. Again is nothing new."""
    point = place.addressing.point_at(delivery)
    if point is None:
        return
    async with place.database.transaction() as connection:
        await lock_addresses(connection, [delivery.address_hash])
        known = await standing_of(connection, [delivery.address_hash])
        stands = known.get(delivery.address_hash, Standing())
        if delivery.channel in stands.opt_outs:
            return
        left = PreferenceChanged.model_validate(
            {
                "contact_point_hash": delivery.address_hash,
                "opt_outs": sorted(stands.opt_outs | {delivery.channel}),
                "source": SOURCE,
                "evidence": delivery.evidence,
                "detail": f"the link in delivery {delivery.delivery_id}",
                "changed_at": place.pages.clock(),
                "personal": PersonalPreference(contact_point=point),
            }
        )
        await place.say(connection, {str(uuid.uuid4()): left})
    place.told()
