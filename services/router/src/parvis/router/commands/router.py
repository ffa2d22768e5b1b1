"""`parvis router`: what a model learns from sorted texts, what it is worth, and which one decides."""

import argparse
from collections.abc import Callable
from pathlib import Path

from parvis.common.cli.subparsers import Commands


def register(commands: Commands) -> None:
    command = commands.add_parser("router", help="train a model on sorted texts, judge it, let it decide")
    actions = command.add_subparsers(metavar="train|evaluate|models|activate|back|off", required=True)
    _add_train(actions)
    _add_evaluate(actions)
    _add_models(actions)


def _add_train(actions: Commands) -> None:
    training = actions.add_parser("train", help="learn from sorted texts; nothing decides by it until you say so")
    training.add_argument(
        "sources",
        nargs="*",
        type=Path,
        metavar="DIR|JSONL",
        help="a configuration folder with examples.jsonl, or files of its shape",
    )
    training.add_argument(
        "--transfers", action="store_true", help="learn from the conversations that people moved, too"
    )
    training.add_argument("--days", type=int, default=30, help="of transfers to look back on (default: 30)")
    training.add_argument(
        "--precision", type=_share, default=0.95, help="of what it decides, how much must be right (default: 0.95)"
    )
    training.add_argument("--activate", action="store_true", help="let it decide at once")
    training.add_argument("--trial", action="store_true", help="report only, keep nothing; needs no database")
    training.add_argument("--no-cache", action="store_true", help="keep nothing of the texts' meaning on disk")
    training.set_defaults(run=_train)


def _add_evaluate(actions: Commands) -> None:
    evaluating = actions.add_parser("evaluate", help="compare kinds of models: trained on one file, tried on another")
    evaluating.add_argument("--train", type=Path, required=True, metavar="JSONL", help="a text and its label a line")
    evaluating.add_argument("--test", type=Path, required=True, metavar="JSONL", help="the same, of other texts")
    evaluating.add_argument("--json", action="store_true", help="print the figures as JSON, and nothing else")
    evaluating.add_argument("--no-cache", action="store_true", help="keep nothing of the texts' meaning on disk")
    evaluating.set_defaults(run=_evaluate)


def _add_models(actions: Commands) -> None:
    actions.add_parser("models", help="list the trained models, and which one decides").set_defaults(
        run=_models("show")
    )
    activating = actions.add_parser("activate", help="let one decide; running routers take it within seconds")
    activating.add_argument("version", metavar="VERSION")
    activating.set_defaults(run=_models("activate"))
    actions.add_parser("back", help="let the one decide that did before").set_defaults(run=_models("back"))
    actions.add_parser("off", help="let none decide").set_defaults(run=_models("off"))


def _share(text: str) -> float:
    share = float(text)
    if not 0.5 <= share <= 1:
        raise argparse.ArgumentTypeError("a share from 0.5 to 1")
    return share


# numpy takes a moment, and other commands need none: it is loaded by those that do.


def _train(arguments: argparse.Namespace) -> int:
    from parvis.router.commands.train import train_model

    return train_model(arguments)


def _evaluate(arguments: argparse.Namespace) -> int:
    from parvis.router.commands.evaluate import evaluate

    return evaluate(arguments)


def _models(name: str) -> Callable[[argparse.Namespace], int]:
    def run(arguments: argparse.Namespace) -> int:
        from parvis.router.commands import models

        return int(getattr(models, name)(arguments))

    return run
