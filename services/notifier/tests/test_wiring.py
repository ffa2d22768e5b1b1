"""What a notifier is made of."""

import pkgutil
from pathlib import Path

from services.notifier.tests.conftest import settings_of

from parvis.common.testing import A_KEY
from parvis.common.town.models import TownConfig
from parvis.notifier import app, send
from parvis.notifier.render.message_renderer import MEDIA_TYPES
from parvis.simulators.app import Outside


async def test_every_file_of_send_is_a_channel_that_is_wired_and_rendered(
    outside: Simulators, town_config: TownConfig, tmp_path: Path
) -> None:
    files = {module.name for module in pkgutil.iter_modules(send.__path__)}
    channels = app.channels_of(settings_of(outside, tmp_path), town_config, A_KEY)
    assert files == set(channels) == set(MEDIA_TYPES)
    for channel in channels.values():
        await channel.close()
