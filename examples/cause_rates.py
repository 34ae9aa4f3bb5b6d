"""How often do the rules that name a cause err? Worlds of closed form, drawn many times, without any training.

An ideal observer gives every image a score: a normal variate that lies higher where the finding is, with a part
that the person's images share and a part of its own for each training seed. Its AUCs are known exactly, and one
cause at a time is planted in them, or none. Cells, gaps, equal mixes, waterfall and rules are the run's own.

    python examples/cause_rates.py 200 --jobs 2

Prints the table of docs/diagnosis.md: for each world and size of test set, in what share of the draws each cause
was named, and in what share any that was not planted. About a second of one core for each draw.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing import get_context
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtri

from subgroup_audit.audit import audit_predictions
from subgroup_audit.diagnosis import Evidence, advantage_frame, gap_waterfall, name_causes
from subgroup_audit.diagnosis.order import check_order
from subgroup_audit.schema import CohortManifest, Predictions, Stages
from subgroup_audit.stats import auc_components, equivalence_verdict, seed_gap
from subgroup_audit.steps.causes import tested_cells
from subgroup_audit.study import Study

Floats = NDArray[np.float64]
SEEDS = (0, 1)
OF_PERSON, OF_SEED = 0.3, 0.3
"""Shares of a score's variance that images of a person share, and that a training seed draws anew."""
FIT = {"train_cohort": "all", "model": "observer", "recipe": "none"}
CAUSES: Mapping[str, str] = {
    "order": r"scores and labels do not belong together",
    "batch statistics": r"stored batch statistics",
    "leak": r"test persons or images",
    "overfitting": r"overfitting",
    "shortcut": r"shortcut",
    "wrong labels": r"labels of",
    "difference": r"the finding is told less well in \w+ than in \w+$",
    "difference or labels": r"the finding is told less well in \w+ than in \w+, or labels",
}
"""How the causes are called here, and the name by which the rules give them, as a pattern."""
STUDY = Study.model_validate(
    {
        "study": "observer",
        "data": {"source": "table"},
        "findings": {"opacity": {"positive": ["yes"]}},
        "cohorts": {"all": {}, "F": {"sex": "F"}, "M": {"sex": "M"}},
        "train_on": ["all"],
        "models": {"observer": {"architecture": "small_cnn"}},
        "recipes": {"none": {}},
        "seeds": list(SEEDS),
        "analysis": {"reference": {"sex": "M"}, "n_resamples": 100, "contrasts": ["subgroup_gap"]},
    }
)


@dataclass(frozen=True)
class World:
    """What the observer sees, as AUCs, and what is planted.

    Attributes
    ----------
    planted : names in `CAUSES` of which one must be named, and none else may be; empty where nothing is planted
    auc : of men and of women, on persons that the observer has not seen
    training_auc : on the training images; None: as on others
    while_training : loss of AUC by augmentation and dropout while training
    recomputed_auc : with batch statistics recomputed; None: as in evaluation mode
    prevalence : of AP and of PA films
    of_view : how far an AP film raises the score, in standard deviations
    flipped : share of wrong labels of men and of women
    """

    name: str
    planted: tuple[str, ...] = ()
    auc: tuple[float, float] = (0.85, 0.85)
    training_auc: float | None = None
    while_training: float = 0.02
    recomputed_auc: float | None = None
    prevalence: tuple[float, float] = (0.5, 0.5)
    of_view: float = 0.0
    flipped: tuple[float, float] = (0.0, 0.0)
    is_shuffled: bool = False
    share_leaked: float = 0.0


