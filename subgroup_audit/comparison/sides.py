"""What is compared: a run with all its models, or one model of a run; and which models answer each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from subgroup_audit.comparison.runs import Run
from subgroup_audit.errors import ModelError, nearest

Fitted = tuple[str, str]


@dataclass(frozen=True, eq=False)
class Side:
    """A run, and the models of it that are compared.

    Attributes
    ----------
    label : what the side is called; no two sides share it
    fitted : the (model, recipe) pairs that take part
    is_chosen : whether the user named the model
    """

    label: str
    run: Run
    fitted: tuple[Fitted, ...]
    is_chosen: bool = False


def make_sides(runs: Sequence[Run], models: Sequence[str]) -> list[Side]:
    """The sides in the order given: models of one run, one model of each run, or whole runs.

    Raises
    ------
    ModelError
        One side alone, models of another number than runs, or a model that a run does not have.
    """
    if not models:
        if len(runs) < 2:
            raise ModelError(
                "audit compare: one run alone is nothing to compare; name a second run, or two models of this "
                f"one: --models {' --models '.join(_offered(runs[0])[:2]) or 'MODEL'}"
            )
        return [Side(run.label, run, tuple(run.fitted)) for run in runs]
    if len(runs) == 1:
        return _distinct([_chosen(runs[0], model) for model in models])
    if len(models) != len(runs):
        raise ModelError(
            f"--models: {len(models)} models for {len(runs)} runs; give one for each run, in their order, or none"
        )
    return [_chosen(run, model) for run, model in zip(runs, models, strict=True)]


def _offered(run: Run) -> list[str]:
    return list(dict.fromkeys(model for model, _ in run.fitted))


def _distinct(sides: list[Side]) -> list[Side]:
    fitted = [side.fitted for side in sides]
    if len(sides) < 2 or len(set(fitted)) < len(fitted):
        raise ModelError("--models: of one run, name two models or more that differ")
    return sides


def _chosen(run: Run, wanted: str) -> Side:
    """One model by name, with all its recipes or, as MODEL/RECIPE, with one."""
    whole = tuple(pair for pair in run.fitted if pair[0] == wanted)
    exact = tuple(pair for pair in run.fitted if "/".join(pair) == wanted)
    if not (whole or exact):
        offered = [*_offered(run), *("/".join(pair) for pair in run.fitted)]
        near = nearest(wanted, offered) or offered
        raise ModelError(
            f"--models {wanted}: run '{run.label}' has no such model; nearest: {', '.join(near[:4]) or 'none'}"
        )
    return Side(f"{run.label}: {wanted}", run, whole or exact, is_chosen=True)


def pair_models(reference: Side, other: Side) -> list[tuple[Fitted, Fitted]]:
    """The (model, recipe) of the reference with that of the other that answers it.

    By name; where no name is shared, or the user chose the models, the only one of each side. Recipes likewise.

    Raises
    ------
    ModelError
        Several models on a side and none of the same name.
    """
    if reference.is_chosen and other.is_chosen:
        return _pair_recipes(reference, other, reference.fitted[0][0], other.fitted[0][0])
    ours, theirs = (list(dict.fromkeys(model for model, _ in side.fitted)) for side in (reference, other))
    shared = [model for model in ours if model in theirs]
    if not shared and len(ours) == len(theirs) == 1:
        shared, theirs_of = ours, {ours[0]: theirs[0]}
    else:
        theirs_of = {model: model for model in shared}
    found = [pair for model in shared for pair in _pair_recipes(reference, other, model, theirs_of[model])]
    if not found:
        raise ModelError(
            f"'{reference.label}' has fits of {_listed(reference)}, and '{other.label}' of {_listed(other)}: none "
            "has the name of another; say which to compare: --models MODEL --models MODEL"
        )
    return found


def _pair_recipes(reference: Side, other: Side, ours: str, theirs: str) -> list[tuple[Fitted, Fitted]]:
    a = [recipe for model, recipe in reference.fitted if model == ours]
    b = [recipe for model, recipe in other.fitted if model == theirs]
    if len(a) == len(b) == 1:
        return [((ours, a[0]), (theirs, b[0]))]
    return [((ours, recipe), (theirs, recipe)) for recipe in a if recipe in b]


def _listed(side: Side) -> str:
    return ", ".join("/".join(pair) for pair in side.fitted[:4]) or "no model of its study"
