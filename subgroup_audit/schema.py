"""The tables that cross a module boundary: their columns, their checks, and nothing else.

Each table is a frozen dataclass around one frame. To hold one is to know that it is valid: construction brings
the columns to their declared types and lists every problem at once in a single `TableError`. Keys are strings,
since a leading zero is data. Frames are to be read, never changed in place.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd

from subgroup_audit.errors import TableError, nearest

Kind = Literal["string", "int", "count", "float", "bool"]

UNKNOWN = "Unknown"
SPLITS = ("train", "val", "test")
SEXES = ("F", "M", UNKNOWN)
VIEWS = ("AP", "PA", "Lateral", UNKNOWN)


@dataclass(frozen=True)
class Column:
    """One column of a table: its name, type, whether it may be missing, and what it means."""

    name: str
    kind: Kind
    meaning: str
    nullable: bool = False
    allowed: tuple[str, ...] | None = None


@dataclass(frozen=True, eq=False)
class Table:
    """A checked frame. Subclasses declare `COLUMNS` and `KEY`; further columns are kept if `OPEN`."""

    frame: pd.DataFrame
    origin: str = ""

    COLUMNS: ClassVar[tuple[Column, ...]] = ()
    KEY: ClassVar[tuple[str, ...]] = ()
    OPEN: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Bring the columns to their types; raise `TableError` with every problem found."""
        missing = [c.name for c in self.COLUMNS if c.name not in self.frame.columns]
        if missing:
            raise TableError(self._complain([_missing_column(name, self.frame.columns) for name in missing]))
        frame, problems = _conform(self.frame, self.COLUMNS, keep_rest=self.OPEN)
        problems += _check_values(frame, self.COLUMNS) + _check_key(frame, self.KEY)
        if problems:
            raise TableError(self._complain(problems))
        object.__setattr__(self, "frame", frame)

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.frame)

    def _complain(self, problems: Sequence[str]) -> str:
        where = f" ({self.origin})" if self.origin else ""
        return f"{type(self).__name__}{where}: " + "; ".join(problems)

    @classmethod
    def empty(cls) -> Table:
        """The table with no rows."""
        return cls(pd.DataFrame({c.name: [] for c in cls.COLUMNS}))


def _missing_column(name: str, present: Iterable[str]) -> str:
    near = nearest(name, map(str, present))
    hint = f" (nearest present: {', '.join(near)})" if near else ""
    return f"column '{name}' is missing{hint}"


def _conform(frame: pd.DataFrame, columns: Sequence[Column], *, keep_rest: bool) -> tuple[pd.DataFrame, list[str]]:
    """The frame with declared columns first and typed, and the problems met on the way."""
    problems: list[str] = []
    typed: dict[str, Any] = {}
    for column in columns:
        try:
            typed[column.name] = _as_kind(frame[column.name], column.kind)
        except (TypeError, ValueError) as error:
            problems.append(f"column '{column.name}' must be {column.kind}: {error}")
            typed[column.name] = frame[column.name]
    rest = [name for name in frame.columns if name not in typed] if keep_rest else []
    conformed = pd.DataFrame({**typed, **{name: frame[name] for name in rest}})
    return conformed.reset_index(drop=True), problems


def _as_kind(values: pd.Series, kind: Kind) -> pd.Series:
    if kind == "string":
        return values if values.dtype == "str" else values.astype("str")
    if kind == "float":
        return pd.to_numeric(values).astype("float64")
    if kind == "bool":
        return values.astype("bool")
    if kind == "count":  # a whole number that may be withheld
        return values.astype("Int64")
    return values.astype("int64")


def _check_values(frame: pd.DataFrame, columns: Sequence[Column]) -> list[str]:
    problems = []
    for column in columns:
        values = frame[column.name]
        absent = int(values.isna().sum())
        if absent and not column.nullable:
            problems.append(f"column '{column.name}' has {absent} missing values; none are allowed")
        if column.allowed is not None:
            strange = sorted(set(values.dropna().unique()) - set(column.allowed), key=str)[:3]
            if strange:
                shown = ", ".join(repr(value) for value in strange)
                problems.append(f"column '{column.name}' must be one of {list(column.allowed)}; it has {shown}")
    return problems


def _check_key(frame: pd.DataFrame, key: tuple[str, ...]) -> list[str]:
    if not key or frame.empty:
        return []
    repeated = frame.duplicated(list(key))
    if not repeated.any():
        return []
    first = frame.loc[repeated, list(key)].iloc[0].to_dict()
    return [f"{int(repeated.sum())} rows repeat the key {key}; the first is {first}"]


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


