"""Plans a stack's ports, folders and the environment of each process. Pure; no I/O."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from parvis.common.contract.errors import Misconfigured
from parvis.local.production_settings import check_production
from parvis.local.secrets import LocalSecrets

HOST = "127.0.0.1"

# The fixed ports by name. "<service>.<name>" is a second port of a service.
FIXED: Mapping[str, int] = MappingProxyType(
    {
        "ingest-sms": 8101,
        "ingest-email": 8102,
        "ingest-email.smtp": 2525,
        "ingest-email.lmtp": 2424,
        "ingest-web": 8103,
        "ingest-postal": 8104,
        "ingest-voice": 8105,
        "router": 8110,
        "notifier": 8120,
        "desk": 8130,
        "portal": 8140,
        "insights": 8150,
        "kafka": 19092,
        "postgres": 15432,
        "outside.twilio": 8190,
        "outside.mail-smtp": 8191,
        "outside.mail-web": 8192,
    }
)
_EMBEDDED = ("kafka", "postgres")
_OUTSIDE = ("outside.twilio", "outside.mail-smtp", "outside.mail-web")
_TOWN_SECRETS = (
    "PARVIS_DATABASE_URL",
    "PARVIS_SECRET_KEY",
    "PARVIS_CONTACT_POINT_KEY",
    "PARVIS_KAFKA_USERNAME",
    "PARVIS_KAFKA_PASSWORD",
)
_SECOND_PORTS = {"ingest-email": ("ingest-email.smtp", "ingest-email.lmtp")}


@dataclass(frozen=True)
class StackPlan:
    """The services, ports and environment of a stack."""

    var: Path
    services: tuple[str, ...]
    ports: Mapping[str, int]
    environment: Mapping[str, str]
    embeds_kafka: bool
    embeds_postgres: bool
    outside: bool

    def url(self, service: str) -> str:
        return f"http://{HOST}:{self.ports[service]}"

    def ports_of(self, service: str) -> dict[str, int]:
        """Give a service's ports as in `up.json`: {"port": 8102, "smtp_port": 2525}."""
        second = {
            f"{name.partition('.')[2].replace('-', '_')}_port": port
            for name, port in self.ports.items()
            if name.startswith(f"{service}.")
        }
        return ({"port": self.ports[service]} if service in self.ports else {}) | second

    @property
    def topic_prefix(self) -> str:
        """The prefix of the town's topics and consumer groups."""
        return self.environment.get("PARVIS_TOPIC_PREFIX", "parvis")

    def address_of_database(self) -> str:
        """Give host:port of the database, without user and password."""
        return self.environment["PARVIS_DATABASE_URL"].rpartition("@")[2].partition("/")[0]

    def describe(self, pids: Mapping[str, int], *, supervisor: int) -> dict[str, object]:
        """Give the contents of `up.json`: where other programs find each part."""
        names = [*self.services, *(["outside"] if self.outside else [])]
        parts = {name: {"pid": pids[name], **self.ports_of(name)} for name in names}
        kafka, database = self.environment["PARVIS_KAFKA_BOOTSTRAP"], self.environment["PARVIS_DATABASE_URL"]
        outside = {"outside": parts.pop("outside")} if self.outside else {}
        settings = {name: value for name, value in self.environment.items() if name.startswith("PARVIS_")}
        return {
            "supervisor": {"pid": supervisor}, "services": parts, "kafka": kafka, "database": database, **outside,
            "settings": settings,
        }  # fmt: skip

    def environment_of(self, program: str) -> dict[str, str]:
        """Give the variables that a service or the simulators may see: no other's, and what is the town's alone no simulator's."""
        # PARVIS_KAFKA_… are the town's own: every service must find its brokers.
        names = {*self.services, *(name.partition(".")[0] for name in FIXED)} - {program, *_EMBEDDED}
        foreign = tuple(service_variable(name, "") for name in names)
        if program == "outside":
            foreign += _TOWN_SECRETS
        return {name: value for name, value in self.environment.items() if not name.startswith(foreign)}

    @property
    def ports_to_open(self) -> dict[str, int]:
        """The ports that processes of this stack will listen on."""
        external = ({"kafka"} if not self.embeds_kafka else set[str]()) | (
            {"postgres"} if not self.embeds_postgres else set[str]()
        )
        external |= set() if self.outside else set(_OUTSIDE)
        return {name: port for name, port in self.ports.items() if name not in external}


