"""Settings in, the running SMS door out: the only place that builds its clients."""

from parvis.common.blobs import Blobs
from parvis.common.bus import Producer
from parvis.common.health import Health
from parvis.common.language import language_of
from parvis.common.service import Service, checking
from parvis.common.settings import TownSettings, load
from parvis.ingest_sms import receive
from parvis.ingest_sms.settings import Settings
from parvis.ingest_sms.verify import Signatures


async def build() -> Service:
    town, own = load(TownSettings), load(Settings)
    language_of("La première lecture charge le modèle.")
    health = Health({"kafka": "not connected yet"})
    producer = Producer(town.kafka_bootstrap, service="ingest-sms", health=health)
    door = receive.Door(
        signatures=Signatures(own.public_url, own.tokens),
        accounts=own.accounts,
        blobs=Blobs(town.blobs_url),
        producer=producer,
        topic_prefix=town.topic_prefix,
        hashing_key=town.hashing_key,
        largest_form_bytes=own.largest_form_bytes,
    )

    return Service(
        "ingest-sms",
        own.host,
        own.port,
        health,
        app=receive.routes(door),
        tasks=[checking(health, "kafka", producer.check)],
        closing=[producer.stop],
    )