@dataclass(frozen=True, eq=False)
class History(Table):
    """One row per fit, epoch and phase. Epoch 0 is before the first step."""

    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("fit_id", "string", "key of the fit"),
        Column("epoch", "int", "1 is the first"),
        Column("phase", "string", "train (augmented, while training) or val", allowed=("train", "val")),
        Column("loss", "float", "mean loss per image", nullable=True),
        Column("auc", "float", "AUC, macro mean over findings", nullable=True),
        Column("accuracy", "float", "share right at 0.5 or by the largest class", nullable=True),
        Column("learning_rate", "float", "at the end of the epoch"),
        Column("seconds", "float", "wall-clock"),
        Column("images_per_second", "float", "throughput of the phase"),
        Column("is_best", "bool", "the epoch whose weights were kept"),
    )
    KEY: ClassVar[tuple[str, ...]] = ("fit_id", "epoch", "phase")


@dataclass(frozen=True, eq=False)
class Predictions(Table):
    """One row per fit, image and finding, in evaluation mode without augmentation.

    `split` is the person's split. Group columns follow the fixed ones. The same columns, in CSV or Parquet, are
    the public format.
    """

    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("fit_id", "string", "key of the fit"),
        Column("train_cohort", "string", "cohort that the fit was trained on"),
        Column("model", "string", "name in the study file"),
        Column("recipe", "string", "name in the study file"),
        Column("seed", "int", "training seed"),
        Column("image_id", "string", "key of the radiograph"),
        Column("patient_id", "string", "the person"),
        Column("split", "string", "split of the person", allowed=SPLITS),
        Column("finding", "string", "finding of the study"),
        Column("y_true", "int", "1 or 0"),
        Column("y_score", "float", "probability in [0, 1]"),
    )
    KEY: ClassVar[tuple[str, ...]] = ("fit_id", "image_id", "finding")
    OPEN: ClassVar[bool] = True


@dataclass(frozen=True, eq=False)
class Stages(Table):
    """What the images of a fit's own cohort scored otherwise than in evaluation mode: parts of the gap waterfall.

    One row per fit, stage, draw and finding; an image that an epoch drew twice has two rows while training.
    """

    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("fit_id", "string", "key of the fit"),
        Column("stage", "string", "where the score is from", allowed=("while training", "recomputed")),
        Column("split", "string", "split of the person", allowed=SPLITS),
        Column("image_id", "string", "key of the radiograph"),
        Column("draw", "int", "place in the epoch's order, or in that of the images"),
        Column("finding", "string", "finding of the study"),
        Column("y_score", "float", "probability in [0, 1]"),
    )
    KEY: ClassVar[tuple[str, ...]] = ("fit_id", "stage", "split", "draw", "finding")


WATERFALL_COLUMNS: tuple[Column, ...] = (
    Column("finding", "string", "finding of the study"),
    Column("train_cohort", "string", "cohort that the fits were trained on"),
    Column("model", "string", "name in the study file"),
    Column("recipe", "string", "name in the study file"),
    Column("position", "int", "place in the waterfall, 0 first; all other test groups share the last"),
    Column("stage", "string", "while training, evaluation mode, recomputed, validation, own test or other test"),
    Column("test_group", "string", "cohort whose images are scored"),
    Column("from_stage", "string", "stage that the step starts from; '' for the first"),
    Column("auc", "float", "AUC of the stage, mean over seeds", nullable=True),
    Column("auc_low", "float", "lower limit of the AUC", nullable=True),
    Column("auc_high", "float", "upper limit of the AUC", nullable=True),
    Column("change", "float", "AUC of this stage minus that of the one before", nullable=True),
    Column("low", "float", "lower limit of the change", nullable=True),
    Column("high", "float", "upper limit of the change", nullable=True),
    Column("standard_error", "float", "of the change", nullable=True),
    Column("p_value", "float", "two-sided, that the change is zero", nullable=True),
    Column("confidence_level", "float", "of both intervals"),
    Column("method", "string", "of the interval of the change, or of the first AUC"),
    Column("n_patients", "int", "persons"),
    Column("n_images", "int", "images"),
    Column("n_positive", "int", "positive images"),
    Column("n_negative", "int", "negative images"),
    Column("n_seeds", "int", "training seeds averaged"),
    Column("status", "string", "ok, small, degenerate or not estimable"),
    Column("reason", "string", "why, where the status is not ok"),
)