def service_variable(service: str, setting: str) -> str:
    """("ingest-email", "smtp-port") → PARVIS_INGEST_EMAIL_SMTP_PORT."""
    return f"PARVIS_{service}_{setting}".replace("-", "_").upper()


def plan_stack(
    *,
    var: Path,
    services: Sequence[str],
    given_environment: Mapping[str, str],
    secrets: LocalSecrets,
    free_port: Callable[[], int] | None,
    outside: bool,
    config_dir: Path,
    production: bool = False,
) -> StackPlan:
    """Plan the stack before anything is started.

    Shape:  `given_environment` overrides the defaults. `free_port` chooses a port; if it is None, ports are fixed.
            `production`: nothing of a laptop's defaults counts.
    Raises: Misconfigured, naming a variable that is not a port, or what a production town lacks.
    """
    ports = _ports(services, given_environment, free_port)
    defaults = _environment(var=var, services=services, ports=ports, secrets=secrets)
    if production:
        check_production(given_environment)
    else:
        defaults |= _laptop_environment(var=var, ports=ports, secrets=secrets, config_dir=config_dir)
    return StackPlan(
        var=var,
        services=tuple(services),
        ports=ports,
        environment={
            **defaults,
            **{name: value for name, value in given_environment.items() if value},
            "PARVIS_VAR": str(var),
        },
        embeds_kafka=not given_environment.get("PARVIS_KAFKA_BOOTSTRAP"),
        embeds_postgres=not given_environment.get("PARVIS_DATABASE_URL"),
        outside=outside,
    )


def _ports(
    services: Sequence[str], given_environment: Mapping[str, str], free_port: Callable[[], int] | None
) -> dict[str, int]:
    names = [*_EMBEDDED, *_OUTSIDE]
    for service in services:
        names += [service, *_SECOND_PORTS.get(service, ())]
    return {name: _port(name, given_environment, free_port) for name in names}


def _port(name: str, given_environment: Mapping[str, str], free_port: Callable[[], int] | None) -> int:
    port = given_environment.get(_port_variable(name), "")
    if port:
        if not port.isdecimal() or not 0 < int(port) < 65536:
            raise Misconfigured(
                f"{_port_variable(name)} must be a port, got {port!r}", mend="set it to a number from 1 to 65535"
            )
        return int(port)
    if free_port:
        return free_port()
    if name not in FIXED:
        raise Misconfigured(f"the service {name} has no fixed port", mend=f"set {_port_variable(name)}")
    return FIXED[name]


def _port_variable(name: str) -> str:
    service, _, port_name = name.partition(".")
    return service_variable(service, f"{port_name}-port" if port_name else "port")


def _environment(
    *, var: Path, services: Sequence[str], ports: Mapping[str, int], secrets: LocalSecrets
) -> dict[str, str]:
    """The settings of every town of one machine: its brokers, folders, keys and ports."""
    listening = {_port_variable(name): str(port) for name, port in ports.items() if name.partition(".")[0] in services}
    return {
        "PARVIS_VAR": str(var),
        "PARVIS_KAFKA_BOOTSTRAP": f"{HOST}:{ports['kafka']}",
        "PARVIS_DATABASE_URL": f"postgresql+asyncpg://parvis:{secrets.database_password}@{HOST}:{ports['postgres']}/parvis",
        "PARVIS_BLOBS_URL": f"file://{var / 'blobs'}",
        "PARVIS_SECRET_KEY": secrets.secret_key,
        "PARVIS_CONTACT_POINT_KEY": secrets.contact_point_key,
        "PARVIS_INGEST_POSTAL_FOLDER": str(var / "scans"),
        "PARVIS_NOTIFIER_LETTERS_DIR": str(var / "letters"),
        **listening,
    }


