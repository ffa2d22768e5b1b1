"""Facts about the consumer group that a service joins."""

from pydantic import SecretStr

from parvis.common.bus.subscription import Subscription
from parvis.common.contract.contact import ContactReceived
from parvis.common.contract.topics import CONTACT_RECEIVED
from parvis.common.runtime.settings import SharedSettings


def subscription_of(**settings: str) -> Subscription:
    return Subscription.from_settings(
        town_settings(**settings), service="router", topics=[CONTACT_RECEIVED], types=(ContactReceived,)
    )


def town_settings(**settings: str) -> SharedSettings:
    keys = {"secret_key": "0123456789abcdef", "contact_point_key": "fedcba9876543210"}
    secrets = {name: SecretStr(value) for name, value in ({"database_url": "postgresql+asyncpg://x"} | keys).items()}
    return SharedSettings.model_validate({**secrets, **settings})


def test_group_has_the_default_prefix_and_the_service():
    assert subscription_of().group == "parvis-router"


def test_towns_with_different_topic_prefixes_join_different_groups():
    first, second = subscription_of(topic_prefix="springfield"), subscription_of(topic_prefix="shelbyville")
    assert (first.group, second.group) == ("springfield-router", "shelbyville-router")
