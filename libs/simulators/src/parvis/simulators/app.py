"""Wires all simulators into one process with three listeners."""

import asyncio
import signal
import sys
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

from aiosmtpd.smtp import log as smtp_log

from parvis.common.contract.errors import EXIT_MISCONFIGURED, Misconfigured
from parvis.common.runtime.settings import load_settings
from parvis.simulators.background_tasks import BackgroundTasks
from parvis.simulators.mail.app import build as build_mail
from parvis.simulators.mail.relay import protocol
from parvis.simulators.settings import Settings
from parvis.simulators.sms_gateway import Gateway
from parvis.simulators.twilio.app import build as build_twilio
from parvis.simulators.uvicorn_server import bind, port_of, serve_application


class Simulators:
    """All simulators, running while the `async with` block lasts.

    Gives:  `twilio_url`, `mail_web_url`, `mail_smtp_port`, `settings.mail_certificate`; for tests in the same process also
            `twilio` (account, carrier), `gateway` (the second SMS provider) and `mail` (box, postman, relay).
    Raises: OSError, naming a port that is in use.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.background = BackgroundTasks()
        self.twilio = build_twilio(settings, self.background)
        self.gateway = Gateway(settings)
        self.twilio.app.include_router(self.gateway.routes())
        self.mail = build_mail(settings, self.background)
        self._lifetime = AsyncExitStack()
        self.twilio_port = self.mail_smtp_port = self.mail_web_port = 0

    @property
    def twilio_url(self) -> str:
        return f"http://{self.settings.host}:{self.twilio_port}"

    @property
    def mail_web_url(self) -> str:
        return f"http://{self.settings.host}:{self.mail_web_port}"

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await self._start(stack)
            self._lifetime = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._lifetime.aclose()

    async def _start(self, stack: AsyncExitStack) -> None:
        host, settings = self.settings.host, self.settings
        twilio = bind(host, settings.twilio_port, "the Twilio simulator")
        stack.callback(twilio.close)
        web = bind(host, settings.mail_web_port, "the page with mail and letters")
        stack.callback(web.close)
        smtp = bind(host, settings.mail_smtp_port, "the mail relay")
        stack.callback(smtp.close)
        self.twilio_port, self.mail_web_port, self.mail_smtp_port = port_of(twilio), port_of(web), port_of(smtp)
        self.twilio.app.state.neighbour_port, self.mail.app.state.neighbour_port = self.mail_web_port, self.twilio_port

        stack.push_async_callback(self.twilio.courier.close)
        relay = await asyncio.get_running_loop().create_server(
            lambda: protocol(self.mail.relay, self.mail.context), sock=smtp
        )
        stack.callback(relay.close)
        await stack.enter_async_context(serve_application((self.twilio.app, twilio), (self.mail.app, web)))
        # The stack is unwound in reverse: waiting requests end before their listener stops.
        stack.push_async_callback(self.background.stop)


async def run(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT, even if SIGINT was inherited as ignored."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with Simulators(settings) as outside:
        print(
            f"outside.started twilio={outside.twilio_url} mail={outside.mail_web_url} smtp={outside.mail_smtp_port}",
            flush=True,
        )
        await stop.wait()
    print("outside.stopped", flush=True)


def main() -> int:
    """Run the simulators. Gives the exit code: 0, or 78 after an error message that names the wrong setting."""
    smtp_log.setLevel("ERROR")  # aiosmtpd warns about its own deprecated session attribute at each login
    try:
        settings = load_settings(Settings)
    except Misconfigured as error:
        print(error, file=sys.stderr)
        return EXIT_MISCONFIGURED
    try:
        asyncio.run(run(settings))
    except OSError as error:
        print(
            f"{error.strerror} (stop the program that uses it, or set another PARVIS_OUTSIDE_*_PORT)", file=sys.stderr
        )
        return EXIT_MISCONFIGURED
    return 0
