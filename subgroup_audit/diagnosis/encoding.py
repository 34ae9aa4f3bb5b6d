"""Encoding: how well the features of a fitted network tell sex, view and age band, though nobody asked them to.

A linear probe, here a logistic regression on the standardised features, is fitted on the training and validation
persons of the fit's own cohort and judged on its test persons. Beside it stand two controls: the same probe on the
same network with its first random weights, since untrained features tell much of an image too; and probes on
shuffled values, which must come out at 0.5.

That a network encodes an attribute does not say that its score uses it (Glocker et al. 2023,
doi:10.1016/j.ebiom.2023.104467): `diagnosis.advantage` asks that.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from subgroup_audit.schema import ENCODING_COLUMNS, UNKNOWN, CohortManifest, Predictions, age_band
from subgroup_audit.stats import AucComponents, auc_components, average_over_seeds
from subgroup_audit.study import Study

FITTED, UNTRAINED, SHUFFLED, MODEL_SCORE = "fitted", "untrained", "shuffled", "model"
AGE_STARTS = (40.0, 60.0)
"""Age bands of a study that names none."""

MOST_IMAGES = 3000
"""Images that a probe learns from, and that it is judged on, at most; drawn by person."""

PENALTIES = tuple(10.0**power for power in range(-4, 2))
"""Inverse strengths of the L2 penalty that are tried."""

MOST_STEPS = 200
N_FOLDS = 3
N_SHUFFLES = 5
FEWEST_PERSONS = 2 * N_FOLDS
"""Training persons with and without a value that a probe needs: two a fold."""

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Question:
    """One value of an attribute against the others."""

    attribute: str
    value: str
    against: str


@dataclass(frozen=True, eq=False)
class ProbeRows:
    """Images of one training cohort that are probed, in order of image.

    Attributes
    ----------
    frame : image_id, person (int), is_test (bool), and the attributes, one row per image
    """

    frame: pd.DataFrame

    @property
    def image_ids(self) -> list[str]:
        """The images, in the order that features must have."""
        return [str(key) for key in self.frame["image_id"]]

    @property
    def is_test(self) -> Bools:
        """Whether each image is of a test person."""
        return self.frame["is_test"].to_numpy(dtype=bool)

    def known(self, question: Question) -> Bools:
        """Images whose value is known."""
        return (self.frame[question.attribute] != UNKNOWN).to_numpy(dtype=bool)

    def target(self, question: Question) -> Bools:
        """Which images have the value."""
        return (self.frame[question.attribute] == question.value).to_numpy(dtype=bool)


def with_age_band(study: Study, frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with `age_band`: the study's, or that of `AGE_STARTS` where it names none and ages are known."""
    if "age_band" in frame or "age_years" not in frame:
        return frame
    return frame.assign(age_band=age_band(frame["age_years"], study.age_bands or AGE_STARTS))


def probed_attributes(frame: pd.DataFrame) -> list[str]:
    """Which of sex, view and age band a frame holds."""
    return [name for name in ("sex", "view", "age_band") if name in frame]


def probe_rows(study: Study, manifest: CohortManifest, cohort: str) -> ProbeRows:
    """The images of a training cohort to probe: at most `MOST_IMAGES` to learn from and as many test images.

    Whole persons are taken in the order of a hash of their key, so the choice is the same at every run.
    """
    rows = manifest.frame[manifest.frame["cohort"] == cohort].drop_duplicates("image_id")
    rows = with_age_band(study, rows).assign(
        is_test=rows["split"] == "test",
        rank=[hashlib.sha256(str(key).encode()).hexdigest() for key in rows["patient_id"]],
    )
    kept = pd.concat([_first_persons(part) for _, part in rows.groupby("is_test")])
    kept = kept.assign(person=pd.factorize(kept["patient_id"], sort=True)[0]).sort_values("image_id")
    columns = ["image_id", "person", "is_test", *probed_attributes(kept)]
    return ProbeRows(kept[columns].reset_index(drop=True))


def _first_persons(rows: pd.DataFrame) -> pd.DataFrame:
    ordered = rows.sort_values(["rank", "image_id"])
    last = ordered["rank"].iloc[min(len(ordered), MOST_IMAGES) - 1]
    is_kept: pd.Series = ordered["rank"] <= last
    return ordered.loc[is_kept]


def questions(rows: ProbeRows) -> Iterator[Question]:
    """Every value of every attribute against the rest; of two values, the first against the second."""
    for attribute in probed_attributes(rows.frame):
        values = sorted(set(rows.frame[attribute]) - {UNKNOWN})
        if len(values) == 2:
            yield Question(attribute, *values)
        else:
            yield from (Question(attribute, value, "the rest") for value in values)


