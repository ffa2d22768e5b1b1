"""Serves the unsubscribe link of mails: a page with one button, and the one-click POST of mail programs (RFC 8058)."""

import uuid
from datetime import timedelta

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import HTMLResponse

from parvis.common.contract.delivery import DeliveryId
from parvis.common.contract.preference import PreferenceChanged, PreferencePersonalData
from parvis.notifier.decide.code_recipients import mask_address
from parvis.notifier.decide.preferences import EffectivePreference
from parvis.notifier.models.delivery import Delivery
from parvis.notifier.pages.dependencies import PageDependencies
from parvis.notifier.store import deliveries
from parvis.notifier.store.preferences import effective_preferences_of, preference_log_of
from parvis.notifier.store.send_counts import lock_addresses

SOURCE = "unsubscribe"


def routes(site: PageDependencies) -> APIRouter:
    router = APIRouter()

    @router.get("/unsubscribe/{token}")
    async def ask_to_confirm(request: Request, token: str) -> HTMLResponse:
        """A page with one button: mail scanners follow links by themselves, and must unsubscribe nobody."""
        delivery = await _load_delivery(site, token)
        return _page(site, request, delivery, is_done=await _has_opted_out(site, delivery))

    @router.post("/unsubscribe/{token}")
    async def unsubscribe(request: Request, token: str, again: bool = False) -> HTMLResponse:
        """The button, or the one-click POST of a mail program: without cookie, login or confirmation. `again` is the way back."""
        delivery = await _load_delivery(site, token)
        await _opt(site, delivery, wants_mail=again)
        return _page(site, request, delivery, is_done=not again)

    _ = ask_to_confirm, unsubscribe
    return router


def _page(site: PageDependencies, request: Request, delivery: Delivery, *, is_done: bool) -> HTMLResponse:
    return site.render_page(request, "unsubscribe.html", address=mask_address(delivery.address), is_done=is_done)


async def _has_opted_out(site: PageDependencies, delivery: Delivery) -> bool:
    async with site.database.transaction() as connection:
        known = await effective_preferences_of(connection, [delivery.address_hash])
    return delivery.channel in known.get(delivery.address_hash, EffectivePreference()).opt_outs


async def _load_delivery(site: PageDependencies, token: str) -> Delivery:
    delivery_id = site.renderer.links.delivery_of(token)
    delivery = await _find_delivery(site, delivery_id) if delivery_id else None
    if delivery is None:
        raise HTTPException(404)
    return delivery


async def _find_delivery(site: PageDependencies, delivery_id: DeliveryId) -> Delivery | None:
    async with site.database.transaction() as connection:
        return (await deliveries.lock_deliveries(connection, [delivery_id])).get(delivery_id)


async def _opt(site: PageDependencies, delivery: Delivery, *, wants_mail: bool) -> None:
    """Record and publish the opt-out, or its end. Idempotent."""
    point = site.chooser.contact_point_at(delivery)
    if point is None:
        return
    async with site.database.transaction() as connection:
        await lock_addresses(connection, [delivery.address_hash])
        known = await effective_preferences_of(connection, [delivery.address_hash])
        current = known.get(delivery.address_hash, EffectivePreference())
        if (delivery.channel not in current.opt_outs) == wants_mail:
            return
        channels, at = {delivery.channel}, site.pages.clock()
        log = await preference_log_of(connection, delivery.address_hash)
        if log:  # the order of two clicks within a millisecond counts too
            at = max(at, log[-1].changed_at + timedelta(milliseconds=1))
        change = PreferenceChanged.model_validate(
            {
                "contact_point_hash": delivery.address_hash,
                "opt_outs": sorted(current.opt_outs - channels if wants_mail else current.opt_outs | channels),
                "source": SOURCE,
                "evidence": delivery.evidence,
                "detail": f"the link in delivery {delivery.delivery_id}",
                "changed_at": at,
                "personal": PreferencePersonalData(contact_point=point),
            }
        )
        await site.ledger.record_preferences(connection, {str(uuid.uuid4()): change})
    site.outbox.wake()
