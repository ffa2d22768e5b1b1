"""Texts in, departments out: what is learned from examples, and how it is judged. Pure; numpy alone; no word is kept."""

from parvis.router.decide.classifier.examples import Example
from parvis.router.decide.classifier.model import BadModel, Model
from parvis.router.decide.classifier.training import Report, TooFew, train

__all__ = ["BadModel", "Example", "Model", "Report", "TooFew", "train"]
