"""Media files: path in, files and facts out, in a process that a hostile file may kill.

Importing this is cheap: PyAV and Pillow are imported where they are used, in that process.
"""

from rushes.media.arrival import Arrival, Examiner
from rushes.media.continuation import Source, new_part, source
from rushes.media.isolate import isolated
from rushes.media.picture import picture
from rushes.media.probe import Facts, ImageFacts, image
from rushes.media.stills import last_frame, stills

__all__ = [
    "Arrival",
    "Examiner",
    "Facts",
    "ImageFacts",
    "Source",
    "image",
    "isolated",
    "last_frame",
    "new_part",
    "picture",
    "source",
    "stills",
]