DIFFERENCE, LABELS = ("difference", "difference or labels"), ("wrong labels", "difference or labels")
WORLDS = (
    World("nothing, AUC 0.95", auc=(0.95, 0.95)),
    World("nothing, AUC 0.85"),
    World("nothing, AUC 0.70", auc=(0.70, 0.70)),
    World("nothing, AUC 0.60", auc=(0.60, 0.60)),
    World(
        "harmless amounts: 0.025 of overfitting, 0.025 less AUC in women", auc=(0.85, 0.825), training_auc=0.8625
    ),
    World("scores shuffled", ("order",), is_shuffled=True),
    World("batch statistics that cost 0.15", ("batch statistics",), auc=(0.70, 0.70), recomputed_auc=0.85),
    World("two thirds of the test images of seen persons", ("leak",), training_auc=0.97, share_leaked=0.67),
    World("overfitting of 0.15", ("overfitting",), auc=(0.80, 0.80), training_auc=0.95),
    World("overfitting of 0.08", ("overfitting",), auc=(0.80, 0.80), training_auc=0.88),
    World("a view shortcut, prevalence 0.8 and 0.2", ("shortcut",), prevalence=(0.8, 0.2), of_view=1.0),
    World("a weaker one, prevalence 0.65 and 0.35", ("shortcut",), prevalence=(0.65, 0.35), of_view=0.7),
    World("AUC of women 0.15 lower", DIFFERENCE, auc=(0.90, 0.75)),
    World("AUC of women 0.08 lower", DIFFERENCE, auc=(0.88, 0.80)),
    World("a quarter of the labels of women wrong", LABELS, auc=(0.95, 0.95), flipped=(0.0, 0.25)),
    World("a tenth of the labels of women wrong", LABELS, auc=(0.95, 0.95), flipped=(0.0, 0.10)),
)
SIZES = (100, 220, 440)
"""Test images of each sex: those of the small packs, of small cohorts, and of the balanced cohorts of RSNA."""


@dataclass(frozen=True, eq=False)
class Drawn:
    """One draw of a world: its persons' images, and what makes up their scores."""

    images: pd.DataFrame
    of_person: Floats
    common: Floats
    rng: np.random.Generator = field(repr=False)

    def scores(self, separation: Floats, shift: Floats) -> dict[int, Floats]:
        """A column in (0, 1) for each seed: standard normal within a class, `separation` higher in positives."""
        is_positive = self.images["has_finding"].to_numpy(dtype=bool)
        base = self.of_person + self.common + shift + np.where(is_positive, separation, 0.0)
        own = np.sqrt(OF_SEED)
        return {seed: expit(base + own * self.rng.standard_normal(len(base)) - separation / 2) for seed in SEEDS}


def expit(value: Floats) -> Floats:
    """The logistic function."""
    return np.asarray(1.0 / (1.0 + np.exp(-value)))


def separation_of(auc: Floats | float) -> Floats:
    """How many standard deviations two normal classes lie apart at an AUC."""
    return np.asarray(np.sqrt(2.0) * ndtri(auc))


def draw_images(world: World, n_test: int, rng: np.random.Generator) -> Drawn:
    """Persons with one to three images, half of them women, and as many positives as the prevalence says."""
    n_persons = round(2 * n_test / 0.2 / 1.5)
    of_image = np.repeat(np.arange(n_persons), rng.choice([1, 2, 3], n_persons, p=[0.65, 0.2, 0.15]))
    n = len(of_image)
    view = np.where(rng.random(n) < 0.5, "AP", "PA")
    has_finding = rng.random(n) < np.where(view == "AP", *world.prevalence)
    sex = np.where(rng.random(n_persons) < 0.5, "F", "M")[of_image]
    is_wrong = rng.random(n) < np.where(sex == "F", world.flipped[1], world.flipped[0])
    split = rng.choice(["train", "val", "test"], n_persons, p=[0.6, 0.2, 0.2])
    images = pd.DataFrame(
        {
            "image_id": [f"i{place:06d}" for place in range(n)],
            "patient_id": [f"p{place:06d}" for place in of_image],
            "split": split[of_image],
            "sex": sex,
            "view": view,
            "age_years": rng.integers(20, 80, n_persons)[of_image].astype(float),
            "has_finding": has_finding,
            "y_true": (has_finding ^ is_wrong).astype(np.int64),
            "is_leaked": rng.random(n) < world.share_leaked,
        }
    )
    own = np.sqrt(1.0 - OF_PERSON - OF_SEED) * rng.standard_normal(n)
    return Drawn(images, np.sqrt(OF_PERSON) * rng.standard_normal(n_persons)[of_image], own, rng)


