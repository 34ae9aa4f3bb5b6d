"""Controls: the study's own fits once more with one thing changed on purpose, to see what that thing does.

* shuffled labels: nothing can be learned, so the AUC on test persons must be 0.5;
* image-level split: the same images dealt to training, validation and test by image, so that persons are in two
  of them: how much higher the AUC comes out is leakage;
* learning curve: a share of the training persons: would more of them help;
* label noise: a share of the labels turned over: how much do wrong labels cost.

Each control is fitted for every training cohort with the study's first model and recipe, under all its seeds.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import pandas as pd

from subgroup_audit.schema import CONTROL_COLUMNS, CohortManifest, Predictions
from subgroup_audit.stats import AucComponents, Estimate, auc_components, average_over_seeds, seed_gap
from subgroup_audit.study import Study

SHUFFLED, IMAGE_LEVEL, LEARNING, NOISE = "shuffled_labels", "image_level_split", "learning_curve", "label_noise"
AMOUNTS: Mapping[str, tuple[float, ...]] = {
    SHUFFLED: (1.0,),
    IMAGE_LEVEL: (1.0,),
    LEARNING: (0.25, 0.5),
    NOISE: (0.1, 0.2),
}


@dataclass(frozen=True)
class Control:
    """One thing changed, and how much of it: the share of persons kept, or of labels turned over."""

    kind: str
    amount: float

    @property
    def words(self) -> str:
        """The control in a few words."""
        share = f"{100 * self.amount:g} %"
        return {
            SHUFFLED: "shuffled labels",
            IMAGE_LEVEL: "image-level split",
            LEARNING: f"{share} of the training persons",
            NOISE: f"{share} of the labels turned over",
        }[self.kind]


def declared_controls(study: Study) -> tuple[Control, ...]:
    """The controls that the study asks for."""
    return tuple(Control(kind, amount) for kind in AMOUNTS if kind in study.diagnose for amount in AMOUNTS[kind])


def control_combinations(study: Study) -> list[tuple[str, str, str, int]]:
    """(cohort, model, recipe, seed) of the fits that each control repeats: of each cohort, the first kind."""
    first: dict[str, tuple[str, str]] = {}
    for cohort, model, recipe, _ in study.fit_combinations():
        first.setdefault(cohort, (model, recipe))
    return [(cohort, *pair, seed) for cohort, pair in first.items() for seed in study.seeds]


def control_rows(control: Control, manifest: CohortManifest, cohort: str, seed: int) -> pd.DataFrame:
    """Manifest rows that the control's fit of this cohort and seed learns from (train) and picks by (val).

    The same control, cohort and seed give the same rows. Shuffling and noise keep the number of positives of each
    split; an image's labels for several findings stay together.
    """
    frame = split_by_image(manifest).frame if control.kind == IMAGE_LEVEL else manifest.frame
    rows = frame[(frame["cohort"] == cohort) & frame["split"].isin(["train", "val"])]
    rows = rows.sort_values(["image_id", "finding"]).reset_index(drop=True)
    rng = np.random.default_rng([zlib.crc32(f"{control.kind} {control.amount} {cohort}".encode()), seed])
    if control.kind == SHUFFLED:
        return _with_labels_moved(rows, rng, share=1.0)
    if control.kind == NOISE:
        return _with_labels_turned(rows, rng, control.amount)
    if control.kind == LEARNING:
        return _with_fewer_persons(rows, rng, control.amount)
    return rows


def split_by_image(manifest: CohortManifest) -> CohortManifest:
    """The manifest with the splits dealt anew to images, whoever they are of.

    An image gets one split for all cohorts, and every cohort keeps its number of images of each class in each
    split: splits are exchanged between images that are in the same cohorts with the same labels.
    """
    if manifest not in _SPLIT_BY_IMAGE:
        _SPLIT_BY_IMAGE[manifest] = _deal_by_image(manifest.frame)
    return _SPLIT_BY_IMAGE[manifest]


_SPLIT_BY_IMAGE: WeakKeyDictionary[CohortManifest, CohortManifest] = WeakKeyDictionary()


def _deal_by_image(frame: pd.DataFrame) -> CohortManifest:
    ordered = frame.sort_values(["image_id", "cohort", "finding"])
    places = ordered["cohort"] + "\n" + ordered["finding"] + "\n" + ordered["y_true"].astype(str)
    kinds = places.groupby(ordered["image_id"]).agg("\n".join)
    split = ordered.drop_duplicates("image_id").set_index("image_id")["split"].reindex(kinds.index)
    rng = np.random.default_rng(zlib.crc32(IMAGE_LEVEL.encode()))
    dealt = split.to_numpy(dtype=object).copy()
    for _, members in pd.Series(np.arange(len(kinds))).groupby(kinds.to_numpy(), sort=True):
        dealt[members] = rng.permutation(dealt[members])
    by_image = pd.Series(dealt, index=kinds.index, dtype="str")
    return CohortManifest(frame.assign(split=frame["image_id"].map(by_image)), origin="split by image")


def measure_controls(
    study: Study,
    manifest: CohortManifest,
    predictions: Predictions,
    controlled: Mapping[Control, Predictions],
) -> pd.DataFrame:
    """`CONTROL_COLUMNS`: every control's AUC on every test group, beside that of the study's own fits.

    `change` is the control's AUC minus the study's, of the same cohort, model, recipe and seeds, with the interval
    of two sets of fits on persons of whom some are the same; for shuffled labels it is the AUC minus 0.5.
    """
    own = _Scored(manifest, predictions)
    rows = [
        row
        for control, scored in controlled.items()
        for row in _control_rows(study, control, own, _Scored(_tested(control, manifest), scored))
    ]
    return pd.DataFrame(rows, columns=[column.name for column in CONTROL_COLUMNS])


def _tested(control: Control, manifest: CohortManifest) -> CohortManifest:
    return split_by_image(manifest) if control.kind == IMAGE_LEVEL else manifest


def _control_rows(study: Study, control: Control, own: _Scored, other: _Scored) -> Iterator[dict[str, Any]]:
    for cohort, model, recipe in dict.fromkeys(key[:3] for key in control_combinations(study)):
        for finding in study.finding_names:
            for group in dict.fromkeys((cohort, *study.test_cohorts)):
                changed = other.components(finding, cohort, model, recipe, group)
                usual = own.components(finding, cohort, model, recipe, group)
                if changed and usual:
                    name = {"finding": finding, "train_cohort": cohort, "model": model, "recipe": recipe}
                    yield {**name, "test_group": group, **_row(study, control, changed, usual)}


class _Scored:
    """Predictions and the cohorts by which they are tested."""

    def __init__(self, manifest: CohortManifest, predictions: Predictions) -> None:
        frame = manifest.frame
        self.tested = frame[frame["split"] == "test"].assign(
            person=pd.factorize(frame["patient_id"], sort=True)[0][(frame["split"] == "test").to_numpy()]
        )
        self.scores = {
            (str(fit), str(finding)): rows.set_index("image_id")["y_score"]
            for (fit, finding), rows in predictions.frame.groupby(["fit_id", "finding"], sort=False)
        }
        fits = predictions.frame.drop_duplicates("fit_id").sort_values("seed", kind="stable")
        self.fits: dict[tuple[str, str, str], list[str]] = {}
        for row in fits.to_dict("records"):
            key = (str(row["train_cohort"]), str(row["model"]), str(row["recipe"]))
            self.fits.setdefault(key, []).append(str(row["fit_id"]))

    def components(
        self, finding: str, cohort: str, model: str, recipe: str, group: str
    ) -> Sequence[AucComponents]:
        """The cell of each seed; empty where there is none."""
        rows = self.tested[(self.tested["finding"] == finding) & (self.tested["cohort"] == group)]
        rows = rows.sort_values("image_id")
        if rows.empty:
            return []
        y_true, person = rows["y_true"].to_numpy(dtype=np.int64), rows["person"].to_numpy(dtype=np.int64)
        return [
            auc_components(y_true, self.scores[fit, finding].reindex(rows["image_id"]), person=person)
            for fit in self.fits.get((cohort, model, recipe), [])
        ]


def _row(
    study: Study, control: Control, changed: Sequence[AucComponents], usual: Sequence[AucComponents]
) -> dict[str, Any]:
    analysis = study.analysis
    level, fewest = analysis.confidence_level, analysis.min_persons
    found, reference = (
        average_over_seeds(list(cells), confidence_level=level, min_persons=fewest) for cells in (changed, usual)
    )
    against: Mapping[str, float | None]
    if control.kind == SHUFFLED:
        against = _minus_half(found)
    else:
        gap = seed_gap(changed, usual, paired_seeds=False, confidence_level=level, min_persons=fewest)
        against = {"change": gap.estimate, "low": gap.low, "high": gap.high, "standard_error": gap.standard_error}
    return {
        "control": control.kind,
        "amount": control.amount,
        "words": control.words,
        "auc": found.estimate,
        "auc_low": found.low,
        "auc_high": found.high,
        "usual_auc": reference.estimate,
        **against,
        "confidence_level": found.confidence_level,
        "method": found.method,
        "n_patients": found.n_patients,
        "n_images": found.n_images,
        "n_positive": found.n_positive,
        "n_negative": found.n_negative,
        "n_seeds": found.n_seeds,
        "status": found.status,
        "reason": found.reason,
    }


def _minus_half(found: Estimate) -> dict[str, float | None]:
    return {
        "change": _less_half(found.estimate),
        "low": _less_half(found.low),
        "high": _less_half(found.high),
        "standard_error": found.standard_error,
    }


def _less_half(value: float | None) -> float | None:
    return None if value is None else value - 0.5


def _with_labels_moved(rows: pd.DataFrame, rng: np.random.Generator, *, share: float) -> pd.DataFrame:
    """The rows with the labels of a share of each split's images exchanged among them."""
    wide = rows.pivot(index="image_id", columns="finding", values="y_true")
    split = rows.drop_duplicates("image_id").set_index("image_id")["split"].reindex(wide.index)
    moved = wide.to_numpy().copy()
    for part in ("train", "val"):
        places = np.flatnonzero((split == part).to_numpy())
        chosen = rng.permutation(places)[: round(share * len(places))]
        moved[chosen] = wide.to_numpy()[rng.permutation(chosen)]
    return _with_labels(rows, pd.DataFrame(moved, index=wide.index, columns=wide.columns))


