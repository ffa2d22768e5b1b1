"""Builds the desk from its settings; the only place that constructs its clients."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from fastapi import FastAPI

from parvis.common.bus.consumer import Consumer
from parvis.common.bus.dead_letters import ConsumerHaltStore
from parvis.common.bus.producer import Producer
from parvis.common.bus.subscription import Subscription
from parvis.common.contract import topics
from parvis.common.files.antivirus import AntivirusScanner
from parvis.common.files.previews.page_preview import PagePreviews
from parvis.common.runtime.health import Health
from parvis.common.runtime.service import Service, run_every, run_health_check
from parvis.common.runtime.settings import SharedSettings, load_settings
from parvis.common.storage.blobs import BlobStore
from parvis.common.storage.outbox import Outbox
from parvis.common.storage.postgres import Database
from parvis.common.town.answer_texts import load_answer_texts
from parvis.common.town.loading import load_town_config
from parvis.common.town.models import TownConfig, localized
from parvis.common.town.templates import load_templates
from parvis.desk.api.build_api import application
from parvis.desk.api.dependencies import ApiDependencies
from parvis.desk.api.telephone_hook import telephone_hook
from parvis.desk.consume.case_projection import EVENT_TYPES, CaseProjection
from parvis.desk.fetch.access_file import load_access_rules
from parvis.desk.fetch.claim_checks import ClaimCheckFetcher, InfectedFile, MissingFile, UnscannedFile
from parvis.desk.pages.access import DeskAccess, NotAllowed, NotLoggedIn
from parvis.desk.pages.case_page import damaged_case_handler
from parvis.desk.pages.dependencies import LARGEST_BODY_BYTES, DeskDependencies
from parvis.desk.pages.original_files import refusal_handler
from parvis.desk.pages.refusals import log_in_first_handler, not_allowed_handler
from parvis.desk.pages.routes import routes
from parvis.desk.schema import case_tables
from parvis.desk.schema.case_tables import SCHEMA
from parvis.desk.settings import Settings
from parvis.desk.store import case_transactions, counter_contacts, single_case_queries
from parvis.desk.store.absences import return_cases_of_absent
from parvis.desk.store.bulk_acts import purge_bulk_acts
from parvis.desk.store.caller_lookup import index_earlier_callers
from parvis.desk.store.incoming_calls import purge_calls
from parvis.desk.store.live_updates import LiveUpdates
from parvis.desk.store.new_case_assignment import RoundRobin
from parvis.desk.store.outgoing_files import OutgoingFiles
from parvis.desk.store.reply_drafts import purge_drafts
from parvis.desk.store.row_decoding import DamagedCase
from parvis.desk.verify.agent_sessions import SessionCookies
from parvis.desk.verify.own_hosts import OwnHosts
from parvis.desk.verify.passkeys import PasskeyVerifier
from parvis.web.oidc.provider_config import OidcProviderConfig, for_proconnect
from parvis.web.oidc.relying_party import RelyingParty
from parvis.web.page_setup import install_pages
from parvis.web.pages import PageRenderer

NAME = "desk"
_PURGE_EVERY_S = 3600.0
_RETURN_EVERY_S = 60.0
_TURN_EVERY_S = 10.0
_INDEX_EVERY_S = 86400.0
_LOOPBACK_HOSTS = ["127.0.0.1", "localhost", "[::1]"]


async def build() -> Service:
    """Construct everything the desk needs.

    Raises: Misconfigured, when it should listen on more than loopback without a real login, or the configuration is wrong.
    """
    town, settings = load_settings(SharedSettings), load_settings(Settings)
    town_config = load_town_config(town.config_dir)
    health = Health({"database": "not reached yet", "consumer": "not started yet"})
    database = Database(town.database_url.get_secret_value(), service=NAME)
    producer = Producer.from_settings(town, service=NAME, health=health)
    outbox = Outbox(case_tables.outbox, database, producer, health, NAME)
    cases = case_transactions.CaseStore(database, outbox, town.topic_prefix)
    blobs = BlobStore(town.blobs_url)
    page_previews, scanner = PagePreviews(), AntivirusScanner(town.clamav)
    outgoing_files = OutgoingFiles(database, blobs, scanner, page_previews)
    live_updates, rules = LiveUpdates(database), load_access_rules(town.config_dir, town_config)
    dependencies = DeskDependencies(
        town_config=town_config,
        templates=load_templates(town.config_dir, town_config),
        pages=PageRenderer(town_config.town, folder=Path(__file__).parent, theme=town.config_dir / "theme.css"),
        answer_texts=load_answer_texts(town.config_dir, town_config),
        cases=cases,
        counter_contacts=counter_contacts.CounterContacts(
            cases, blobs, town_config, rules.confidential, town.hashing_key
        ),
        claim_checks=ClaimCheckFetcher(blobs, scanner),
        outgoing_files=outgoing_files,
        page_previews=page_previews,
        withdrawal_period=timedelta(seconds=settings.withdrawal_s),
        access=DeskAccess(database, _sessions(town, settings), rules, town_config),
        live_updates=live_updates,
        logins=settings.logins,
        passkeys=PasskeyVerifier(settings.public_url, localized(town_config.town.name, None)),
        provider=build_provider(settings),
        public_url=town.public_url,
    )
    consumer = Consumer(
        Subscription.from_settings(town, service=NAME, topics=_topics(town_config), types=EVENT_TYPES),
        handle=CaseProjection(cases, town_config).handle,
        producer=producer,
        halt=ConsumerHaltStore(database, SCHEMA),
        health=health,
    )

    idle = timedelta(minutes=settings.session_idle_minutes)
    turns = RoundRobin(cases, town_config, dependencies.access.rules.confidential, idle)
    watch = run_health_check(health, "database", lambda: single_case_queries.check_database(database))
    return Service(
        NAME,
        settings.host,
        settings.port,
        health,
        app=_pages_and_api(dependencies, settings),
        largest_body_bytes=LARGEST_BODY_BYTES,
        tasks=[
            page_previews.run,
            live_updates.run,
            watch,
            run_every(_PURGE_EVERY_S, outbox.purge),
            run_every(_PURGE_EVERY_S, lambda: purge_drafts(database)),
            run_every(_TURN_EVERY_S, turns.assign),
            run_every(
                _RETURN_EVERY_S,
                lambda: return_cases_of_absent(cases, town_config, dependencies.access.rules.confidential),
            ),
            run_every(_PURGE_EVERY_S, lambda: purge_bulk_acts(database)),
            run_every(_PURGE_EVERY_S, outgoing_files.purge),
            run_every(_PURGE_EVERY_S / 6, lambda: purge_calls(database)),
            run_every(_INDEX_EVERY_S, lambda: index_earlier_callers(database)),
            outbox.relay,
            consumer.run,
            consumer.watch,
        ],
        closing=[producer.stop, database.close, *([dependencies.provider.close] if dependencies.provider else [])],
    )


def build_provider(settings: Settings) -> RelyingParty | None:
    """The identity provider of the settings. None if agents do not log in there."""
    if "oidc" not in settings.logins:
        return None
    provider = OidcProviderConfig(
        issuer=settings.oidc_issuer,
        client_id=settings.oidc_client_id,
        client_secret=settings.oidc_client_secret.get_secret_value() if settings.oidc_client_secret else "",
        redirect_uri=f"{settings.public_url}/login/oidc/return",
        post_logout_redirect_uri=f"{settings.public_url}/login",
    )
    if settings.oidc_preset == "proconnect":
        provider = for_proconnect(provider)
    required = {"roles": settings.oidc_roles.split(), "siret": settings.oidc_siret.split()}
    return RelyingParty(
        replace(
            provider,
            scopes=tuple(settings.oidc_scopes.split()) or provider.scopes,
            algorithms=tuple(settings.oidc_algorithms.split()) or provider.algorithms,
            acr=tuple(settings.oidc_acr.split()) or provider.acr,
            amr=tuple(settings.oidc_amr.split()),
            required={claim: frozenset(values) for claim, values in required.items() if values},
            pkce=provider.pkce if settings.oidc_pkce is None else settings.oidc_pkce,
        )
    )


def _topics(town_config: TownConfig) -> list[topics.Topic]:
    return [*(topics.department_topic(slug) for slug in town_config.departments), topics.DELIVERY_UPDATED]


def _sessions(town: SharedSettings, settings: Settings) -> SessionCookies:
    return SessionCookies(
        town.signing_key,
        timedelta(hours=settings.session_hours),
        timedelta(minutes=settings.session_idle_minutes),
        settings.public_url,
    )


def _pages_and_api(dependencies: DeskDependencies, settings: Settings) -> FastAPI:
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    app.add_middleware(OwnHosts, hosts=[*_LOOPBACK_HOSTS, urlsplit(settings.public_url).hostname or ""])
    install_pages(app, dependencies.pages)
    app.include_router(routes(dependencies))
    app.mount(
        "/telephone",
        telephone_hook(
            dependencies.cases.database,
            dependencies.town_config,
            dependencies.pages,
            token=settings.telephone_token,
            desk_url=settings.public_url,
        ),
    )
    app.mount(
        "/api/v1",
        application(
            ApiDependencies(
                dependencies.cases,
                dependencies.counter_contacts,
                dependencies.town_config,
                dependencies.access.rules,
                dependencies.outgoing_files,
                dependencies.claim_checks,
                settings.api_token,
                dependencies.answer_texts,
                dependencies.withdrawal_period,
            ),
            dependencies.pages,
        ),
    )

    app.add_exception_handler(NotLoggedIn, log_in_first_handler(dependencies))
    app.add_exception_handler(NotAllowed, not_allowed_handler(dependencies))
    app.add_exception_handler(DamagedCase, damaged_case_handler(dependencies))
    for error in (InfectedFile, UnscannedFile, MissingFile):
        app.add_exception_handler(error, refusal_handler(dependencies))
    return app
