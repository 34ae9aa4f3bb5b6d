"""All that a report can show, as plain frozen parts; what is absent is None and shown as missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from unicodedata import bidirectional

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from subgroup_audit.errors import ReportError
from subgroup_audit.schema import (
    ADVANTAGE_COLUMNS,
    CAUSE_COLUMNS,
    CONTROL_COLUMNS,
    DIFFERENCE_COLUMNS,
    ENCODING_COLUMNS,
    ERROR_COUNT_COLUMNS,
    OPERATING_POINT_COLUMNS,
    ORDER_CHECK_COLUMNS,
    PERFORMANCE_COLUMNS,
    PERFORMANCE_CURVE_COLUMNS,
    PERFORMANCE_GAP_COLUMNS,
    SAME_SCORE_COLUMNS,
    WATERFALL_COLUMNS,
    AuditResult,
)
from subgroup_audit.study import Study

# The columns that the page reads; a frame may carry more.
FRAME_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "history": ("fit_id", "epoch", "phase", "loss", "auc", "train_cohort", "model", "recipe", "seed"),
    "flow": ("cohort", "step", "reason", "n_images", "n_patients", "left_images", "left_patients"),
    "ceiling": ("cohort", "split", "cell", "available", "used", "ceiling", "is_limiting"),
    "counts": (),
    "table1": ("cohort", "split", "variable", "level", "n", "percent", "mean", "sd"),
    "leakage": (
        "train_cohort",
        "test_cohort",
        "n_test_images",
        "shared_persons",
        "share_of_test_images_of_seen_persons",
    ),
    "image_level_leakage": ("train_cohort", "test_cohort"),
    "waterfall": tuple(column.name for column in WATERFALL_COLUMNS),
    "controls": tuple(column.name for column in CONTROL_COLUMNS),
    "causes": tuple(column.name for column in CAUSE_COLUMNS),
    "error_counts": tuple(column.name for column in ERROR_COUNT_COLUMNS),
    "order_check": tuple(column.name for column in ORDER_CHECK_COLUMNS),
    "same_scores": tuple(column.name for column in SAME_SCORE_COLUMNS),
    "encoding": tuple(column.name for column in ENCODING_COLUMNS),
    "advantage": tuple(column.name for column in ADVANTAGE_COLUMNS),
    "performance": tuple(column.name for column in PERFORMANCE_COLUMNS),
    "performance_gaps": tuple(column.name for column in PERFORMANCE_GAP_COLUMNS),
    "performance_curves": tuple(column.name for column in PERFORMANCE_CURVE_COLUMNS),
    "operating_points": tuple(column.name for column in OPERATING_POINT_COLUMNS),
    "differences": tuple(column.name for column in DIFFERENCE_COLUMNS),
}

# The steps whose failure explains why a part is absent, and what the page calls the part.
PART_STEPS: Mapping[str, tuple[str, ...]] = {
    "result": ("audit", "analysis", "estimate", "predict", "fit"),
    "history": ("fit", "train"),
    "flow": ("cohort", "eligib", "read", "pixel", "balance"),
    "ceiling": ("cohort", "balance"),
    "counts": ("cohort", "eligib"),
    "table1": ("cohort", "table1"),
    "leakage": ("leakage", "cohort"),
    "image_level_leakage": ("leakage", "cohort"),
    "samples": ("sample", "pixel", "image"),
    "waterfall": ("diagnosis", "predict", "fit", "train"),
    "controls": ("diagnosis", "predict", "fit", "train"),
    "causes": ("causes", "diagnosis", "audit", "order", "predict", "fit"),
    "encoding": ("encoding", "predict", "fit", "train"),
    "saliency": ("saliency", "predict", "fit", "train"),
    "performance": ("performance", "predict", "fit", "train"),
    "differences": ("differences", "cohort"),
}
PART_NAMES: Mapping[str, str] = {
    "result": "The audit's estimates and gaps",
    "history": "The training curves",
    "flow": "The cohort flow",
    "ceiling": "The balance ceiling",
    "counts": "The counts by finding, sex and view",
    "table1": "Table 1",
    "leakage": "The leakage certificate",
    "image_level_leakage": "What an image-level split would leak",
    "samples": "The sample radiographs",
    "waterfall": "The gap waterfall",
    "controls": "The controls",
    "causes": "What the causes of a gap could be",
    "encoding": "The probes of the features",
    "saliency": "The heat maps",
    "performance": "The curves, calibration and decisions of the groups",
    "differences": "The comparison of the cohorts with each other",
}


# Letters and marks that change the direction of writing, as Unicode classes them.
TURNING = frozenset({"R", "AL", "RLE", "RLO", "LRE", "LRO", "PDF", "RLI", "LRI", "FSI", "PDI"})


@dataclass(frozen=True, eq=False)
class Sample:
    """One radiograph to show. Carries no patient id and no image id.

    Attributes
    ----------
    pixels : uint8 array, shape (height, width)
    """

    cohort: str
    label: str
    pixels: NDArray[np.uint8]
    caption: str = ""


@dataclass(frozen=True, eq=False)
class HeatMaps:
    """Where the networks look, as the saliency step has stored it. Carries no patient id and no image id.

    Attributes
    ----------
    cells : `SALIENCY_COLUMNS`; `place` is the row in `maps` and `means`
    boxes : `BOX_HEAT_COLUMNS`, or None where the data have no boxes
    errors : finding, train_cohort, model, recipe, test_group, kind, score and attributes, a row per error shown;
        or None where there is none
    maps, error_maps : float32 arrays [k, side, side]; each map sums to 1 or is zero
    means, error_pictures : uint8 arrays [k, side, side]
    """

    cells: pd.DataFrame
    boxes: pd.DataFrame | None
    errors: pd.DataFrame | None
    maps: NDArray[np.float32]
    means: NDArray[np.uint8]
    error_maps: NDArray[np.float32]
    error_pictures: NDArray[np.uint8]

    def __len__(self) -> int:
        """Number of groups, labels and fits that were looked at."""
        return len(self.cells)


@dataclass(frozen=True)
class Problem:
    """A step or fit that failed: which, one sentence, and the details that the page folds away."""

    step: str
    message: str
    details: str = ""


@dataclass(frozen=True, eq=False)
class RunContents:
    """All that a report can show. A part that is absent is None and is shown as missing, with the reason.

    Raises
    ------
    ReportError : a frame lacks columns that the page reads; every missing column is listed at once
    """

    study: Study
    result: AuditResult | None = None
    history: pd.DataFrame | None = None
    flow: pd.DataFrame | None = None
    ceiling: pd.DataFrame | None = None
    counts: pd.DataFrame | None = None
    table1: pd.DataFrame | None = None
    leakage: pd.DataFrame | None = None
    image_level_leakage: pd.DataFrame | None = None
    waterfall: pd.DataFrame | None = None
    controls: pd.DataFrame | None = None
    causes: pd.DataFrame | None = None
    error_counts: pd.DataFrame | None = None
    order_check: pd.DataFrame | None = None
    same_scores: pd.DataFrame | None = None
    encoding: pd.DataFrame | None = None
    advantage: pd.DataFrame | None = None
    performance: pd.DataFrame | None = None
    performance_gaps: pd.DataFrame | None = None
    performance_curves: pd.DataFrame | None = None
    operating_points: pd.DataFrame | None = None
    differences: pd.DataFrame | None = None
    saliency: HeatMaps | None = None
    notes: tuple[str, ...] = ()
    samples: tuple[Sample, ...] = ()
    problems: tuple[Problem, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check that the frames carry the columns that the page reads."""
        missing = [
            f"{part}: column '{name}' is missing"
            for part, names in FRAME_COLUMNS.items()
            for name in names
            if (frame := getattr(self, part)) is not None and name not in frame.columns
        ]
        if missing:
            raise ReportError("the report cannot be rendered: " + "; ".join(missing))

    def has(self, part: str) -> bool:
        """Whether a part is there and not empty."""
        value = getattr(self, part)
        return value is not None and (part == "result" or len(value) > 0)

    def why_missing(self, part: str) -> str:
        """One sentence: that the part is missing, and why as far as the run has stored it."""
        causes = [p for p in self.problems if p.step.lower().startswith(PART_STEPS[part])]
        name = PART_NAMES[part]
        verb = "is" if name.split()[0] in {"Table", "What"} or not name.endswith("s") else "are"
        if causes:
            return f"{name} {verb} missing: step '{causes[0].step}' failed. {causes[0].message}"
        return f"{name} {verb} missing: this run has not stored any."


def isolated(name: Any) -> str:
    """The name as it can stand in a sentence: one that turns the direction of writing turns only itself.

    >>> isolated("F_PA"), isolated("\u202eabc") == "\u2068\u202eabc\u2069"
    ('F_PA', True)
    """
    text = str(name)
    turns = any(bidirectional(letter) in TURNING for letter in text)
    return f"\u2068{text}\u2069" if turns else text


def rows_of(frame: pd.DataFrame | None) -> list[dict[str, Any]]:
    """The rows of a frame as plain dictionaries; none for an absent frame."""
    if frame is None:
        return []
    return [{str(key): value for key, value in row.items()} for row in frame.to_dict("records")]


def distinct(values: Iterable[Any]) -> list[str]:
    """The values as strings, each once, in the order in which they first appear."""
    return list(dict.fromkeys(str(value) for value in values))