def observe(world: World, drawn: Drawn) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Predictions of every seed's fit, and what the fits kept of their training images."""
    images = drawn.images
    unseen = separation_of(np.where(images["sex"] == "F", world.auc[1], world.auc[0]))
    seen = unseen if world.training_auc is None else np.full(len(images), separation_of(world.training_auc))
    is_known = (images["split"] == "train") | (images["is_leaked"] & (images["split"] == "test"))
    shift = world.of_view * (images["view"] == "AP").to_numpy(dtype=float)
    used = np.where(is_known, seen, unseen)
    logged = separation_of(np.clip(_auc_of(used) - world.while_training, 0.5, 1.0))
    mended = used if world.recomputed_auc is None else np.full(len(images), separation_of(world.recomputed_auc))
    scores = drawn.scores(used, shift)
    if world.is_shuffled:
        scores = {seed: drawn.rng.permutation(column) for seed, column in scores.items()}
    predictions = [_fit_frame(images, seed, column) for seed, column in scores.items()]
    stages = [*_stage("while training", images, drawn.scores(logged, shift))]
    # recomputed scores are nearly those of evaluation mode where nothing is wrong with the stored statistics
    again = drawn.scores(mended, shift) if world.recomputed_auc is not None or world.is_shuffled else scores
    stages += _stage("recomputed", images, again)
    return pd.concat(predictions, ignore_index=True), pd.concat(stages, ignore_index=True)


def _auc_of(separation: Floats) -> Floats:
    from scipy.special import ndtr

    return np.asarray(ndtr(separation / np.sqrt(2.0)))


def _fit_frame(images: pd.DataFrame, seed: int, column: Floats) -> pd.DataFrame:
    kept = images.drop(columns=["has_finding", "is_leaked"])
    return kept.assign(**FIT, fit_id=f"fit{seed}", seed=seed, finding="opacity", y_score=column)


def _stage(stage: str, images: pd.DataFrame, scores: Mapping[int, Floats]) -> Iterator[pd.DataFrame]:
    is_train = (images["split"] == "train").to_numpy()
    for seed, column in scores.items():
        named = {"fit_id": f"fit{seed}", "stage": stage, "split": "train", "finding": "opacity"}
        rows = images.loc[is_train, ["image_id"]].assign(**named, y_score=column[is_train])
        yield rows.assign(draw=np.arange(len(rows)))


def make_manifest(images: pd.DataFrame) -> CohortManifest:
    """Every cohort of the study with all images that match."""
    kept = images.drop(columns=["has_finding", "is_leaked"]).assign(finding="opacity", weight=1.0)
    parts = [kept.assign(cohort="all"), *(kept[kept["sex"] == sex].assign(cohort=sex) for sex in ("F", "M"))]
    return CohortManifest(pd.concat(parts, ignore_index=True))


