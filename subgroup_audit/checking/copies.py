"""A caution where two models of a prediction file are one: the same scores, or a function of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from subgroup_audit.checking.opened import count
from subgroup_audit.checking.scored import Task
from subgroup_audit.diagnosis.same_scores import same_scores

MAX_MODELS = 60


def describe_copies(tasks: Sequence[Task], n_images: int) -> list[str]:
    """One sentence for every two models that put all images of a finding in one order.

    With more than `MAX_MODELS` models nothing is compared: their pairs would take longer than the check.
    """
    notes = []
    for finding in dict.fromkeys(task.finding for task in tasks):
        columns = {task.model: _column(task, n_images) for task in tasks if task.finding == finding}
        if len(columns) <= MAX_MODELS:
            notes += [
                f"Caution: models '{one}' and '{other}' have {relation} for '{finding}' on all "
                f"{count(n, 'image')} that both have scored. They are one model or a copy of its file, and "
                "comparing them says nothing."
                for one, other, relation, n in same_scores(columns)
            ]
    return notes


def _column(task: Task, n_images: int) -> NDArray[np.float64]:
    """The scores of every image of the table; NaN where the task has none."""
    column = np.full(n_images, np.nan)
    column[task.rows] = task.y_score
    return column
