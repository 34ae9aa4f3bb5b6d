"""Looks inside the networks, which a study may ask for: what each is named, planned by and done by."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from subgroup_audit.steps.encoding import encoding_step, probe_encoding
from subgroup_audit.steps.place import Doing
from subgroup_audit.steps.saliency import draw_saliency, saliency_step
from subgroup_audit.store import Done, Step
from subgroup_audit.study import Study


@dataclass(frozen=True)
class Look:
    """A step over the finished fits: what plans it, and what does it."""

    plan: Callable[[Study, str, Done, Done, Done, Sequence[Done]], Step]
    do: Callable[[Doing], None]


LOOKS: Mapping[str, Look] = {
    "encoding": Look(encoding_step, probe_encoding),
    "saliency": Look(saliency_step, draw_saliency),
}


def looks_inside(study: Study) -> list[tuple[str, Look]]:
    """The looks that the study asks for, with their names."""
    return [(name, look) for name, look in LOOKS.items() if name in study.diagnose]
