"""What a run tells while it runs: the calls that a progress display answers."""

from __future__ import annotations

from typing import Protocol


class Watcher(Protocol):
    """Receives news of a run. All calls come from the process that runs the study, in order."""

    def begin(self, step: str, total: int | None = None) -> None:
        """A step begins; `total` units of work are ahead, or an unknown number."""

    def advance(self, done: int, total: int) -> None:
        """`done` of `total` units of the current step are done."""

    def reuse(self, step: str) -> None:
        """A step was found done and is used as it is."""

    def end(self, step: str, seconds: float) -> None:
        """A step ended."""

    def fit_started(self, fit: str) -> None:
        """A fit began; `fit` names cohort, model, recipe and seed."""

    def fit_advanced(self, fit: str, epoch: float, epochs: int, images_per_second: float, note: str) -> None:
        """A fit has done `epoch` of at most `epochs` epochs, fractions included."""

    def fit_ended(self, fit: str, seconds: float, failure: str | None) -> None:
        """A fit ended; `failure` is the message where it failed."""

    def say(self, message: str) -> None:
        """A sentence that the user should read."""


class Silence:
    """A watcher that tells nobody."""

    def begin(self, step: str, total: int | None = None) -> None:
        """Tell nobody."""

    def advance(self, done: int, total: int) -> None:
        """Tell nobody."""

    def reuse(self, step: str) -> None:
        """Tell nobody."""

    def end(self, step: str, seconds: float) -> None:
        """Tell nobody."""

    def fit_started(self, fit: str) -> None:
        """Tell nobody."""

    def fit_advanced(self, fit: str, epoch: float, epochs: int, images_per_second: float, note: str) -> None:
        """Tell nobody."""

    def fit_ended(self, fit: str, seconds: float, failure: str | None) -> None:
        """Tell nobody."""

    def say(self, message: str) -> None:
        """Tell nobody."""