CONTROL_COLUMNS: tuple[Column, ...] = (
    Column("control", "string", "shuffled_labels, image_level_split, learning_curve or label_noise"),
    Column("amount", "float", "share of persons kept, or of labels turned over; 1 where there is no amount"),
    Column("words", "string", "the control in a few words"),
    Column("finding", "string", "finding of the study"),
    Column("train_cohort", "string", "cohort that the fits were trained on"),
    Column("model", "string", "name in the study file"),
    Column("recipe", "string", "name in the study file"),
    Column("test_group", "string", "cohort whose test images are scored"),
    Column("auc", "float", "AUC of the control's fits, mean over seeds", nullable=True),
    Column("auc_low", "float", "lower limit of the AUC", nullable=True),
    Column("auc_high", "float", "upper limit of the AUC", nullable=True),
    Column("usual_auc", "float", "AUC of the study's own fits", nullable=True),
    Column(
        "change",
        "float",
        "the control's AUC minus the study's own, or minus 0.5 with shuffled labels",
        nullable=True,
    ),
    Column("low", "float", "lower limit of the change", nullable=True),
    Column("high", "float", "upper limit of the change", nullable=True),
    Column("standard_error", "float", "of the change", nullable=True),
    Column("confidence_level", "float", "of both intervals"),
    Column("method", "string", "of the AUC's interval"),
    Column("n_patients", "int", "persons tested"),
    Column("n_images", "int", "images tested"),
    Column("n_positive", "int", "positive images"),
    Column("n_negative", "int", "negative images"),
    Column("n_seeds", "int", "training seeds averaged"),
    Column("status", "string", "ok, small, degenerate or not estimable"),
    Column("reason", "string", "why, where the status is not ok"),
)

ENCODING_COLUMNS: tuple[Column, ...] = (
    Column("train_cohort", "string", "cohort that the fits were trained on, and whose test images are probed"),
    Column("model", "string", "name in the study file"),
    Column("recipe", "string", "name in the study file"),
    Column("attribute", "string", "sex, view or age_band; 'finding' for the model's own task"),
    Column("value", "string", "value that is told from the others"),
    Column("against", "string", "the other value, or 'the rest'"),
    Column("source", "string", "fitted, untrained, shuffled (probes), or model (the model's own score)"),
    Column("auc", "float", "AUC of the probe on test persons, mean over seeds", nullable=True),
    Column("low", "float", "lower limit", nullable=True),
    Column("high", "float", "upper limit", nullable=True),
    Column("standard_error", "float", "of the AUC", nullable=True),
    Column("confidence_level", "float", "of the interval"),
    Column("method", "string", "of the interval"),
    Column("n_features", "int", "features that the probe sees; 0 for the model's own score"),
    Column("n_train_patients", "int", "persons that the probe learned from"),
    Column("n_patients", "int", "test persons"),
    Column("n_images", "int", "test images"),
    Column("n_positive", "int", "test images with the value"),
    Column("n_negative", "int", "test images with another value"),
    Column("n_seeds", "int", "training seeds averaged"),
    Column("n_probes", "int", "probes averaged; with shuffled values several a seed"),
    Column("status", "string", "ok, small, degenerate or not estimable"),
    Column("reason", "string", "why, where the status is not ok"),
)

ADVANTAGE_COLUMNS: tuple[Column, ...] = (
    Column("finding", "string", "finding of the study"),
    Column("train_cohort", "string", "cohort that the fits were trained on"),
    Column("model", "string", "name in the study file"),
    Column("recipe", "string", "name in the study file"),
    Column("test_group", "string", "cohort whose test images are scored"),
    Column("attribute", "string", "sex, view or age_band"),
    Column("auc_all", "float", "AUC of the model, mean over seeds", nullable=True),
    Column("auc_all_low", "float", "lower limit", nullable=True),
    Column("auc_all_high", "float", "upper limit", nullable=True),
    Column("auc_within", "float", "AUC among images of the same value, weighted by positives", nullable=True),
    Column("auc_within_low", "float", "lower limit", nullable=True),
    Column("auc_within_high", "float", "upper limit", nullable=True),
    Column("auc_alone", "float", "AUC of the attribute alone, its scores learned in training", nullable=True),
    Column("auc_alone_low", "float", "lower limit", nullable=True),
    Column("auc_alone_high", "float", "upper limit", nullable=True),
    Column("share", "float", "(auc_all - auc_within) / (auc_all - 0.5)", nullable=True),
    Column("low", "float", "lower limit of the share", nullable=True),
    Column("high", "float", "upper limit of the share", nullable=True),
    Column("confidence_level", "float", "of the intervals"),
    Column("method", "string", "of the interval of the share"),
    Column("n_left_out", "int", "images left out, of values that lack a class"),
    Column("n_patients", "int", "persons"),
    Column("n_images", "int", "images"),
    Column("n_positive", "int", "positive images"),
    Column("n_negative", "int", "negative images"),
    Column("n_seeds", "int", "training seeds averaged"),
    Column("status", "string", "ok, small, degenerate or not estimable"),
    Column("reason", "string", "why, where the status is not ok; and what was left out"),
)

