"""The tables of a data set and of its cohorts: images, labels, boxes, who left and why, the manifest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import numpy as np
import pandas as pd

from subgroup_audit.schema.tables import SEXES, SPLITS, UNKNOWN, VIEWS, Column, Table


@dataclass(frozen=True, eq=False)
class ImageTable(Table):
    """One row per radiograph. Further attributes (race, site, ...) are kept as they come."""

    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("image_id", "string", "key of the radiograph"),
        Column("patient_id", "string", "the person; images of one person share it"),
        Column("exam_id", "string", "StudyInstanceUID or its like", nullable=True),
        Column("path", "string", "file below the data root, with forward slashes"),
        Column("sex", "string", "as DICOM PatientSex has it", allowed=SEXES),
        Column("view", "string", "projection", allowed=VIEWS),
        Column("age_years", "float", "age at the exam, years", nullable=True),
        Column("photometric", "string", "PhotometricInterpretation, or '' for plain images", nullable=True),
        Column("source", "string", "name of the data set"),
    )
    KEY: ClassVar[tuple[str, ...]] = ("image_id",)
    OPEN: ClassVar[bool] = True


@dataclass(frozen=True, eq=False)
class LabelTable(Table):
    """One row per image and source label: 1 present, 0 absent, -1 uncertain. Absent rows mean 'not stated'."""

    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("image_id", "string", "key of the radiograph"),
        Column("finding", "string", "label as the source names it"),
        Column("label", "int", "1 present, 0 absent, -1 uncertain"),
        Column("label_source", "string", "who or what gave the label"),
    )
    KEY: ClassVar[tuple[str, ...]] = ("image_id", "finding")


@dataclass(frozen=True, eq=False)
class BoxTable(Table):
    """One row per annotated box, in pixels of the original image."""

    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("image_id", "string", "key of the radiograph"),
        Column("x", "float", "left edge, px"),
        Column("y", "float", "upper edge, px"),
        Column("width", "float", "px"),
        Column("height", "float", "px"),
    )


@dataclass(frozen=True, eq=False)
class ExclusionTable(Table):
    """One row per image left out: where and why. The flow diagram is its counts."""

    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("image_id", "string", "key of the radiograph, or its file name"),
        Column("step", "string", "where it left: read, eligibility, pixels, labels, balance:<cohort>"),
        Column("reason", "string", "the sentence shown in the flow"),
    )


@dataclass(frozen=True, eq=False)
class SourceTables:
    """What a data set yields: its readable images, their labels, what could not be read, and its boxes.

    Attributes
    ----------
    notes : sentences that a reader of the report must know, e.g. how persons were identified
    """

    images: ImageTable
    labels: LabelTable
    exclusions: ExclusionTable
    boxes: BoxTable | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class CohortManifest(Table):
    """One row per cohort, image and finding. Group columns (sex, view, age_band, ...) follow the fixed ones."""

    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("cohort", "string", "name in the study file"),
        Column("image_id", "string", "key of the radiograph"),
        Column("patient_id", "string", "the person"),
        Column("split", "string", "train, val or test", allowed=SPLITS),
        Column("finding", "string", "finding of the study"),
        Column("y_true", "int", "1 or 0"),
        Column("weight", "float", "analysis weight; 1 unless a study weighs"),
    )
    KEY: ClassVar[tuple[str, ...]] = ("cohort", "image_id", "finding")
    OPEN: ClassVar[bool] = True


def age_band(age_years: pd.Series, edges: Sequence[float]) -> pd.Series:
    """Age bands named like '18-39', '40-64', '80+', closed below and open above; missing is Unknown.

    Parameters
    ----------
    age_years : years, may be missing
    edges : rising ages at which a new band starts; ages below the first form the band '<first'

    >>> age_band(pd.Series([10.0, 18.0, 80.0, None]), [18, 40]).tolist()
    ['<18', '18-39', '40+', 'Unknown']
    """
    starts = [f"{edge:g}" for edge in edges]
    names = [f"<{starts[0]}"]
    names += [f"{a:g}-{b - 1:g}" for a, b in pairwise(edges)]
    names += [f"{starts[-1]}+"]
    position = np.searchsorted(np.asarray(edges, dtype=float), age_years.to_numpy(dtype=float), side="right")
    bands = pd.Series(np.asarray(names, dtype=object)[position], index=age_years.index, dtype="str")
    return bands.where(age_years.notna(), UNKNOWN)