def _laptop_environment(
    *, var: Path, ports: Mapping[str, int], secrets: LocalSecrets, config_dir: Path
) -> dict[str, str]:
    """What a production town must be told: the example town, pages on the loopback, logins for anybody, and the simulated outside world."""

    def url(name: str) -> str:
        return f"http://{HOST}:{ports[name]}" if name in ports else f"http://{HOST}:{FIXED[name]}"

    town = {
        "PARVIS_CONFIG_DIR": str(config_dir),
        "PARVIS_PUBLIC_URL": url("ingest-web"),
        "PARVIS_NOTIFIER_PUBLIC_URL": url("notifier"),
        "PARVIS_DESK_API_TOKEN": secrets.desk_api_token,
        "PARVIS_DESK_PUBLIC_URL": url("desk"),
    }
    twilio = {
        "PARVIS_INGEST_SMS_TWILIO_ACCOUNT_SID": secrets.twilio_account_sid,
        "PARVIS_INGEST_SMS_TWILIO_AUTH_TOKEN": secrets.twilio_auth_token,
        "PARVIS_INGEST_SMS_PUBLIC_URL": url("ingest-sms"),
        "PARVIS_INGEST_SMS_TWILIO_BASE_URL": url("outside.twilio"),
        "PARVIS_NOTIFIER_TWILIO_ACCOUNT_SID": secrets.twilio_account_sid,
        "PARVIS_NOTIFIER_TWILIO_AUTH_TOKEN": secrets.twilio_auth_token,
        "PARVIS_NOTIFIER_TWILIO_BASE_URL": url("outside.twilio"),
        "PARVIS_NOTIFIER_SMS_PUBLIC_URL": url("ingest-sms"),
    }
    mail = {
        "PARVIS_NOTIFIER_SMTP_HOST": HOST,
        "PARVIS_NOTIFIER_SMTP_PORT": str(ports["outside.mail-smtp"]),
        "PARVIS_NOTIFIER_SMTP_USERNAME": secrets.relay_username,
        "PARVIS_NOTIFIER_SMTP_PASSWORD": secrets.relay_password,
        "PARVIS_NOTIFIER_SMTP_CA_FILE": str(var / "outside" / "relay.pem"),
    }
    haste = {
        # The service's default wait is for scanners that write over a network; here files are moved in atomically.
        "PARVIS_INGEST_POSTAL_POLL_S": "0.5",
        "PARVIS_INGEST_POSTAL_SETTLE_S": "1",
        # Tests and the demo submit forms at once, which the service would otherwise take for a bot.
        "PARVIS_INGEST_WEB_QUICKEST_S": "0",
    }
    return {**town, **twilio, **mail, **haste, **_simulator_environment(var, ports, secrets, url("ingest-sms"))}


def _simulator_environment(var: Path, ports: Mapping[str, int], secrets: LocalSecrets, sms_url: str) -> dict[str, str]:
    """Build the settings of the simulated Twilio, mail provider and print shop."""
    return {
        "PARVIS_OUTSIDE_TWILIO_PORT": str(ports["outside.twilio"]),
        "PARVIS_OUTSIDE_MAIL_SMTP_PORT": str(ports["outside.mail-smtp"]),
        "PARVIS_OUTSIDE_MAIL_WEB_PORT": str(ports["outside.mail-web"]),
        "PARVIS_OUTSIDE_TWILIO_ACCOUNT_SID": secrets.twilio_account_sid,
        "PARVIS_OUTSIDE_TWILIO_AUTH_TOKEN": secrets.twilio_auth_token,
        "PARVIS_OUTSIDE_SMS_WEBHOOK_URL": f"{sms_url}/sms",
        "PARVIS_OUTSIDE_MAIL_USERNAME": secrets.relay_username,
        "PARVIS_OUTSIDE_MAIL_PASSWORD": secrets.relay_password,
        "PARVIS_OUTSIDE_MAIL_CERTIFICATE": str(var / "outside" / "relay.pem"),
        "PARVIS_OUTSIDE_MAIL_DIR": str(var / "mail"),
        "PARVIS_OUTSIDE_TOWN_SMTP_PORT": str(ports.get("ingest-email.smtp", FIXED["ingest-email.smtp"])),
        "PARVIS_OUTSIDE_LETTERS_DIR": str(var / "letters"),
    }
