"""``python -m rushes.api.openapi``: prints what ``docs/api.md`` holds."""

import sys

from rushes.api.openapi import document
from rushes.api.openapi.markdown import written
from rushes.config import Config

sys.stdout.write(written(document(Config.model_construct())))
