"""`parvis router`: what a model learns from sorted texts, what it is worth, and which one decides."""

import argparse
from pathlib import Path

from parvis.common.cli.commands import Commands


def register(commands: Commands) -> None:
    command = commands.add_parser("router", help="train a model on sorted texts, judge it, let it decide")
    actions = command.add_subparsers(metavar="train|evaluate|models|activate|back|off", required=True)
    _add_evaluate(actions)


def _add_evaluate(actions: Commands) -> None:
    evaluating = actions.add_parser("evaluate", help="compare kinds of models: trained on one file, tried on another")
    evaluating.add_argument("--train", type=Path, required=True, metavar="JSONL", help="a text and its label a line")
    evaluating.add_argument("--test", type=Path, required=True, metavar="JSONL", help="the same, of other texts")
    evaluating.add_argument("--json", action="store_true", help="print the figures as JSON, and nothing else")
    evaluating.add_argument("--no-cache", action="store_true", help="keep nothing of the texts' meaning on disk")
    evaluating.set_defaults(run=_evaluate)


def _evaluate(arguments: argparse.Namespace) -> int:
    from parvis.router.commands.evaluate import evaluate  # numpy takes a moment, and other commands need none

    return evaluate(arguments)
