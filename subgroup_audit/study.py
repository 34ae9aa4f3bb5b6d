"""What a study file may say: pydantic models, frozen, unknown keys refused, and a loader that names lines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from subgroup_audit.errors import nearest

Name = Annotated[str, Field(min_length=1, max_length=200)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
AttributeValue = str | int | float | bool


def _value_text(value: Any) -> Any:
    """A value that names a share, as text: YAML reads `label: {1: 0.5, 0: 0.5}` with numbers for keys."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, (int, float)) else value


ValueName = Annotated[str, BeforeValidator(_value_text)]


class Part(BaseModel):
    """Base of every part of a study: frozen, and a key that is not declared is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


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


class Model(Part):
    """A network: what it is, what it starts from, what of it is trained."""

    architecture: Annotated[
        str, Field(description="timm or torchvision name (`torchvision/NAME` to insist), or `small_cnn`")
    ]
    pretrained: Annotated[bool, Field(description="start from published weights")] = False
    weights: Annotated[
        str | None,
        Field(
            description="local safetensors or weights-only checkpoint to start from; relative to the study file"
        ),
    ] = None
    trainable: Annotated[
        Literal["all", "head", "7x7", "14x14", "28x28"],
        Field(
            description="train everything, the head, or from the last layer down to the feature map of this size at 224 px (stride 32, 16, 8)"
        ),
    ] = "all"
    hidden: Annotated[
        tuple[Annotated[int, Field(gt=0)], ...], Field(description="widths of hidden layers of the head")
    ] = ()
    dropout: Annotated[float, Field(ge=0.0, lt=1.0, description="before the last layer")] = 0.0
    freeze_batch_norm: Annotated[bool, Field(description="frozen layers keep their stored batch statistics")] = (
        True
    )
    batch_norm_momentum: Annotated[
        float | None,
        Field(
            ge=0.0,
            le=1.0,
            description="share of each batch in the stored batch statistics; 0: they are never updated, as in frozen layers of old Keras; absent: the architecture's own",
        ),
    ] = None


class Augmentation(Part):
    """Random changes of training images; every range is symmetric around no change."""

    horizontal_flip: Annotated[Share, Field(description="probability")] = 0.0
    vertical_flip: Annotated[Share, Field(description="probability")] = 0.0
    rotate_quarter: Annotated[bool, Field(description="random multiples of 90 degrees")] = False
    rotation_degrees: Annotated[float, Field(ge=0, le=180)] = 0.0
    shift: Annotated[float, Field(ge=0, le=0.5, description="share of the side")] = 0.0
    zoom: Annotated[float, Field(ge=0, lt=1, description="0.1: from 0.9 to 1.1 times")] = 0.0
    shear: Annotated[float, Field(ge=0, le=1, description="tangent of the angle")] = 0.0
    brightness: Annotated[float, Field(ge=0, le=1, description="share of the full range added")] = 0.0
    contrast: Annotated[float, Field(ge=0, lt=1, description="0.1: from 0.9 to 1.1 times")] = 0.0


class EarlyStopping(Part):
    """Stop when the monitored value has not improved for `patience` epochs."""

    patience: Annotated[int, Field(gt=0)] = 5


class Recipe(Part):
    """How a model is trained."""

    image_size: Annotated[int, Field(ge=16, le=1024, description="side of the input, px")] = 224
    batch_size: Annotated[int, Field(gt=0)] = 32
    epochs: Annotated[int, Field(gt=0)] = 10
    optimiser: Literal["sgd", "adam", "adamw", "rmsprop"] = "adamw"
    learning_rate: Annotated[float, Field(gt=0)] = 3e-4
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    momentum: Annotated[float, Field(ge=0, lt=1, description="of sgd and rmsprop")] = 0.9
    schedule: Literal["constant", "plateau", "cosine"] = "constant"
    plateau_patience: Annotated[int, Field(gt=0)] = 3
    plateau_factor: Annotated[float, Field(gt=0, lt=1)] = 0.1
    warmup_epochs: Annotated[float, Field(ge=0)] = 0.0
    clip_norm: Annotated[float | None, Field(gt=0, description="largest gradient norm; none: not clipped")] = None
    class_weight: Annotated[
        Literal["none", "balanced"], Field(description="loss weights inverse to class frequency")
    ] = "none"
    sampling: Annotated[
        Literal["plain", "balanced"], Field(description="`balanced` draws classes equally often")
    ] = "plain"
    label_smoothing: Annotated[float, Field(ge=0, lt=0.5)] = 0.0
    early_stopping: EarlyStopping | None = None
    monitor: Annotated[
        Literal["val_auc", "val_loss"],
        Field(description="what picks the best epoch, plateau and early stopping"),
    ] = "val_auc"
    restore_best: Annotated[bool, Field(description="keep the best epoch's weights instead of the last")] = True
    augmentation: Augmentation = Augmentation()
    precision: Annotated[
        Literal["auto", "fp32", "bf16", "fp16"], Field(description="`auto` probes the device")
    ] = "auto"


class Fits(Part):
    """A block of fits: every cohort with every model and recipe of the block. Absent lists mean all."""

    cohorts: tuple[str, ...] | None = None
    models: tuple[str, ...] | None = None
    recipes: tuple[str, ...] | None = None


class Analysis(Part):
    """What is estimated, against what, and how sure."""

    contrasts: Annotated[
        tuple[Literal["generalization_gap", "subgroup_gap", "transfer_gap", "gap_of_gaps"], ...],
        Field(
            description="which gaps are reported, and so corrected for; `gap_of_gaps`: a subgroup gap trained on the group minus the same trained on its reference"
        ),
    ] = ("generalization_gap", "subgroup_gap", "transfer_gap")
    reference: Annotated[
        dict[str, str],
        Field(
            description="attribute: reference value, the subtrahend of subgroup gaps; absent: the value with most images"
        ),
    ] = {}
    margin: Annotated[float, Field(gt=0, lt=0.5, description="largest AUC difference that counts as none")] = 0.05
    confidence_level: Annotated[float, Field(gt=0.5, lt=1.0)] = 0.95
    n_resamples: Annotated[int, Field(ge=100, le=100_000)] = 2000
    multiplicity: Literal["holm", "benjamini-hochberg", "none"] = "holm"
    min_persons: Annotated[
        int, Field(ge=2, description="cells with fewer positive or negative persons are marked small")
    ] = 10
    seed: Annotated[int, Field(ge=0, description="of the draws of persons")] = 0


class Reference(Part):
    """A published figure to stand beside ours."""

    label: str
    value: float
    train_cohort: str | None = None
    test_group: str | None = None
    model: str | None = None
    recipe: str | None = None
    split: Literal["train", "val", "test"] = "test"
    metric: Literal["auc", "accuracy"] = "auc"


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
    seeds: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)] = (0,)
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
        tuple[Literal["matrix", "gaps", "train_test", "waterfall", "curves", "flow", "samples"], ...],
        Field(description="figures of the report, in its order"),
    ] = ("matrix", "gaps", "train_test", "waterfall", "curves", "flow", "samples")
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
    return sorted({str(value) for some in wanted for value in (some if isinstance(some, tuple) else (some,))})


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