SALIENCY_COLUMNS: tuple[Column, ...] = (
    Column("finding", "string", "finding of the study"),
    Column("train_cohort", "string", "cohort that the fits were trained on"),
    Column("model", "string", "name in the study file"),
    Column("recipe", "string", "name in the study file"),
    Column("test_group", "string", "cohort whose test images are looked at"),
    Column("label", "string", "positive or negative", allowed=("positive", "negative")),
    Column("place", "int", "row of the mean map in the stored arrays; -1 where there is none"),
    Column("n_available", "int", "test images of the cell"),
    Column("n_images", "int", "images drawn from them"),
    Column("n_patients", "int", "persons of the images drawn"),
    Column("n_without_heat", "int", "maps of these images, over all seeds, that are zero everywhere"),
    Column("n_seeds", "int", "training seeds averaged"),
    Column("status", "string", "ok, small or not available"),
    Column("reason", "string", "why, where the status is not ok"),
)

BOX_HEAT_COLUMNS: tuple[Column, ...] = (
    Column("finding", "string", "finding of the study"),
    Column("train_cohort", "string", "cohort that the fits were trained on"),
    Column("model", "string", "name in the study file"),
    Column("recipe", "string", "name in the study file"),
    Column("test_group", "string", "cohort whose positive test images are looked at"),
    Column("attribute", "string", "sex or view; '' for all"),
    Column("value", "string", "value of the attribute, or 'all'"),
    Column("source", "string", "fitted, or untrained: the same network with its first random weights"),
    Column("heat_share", "float", "mean share of an image's heat that lies inside its boxes", nullable=True),
    Column("area_share", "float", "mean share of the image that its boxes cover", nullable=True),
    Column("estimate", "float", "heat share minus area share: 0 for heat spread evenly", nullable=True),
    Column("low", "float", "lower limit of the difference", nullable=True),
    Column("high", "float", "upper limit of the difference", nullable=True),
    Column("standard_error", "float", "of the difference", nullable=True),
    Column("confidence_level", "float", "of the interval"),
    Column("method", "string", "of the interval"),
    Column("n_images", "int", "images with boxes and heat"),
    Column("n_patients", "int", "persons"),
    Column("n_seeds", "int", "training seeds averaged"),
    Column("status", "string", "ok, small or not estimable"),
    Column("reason", "string", "why, where the status is not ok"),
)

ORDER_CHECK_COLUMNS: tuple[Column, ...] = (
    Column("fit_id", "string", "key of the fit"),
    Column("train_cohort", "string", "cohort that the fit was trained on"),
    Column("model", "string", "name in the study file"),
    Column("recipe", "string", "name in the study file"),
    Column("seed", "int", "training seed"),
    Column("control", "string", "the control in a few words; '' for a fit of the study"),
    Column("n_images", "int", "test images predicted again"),
    Column("n_different", "int", "of them, images whose fresh score is not the stored one"),
    Column("n_elsewhere", "int", "of those, images whose fresh score is stored under another image"),
    Column("n_wrong_labels", "int", "stored labels that are not those of the cohorts"),
    Column("largest_difference", "float", "between a fresh and a stored score", nullable=True),
    Column("precision", "string", "in which the fit computes: fp32, bf16 or fp16"),
    Column("tolerance", "float", "difference that counts as none", nullable=True),
    Column(
        "result",
        "string",
        "matches, scores belong to other images, another model, wrong labels, or not checked",
        allowed=("matches", "scores belong to other images", "another model", "wrong labels", "not checked"),
    ),
    Column("reason", "string", "why it was not checked"),
)

SAME_SCORE_COLUMNS: tuple[Column, ...] = (
    Column("first", "string", "one fit or model, in words"),
    Column("second", "string", "another"),
    Column("finding", "string", "finding whose scores are compared"),
    Column("n_images", "int", "images that both have scored"),
    Column("relation", "string", "the same scores, the same order, or the opposite order"),
)

