"""Reads the files of a form: those just chosen, and those that an earlier step has stored."""

from parvis.common.files.file_names import safe_file_name
from parvis.common.files.media_types import media_type_of
from parvis.common.town.form_fields import FileField
from parvis.ingest_web.models.form import DROP, STORED, FilledForm, FormFile, StoredFile
from parvis.ingest_web.receive.form_in_progress import FormDependencies, FormInProgress
from parvis.web.form_parsing import SubmittedForm, Upload


async def read_chosen_files(fields: list[FileField], form: SubmittedForm) -> dict[str, list[tuple[FormFile, Upload]]]:
    """The files just chosen, by field."""
    return {f.name: [(await _file(upload), upload) for upload in form.files.get(f.name, ())] for f in fields}


def read_stored_files(
    dependencies: FormDependencies, fields: list[FileField], form: SubmittedForm
) -> dict[str, list[StoredFile]]:
    """The files stored by earlier steps, without those that the citizen removed. Where one file is allowed, a new one replaces it."""
    by_field: dict[str, list[StoredFile]] = {}
    for f in fields:
        dropped = form.fields.get(DROP + f.name, ())
        remaining = [
            stored_file
            for stored_file in dependencies.tokens.unseal_files(form.fields.get(STORED + f.name, ()))
            if stored_file.file.sha256 not in dropped
        ]
        if remaining and not (f.most_files == 1 and form.files.get(f.name)):
            by_field[f.name] = remaining
    return by_field


async def store_chosen_files(dependencies: FormDependencies, submission: FormInProgress, filled: FilledForm) -> None:
    """Store the valid files that were just chosen, so that the citizen need not choose them again.

    Raises: Unavailable.
    """
    for name, chosen in submission.chosen.items():
        already_stored = {stored_file.file for stored_file in submission.stored.get(name, ())}
        good = [pair for pair in chosen if pair[0] in filled.files.get(name, ()) and pair[0] not in already_stored]
        for file, upload in dict(good).items():
            stored_file = await dependencies.store.store_file(submission.contact_id, file, upload.content)
            submission.stored.setdefault(name, []).append(stored_file)
    submission.chosen.clear()


async def _file(upload: Upload) -> FormFile:
    name = safe_file_name(upload.name) or "document"
    media_type = media_type_of(await upload.head_and_tail(), name=name)
    return FormFile(name, upload.size_bytes, media_type, await upload.sha256())