def check_orders(world: World, predictions: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """What scoring a sample of every fit again would find: the same up to rounding, or other images' scores."""
    rows = []
    for seed, part in predictions.groupby("seed"):
        stored = part.set_index("image_id")[["y_score"]]
        moved = rng.permutation(stored["y_score"]) if world.is_shuffled else stored["y_score"].to_numpy()
        fresh = pd.Series(moved + rng.normal(0.0, 1e-6, len(stored)), index=stored.index)
        tested = part.loc[part["split"] == "test", "image_id"].tolist()
        found = check_order(
            stored,
            lambda ids, fresh=fresh: fresh.loc[list(ids)].to_numpy()[:, None].astype(np.float32),
            tested,
            1e-4,
            int(seed),
        )
        rows.append({**FIT, "seed": seed, "n_images": found.n_images, "result": found.result})
    return pd.DataFrame(rows)


def certify(images: pd.DataFrame) -> pd.DataFrame:
    """The certificate's counts of the own cohort, from which test images are of persons that were seen."""
    tested = images[images["split"] == "test"]
    shared = tested.loc[tested["is_leaked"], "patient_id"].nunique()
    row = {"train_cohort": "all", "test_cohort": "all", "shared_persons": shared, "shared_files": 0}
    share = float(tested["is_leaked"].mean())
    return pd.DataFrame([{**row, "shared_pixels": 0, "share_of_test_images_of_seen_persons": share}])


def subgroup_gap(images: pd.DataFrame, scored: pd.DataFrame) -> pd.DataFrame:
    """The gap of women against men on test images, as the audit has it, with what the rules read of it."""
    tested = images["split"] == "test"
    person = pd.factorize(images["patient_id"])[0]
    columns = {seed: part.set_index("image_id")["y_score"] for seed, part in scored.groupby("seed")}
    sides = []
    for sex in ("F", "M"):
        chosen = (tested & (images["sex"] == sex)).to_numpy()
        rows = images[chosen]
        sides.append(
            [
                auc_components(rows["y_true"], column.reindex(rows["image_id"]), person=person[chosen])
                for column in columns.values()
            ]
        )
    gap = seed_gap(*sides, paired_seeds=True)
    verdict = equivalence_verdict(gap, margin=STUDY.analysis.margin)
    row = {"kind": "subgroup_gap", "finding": "opacity", **FIT, "test_group": "F", "other": "M"}
    row |= {"estimate": gap.estimate, "low": gap.low, "high": gap.high, "confidence_level": 0.95}
    row |= {"p_adjusted": gap.p_value, "verdict": verdict.name, "sentence": verdict.sentence}
    return pd.DataFrame([row])


def name_in(world: World, n_test: int, seed: int) -> list[str]:
    """The causes, by their short names, that the rules name in one draw of the world."""
    rng = np.random.default_rng([seed, n_test])
    drawn = draw_images(world, n_test, rng)
    scored, kept = observe(world, drawn)
    manifest, predictions = make_manifest(drawn.images), Predictions(scored)
    # an equal mix is only asked for where there is a gap: most draws need no audit
    gap = subgroup_gap(drawn.images, scored)
    result = audit_predictions(STUDY, manifest, predictions) if gap["verdict"].item() == "gap" else None
    evidence = Evidence(
        waterfall=gap_waterfall(STUDY, manifest, predictions, Stages(kept)),
        contrasts=gap if result is None else result.contrasts,
        cells=tested_cells(STUDY, manifest.frame, predictions.frame),
        order_check=check_orders(world, scored, rng),
        leakage=certify(drawn.images),
        case_mix=None if result is None else result.case_mix,
        advantage=advantage_frame(STUDY, manifest, predictions),
    )
    causes = name_causes(STUDY, evidence)
    named = causes.loc[causes["verdict"] == "found", "cause"]
    return sorted({short for short, pattern in CAUSES.items() if named.str.match(pattern).any()})


def _draw(job: tuple[int, int, int]) -> tuple[int, int, list[str]]:
    place, n_test, seed = job
    return place, n_test, name_in(WORLDS[place], n_test, seed)


def draw_all(places: Sequence[int], sizes: Sequence[int], n_draws: int, n_jobs: int) -> pd.DataFrame:
    """A row per world and size: draws, and the share of them in which each cause was named."""
    jobs = [(place, size, seed) for place in places for size in sizes for seed in range(n_draws)]
    with get_context("spawn").Pool(n_jobs) as pool:
        found = pool.map(_draw, jobs, chunksize=4)
    rows: dict[tuple[int, int], dict[str, Any]] = {}
    for place, size, named in found:
        row = rows.setdefault(
            (place, size), {"world": WORLDS[place].name, "n_test": size, "draws": 0, "hit": 0, "any": 0}
        )
        row["draws"] += 1
        row["hit"] += bool(set(named) & set(WORLDS[place].planted))
        row["any"] += bool(set(named) - set(WORLDS[place].planted))
        for cause in CAUSES:
            row[cause] = row.get(cause, 0) + (cause in named)
    return pd.DataFrame(list(rows.values()))


def as_markdown(counts: pd.DataFrame) -> str:
    """The counts as percentages, those of what is planted in bold."""
    planted = {world.name: world.planted for world in WORLDS}
    heads = ["world", "test images of each sex", "draws", *CAUSES, "what is planted", "anything else"]
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for row in counts.to_dict("records"):
        shares = {name: f"{100 * row[name] / row['draws']:.3g}" for name in [*CAUSES, "hit", "any"]}
        wanted = planted[row["world"]]
        cells = [f"**{shares[name]}**" if name in wanted else shares[name] for name in CAUSES]
        ends = [shares["hit"] if wanted else "", shares["any"]]
        lines.append(
            "| " + " | ".join([row["world"], str(row["n_test"]), str(row["draws"]), *cells, *ends]) + " |"
        )
    return "\n".join(lines)


def main() -> None:
    """Draw every world and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("draws", type=int, nargs="?", default=200)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--worlds", type=int, nargs="*", default=list(range(len(WORLDS))))
    parser.add_argument("--sizes", type=int, nargs="*", default=list(SIZES))
    asked = parser.parse_args()
    print(as_markdown(draw_all(asked.worlds, asked.sizes, asked.draws, asked.jobs)))


if __name__ == "__main__":
    main()