PERSON_ERROR_COLUMNS: tuple[Column, ...] = (
    Column("fit_id", "string", "key of the fit"),
    Column("train_cohort", "string", "cohort that the fit was trained on"),
    Column("model", "string", "name in the study file"),
    Column("recipe", "string", "name in the study file"),
    Column("seed", "int", "training seed"),
    Column("finding", "string", "finding of the study"),
    Column("patient_id", "string", "the person"),
    Column("threshold", "float", "score from which on an image is called positive"),
    Column("n_images", "int", "test images of the person"),
    Column("n_wrong", "int", "of them, called wrongly"),
    Column("n_false_positive", "int", "negative images called positive"),
    Column("n_false_negative", "int", "positive images called negative"),
    Column("is_all_wrong", "bool", "whether every image is called wrongly"),
    Column("longest_run", "int", "most wrong images in a row"),
    Column("runs", "string", "wrong images by their place in the person's series, as 1-20, 92-105"),
    Column("ordered_by", "string", "what puts the images of a person in order"),
)

ERROR_COUNT_COLUMNS: tuple[Column, ...] = (
    Column("train_cohort", "string", "cohort that the fit was trained on"),
    Column("model", "string", "name in the study file"),
    Column("recipe", "string", "name in the study file"),
    Column("seed", "int", "training seed"),
    Column("finding", "string", "finding of the study"),
    Column("test_group", "string", "cohort whose test images are called"),
    Column("threshold", "float", "score from which on an image is called positive; Youden on validation images"),
    Column("n_patients", "int", "persons"),
    Column("n_images", "int", "images"),
    Column("n_wrong", "int", "images called wrongly"),
    Column("n_persons_with_errors", "int", "persons with a wrong image"),
    Column("n_persons_of_several", "int", "persons with two images or more"),
    Column("n_all_wrong", "int", "of them, persons whose every image is wrong"),
    Column("expected_all_wrong", "float", "as many as if errors fell on images whosever they are"),
    Column("share_all_wrong", "float", "of the persons with two images or more", nullable=True),
    Column("share_low", "float", "lower limit", nullable=True),
    Column("share_high", "float", "upper limit", nullable=True),
    Column("held", "float", "share of all errors that the persons with every image wrong hold", nullable=True),
    Column("held_low", "float", "lower limit", nullable=True),
    Column("held_high", "float", "upper limit", nullable=True),
    Column("longest_run", "int", "most wrong images in a row of one person"),
    Column("confidence_level", "float", "of both intervals"),
)

CAUSE_COLUMNS: tuple[Column, ...] = (
    Column("finding", "string", "finding of the study"),
    Column("train_cohort", "string", "cohort that the fits were trained on"),
    Column("model", "string", "name in the study file"),
    Column("recipe", "string", "name in the study file"),
    Column("cause", "string", "what is asked for, in words"),
    Column("group", "string", "test group that it is about; '' for all"),
    Column(
        "verdict",
        "string",
        "found, not found, or cannot be told",
        allowed=("found", "not found", "cannot be told"),
    ),
    Column("sentence", "string", "the numbers that the verdict rests on"),
    Column("size", "float", "a change of AUC, or a share, as the sentence says", nullable=True),
    Column("low", "float", "lower limit of the size", nullable=True),
    Column("high", "float", "upper limit of the size", nullable=True),
)

ESTIMATE_COLUMNS: tuple[Column, ...] = (
    Column("finding", "string", "finding of the study, or 'macro mean'"),
    Column("train_cohort", "string", "cohort that the fits were trained on"),
    Column("model", "string", "name in the study file"),
    Column("recipe", "string", "name in the study file"),
    Column("split", "string", "train, val or test", allowed=SPLITS),
    Column("test_group", "string", "cohort whose images are scored"),
    Column("metric", "string", "what is estimated"),
    Column("estimate", "float", "mean over seeds", nullable=True),
    Column("low", "float", "lower limit of the default interval", nullable=True),
    Column("high", "float", "upper limit of the default interval", nullable=True),
    Column("standard_error", "float", "of the estimate", nullable=True),
    Column("confidence_level", "float", "of both intervals"),
    Column("method", "string", "of the default interval"),
    Column("bootstrap_low", "float", "lower limit, percentile over shared draws of persons", nullable=True),
    Column("bootstrap_high", "float", "upper limit, percentile over shared draws of persons", nullable=True),
    Column("band_low", "float", "lower limit of the simultaneous band over the matrix", nullable=True),
    Column("band_high", "float", "upper limit of the simultaneous band over the matrix", nullable=True),
    Column("band_method", "string", "of the simultaneous band; '' where there is none"),
    Column("patient_se", "float", "part of the standard error that the choice of patients leaves", nullable=True),
    Column("seed_sd", "float", "standard deviation between training seeds; none with one", nullable=True),
    Column("n_patients", "int", "persons"),
    Column("n_images", "int", "images"),
    Column("n_positive", "int", "positive images"),
    Column("n_negative", "int", "negative images"),
    Column("n_seeds", "int", "training seeds averaged"),
    Column("status", "string", "ok, small, degenerate or not estimable"),
    Column("reason", "string", "why, where the status is not ok"),
)