@dataclass(frozen=True, eq=False)
class Probed:
    """What the probes of one training cohort, model and recipe came to, seed by seed.

    Attributes
    ----------
    cells : AUCs on the test persons of one question and source; several a seed with shuffled values
    reasons : why a question could not be asked
    """

    cells: dict[tuple[Question, str], list[AucComponents]] = field(default_factory=dict)
    reasons: dict[Question, str] = field(default_factory=dict)
    n_features: list[int] = field(default_factory=list)
    seeds: list[int] = field(default_factory=list)

    def add(self, rows: ProbeRows, features: Mapping[str, NDArray[np.float32]], seed: int) -> None:
        """Probe one seed's features, [n, d] per source, in the order of `rows`."""
        self.seeds.append(seed)
        self.n_features.append(features[FITTED].shape[1])
        for question in questions(rows):
            reason = why_not(rows, question)
            if reason:
                self.reasons[question] = reason
                continue
            for source, found in features.items():
                cell, penalty = probe(rows, question, found, seed)
                self.cells.setdefault((question, source), []).append(cell)
                if source == FITTED:
                    shuffled = probe_shuffled(rows, question, found, penalty, seed)
                    self.cells.setdefault((question, SHUFFLED), []).extend(shuffled)


def why_not(rows: ProbeRows, question: Question) -> str:
    """Why a probe cannot be fitted or judged; '' where it can."""
    known, target = rows.known(question), rows.target(question)
    person = rows.frame["person"].to_numpy()
    if rows.frame.loc[known, question.attribute].nunique() < 2:
        return f"every image has {question.attribute} {question.value}"
    for part, needed, name in ((~rows.is_test, FEWEST_PERSONS, "training"), (rows.is_test, 2, "test")):
        for is_there, words in ((target, question.value), (~target, question.against)):
            found = len(np.unique(person[part & known & is_there]))
            if found < needed:
                return f"{found} {name} persons with {question.attribute} {words}; a probe needs {needed}"
    return ""


def probe(
    rows: ProbeRows, question: Question, features: NDArray[np.float32], seed: int
) -> tuple[AucComponents, float]:
    """The AUC on test persons of a probe fitted on the others, and the inverse penalty that was chosen for it."""
    learned, judged, target, truth, person, tested = _parts(rows, question, features)
    penalty = choose_penalty(learned, target, person, seed)
    return auc_components(truth, fit_and_score(learned, target, judged, penalty), person=tested), penalty


def probe_shuffled(
    rows: ProbeRows, question: Question, features: NDArray[np.float32], penalty: float, seed: int
) -> list[AucComponents]:
    """AUCs on the true values of the same probe fitted on shuffled ones: several, as each shuffle has its luck."""
    learned, judged, target, truth, _, tested = _parts(rows, question, features)
    rng = np.random.default_rng([seed, len(features), int(target.sum())])
    scores = [fit_and_score(learned, rng.permutation(target), judged, penalty) for _ in range(N_SHUFFLES)]
    return [auc_components(truth, column, person=tested) for column in scores]


