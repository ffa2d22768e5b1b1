"""Declares `parvis router`, which trains classifiers, evaluates them and chooses the one that decides."""

import argparse
from collections.abc import Callable
from pathlib import Path

from parvis.common.cli.argparse_types import Commands, day_count, file_to_write, share


def register(commands: Commands) -> None:
    command = commands.add_parser("router", help="train the classifier, evaluate it, activate it")
    actions = command.add_subparsers(metavar="train|train-danger|evaluate|models|activate|back|off", required=True)
    _add_train(actions)
    _add_train_danger(actions)
    _add_evaluate(actions)
    _add_models(actions)


def _add_train(actions: Commands) -> None:
    training = actions.add_parser(
        "train", help="train a model on labelled texts; it decides nothing until it is activated"
    )
    training.add_argument(
        "sources",
        nargs="*",
        type=Path,
        metavar="DIR|JSONL",
        help="a configuration folder with examples.jsonl, or files in the same format",
    )
    training.add_argument(
        "--transfers", action="store_true", help="also train on conversations that agents transferred"
    )
    training.add_argument("--days", type=day_count, default=30, help="how many days of transfers to use (default: 30)")
    training.add_argument(
        "--precision",
        type=_precision,
        default=0.95,
        help="the precision to aim for where the model decides (default: 0.95)",
    )
    training.add_argument("--activate", action="store_true", help="activate the model at once")
    training.add_argument("--trial", action="store_true", help="only report, store nothing; needs no database")
    training.add_argument("--no-cache", action="store_true", help="do not cache embeddings on disk")
    training.set_defaults(run=_train)


def _add_train_danger(actions: Commands) -> None:
    training = actions.add_parser(
        "train-danger", help="train the model of possible dangers that the router's package carries"
    )
    training.add_argument("folder", type=Path, help="a folder with danger*.txt and harmless*.txt, one sentence a line")
    training.add_argument("--out", type=file_to_write, required=True, metavar="FILE", help="where to write the model")
    training.add_argument(
        "--false-alarms",
        type=share,
        default=0.06,
        metavar="SHARE",
        help="the share of the harmless sentences, most of them look-alikes, that may be flagged (default: 0.06)",
    )
    training.set_defaults(run=_train_danger)


def _add_evaluate(actions: Commands) -> None:
    evaluating = actions.add_parser(
        "evaluate", help="compare the classifier with baselines: train on one file, test on another"
    )
    evaluating.add_argument("--train", type=Path, required=True, metavar="JSONL", help="labelled texts to train on")
    evaluating.add_argument("--test", type=Path, required=True, metavar="JSONL", help="other labelled texts to test on")
    evaluating.add_argument("--json", action="store_true", help="print the metrics as JSON and nothing else")
    evaluating.add_argument("--no-cache", action="store_true", help="do not cache embeddings on disk")
    evaluating.set_defaults(run=_evaluate)


def _add_models(actions: Commands) -> None:
    actions.add_parser("models", help="list the stored models; a star marks the active one").set_defaults(
        run=_models("show")
    )
    activating = actions.add_parser("activate", help="activate a model; running routers use it within seconds")
    activating.add_argument("version", metavar="VERSION")
    activating.set_defaults(run=_models("activate"))
    actions.add_parser("back", help="activate the model that decided before").set_defaults(run=_models("back"))
    actions.add_parser("off", help="deactivate the model").set_defaults(run=_models("off"))


def _precision(text: str) -> float:
    if (precision := share(text)) < 0.5:
        raise argparse.ArgumentTypeError("must be a number from 0.5 to 1")
    return precision


# Imported late: numpy slows the start of `parvis`, and most commands do not need it.


def _train(arguments: argparse.Namespace) -> int:
    from parvis.router.commands.train import train_model

    return train_model(arguments)


def _train_danger(arguments: argparse.Namespace) -> int:
    from parvis.router.commands.train_danger import train_danger

    return train_danger(arguments)


def _evaluate(arguments: argparse.Namespace) -> int:
    from parvis.router.commands.evaluate import evaluate

    return evaluate(arguments)


def _models(name: str) -> Callable[[argparse.Namespace], int]:
    def run(arguments: argparse.Namespace) -> int:
        from parvis.router.commands import trained_models

        return int(getattr(trained_models, name)(arguments))

    return run