CONTRAST_COLUMNS: tuple[Column, ...] = (
    Column("kind", "string", "generalization_gap, subgroup_gap, transfer_gap or gap_of_gaps"),
    Column("finding", "string", "finding of the study, or 'macro mean'"),
    Column("model", "string", "name in the study file"),
    Column("recipe", "string", "name in the study file"),
    Column("minuend", "string", "the first term, in words"),
    Column("subtrahend", "string", "the second term, in words"),
    Column("train_cohort", "string", "training cohort (of the minuend, where two are compared)"),
    Column("test_group", "string", "test group (of the minuend, where two are compared)"),
    Column("other", "string", "what the subtrahend differs in: a split, a test group or a training cohort"),
    Column("minuend_estimate", "float", "first term", nullable=True),
    Column("subtrahend_estimate", "float", "second term", nullable=True),
    Column("estimate", "float", "minuend minus subtrahend", nullable=True),
    Column("low", "float", "lower limit", nullable=True),
    Column("high", "float", "upper limit", nullable=True),
    Column("standard_error", "float", "of the difference", nullable=True),
    Column("confidence_level", "float", "of the intervals"),
    Column("method", "string", "of the interval"),
    Column("bootstrap_low", "float", "percentile over shared draws", nullable=True),
    Column("bootstrap_high", "float", "percentile over shared draws", nullable=True),
    Column("p_value", "float", "two-sided, that the difference is zero", nullable=True),
    Column("p_adjusted", "float", "over the declared family", nullable=True),
    Column("p_permutation", "float", "studentised permutation test of a subgroup gap", nullable=True),
    Column("permutation", "string", "what p_permutation is of, or why there is none"),
    Column("margin", "float", "largest difference that counts as none", nullable=True),
    Column("minimal_detectable_gap", "float", "smallest gap shown with 80 % power", nullable=True),
    Column("verdict", "string", "gap, no gap beyond the margin, inconclusive, not estimable, or descriptive"),
    Column("sentence", "string", "the verdict in words"),
    Column("n_patients", "int", "distinct persons of both terms"),
    Column("n_seeds", "int", "training seeds averaged"),
    Column("status", "string", "ok, small, degenerate or not estimable"),
    Column("reason", "string", "why, where the status is not ok"),
)

FIT_COLUMNS: tuple[Column, ...] = (
    Column("fit_id", "string", "key of the fit"),
    Column("train_cohort", "string", "cohort that the fit was trained on"),
    Column("model", "string", "name in the study file"),
    Column("recipe", "string", "name in the study file"),
    Column("seed", "int", "training seed"),
    Column("finding", "string", "finding of the study, or 'macro mean'"),
    Column("split", "string", "train, val or test", allowed=SPLITS),
    Column("test_group", "string", "cohort whose images are scored"),
    Column("auc", "float", "AUC of this one fit", nullable=True),
)

ACCURACY_COLUMNS: tuple[Column, ...] = (
    Column("fit_id", "string", "key of the fit"),
    Column("train_cohort", "string", "cohort that the fit was trained on, and whose images are counted"),
    Column("model", "string", "name in the study file"),
    Column("recipe", "string", "name in the study file"),
    Column("seed", "int", "training seed"),
    Column("split", "string", "train, val or test", allowed=SPLITS),
    Column("n_labels", "int", "images; with several findings, known labels"),
    Column("n_right", "int", "of these, right at 0.5, or by the largest class"),
    Column("accuracy", "float", "their share"),
)

