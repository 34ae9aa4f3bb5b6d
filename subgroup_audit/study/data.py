"""The data of a study: source, findings, cohorts, balance and split."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from subgroup_audit.study.parts import AttributeValue, Part, Share, ValueName


class Data(Part):
    """Which data set, where it lies, and how its pixels are kept."""

    source: Annotated[
        str,
        Field(description="data set: rsna, nih, chexpert, mimic_cxr, table, folder, phantom, or a plug-in's name"),
    ]
    root: Annotated[
        str | None, Field(description="folder of the data; `--data` overrides it; relative to the study file")
    ] = None
    options: Annotated[
        dict[str, Any], Field(description="settings of the source, e.g. the column mapping of `table`")
    ] = {}
    stored_size: Annotated[int, Field(ge=16, le=2048, description="side of the stored square image, px")] = 256


class FindingRule(Part):
    """How source labels become one binary finding."""

    positive: Annotated[
        tuple[str, ...], Field(min_length=1, description="source labels that make an image positive")
    ]
    negative: Annotated[
        tuple[str, ...] | Literal["rest"],
        Field(description="source labels that make it negative, or `rest`: every other labelled image"),
    ] = "rest"
    uncertain: Annotated[
        Literal["exclude", "positive", "negative"],
        Field(description="what an uncertain label (-1) counts as"),
    ] = "exclude"


class Rule(Part):
    """Values of an attribute that are eligible."""

    allow: Annotated[tuple[AttributeValue, ...] | None, Field(description="eligible values")] = None
    min: Annotated[float | None, Field(description="smallest eligible value, inclusive")] = None
    max: Annotated[float | None, Field(description="largest eligible value, inclusive")] = None
    missing: Annotated[
        Literal["exclude", "keep"],
        Field(description="what happens to images where the attribute is missing or Unknown"),
    ] = "exclude"


class Cohort(Part):
    """A named set of images: those whose attributes match, or a mixture at constant size."""

    where: Annotated[
        dict[str, AttributeValue | tuple[AttributeValue, ...]],
        Field(description="attribute: value or list of values; all must hold"),
    ] = {}
    mix: Annotated[
        dict[str, dict[ValueName, Share]],
        Field(description="attribute: {value: share of the images}; shares sum to 1"),
    ] = {}
    size: Annotated[
        Annotated[int, Field(gt=0)] | Literal["ceiling"] | None,
        Field(
            description="images over all splits, or `ceiling`: the most that balance allows; overrides balance.size"
        ),
    ] = None
    shares: Annotated[
        dict[str, dict[ValueName, Share]],
        Field(description="overrides balance.shares for this cohort, e.g. label: {1: 0.5, 0: 0.5}"),
    ] = {}
    counts: Annotated[
        dict[str, Annotated[dict[ValueName, Annotated[int, Field(gt=0)]], Field(min_length=1)]],
        Field(
            description="attribute: {value: images over all splits}, kept to the image; instead of size and shares"
        ),
    ] = {}

    @field_validator("mix", "shares")
    @classmethod
    def _shares_sum_to_one(cls, value: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
        for attribute, shares in value.items():
            total = sum(shares.values())
            if abs(total - 1.0) > 1e-9:
                raise ValueError(f"shares of '{attribute}' must sum to 1; they sum to {total:g}")
        return value

    @model_validator(mode="after")
    def _counts_agree(self) -> Cohort:
        totals = {attribute: sum(counts.values()) for attribute, counts in self.counts.items()}
        if len(set(totals.values())) > 1:
            said = ", ".join(f"{attribute} {total:,}" for attribute, total in totals.items())
            raise ValueError(
                f"counts of every attribute must sum to the same number of images; they sum to {said}"
            )
        if self.counts and self.size is not None:
            raise ValueError("give either `counts`, whose sum is the size, or `size`, not both")
        twice = [attribute for attribute in self.counts if attribute in {**self.shares, **self.mix}]
        if twice:
            raise ValueError(f"counts and shares both speak of {', '.join(twice)}; give one of them")
        return self

    @property
    def n_asked(self) -> int | None:
        """How many images the cohort asks for over all splits; None where it names no number."""
        if self.counts:
            return sum(next(iter(self.counts.values())).values())
        return self.size if isinstance(self.size, int) else None


class Balance(Part):
    """How the images of a cohort are drawn so that compared cohorts are alike."""

    over: Annotated[
        tuple[str, ...],
        Field(
            description="attributes whose every combination gets the same number of images; `label` is the label"
        ),
    ] = ("label",)
    shares: Annotated[
        dict[str, dict[ValueName, Share]],
        Field(description="attribute: {value: share}, where equal numbers are not wanted"),
    ] = {}
    size: Annotated[
        Annotated[int, Field(gt=0)] | Literal["equal", "ceiling", "all"],
        Field(
            description="`equal`: the largest size that every cohort reaches; `ceiling`: each its own; `all`: everything, unbalanced; or images per cohort over all splits"
        ),
    ] = "equal"
    test: Annotated[
        Literal["balanced", "natural"],
        Field(description="whether test sets are balanced too, or take every image"),
    ] = "balanced"
    max_images_per_person: Annotated[
        int | None, Field(gt=0, description="keep at most this many images of a person; none: all")
    ] = None
    seed: Annotated[int, Field(ge=0, description="of the draw")] = 0

    _shares_sum_to_one = field_validator("shares")(Cohort._shares_sum_to_one.__func__)  # type: ignore[attr-defined]


class Split(Part):
    """How persons are divided. The fractions sum to 1."""

    unit: Annotated[
        Literal["person", "image"],
        Field(description="what is divided; `image` leaks persons and is reported as such"),
    ] = "person"
    train: Share = 0.7
    val: Share = 0.1
    test: Share = 0.2
    seed: Annotated[int, Field(ge=0)] = 0
    official: Annotated[
        str | None,
        Field(description="attribute holding a fixed split (train / val / test); a missing val is cut from train"),
    ] = None

    @model_validator(mode="after")
    def _fractions(self) -> Split:
        total = self.train + self.val + self.test
        if abs(total - 1.0) > 1e-9:
            raise ValueError(f"train, val and test must sum to 1; they sum to {total:g}")
        if min(self.train, self.val, self.test) <= 0.0:
            raise ValueError("train, val and test must each be above 0: validation picks the epoch, test reports")
        return self
