"""Time and memory of drawing nine balanced cohorts from invented metadata."""

from __future__ import annotations

import resource

import numpy as np
import pandas as pd
from turns import Effort, Figure, Figures, seconds_of

from subgroup_audit.cohort import CohortDesign, design_cohorts
from subgroup_audit.schema import ExclusionTable, ImageTable, LabelTable, SourceTables
from subgroup_audit.study import Study

LABELS = ("Opacity", "Normal", "Other")


def invent_tables(n_images: int) -> SourceTables:
    """Images of persons who have one to many of them, as in hospital archives: about 2.4 each."""
    rng = np.random.default_rng(0)
    n_persons = max(1, int(n_images / 2.4))
    weight = rng.gamma(0.7, size=n_persons)
    person = rng.choice(n_persons, size=n_images, p=weight / weight.sum())
    ids = pd.Series(np.arange(n_images)).astype(str).str.zfill(9)
    images = pd.DataFrame(
        {
            "image_id": ids,
            "patient_id": "p" + pd.Series(person).astype(str).str.zfill(8),
            "exam_id": ids,
            "path": ids + ".dcm",
            "sex": rng.choice(["F", "M"], size=n_persons)[person],
            "view": rng.choice(["AP", "PA"], size=n_images),
            "age_years": rng.integers(0, 130, size=n_persons)[person].astype(float),
            "photometric": "MONOCHROME2",
            "source": "invented",
        }
    )
    finding = rng.choice(LABELS, size=n_images, p=[0.23, 0.33, 0.44])
    labels = pd.DataFrame({"image_id": ids, "finding": finding, "label": 1, "label_source": "invented"})
    empty = ExclusionTable(pd.DataFrame({"image_id": [], "step": [], "reason": []}))
    return SourceTables(ImageTable(images), LabelTable(labels), empty)


def nine_cohorts() -> Study:
    """All, each sex, each view and their crossings, balanced over label, sex and view."""
    groups = {"all": {}, "F": {"sex": "F"}, "M": {"sex": "M"}, "AP": {"view": "AP"}, "PA": {"view": "PA"}}
    crossed = {f"{s}_{v}": {"sex": s, "view": v} for s in "FM" for v in ("AP", "PA")}
    return Study.model_validate(
        {
            "study": "benchmark",
            "data": {"source": "table"},
            "findings": {"opacity": {"positive": ["Opacity"]}},
            "cohorts": {**groups, **crossed},
            "balance": {"over": ["label", "sex", "view"]},
            "models": ["resnet50"],
        }
    )


def draw_timed(n_images: int) -> Figure:
    """Seconds of drawing nine cohorts from so many images."""
    study, tables, designs = nine_cohorts(), invent_tables(n_images), list[CohortDesign]()
    taken = seconds_of(lambda: designs.append(design_cohorts(study, tables, describe=False)), 1)
    return Figure(taken.value, f"{len(designs[0].manifest):,} manifest rows; {taken.detail}")


def measure(effort: Effort) -> Figures:
    """Cohorts of 100,000 and of 1,000,000 images."""
    small, large = (draw_timed(n) for n in (effort.pick(100_000, 2_000), effort.pick(1_000_000, 4_000)))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    return {"cohorts_100k": small, "cohorts_1m": large, "cohorts_memory": Figure(peak, "the whole process")}