SPREAD_COLUMNS: tuple[Column, ...] = (
    Column("finding", "string", "finding of the study, or 'macro mean'"),
    Column("model", "string", "name in the study file"),
    Column("recipe", "string", "name in the study file"),
    Column("train_cohort", "string", "cohort that the fits were trained on"),
    Column("attribute", "string", "what tells the groups apart: sex, view, or an intersection like 'sex x view'"),
    Column("groups", "string", "test groups compared, with a comma between"),
    Column("n_groups", "int", "groups that have an estimate"),
    Column("worst_group", "string", "group with the lowest AUC; '' where fewer than two can be estimated"),
    Column("worst_estimate", "float", "its AUC", nullable=True),
    Column("worst_low", "float", "its lower limit, simultaneous over the groups", nullable=True),
    Column("worst_high", "float", "its upper limit, simultaneous over the groups", nullable=True),
    Column("no_group_below", "float", "smallest lower limit of all groups", nullable=True),
    Column("best_group", "string", "group with the highest AUC"),
    Column("range", "float", "highest minus lowest AUC, as observed", nullable=True),
    Column("range_low", "float", "lower limit for the range of the true AUCs", nullable=True),
    Column("range_high", "float", "upper limit for the range of the true AUCs", nullable=True),
    Column("observed_sd", "float", "standard deviation between groups", nullable=True),
    Column("corrected_sd", "float", "the same less what chance explains", nullable=True),
    Column("p_equality", "float", "that all groups have the same AUC", nullable=True),
    Column("confidence_level", "float", "of the limits"),
    Column("method", "string", "of the limits"),
    Column("n_seeds", "int", "training seeds averaged"),
    Column("status", "string", "ok, small, degenerate or not estimable: the worst of the groups"),
    Column("reason", "string", "why, where the status is not ok"),
)

CASE_MIX_COLUMNS: tuple[Column, ...] = (
    Column("finding", "string", "finding of the study"),
    Column("model", "string", "name in the study file"),
    Column("recipe", "string", "name in the study file"),
    Column("train_cohort", "string", "cohort that the fits were trained on"),
    Column("test_group", "string", "test group of the minuend"),
    Column("other", "string", "test group that is subtracted"),
    Column("attribute", "string", "what the two groups differ in"),
    Column("adjustment", "string", "as measured, matched, within ..., weighted, regression or xAUC"),
    Column("held_equal", "string", "what is made equal; '' for nothing"),
    Column("estimate", "float", "the gap, minuend minus subtrahend", nullable=True),
    Column("low", "float", "lower limit", nullable=True),
    Column("high", "float", "upper limit", nullable=True),
    Column("standard_error", "float", "of the gap", nullable=True),
    Column("confidence_level", "float", "of the intervals"),
    Column("bootstrap_low", "float", "percentile over shared draws, mix or weights taken anew", nullable=True),
    Column("bootstrap_high", "float", "percentile over shared draws, mix or weights taken anew", nullable=True),
    Column("change", "float", "the gap less the gap as measured", nullable=True),
    Column("change_low", "float", "lower limit of the change", nullable=True),
    Column("change_high", "float", "upper limit of the change", nullable=True),
    Column("margin", "float", "largest difference that counts as none", nullable=True),
    Column("verdict", "string", "gap, no gap beyond the margin, inconclusive, not estimable, or descriptive"),
    Column("n_patients", "int", "distinct persons of both groups that are used"),
    Column("n_images", "int", "images of both groups that are used"),
    Column("n_effective", "float", "unweighted images that would be as informative", nullable=True),
    Column("n_left_out", "int", "images without a counterpart in the other group"),
    Column("n_seeds", "int", "training seeds averaged"),
    Column("method", "string", "of the estimate and of its interval"),
    Column("status", "string", "ok, small, degenerate or not estimable"),
    Column("reason", "string", "why, where the status is not ok; and what was left out"),
)

CHECK_ESTIMATE_COLUMNS: tuple[Column, ...] = (
    Column("model", "string", "model, as the prediction file names it"),
    Column("finding", "string", "finding, as the prediction file names it"),
    Column("split", "string", "train, val or test", allowed=SPLITS),
    Column("attribute", "string", "sex, view, an intersection like 'sex x view'; '' for everybody"),
    Column("group", "string", "value of the attribute, or 'everybody'"),
    Column("metric", "string", "what is estimated"),
    Column("threshold", "float", "operating point that the metric depends on", nullable=True),
    Column("threshold_rule", "string", "where the operating point comes from; '' where there is none"),
    Column("estimate", "float", "value of the metric", nullable=True),
    Column("low", "float", "lower limit", nullable=True),
    Column("high", "float", "upper limit", nullable=True),
    Column("standard_error", "float", "of the estimate", nullable=True),
    Column("confidence_level", "float", "of the interval"),
    Column("method", "string", "of the interval"),
    Column("n_patients", "count", "persons; missing where withheld", nullable=True),
    Column("n_images", "count", "images; missing where withheld", nullable=True),
    Column("n_positive", "count", "positive images; missing where withheld", nullable=True),
    Column("n_negative", "count", "negative images; missing where withheld", nullable=True),
    Column("status", "string", "ok, small, degenerate, not estimable or suppressed"),
    Column("reason", "string", "why, where the status is not ok"),
)

