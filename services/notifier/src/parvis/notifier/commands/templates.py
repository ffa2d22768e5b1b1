"""Adds previews of templates, the link to a reply, and the check of templates for `parvis config check`."""

import argparse
import asyncio
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from parvis.common.cli.argparse_types import Commands
from parvis.common.contract.errors import Rejected
from parvis.common.contract.reply import ReplyRequested
from parvis.common.runtime.settings import SharedSettings, load_settings
from parvis.common.storage.postgres import Database
from parvis.common.town.loading import load_town_config
from parvis.common.town.models import TownConfig
from parvis.common.town.templates import DEPARTMENTS, PROCEDURES, TemplateSet, load_templates


def register(actions: Commands) -> None:
    preview = actions.add_parser("preview", help="write every template as SMS, mail and letter into a folder")
    preview.add_argument("folder", type=Path, metavar="DIR", help="the town's configuration")
    preview.add_argument("--to", type=Path, required=True, metavar="FOLDER", help="folder for the files")
    preview.add_argument("--template", metavar="NAME", help="only this template, such as receipt")
    preview.add_argument("--language", metavar="LANGUAGE", help="only this language, such as fr")
    preview.add_argument("--department", metavar="SLUG", help="only the templates of this department")
    preview.add_argument("--procedure", metavar="SLUG", help="only the templates of this procedure")
    preview.set_defaults(run=_preview)
    link = actions.add_parser("link", help="print the link by which a citizen reads a reply with a one-time code")
    link.add_argument("reply", metavar="REPLY_ID")
    link.set_defaults(run=_link)


def check(path: Path, town_config: TownConfig) -> list[str]:
    """The lines of `parvis config check` about the templates.

    Raises: Misconfigured, as `load_templates` does.
    """
    return list(_check_templates(town_config, load_templates(path, town_config)))


def _check_templates(town_config: TownConfig, templates: TemplateSet) -> Iterator[str]:
    from parvis.notifier.render.template_preview import check_preview, render_preview, templates_to_preview

    for template in templates_to_preview(templates, town_config):
        yield from check_preview(template, render_preview(template, town_config, templates))


def _preview(arguments: argparse.Namespace) -> int:
    from parvis.notifier.render.template_preview import check_preview, render_preview, templates_to_preview

    town_config = load_town_config(arguments.folder)
    templates = load_templates(arguments.folder, town_config)
    owner = {(DEPARTMENTS, arguments.department), (PROCEDURES, arguments.procedure)}
    is_special = bool(arguments.department or arguments.procedure)
    wanted = [
        template
        for template in templates_to_preview(templates, town_config)
        if arguments.template in {None, template.name}
        and arguments.language in {None, template.language}
        and (not is_special or (template.owner_kind, template.slug) in owner)
    ]
    if not wanted:
        raise Rejected("no such template: parvis config check lists them")
    for shown in wanted:
        folder = arguments.to / shown.folder
        folder.mkdir(parents=True, exist_ok=True)
        files = render_preview(shown, town_config, templates)
        for name, content in files.items():
            (folder / name).write_bytes(content)
        for line in check_preview(shown, files):
            print(line)
    print(f"{arguments.to}: written")
    return 0


def _link(arguments: argparse.Namespace) -> int:
    from parvis.notifier.render.message_renderer import MessageRenderer
    from parvis.notifier.settings import Settings

    town, settings = load_settings(SharedSettings), load_settings(Settings)
    town_config = load_town_config(town.config_dir)
    templates = load_templates(town.config_dir, town_config)
    renderer = MessageRenderer(
        town_config,
        templates,
        town.signing_key,
        settings.public_url,
        inbox_lifetime=timedelta(days=settings.inbox_days),
    )
    print(renderer.inbox_link(asyncio.run(_load_reply(town, arguments.reply))))
    return 0


async def _load_reply(town: SharedSettings, name: str) -> ReplyRequested:
    from parvis.notifier.store.replies import replies_of

    database = Database(town.database_url.get_secret_value(), service="notifier-command")
    try:
        async with database.transaction() as connection:
            replies = await replies_of(connection, [name])
    finally:
        await database.close()
    if name not in replies:
        raise Rejected(f"no reply {name}")
    return replies[name]
