"""The whole study, and the rules that hold between its parts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from subgroup_audit.errors import nearest
from subgroup_audit.study.analysis import Analysis, Reference
from subgroup_audit.study.data import Balance, Cohort, Data, FindingRule, Rule, Split
from subgroup_audit.study.fits import Fits, Model, Recipe
from subgroup_audit.study.parts import Name, Part, value_name


class Study(Part):
    """A whole study: question, data, cohorts, models, analysis."""

    study: Annotated[
        str,
        Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,79}$", description="short name; names the run folder"),
    ]
    question: Annotated[str, Field(description="what the study asks; the report opens with it")] = ""
    data: Data
    findings: Annotated[
        dict[Name, FindingRule], Field(description="binary findings (one, or several: multi-label)")
    ] = {}
    classes: Annotated[
        dict[Name, tuple[str, ...]], Field(description="mutually exclusive classes: name -> source labels")
    ] = {}
    eligible: Annotated[
        dict[str, Rule | Literal["any"]], Field(description="attribute -> rule; `any` lifts a default rule")
    ] = {}
    age_bands: Annotated[
        tuple[float, ...], Field(description="ages at which a new band starts; makes the attribute age_band")
    ] = ()
    cohorts: Annotated[dict[Name, Cohort], Field(min_length=1)]
    train_on: Annotated[
        Annotated[tuple[str, ...], Field(min_length=1)] | None,
        Field(description="cohorts that fits are trained on; absent: all"),
    ] = None
    test_on: Annotated[
        Annotated[tuple[str, ...], Field(min_length=1)] | None,
        Field(description="cohorts that fits are tested on; absent: all without a mix"),
    ] = None
    balance: Balance = Balance()
    split: Split = Split()
    models: Annotated[dict[Name, Model], Field(min_length=1)]
    recipes: Annotated[dict[Name, Recipe], Field(min_length=1)] = {"default": Recipe()}
    fits: Annotated[
        tuple[Fits, ...], Field(min_length=1, description="which combinations are fitted; absent: all")
    ] = (Fits(),)
    seeds: Annotated[tuple[Annotated[int, Field(ge=0, le=2**32 - 1)], ...], Field(min_length=1)] = (0,)
    analysis: Analysis = Analysis()
    diagnose: Annotated[
        tuple[
            Literal[
                "metadata_baseline",
                "shuffled_labels",
                "image_level_split",
                "learning_curve",
                "label_noise",
                "encoding",
                "saliency",
            ],
            ...,
        ],
        Field(
            description="further diagnoses; `metadata_baseline`: what sex, view and age alone achieve, as one more model; `shuffled_labels`, `image_level_split`, `learning_curve` (25 and 50 % of the persons) and `label_noise` (10 and 20 % of the labels) fit the first model and recipe of every cohort again with that one thing changed; `encoding`: how well the network's features tell sex, view and age band, and how much of its AUC these explain; `saliency`: where in the radiographs the network looks; the leakage certificate and the gap waterfall are always made"
        ),
    ] = ()
    figures: Annotated[
        tuple[
            Literal["matrix", "gaps", "performance", "train_test", "waterfall", "curves", "flow", "samples"], ...
        ],
        Field(description="figures of the report, in its order"),
    ] = ("matrix", "gaps", "performance", "train_test", "waterfall", "curves", "flow", "samples")
    reference: Annotated[tuple[Reference, ...], Field(description="published figures drawn beside ours")] = ()

    @field_validator("cohorts", mode="before")
    @classmethod
    def _flat_cohorts(cls, value: Any) -> Any:
        """`F: {sex: F}` is short for `F: {where: {sex: F}}`."""
        if not isinstance(value, Mapping):
            return value
        known = set(Cohort.model_fields)
        return {
            name: {"where": spec} if isinstance(spec, Mapping) and spec and not known & set(spec) else spec or {}
            for name, spec in value.items()
        }

    @field_validator("models", mode="before")
    @classmethod
    def _listed_models(cls, value: Any) -> Any:
        """`[resnet18]` is short for `{resnet18: {architecture: resnet18}}`."""
        if isinstance(value, Sequence) and not isinstance(value, str):
            return {str(name): {"architecture": str(name)} for name in value}
        return value

    @field_validator("age_bands")
    @classmethod
    def _rising(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if any(b <= a for a, b in pairwise(value)):
            raise ValueError(f"age_bands must rise; they are {list(value)}")
        return value

    @field_validator("seeds")
    @classmethod
    def _distinct(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(value)) != len(value):
            raise ValueError(f"seeds must differ; they are {list(value)}")
        return value

    @field_validator("findings")
    @classmethod
    def _apart(cls, value: dict[str, FindingRule]) -> dict[str, FindingRule]:
        for name, rule in value.items():
            both = [label for label in rule.positive if rule.negative != "rest" and label in rule.negative]
            if both:
                raise ValueError(f"finding '{name}' calls {', '.join(both)} both positive and negative")
        return value

    @property
    def is_multiclass(self) -> bool:
        """Whether the labels are mutually exclusive classes."""
        return bool(self.classes)

    @property
    def finding_names(self) -> tuple[str, ...]:
        """The findings in order; for classes, one per class."""
        return tuple(self.classes or self.findings)

    @property
    def train_cohorts(self) -> tuple[str, ...]:
        """Cohorts that fits are trained on."""
        return self.train_on or tuple(self.cohorts)

    @property
    def test_cohorts(self) -> tuple[str, ...]:
        """Cohorts that fits are tested on."""
        return self.test_on or tuple(name for name, cohort in self.cohorts.items() if not cohort.mix)

    @property
    def group_attributes(self) -> tuple[str, ...]:
        """Attributes that tell cohorts apart, sex and view first; the group columns of every table."""
        used = [a for cohort in self.cohorts.values() for a in (*cohort.where, *cohort.mix)]
        banded = ["age_band"] if self.age_bands else []
        return tuple(dict.fromkeys(["sex", "view", *banded, *used]))

    def fit_combinations(self) -> list[tuple[str, str, str, int]]:
        """Every (cohort, model, recipe, seed) that is fitted, without repeats, in the order of the file."""
        found: dict[tuple[str, str, str, int], None] = {}
        for block in self.fits:
            for cohort in block.cohorts or self.train_cohorts:
                for model in block.models or self.models:
                    for recipe in block.recipes or self.recipes:
                        found.update({(cohort, model, recipe, seed): None for seed in self.seeds})
        return list(found)

    @model_validator(mode="after")
    def _names_known(self) -> Study:
        problems = list(_cross_references(self))
        if problems:
            raise ValueError("\n".join(problems))
        return self


def _cross_references(study: Study) -> list[str]:
    """Problems that need more than one part of a study to see."""
    problems = []
    if bool(study.findings) == bool(study.classes):
        problems.append(
            "give either `findings` (binary) or `classes` (mutually exclusive), not both and not neither"
        )
    if len(study.classes) == 1:
        problems.append("`classes` needs at least two classes")
    blocks = [block.model_dump() for block in study.fits]
    problems += unknown_names(
        {"cohort": study.cohorts, "model": study.models, "recipe": study.recipes},
        {"train_on": study.train_on, "test_on": study.test_on, "fits": blocks},
    )
    if "age_band" in (*study.balance.over, *study.group_attributes) and not study.age_bands:
        problems.append("`age_band` is used, so `age_bands` must say where the bands start, e.g. [18, 40, 65]")
    for name in study.test_on or ():
        if name in study.cohorts and study.cohorts[name].mix:
            problems.append(
                f"test_on: cohort '{name}' is a mix; test groups are real groups, mixes are only trained on"
            )
    if not study.test_cohorts:
        problems.append("cohorts: all are mixes, so there is none to test on; add one without a mix, e.g. all: {}")
    return [*problems, *_untrained_fits(study), *_unknown_references(study)]


def _untrained_fits(study: Study) -> list[str]:
    """Cohorts that a block of fits names but `train_on` leaves out."""
    return [
        f"fits.{i}.cohorts: cohort '{name}' is not in train_on, which lists what is trained on"
        for i, block in enumerate(study.fits)
        for name in block.cohorts or ()
        if name in study.cohorts and name not in study.train_cohorts
    ]


def _unknown_references(study: Study) -> list[str]:
    """References that no cohort has: without a word, their subgroup gaps would be missing."""
    problems = []
    for attribute, value in study.analysis.reference.items():
        here = f"analysis.reference.{attribute}"
        if attribute not in study.group_attributes:
            near = nearest(attribute, study.group_attributes) or list(study.group_attributes)
            problems.append(f"{here}: no cohort is told apart by '{attribute}'; nearest: {', '.join(near)}")
            continue
        values = _cohort_values(study, attribute)
        if values and value not in values:
            near = nearest(value, values) or values
            problems.append(f"{here}: no cohort has the value '{value}'; nearest: {', '.join(near)}")
    return problems


def _cohort_values(study: Study, attribute: str) -> list[str]:
    """Every value of an attribute that a cohort asks for."""
    wanted = [cohort.where[attribute] for cohort in study.cohorts.values() if attribute in cohort.where]
    return sorted(
        {str(value_name(value)) for some in wanted for value in (some if isinstance(some, tuple) else (some,))}
    )


def unknown_names(known: Mapping[str, Iterable[str]], mentions: Mapping[str, Any]) -> list[str]:
    """One sentence for each cohort, model or recipe that is mentioned but not declared.

    Works on plain values, so that a file with other problems is checked too.
    """
    places = [
        ("train_on", "cohort", mentions.get("train_on")),
        ("test_on", "cohort", mentions.get("test_on")),
    ]
    for i, block in enumerate(mentions.get("fits") or ()):
        places += [(f"fits.{i}.{kind}s", kind, dict(block).get(f"{kind}s")) for kind in known]
    return [
        _unknown_name(place, kind, str(name), list(known[kind]))
        for place, kind, names in places
        for name in (names if isinstance(names, (list, tuple)) else ())
        if str(name) not in set(known[kind])
    ]


def _unknown_name(place: str, kind: str, name: str, known: Sequence[str]) -> str:
    near = nearest(name, known) or list(known)
    return f"{place}: no {kind} is named '{name}'; nearest: {', '.join(near[:5])}"


def study_schema() -> dict[str, Any]:
    """The JSON Schema of study files, short forms included, for editors."""
    schema = Study.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "subgroup_audit study"
    properties = schema["properties"]
    cohort = {"$ref": "#/$defs/Cohort"}
    short = {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean", "array"]}}
    properties["cohorts"]["additionalProperties"] = {"anyOf": [cohort, short, {"type": "null"}]}
    named = dict(properties["models"])
    properties["models"] = {"anyOf": [named, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}
    return schema