CHECK_CONTRAST_COLUMNS: tuple[Column, ...] = (
    Column("kind", "string", "subgroup_gap, generalization_gap (train minus test) or model_gap (same images)"),
    Column("model", "string", "model, of the minuend"),
    Column("finding", "string", "finding"),
    Column("split", "string", "split of the images compared", allowed=SPLITS),
    Column("attribute", "string", "attribute whose groups are compared; '' for everybody"),
    Column("group", "string", "group of the minuend"),
    Column("reference", "string", "what is subtracted: a group, a split or another model"),
    Column("metric", "string", "what is compared"),
    Column("threshold_rule", "string", "where the operating point comes from; '' where there is none"),
    Column("minuend_estimate", "float", "first term", nullable=True),
    Column("subtrahend_estimate", "float", "second term", nullable=True),
    Column("estimate", "float", "minuend minus subtrahend", nullable=True),
    Column("low", "float", "lower limit", nullable=True),
    Column("high", "float", "upper limit", nullable=True),
    Column("standard_error", "float", "of the difference", nullable=True),
    Column("confidence_level", "float", "of the interval"),
    Column("method", "string", "of the interval"),
    Column("p_value", "float", "two-sided, that the difference is zero", nullable=True),
    Column("p_adjusted", "float", "over all gaps that are judged", nullable=True),
    Column(
        "margin", "float", "largest difference that counts as none; missing where it is not judged", nullable=True
    ),
    Column("minimal_detectable_gap", "float", "smallest gap shown with 80 % power", nullable=True),
    Column("verdict", "string", "gap, no gap beyond the margin, inconclusive, not estimable, or descriptive"),
    Column("sentence", "string", "the verdict in words"),
    Column("n_patients", "count", "distinct persons of both terms; missing where withheld", nullable=True),
    Column("status", "string", "ok, small, degenerate, not estimable or suppressed"),
    Column("reason", "string", "why, where the status is not ok"),
)


@dataclass(frozen=True, eq=False)
class AuditResult:
    """What an audit found, as tidy frames: every cell, every gap, every fit, and how it was done.

    Attributes
    ----------
    estimates : DataFrame, columns `ESTIMATE_COLUMNS`; one row per cell
    contrasts : DataFrame, columns `CONTRAST_COLUMNS`; one row per gap, always minuend minus subtrahend
    fits : DataFrame, columns `FIT_COLUMNS`; one row per fit and cell, before averaging over seeds
    settings : what the numbers depend on: confidence_level, n_resamples, margin, seed, reference, multiplicity
    spreads : DataFrame, columns `SPREAD_COLUMNS`; one row per attribute whose groups are compared; or None
    case_mix : DataFrame, columns `CASE_MIX_COLUMNS`; one row per subgroup gap and way of equal mix; or None
    accuracies : DataFrame, columns `ACCURACY_COLUMNS`; one row per fit and split of its own cohort; or None
    """

    estimates: pd.DataFrame
    contrasts: pd.DataFrame
    fits: pd.DataFrame
    settings: Mapping[str, Any] = field(default_factory=dict)
    spreads: pd.DataFrame | None = None
    case_mix: pd.DataFrame | None = None
    accuracies: pd.DataFrame | None = None

    # The columns of each frame; a result of another kind of audit declares its own.
    FRAMES: ClassVar[Mapping[str, tuple[Column, ...]]] = {
        "estimates": ESTIMATE_COLUMNS,
        "contrasts": CONTRAST_COLUMNS,
        "fits": FIT_COLUMNS,
    }
    # Frames that may be None.
    OPTIONAL_FRAMES: ClassVar[Mapping[str, tuple[Column, ...]]] = {
        "spreads": SPREAD_COLUMNS,
        "case_mix": CASE_MIX_COLUMNS,
        "accuracies": ACCURACY_COLUMNS,
    }

    def __post_init__(self) -> None:
        """Check the frames against their columns."""
        for name, columns in {**self.FRAMES, **self.OPTIONAL_FRAMES}.items():
            frame = getattr(self, name)
            if frame is not None or name in self.FRAMES:
                origin = f"{type(self).__name__}.{name}"
                object.__setattr__(self, name, conform_frame(frame, columns, origin))


def conform_frame(frame: pd.DataFrame, columns: Sequence[Column], origin: str) -> pd.DataFrame:
    """The frame with exactly these columns, typed; raises `TableError` listing every problem."""
    missing = [_missing_column(c.name, frame.columns) for c in columns if c.name not in frame.columns]
    if missing:
        raise TableError(f"{origin}: " + "; ".join(missing))
    conformed, problems = _conform(frame, columns, keep_rest=False)
    problems += _check_values(conformed, columns)
    if problems:
        raise TableError(f"{origin}: " + "; ".join(problems))
    return conformed


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
