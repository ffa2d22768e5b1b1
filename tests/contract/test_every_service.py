"""Tests what all services have in common; the services are discovered, not listed."""

import importlib
import inspect
import pkgutil

import pytest

import parvis
from parvis.common.cli.migrations import services_with_migrations
from parvis.common.runtime.settings import ServiceSettings

LIBRARIES = {"common", "web", "local", "simulators", "twilio"}
SERVICES = sorted(module.name for module in pkgutil.iter_modules(parvis.__path__) if module.name not in LIBRARIES)


def test_there_are_services():
    assert {"ingest_sms", "ingest_email", "ingest_web", "ingest_postal", "router", "notifier", "desk"} <= set(SERVICES)


@pytest.mark.parametrize("service", SERVICES)
def test_its_settings_have_its_name_and_a_description_each(service: str):
    settings = importlib.import_module(f"parvis.{service}.settings").Settings

    assert issubclass(settings, ServiceSettings)
    assert settings.model_config.get("env_prefix") == f"PARVIS_{service.upper()}_"
    assert settings.model_fields["port"].default
    assert not [name for name, field in settings.model_fields.items() if not field.description]


@pytest.mark.parametrize("service", SERVICES)
def test_its_secrets_have_no_default_and_are_not_shown(service: str):
    settings = importlib.import_module(f"parvis.{service}.settings").Settings
    for name, field in settings.model_fields.items():
        if any(word in name for word in ("token", "password", "secret")) and not name.endswith(
            ("_file", "_s", "_previous")
        ):
            assert field.is_required() or field.default is None, f"{name} has a default"
            assert "Secret" in str(field.annotation), f"{name} would be shown"


@pytest.mark.parametrize("service", SERVICES)
def test_it_is_wired_in_one_place(service: str):
    build = importlib.import_module(f"parvis.{service}.app").build

    assert inspect.iscoroutinefunction(build)
    assert not inspect.signature(build).parameters


@pytest.mark.parametrize("service", sorted(services_with_migrations()))
def test_its_migrations_are_in_its_own_schema(service: str):
    for version in (services_with_migrations()[service] / "versions").glob("*.py"):
        statements = version.read_text()
        named = (f"{service}.", f'("{service}")', "SCHEMA")
        assert any(name in statements for name in named), f"{version.name} names no schema"
