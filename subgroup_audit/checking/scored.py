"""What a check works on: scored images with their labels, persons, splits and groups, in arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

EVERYBODY = "everybody"


@dataclass(frozen=True, eq=False)
class Task:
    """The scores of one model for one finding, on the images that have both a label and a score.

    Attributes
    ----------
    model, finding : what the rows are of; '' is never used
    rows : int array [n], rows of the `ScoredTable` that this task has, ascending
    y_true : int array [n], 1 or 0
    y_score : float array [n], probabilities in [0, 1] (logits are turned into probabilities on reading)
    """

    model: str
    finding: str
    rows: NDArray[np.int64]
    y_true: NDArray[np.int8]
    y_score: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ScoredTable:
    """Images of a prediction file, one row an image, whatever the number of models and findings.

    Attributes
    ----------
    image_id : array of str [n]
    person : int array [n], a code per person; each row its own where the file names no persons
    has_persons : whether the file says who each image is of
    split : array of str [n], 'train', 'val' or 'test', or None where the file has no split column
    groups : DataFrame [n rows], one categorical column per attribute; intersections are columns too, named like
        'sex x view', with values like 'F, AP'. A missing value is the group 'Unknown'.
    tasks : every model and finding, models in the order of the file
    notes : how the columns were read, one sentence each: shown in every output
    """

    image_id: NDArray[np.object_]
    person: NDArray[np.int64]
    has_persons: bool
    split: NDArray[np.object_] | None
    groups: pd.DataFrame
    tasks: tuple[Task, ...]
    notes: tuple[str, ...] = ()

    @property
    def n_images(self) -> int:
        """Rows of the table."""
        return len(self.person)

    @property
    def models(self) -> tuple[str, ...]:
        """Distinct models, in order."""
        return tuple(dict.fromkeys(task.model for task in self.tasks))

    @property
    def findings(self) -> tuple[str, ...]:
        """Distinct findings, in order."""
        return tuple(dict.fromkeys(task.finding for task in self.tasks))
