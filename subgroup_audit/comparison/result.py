"""What a comparison found: every difference with its verdict, what changed in the design, and who was matched."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from subgroup_audit.comparison.words import VERDICTS, counts_sentence, overall_verdict, title
from subgroup_audit.schema import Column
from subgroup_audit.schema.columns import LIMITS, PERCENTILES, STATUS

RESULT_SCHEMA = "subgroup_audit/compare/1"
EXIT_NONE, EXIT_DIFFERENCE, EXIT_INCONCLUSIVE, EXIT_NOTHING = 0, 1, 4, 5

COMPARISON_COLUMNS: tuple[Column, ...] = (
    Column("compared", "string", "the run or model that is compared with the reference"),
    Column("kind", "string", "auc, subgroup_gap, transfer_gap, gap_of_gaps or generalization_gap"),
    Column("finding", "string", "finding of the study, or 'macro mean'"),
    Column("train_cohort", "string", "cohort that the fits were trained on"),
    Column("reference_model", "string", "model of the reference"),
    Column("model", "string", "model that is compared with it"),
    Column("reference_recipe", "string", "recipe of the reference"),
    Column("recipe", "string", "recipe that is compared with it"),
    Column("split", "string", "train or test"),
    Column("test_group", "string", "cohort whose images are scored"),
    Column("other", "string", "of a gap: the test group or training cohort that is subtracted; '' of an AUC"),
    Column("compared_estimate", "float", "AUC or gap of the compared, on the shared images", nullable=True),
    Column("reference_estimate", "float", "AUC or gap of the reference, on the shared images", nullable=True),
    Column("estimate", "float", "compared minus reference", nullable=True),
    *LIMITS,
    Column("standard_error", "float", "of the difference", nullable=True),
    Column("confidence_level", "float", "of both intervals"),
    Column("method", "string", "of the default interval"),
    *PERCENTILES,
    Column("p_value", "float", "two-sided, that there is no difference", nullable=True),
    Column("p_adjusted", "float", "corrected over all differences that are tested", nullable=True),
    Column("margin", "float", "largest difference that counts as none", nullable=True),
    Column(
        "minimal_detectable_difference",
        "float",
        "shown by 8 of 10 such data sets, before correction",
        nullable=True,
    ),
    Column("verdict", "string", "of the comparison", allowed=(*VERDICTS, "descriptive")),
    Column("sentence", "string", "the verdict with its numbers"),
    Column("n_patients", "int", "persons that both sides have scored"),
    Column("n_images", "int", "images that both sides have scored"),
    Column("n_positive", "int", "positive images"),
    Column("n_negative", "int", "negative images"),
    Column("n_images_reference_only", "int", "images of these cells that the reference alone has"),
    Column("n_images_compared_only", "int", "images of these cells that the compared alone has"),
    Column("n_seeds", "int", "training seeds of the compared"),
    Column("reference_n_seeds", "int", "training seeds of the reference"),
    *STATUS,
)
CHANGE_COLUMNS: tuple[Column, ...] = (
    Column("compared", "string", "the run that is compared with the reference"),
    Column("part", "string", "study, data, software, device, models or results"),
    Column("name", "string", "what changed, as a path in the study or the name of a table"),
    Column("reference", "string", "value in the reference; '' where it has none"),
    Column("value", "string", "value in the compared; '' where it has none"),
    Column("sentence", "string", "the change in words"),
)
SIZE_COLUMNS: tuple[Column, ...] = (
    Column("side", "string", "run"),
    Column("cohort", "string", "name in the study file"),
    Column("split", "string", "train, val or test"),
    Column("n_images", "int", "images"),
    Column("n_patients", "int", "persons"),
    Column("n_positive", "int", "positive images of the first finding"),
)
MATCH_COLUMNS: tuple[Column, ...] = (
    Column("compared", "string", "the run or model that is compared with the reference"),
    Column("by", "string", "image_id, or file name where folders and endings differ"),
    Column("images_in_both", "int", "images in any cohort of both"),
    Column("images_in_reference_only", "int", "images in a cohort of the reference alone"),
    Column("images_in_other_only", "int", "images in a cohort of the compared alone"),
    Column("images_tested_in_both", "int", "images in the test split of both"),
    Column("patients_in_both", "int", "persons in both"),
    Column("patients_in_reference_only", "int", "persons in the reference alone"),
    Column("patients_in_other_only", "int", "persons in the compared alone"),
    Column("patients_tested_in_both", "int", "persons with an image in the test split of both"),
    Column("patients_crossing", "int", "persons tested in one and seen while training in the other; left out"),
)


@dataclass(frozen=True, eq=False)
class ComparisonResult:
    """The numbers and words of one comparison.

    Attributes
    ----------
    reference : label of the reference
    compared : labels of what is compared with it
    differences : DataFrame, columns `COMPARISON_COLUMNS`; one row per AUC or gap, compared minus reference
    changes : DataFrame, columns `CHANGE_COLUMNS`; empty where nothing in the design changed
    sizes : DataFrame, columns `SIZE_COLUMNS`
    matching : DataFrame, columns `MATCH_COLUMNS`
    settings : what the numbers depend on, plain values
    notes : what a reader must know, one sentence each
    """

    reference: str
    compared: tuple[str, ...]
    differences: pd.DataFrame
    changes: pd.DataFrame
    sizes: pd.DataFrame
    matching: pd.DataFrame
    settings: Mapping[str, Any]
    notes: tuple[str, ...] = ()

    @property
    def judged(self) -> pd.DataFrame:
        """The differences that have a margin, and so a verdict."""
        return self.differences[self.differences["margin"].notna()]

    @property
    def counts(self) -> dict[str, int]:
        """How many judged differences have each verdict, in the order of `VERDICTS`."""
        found = self.judged["verdict"].value_counts()
        return {verdict: int(found.get(verdict, 0)) for verdict in VERDICTS}

    @property
    def verdict(self) -> str:
        """The verdict of all judged differences together; see `words.overall_verdict`."""
        return overall_verdict(self.counts)

    @property
    def title(self) -> str:
        """The verdict in a few words."""
        return title(self.counts, float(self.settings["margin"]))

    @property
    def is_design_unchanged(self) -> bool:
        """Whether study, data, software and device are the same on all sides."""
        return not len(self.changes)

    @property
    def sentences(self) -> tuple[str, ...]:
        """What the verdict rests on."""
        said = [counts_sentence(self.counts)]
        if self.counts["inconclusive"]:
            said.append("Inconclusive is not evidence of equality.")
        n_tested = int(self.settings["n_tested"])
        if n_tested > 1 and self.counts["difference"]:
            said.append(f"Differences are those that stay after correction for {n_tested:,} comparisons.")
        return tuple(said)

    def exit_code(self, *, strict: bool = False) -> int:
        """0 no difference was found, 1 a difference, 4 undecided and `strict`, 5 nothing could be estimated."""
        counts = self.counts
        if counts["difference"]:
            return EXIT_DIFFERENCE
        if counts["not estimable"] == sum(counts.values()):
            return EXIT_NOTHING
        is_decided = self.verdict in ("no difference beyond the margin", "identical")
        return EXIT_INCONCLUSIVE if strict and not is_decided else EXIT_NONE

    def tables(self) -> dict[str, pd.DataFrame]:
        """Every table by the name of its file."""
        names = ("differences", "changes", "sizes", "matching")
        return {name: getattr(self, name) for name in names}

    def __repr__(self) -> str:
        """The verdict and how the comparisons ended, on two lines."""
        return f"ComparisonResult: {self.title}\n" + " ".join(self.sentences)

    def to_json(self) -> str:
        """The whole result as JSON of the schema `subgroup_audit/compare/1`; no number is rounded."""
        document = {
            "schema": RESULT_SCHEMA,
            "verdict": self.verdict,
            "title": self.title,
            "exit_code": self.exit_code(),
            "reference": self.reference,
            "compared": list(self.compared),
            "counts": self.counts,
            "is_design_unchanged": self.is_design_unchanged,
            "settings": dict(self.settings),
            "notes": list(self.notes),
            **{name: _records(frame) for name, frame in self.tables().items()},
        }
        return json.dumps(document, ensure_ascii=False, allow_nan=False) + "\n"


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows as plain values; what is missing is null."""
    rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
    return [{str(name): _plain(value) for name, value in row.items()} for row in rows]


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value


def ranked(differences: pd.DataFrame) -> pd.DataFrame:
    """The differences by importance: verdict, what is judged first, macro means first, size; ties keep order."""
    order = {verdict: place for place, verdict in enumerate((*VERDICTS, "descriptive"))}
    keys = pd.DataFrame(
        {
            "verdict": differences["verdict"].map(order),
            "single": differences["finding"] != "macro mean",
            "size": -differences["estimate"].abs().fillna(-1.0),
        },
        index=differences.index,
    )
    return differences.loc[keys.sort_values(["verdict", "single", "size"], kind="stable").index]