def _with_labels_turned(rows: pd.DataFrame, rng: np.random.Generator, share: float) -> pd.DataFrame:
    """The rows with a share of each split's labels wrong: as many positives turned as negatives, so balance stays.

    With several classes of which one holds, the labels of the chosen images are exchanged instead.
    """
    per_image = rows.groupby("image_id")["y_true"].sum()
    if rows["finding"].nunique() > 1 and (per_image == 1).all():
        return _with_labels_moved(rows, rng, share=share)
    turned = rows["y_true"].to_numpy(dtype=np.int64).copy()
    for _, members in rows.groupby(["split", "finding"], sort=True):
        places, labels = members.index.to_numpy(), members["y_true"].to_numpy()
        n = round(share * len(places) / 2)
        for value in (0, 1):
            of_class = places[labels == value]
            chosen = rng.permutation(of_class)[: min(n, len(of_class))]
            turned[chosen] = 1 - value
    return rows.assign(y_true=turned)


def _with_labels(rows: pd.DataFrame, wide: pd.DataFrame) -> pd.DataFrame:
    image = wide.index.get_indexer(pd.Index(rows["image_id"]))
    finding = wide.columns.get_indexer(pd.Index(rows["finding"]))
    return rows.assign(y_true=wide.to_numpy()[image, finding].astype(np.int64))


def _with_fewer_persons(rows: pd.DataFrame, rng: np.random.Generator, share: float) -> pd.DataFrame:
    """The rows with a share of the training persons, taken evenly from those with and without a positive image."""
    train = rows[rows["split"] == "train"]
    has_positive = train.groupby("patient_id")["y_true"].max()
    kept: list[str] = []
    for value in (0, 1):
        persons = has_positive.index[has_positive == value].to_numpy()
        kept += list(rng.permutation(persons)[: max(1, round(share * len(persons)))])
    return rows[(rows["split"] != "train") | rows["patient_id"].isin(kept)].reset_index(drop=True)