def _parts(
    rows: ProbeRows, question: Question, features: NDArray[np.float32]
) -> tuple[Floats, Floats, Bools, NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Standardised features to learn from and to judge by; the target, the truth, and the persons of each."""
    usable = rows.known(question)
    learn, judge = usable & ~rows.is_test, usable & rows.is_test
    target, person = rows.target(question), rows.frame["person"].to_numpy(dtype=np.int64)
    learned, judged = features[learn].astype(np.float64), features[judge].astype(np.float64)
    middle, spread = learned.mean(axis=0), learned.std(axis=0)
    spread[spread == 0.0] = 1.0
    scaled = (learned - middle) / spread, (judged - middle) / spread
    return *scaled, target[learn], target[judge].astype(np.int64), person[learn], person[judge]


def choose_penalty(learned: Floats, target: Bools, person: NDArray[np.int64], seed: int) -> float:
    """The inverse L2 penalty of `PENALTIES` with the highest mean AUC over folds that keep persons together."""
    from sklearn.linear_model import LogisticRegressionCV
    from sklearn.model_selection import StratifiedGroupKFold

    folds = StratifiedGroupKFold(N_FOLDS, shuffle=True, random_state=seed)
    splits = [parts for parts in folds.split(learned, target, person) if _has_both(target, *parts)]
    model = LogisticRegressionCV(
        Cs=PENALTIES,
        cv=splits,
        scoring="roc_auc",
        max_iter=MOST_STEPS,
        l1_ratios=(0.0,),
        use_legacy_attributes=False,
        refit=True,
    )
    return float(_fitted_quietly(model, learned, target).C_)


def fit_and_score(learned: Floats, target: Bools, judged: Floats, penalty: float) -> Floats:
    """Decision values [m] of a logistic regression with this inverse L2 penalty."""
    from sklearn.linear_model import LogisticRegression

    model = _fitted_quietly(LogisticRegression(C=penalty, max_iter=MOST_STEPS), learned, target)
    return np.asarray(model.decision_function(judged), dtype=np.float64)


def _fitted_quietly(model: Any, design: Floats, target: Bools) -> Any:
    """The model fitted; where the weakest penalties have not settled after all steps, it is judged as it is."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(design, target)


def _has_both(target: Bools, *parts: NDArray[np.int64]) -> bool:
    return all(target[part].any() and not target[part].all() for part in parts)


def encoding_frame(
    study: Study,
    manifest: CohortManifest,
    predictions: Predictions,
    probed: Mapping[tuple[str, str, str], tuple[ProbeRows, Probed]],
) -> pd.DataFrame:
    """`ENCODING_COLUMNS`: the probes of every (cohort, model, recipe), and the model's own AUC beside them."""
    rows = []
    for key, (images, found) in probed.items():
        name = dict(zip(("train_cohort", "model", "recipe"), key, strict=True))
        rows += [name | row for row in _own_rows(study, manifest, predictions, key)]
        rows += [name | row for row in _probe_rows(study, images, found)]
    return pd.DataFrame(rows, columns=[column.name for column in ENCODING_COLUMNS])


def _own_rows(
    study: Study, manifest: CohortManifest, predictions: Predictions, key: tuple[str, str, str]
) -> Iterator[dict[str, Any]]:
    """The task's AUC of the model itself, on the test persons of its own cohort."""
    frame, scored = manifest.frame, predictions.frame
    mine = scored[(scored["train_cohort"] == key[0]) & (scored["model"] == key[1]) & (scored["recipe"] == key[2])]
    for finding in study.finding_names:
        tested = frame[
            (frame["cohort"] == key[0]) & (frame["split"] == "test") & (frame["finding"] == finding)
        ].sort_values("image_id")
        of_finding = mine[mine["finding"] == finding]
        cells = [
            auc_components(
                tested["y_true"].to_numpy(dtype=np.int64),
                part.set_index("image_id")["y_score"].reindex(tested["image_id"]),
                person=pd.factorize(tested["patient_id"], sort=True)[0],
            )
            for _, part in of_finding.groupby("seed", sort=True)
        ]
        learned = frame[(frame["cohort"] == key[0]) & (frame["split"] != "test")]["patient_id"].nunique()
        question = Question("finding", finding, "the rest")
        yield _row(study, question, MODEL_SCORE, cells, n_features=0, n_learned=learned, n_seeds=len(cells))


def _probe_rows(study: Study, images: ProbeRows, found: Probed) -> Iterator[dict[str, Any]]:
    learned = int(images.frame.loc[~images.is_test, "person"].nunique())
    n_features = found.n_features[0]
    for question in questions(images):
        if question in found.reasons:
            yield _unasked(study, question, found.reasons[question], n_features, learned, images, found)
            continue
        for source in (FITTED, UNTRAINED, SHUFFLED):
            cells = found.cells[question, source]
            yield _row(
                study,
                question,
                source,
                cells,
                n_features=n_features,
                n_learned=learned,
                n_seeds=len(found.seeds),
            )


def _row(
    study: Study,
    question: Question,
    source: str,
    cells: Sequence[AucComponents],
    *,
    n_features: int,
    n_learned: int,
    n_seeds: int,
) -> dict[str, Any]:
    analysis = study.analysis
    found = average_over_seeds(
        list(cells), confidence_level=analysis.confidence_level, min_persons=analysis.min_persons
    )
    return {
        **vars(question),
        "source": source,
        "auc": found.estimate,
        "low": found.low,
        "high": found.high,
        "standard_error": found.standard_error,
        "confidence_level": found.confidence_level,
        "method": found.method,
        "n_features": n_features,
        "n_train_patients": n_learned,
        "n_patients": found.n_patients,
        "n_images": found.n_images,
        "n_positive": found.n_positive,
        "n_negative": found.n_negative,
        "n_seeds": n_seeds,
        "n_probes": len(cells),
        "status": found.status,
        "reason": found.reason,
    }


def _unasked(
    study: Study,
    question: Question,
    reason: str,
    n_features: int,
    n_learned: int,
    images: ProbeRows,
    found: Probed,
) -> dict[str, Any]:
    tested = images.is_test & images.known(question)
    n_positive = int((tested & images.target(question)).sum())
    return {
        **vars(question),
        "source": FITTED,
        "auc": None,
        "low": None,
        "high": None,
        "standard_error": None,
        "confidence_level": study.analysis.confidence_level,
        "method": "none",
        "n_features": n_features,
        "n_train_patients": n_learned,
        "n_patients": int(images.frame.loc[tested, "person"].nunique()),
        "n_images": int(tested.sum()),
        "n_positive": n_positive,
        "n_negative": int(tested.sum()) - n_positive,
        "n_seeds": len(found.seeds),
        "n_probes": 0,
        "status": "not estimable",
        "reason": reason,
    }
