"""``python -m rushes.api.openapi``: prints what ``docs/api.md`` holds."""

import sys

from rushes.api.openapi import document
from rushes.api.openapi.markdown import written
from rushes.catalogue import CATALOGUE

sys.stdout.write(written(document(CATALOGUE)))
