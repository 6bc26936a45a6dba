"""What can be wrong with a library, and what there is to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

MISSING, SIZE, HASH, SWAPPED, DAMAGED = "missing", "size", "hash", "swapped", "damaged"
SIDECAR, FACTS, ORPHAN, UNLISTED = "sidecar", "facts", "orphan", "unlisted"
CHARGE, COUNTER, FEED, LINEAGE, JOB, SEARCH = "charge", "counter", "feed", "lineage", "job", "search"

REPAIR = "rushes verify --repair"


class Fault(NamedTuple):
    """One thing that is not as it must be; what to do about it, or what was done."""

    fault: str
    account_id: str
    item_id: str
    """The item's, or whatever else it is about: a job, a file's name; empty for an account as a whole."""
    what: str
    remedy: str
    mended: bool = False
    link: str = ""
    """Which of an item's files, by the link that names it."""
    found: str = ""
    expected: str = ""
    """The sums of a file that is another one."""

    @property
    def can_be_mended(self) -> bool:
        """Whether a repair could."""
        return self.remedy == REPAIR


@dataclass
class Report:
    """What was looked at."""

    items: int = 0
    files: int = 0
    size: int = 0
    """Bytes."""
    faults: int = 0
    mended: int = 0

    @property
    def left(self) -> int:
        """Faults that are still there."""
        return self.faults - self.mended

    def add(self, fault: Fault) -> None:
        """Count one."""
        self.faults += 1
        self.mended += fault.mended
