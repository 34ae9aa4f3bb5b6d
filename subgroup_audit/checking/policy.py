"""The policy of a check as a YAML file: which differences matter, how large they may be, and how sure to be."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from subgroup_audit.checking.settings import MEASURES, CheckSettings, Margin, Threshold
from subgroup_audit.errors import PolicyError, nearest
from subgroup_audit.study_file import Grammar, load_checked

AMOUNT_RULES = ("sensitivity", "specificity")
NAMED_RULES = ("youden", "f1")
RULE_WORDS = "youden, f1, sensitivity=0.9 or specificity=0.9 (any share), or a probability from 0 to 1"


def _text(value: Any) -> Any:
    """A group's name as text: YAML reads `group: 1` as a number and `group: no` as false."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, (int, float)) else value


def _check_measure(name: str) -> str:
    if name not in MEASURES:
        near = nearest(name, MEASURES)
        hint = f"; nearest: {', '.join(near)}" if near else f"; allowed: {', '.join(MEASURES)}"
        raise ValueError(f"no such measure: '{name}'{hint}")
    return name


Name = Annotated[str, BeforeValidator(_text), Field(min_length=1)]


class Part(BaseModel):
    """Base of every part of a policy: frozen, and a key that is not declared is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class MarginRule(Part):
    """How large a difference may be, for a measure and, where given, an attribute and a group of it."""

    measure: Annotated[str, Field(description="one of the measures of `audit check`", examples=list(MEASURES))]
    margin: Annotated[
        Annotated[float, Field(gt=0.0)] | None,
        Field(description="largest difference that counts as none; null: shown, not judged"),
    ]
    attribute: Annotated[Name | None, Field(description="sex, view, or an intersection like 'sex x view'")] = None
    group: Annotated[Name | None, Field(description="a value of the attribute; compared with the reference")] = (
        None
    )

    @field_validator("measure")
    @classmethod
    def _is_known(cls, name: str) -> str:
        return _check_measure(name)


def _listed(value: Any) -> Any:
    """The short form `{auc: 0.05}` as a list of rules."""
    if isinstance(value, dict):
        return [{"measure": measure, "margin": margin} for measure, margin in value.items()]
    return value


class Policy(Part):
    """What a check judges and shows. A key that is left out keeps the default, or the command's option."""

    margins: Annotated[
        tuple[MarginRule, ...] | None,
        BeforeValidator(_listed),
        Field(description="by measure, or a list of rules; the most specific rule that fits judges"),
    ] = None
    measures: Annotated[tuple[str, ...] | None, Field(min_length=1, description="what is shown")] = None
    reference: Annotated[
        dict[str, Name] | None, Field(description="attribute: the group that the others are compared with")
    ] = None
    threshold: Annotated[
        float | str | None, Field(description=f"where the operating point comes from: {RULE_WORDS}")
    ] = None
    confidence_level: Annotated[float | None, Field(ge=0.5, lt=1.0)] = None
    multiplicity: Annotated[
        Literal["holm", "benjamini-hochberg", "none"] | None,
        Field(description="how p-values are adjusted for the number of judged comparisons"),
    ] = None
    n_resamples: Annotated[int | None, Field(ge=100, le=100_000)] = None
    seed: Annotated[int | None, Field(ge=0)] = None
    min_persons: Annotated[int | None, Field(ge=1, description="a group with fewer is not estimable")] = None
    min_positive: Annotated[int | None, Field(ge=1, description="positive images that a group needs")] = None
    min_negative: Annotated[int | None, Field(ge=1, description="negative images that a group needs")] = None
    suppress_below: Annotated[
        int | None, Field(ge=2, le=1000, description="smaller counts, and what would reveal them, are hidden")
    ] = None

    @field_validator("measures")
    @classmethod
    def _are_known(cls, names: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for name in names or ():
            _check_measure(name)
        return names

    @field_validator("threshold")
    @classmethod
    def _is_rule(cls, rule: float | str | None) -> float | str | None:
        if rule is not None:
            parse_threshold(rule)
        return rule

    @field_validator("margins")
    @classmethod
    def _stand_once(cls, rules: tuple[MarginRule, ...] | None) -> tuple[MarginRule, ...] | None:
        repeated = _repeated((rule.measure, rule.attribute, rule.group) for rule in rules or ())
        if repeated:
            named = " ".join(str(part) for part in repeated if part is not None)
            raise ValueError(f"two margins for the same comparison ({named}); one stands")
        return rules


def _repeated(keys: Iterable[Any]) -> Any | None:
    seen: set[Any] = set()
    for key in keys:
        if key in seen:
            return key
        seen.add(key)
    return None


POLICY = Grammar("policy file", Policy, PolicyError, "examples/policy.yaml is a commented one")


def parse_threshold(rule: float | str) -> Threshold:
    """The threshold that a number or a rule like 'sensitivity=0.9' stands for; ValueError says what is allowed.

    >>> parse_threshold(0.3), parse_threshold("sensitivity = 0.9").rule
    (Threshold(value=0.3, rule='youden'), 'sensitivity=0.9')
    """
    if isinstance(rule, (int, float)) and not isinstance(rule, bool):
        if not 0.0 <= rule <= 1.0:
            raise ValueError(f"a threshold is a probability from 0 to 1; it is {rule:g}")
        return Threshold(value=float(rule))
    text = str(rule).replace(" ", "")
    name, _, amount = text.partition("=")
    if text in NAMED_RULES or (name in AMOUNT_RULES and _is_share(amount)):
        return Threshold(rule=text)
    raise ValueError(f"must be {RULE_WORDS}; it is '{rule}'")


def _is_share(text: str) -> bool:
    try:
        return 0.0 < float(text) <= 1.0
    except ValueError:
        return False


def read_policy(path: Path, settings: CheckSettings | None = None) -> CheckSettings:
    """The settings with what the policy file says laid over them; keys that it leaves out stay as they were.

    Raises
    ------
    PolicyError
        The file cannot be read, is not YAML, or breaks rules; every broken rule is listed with its line.
    """
    policy = load_checked(path, POLICY)
    said: dict[str, Any] = {name: value for name, value in policy if value is not None}
    if policy.margins is not None:
        said["margins"] = tuple(Margin(**rule.model_dump()) for rule in policy.margins)
    if policy.threshold is not None:
        said["threshold"] = parse_threshold(policy.threshold)
    return replace(settings or CheckSettings(), **said)


def policy_schema() -> dict[str, Any]:
    """The JSON Schema of policy files, the short form of margins included, for editors."""
    schema = Policy.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "subgroup_audit policy"
    properties = schema["properties"]
    amount = {"anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"type": "null"}]}
    names = {"type": "string", "enum": list(MEASURES)}
    properties["margins"]["anyOf"].append(
        {"type": "object", "propertyNames": {"enum": list(MEASURES)}, "additionalProperties": amount}
    )
    properties["measures"]["anyOf"][0]["items"] = names
    rule = schema["$defs"]["MarginRule"]["properties"]
    rule["measure"] = {**names, "title": rule["measure"]["title"], "description": rule["measure"]["description"]}
    return schema


def margin_for(margins: tuple[Margin, ...], measure: str, attribute: str, group: str) -> float | None:
    """The margin of the most specific rule that fits; None where none does, or where it says 'not judged'.

    A rule with attribute and group comes before one with an attribute, that before one with a group, and that
    before one for the measure alone.

    >>> rules = (Margin("auc", 0.05), Margin("auc", 0.1, "sex", "F"), Margin("auc", None, None, "Unknown"))
    >>> [margin_for(rules, "auc", "sex", group) for group in ("F", "M", "Unknown")]
    [0.1, 0.05, None]
    """
    fitting = [
        rule
        for rule in margins
        if rule.measure == measure and rule.attribute in (None, attribute) and rule.group in (None, group)
    ]
    best = max(fitting, key=lambda rule: 2 * (rule.attribute is not None) + (rule.group is not None), default=None)
    return None if best is None else best.margin
