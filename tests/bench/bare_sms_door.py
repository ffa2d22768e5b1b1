"""Runs a bare webhook handler for comparison: signature check and produce only."""

import os
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from urllib.parse import parse_qsl

import uvicorn
import uvloop
from aiokafka import AIOKafkaProducer
from fastapi import FastAPI, Request, Response
from twilio.request_validator import RequestValidator

EMPTY = b'<?xml version="1.0" encoding="UTF-8"?><Response/>'


def build(kafka: str, url: str, token: str, topic: str) -> FastAPI:
    validator = RequestValidator(token)
    # The settings of parvis.common.bus.Producer.
    producer = AIOKafkaProducer(
        bootstrap_servers=kafka, enable_idempotence=True, acks="all", linger_ms=2, max_batch_size=256 * 1024,
        request_timeout_ms=5000, metadata_max_age_ms=30_000,
    )  # fmt: skip

    @asynccontextmanager
    async def running(_: FastAPI) -> AsyncGenerator[None]:
        await producer.start()
        yield
        await producer.stop()

    app = FastAPI(openapi_url=None, lifespan=running)

    @app.post("/sms")
    async def message(request: Request) -> Response:
        body = await request.body()
        form = dict(parse_qsl(body.decode(), keep_blank_values=True))
        if not validator.validate(f"{url}/sms", form, request.headers.get("X-Twilio-Signature", "")):
            return Response(status_code=403)
        await producer.send_and_wait(topic, body, key=form["From"].encode())
        return Response(EMPTY, media_type="text/xml")

    @app.get("/ready")
    async def ready() -> Response:
        return Response()

    _ = message, ready
    return app


async def main(port: int) -> None:
    env = os.environ  # noqa: TID251 (a benchmark's own)
    app = build(
        env["PARVIS_KAFKA_BOOTSTRAP"],
        f"http://127.0.0.1:{port}",
        env["PARVIS_INGEST_SMS_TWILIO_AUTH_TOKEN"],
        "bench.bare",
    )
    config = uvicorn.Config(
        app, host="127.0.0.1", port=port, log_config=None, access_log=False, server_header=False, timeout_keep_alive=15
    )
    await uvicorn.Server(config).serve()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
