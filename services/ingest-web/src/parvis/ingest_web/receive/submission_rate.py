"""Computes how long a form has to wait, by the rate limits of its source and by its proof of work."""

from parvis.ingest_web.models.form import PROOF, WAITED
from parvis.ingest_web.receive.form_in_progress import FormDependencies, FormInProgress


def seconds_until_allowed(dependencies: FormDependencies, submission: FormInProgress, *, is_sent: bool) -> float:
    """The wait for this step. Files are limited at every step, even with a proof of work, because they are stored before the form is sent."""
    seconds = seconds_until_files_allowed(dependencies, submission)
    if seconds or not is_sent:
        return seconds
    seconds = dependencies.rate_limit.wait_s(submission.client)
    if not seconds or not dependencies.rate_limit.requires_work or not submission.once:
        return seconds
    proof, waited = submission.form.first(PROOF), submission.form.first(WAITED)
    return (
        0.0
        if dependencies.tokens.has_proof_of_work(submission.once, proof, waited, dependencies.pages.clock())
        else seconds
    )


def seconds_until_files_allowed(dependencies: FormDependencies, submission: FormInProgress) -> float:
    chosen = [file for pairs in submission.chosen.values() for file, _ in pairs]
    form = submission.once.seed if submission.once else ""
    wait_s = dependencies.rate_limit.files_wait_s(submission.client, len(chosen))
    return wait_s or dependencies.rate_limit.megabytes_wait_s(
        submission.client, form, sum(file.size_bytes for file in chosen)
    )
