"""The tables of fits: every epoch, every score, the scores of the kept epoch, and how long it took."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from subgroup_audit.schema.tables import SPLITS, Column, Table


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
    Column("n_patients", "count", "persons of the images", nullable=True),
    Column("accuracy", "float", "share of the labels that are right"),
    Column("low", "float", "lower limit of the accuracy, for this fit, persons as clusters", nullable=True),
    Column("high", "float", "upper limit of the accuracy", nullable=True),
    Column("auc", "float", "AUC of this one fit; of several findings, their macro mean", nullable=True),
    Column("auc_low", "float", "lower limit of the AUC, for this fit", nullable=True),
    Column("auc_high", "float", "upper limit of the AUC", nullable=True),
    Column("confidence_level", "float", "level of the limits", nullable=True),
    Column("method", "string", "how the limits of the accuracy were had", nullable=True),
)
