"""Everything that a user can put right: one class for each thing that can go wrong.

Every message names the file, the place, the rule and the value. The command line prints the message alone,
without a traceback, and exits with 2; any other exception is a defect of ours and exits with 3.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class AuditError(Exception):
    """A problem that the user can put right; its text is complete without a traceback."""

    exit_code = 2


class StudyError(AuditError):
    """A study file breaks one or more rules; all of them are listed at once."""


class PolicyError(AuditError):
    """A policy file breaks one or more rules; all of them are listed at once."""


class DataError(AuditError):
    """A data set is missing, incomplete, or not laid out as its source expects."""


class TableError(AuditError):
    """A table does not have the columns, types or keys that its kind requires."""


class CohortError(AuditError):
    """A cohort cannot be built as asked: empty, of one class, or larger than its ceiling."""


class PixelError(AuditError):
    """One image file could not be decoded; its text is the reason that the exclusion carries."""


class ModelError(AuditError):
    """A model name, its weights, or its trainable part is unknown or does not fit."""


class TrainingError(AuditError):
    """A fit stopped: the loss is not finite, or the device ran out of memory."""


class EngineError(AuditError):
    """An engine, an option of it or a shard is unknown, a package is missing, or there is no plan to work on."""


class StatisticsError(AuditError):
    """Arrays that a statistic cannot take: not finite, not 0/1, of unequal length, or empty."""


class StoreError(AuditError):
    """A run folder or cache cannot be used: read-only, held by another run, or of another study."""


class StepError(AuditError):
    """Steps of a run failed; its report is written all the same and shows what is missing.

    Parameters
    ----------
    is_ours : whether one of them failed by a defect of ours, so that the exit code is 3
    """

    def __init__(self, message: str, *, is_ours: bool = False) -> None:
        super().__init__(message)
        self.exit_code = 3 if is_ours else 2


class ReportError(AuditError):
    """A report cannot be rendered from what the run folder holds."""


def nearest(word: str, allowed: Iterable[str], *, limit: int = 3) -> list[str]:
    """The allowed words that look most like `word`, best first; empty if none is near.

    >>> nearest("densnet121", ["densenet121", "resnet50"])
    ['densenet121']
    """
    known = list(allowed)
    lower = {name.lower(): name for name in known}
    return [lower[hit] for hit in get_close_matches(word.lower(), lower, n=limit, cutoff=0.6)]
