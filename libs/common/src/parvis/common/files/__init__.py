"""What a file is by its content, whether it can be opened without harm, what it may be called. Pure; no I/O."""

from parvis.common.files.archives import archive_trouble
from parvis.common.files.names import clean_name
from parvis.common.files.types import PICTURES, is_archive, media_type_of

__all__ = ["PICTURES", "archive_trouble", "clean_name", "is_archive", "media_type_of"]
