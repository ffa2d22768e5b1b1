"""Runs the model of possible dangers that the package carries, within a limit for a batch and a share of all time."""

import hashlib
from importlib.resources import files

from parvis.common.runtime.health import Health
from parvis.common.runtime.logs import logger
from parvis.router.decide.classifier.model_archive import InvalidModel, ModelArchive, read_header
from parvis.router.sandbox.classifier import DANGERS, SandboxedClassifier
from parvis.router.sandbox.optional_work_budget import TimeBudget
from parvis.router.sandbox.protocol import embedder_version

log = logger()

MODEL_FILE = files("parvis.router.sandbox") / "danger_model.npz"
_LIMIT_S = 0.5  # of a batch; an ordinary one has a few texts
# A text takes some 25 ms: the reserve is for a burst of eighty, the share for four a second on and on.
_SHARE, _RESERVE_S = 0.1, 2.0


def load_danger_model() -> ModelArchive:
    """Raises: InvalidModel, for another version of the embedder."""
    content = MODEL_FILE.read_bytes()
    header = read_header(content)
    if header.embedder != embedder_version():
        raise InvalidModel(f"it was trained with {header.embedder}, and this is {embedder_version()}: train it again")
    return ModelArchive(f"danger-{hashlib.sha256(content).hexdigest()[:12]}", header.threshold, content)


def build_danger_recogniser(health: Health, *, is_enabled: bool) -> SandboxedClassifier:
    """The recogniser; without a usable model it is never available, and routing goes on."""
    recogniser = SandboxedClassifier(
        health, task=DANGERS, limit_s=_LIMIT_S, budget=TimeBudget(share=_SHARE, reserve_s=_RESERVE_S)
    )
    if not is_enabled:
        return recogniser
    try:
        recogniser.use_model(load_danger_model())
    except InvalidModel as error:
        health.add_note(DANGERS.note, str(error))
        log.warning("model.refused", version=MODEL_FILE.name, reason=str(error))
    return recogniser
