"""Who left before the cohorts were drawn, at which step, and why: each image once."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from subgroup_audit.cohort.roster import Ints, Mask, Roster


@dataclass(eq=False)
class Departures:
    """The images that are still in, and the first rule that each of the others failed.

    Attributes
    ----------
    why : for each image, the position of its rule in `rules`; -1 while it is in
    reasons : for each image, its sentence; '' while it is in
    rules : (step, rule) in the order in which they were applied
    """

    why: Ints
    reasons: NDArray[np.object_]
    rules: list[tuple[str, str]] = field(default_factory=list)

    @property
    def is_in(self) -> Mask:
        """Which images are still in."""
        return np.asarray(self.why < 0)

    def leave(self, step: str, rule: str, who: Mask, reasons: NDArray[np.object_] | str = "") -> None:
        """Let those of `who` that are still in leave at `step`, with a sentence each or the rule itself."""
        who = who & self.is_in
        if not who.any():
            return
        self.rules.append((step, rule))
        self.why[who] = len(self.rules) - 1
        self.reasons[who] = reasons[who] if isinstance(reasons, np.ndarray) else (reasons or rule)


def nobody_left(n_images: int) -> Departures:
    """The start: every image is in."""
    return Departures(np.full(n_images, -1, dtype="int64"), np.full(n_images, "", dtype=object))


def departed_rows(roster: Roster, departures: Departures) -> pd.DataFrame:
    """One row per image that left: image_id, step, reason; in the order of the steps."""
    gone = np.flatnonzero(departures.why >= 0)
    gone = gone[np.argsort(departures.why[gone], kind="stable")]
    steps = np.array([step for step, _ in departures.rules], dtype=object)
    return pd.DataFrame(
        {
            "image_id": roster.frame["image_id"].take(gone).to_numpy(),
            "step": pd.Series(steps[departures.why[gone]] if len(gone) else [], dtype="str"),
            "reason": pd.Series(departures.reasons[gone], dtype="str"),
        }
    )
