"""Every image of a source in one order, with every attribute that a study can name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from subgroup_audit.errors import nearest
from subgroup_audit.schema import UNKNOWN, SourceTables, age_band
from subgroup_audit.study import Study

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

LABEL = "label"
SOURCE_LABEL = "source_label"
KEYS = ("image_id", "patient_id", "exam_id", "path")


@dataclass(frozen=True, eq=False)
class Levels:
    """An attribute as codes into its sorted values; missing is the value Unknown."""

    codes: Ints
    names: tuple[str, ...]

    def among(self, values: Iterable[str]) -> Mask:
        """Where the attribute has one of these values."""
        wanted = set(values)
        hit = np.array([name in wanted for name in self.names], dtype=bool)
        return hit[self.codes] if len(hit) else np.zeros(len(self.codes), dtype=bool)


@dataclass(frozen=True, eq=False)
class Roster:
    """The images in the order of their ids, so that nothing depends on the order of a source's rows.

    Attributes
    ----------
    frame : the image table sorted by image_id, with age_band and source_label where the study uses them
    persons : code of the person of each image
    """

    frame: pd.DataFrame
    persons: Ints
    _levels: dict[str, Levels] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        """Number of images."""
        return len(self.frame)

    def levels(self, attribute: str) -> Levels:
        """The values of an attribute, as codes; worked out once."""
        if attribute not in self._levels:
            self._levels[attribute] = as_levels(self.frame[attribute])
        return self._levels[attribute]

    def is_missing(self, attribute: str) -> Mask:
        """Where the attribute is missing, empty or Unknown."""
        return self.levels(attribute).among([UNKNOWN])

    @property
    def attributes(self) -> tuple[str, ...]:
        """What eligibility, cohorts and balance may name."""
        return tuple(str(name) for name in self.frame.columns if name not in KEYS)


def read_roster(study: Study, tables: SourceTables) -> Roster:
    """The images of a source with the attributes that the study derives from age and labels."""
    frame = tables.images.frame.sort_values("image_id", kind="stable", ignore_index=True)
    if study.age_bands:
        frame = frame.assign(age_band=age_band(frame["age_years"], study.age_bands))
    if SOURCE_LABEL in {name for _, name in mentioned_attributes(study)}:
        frame = frame.assign(**{SOURCE_LABEL: _source_label(frame["image_id"], tables.labels.frame)})
    persons = pd.factorize(frame["patient_id"])[0].astype("int64")
    return Roster(frame, persons)


def _source_label(image_ids: pd.Series, labels: pd.DataFrame) -> pd.Series:
    """The source's own label of each image; several are joined by ' + '."""
    present = labels.loc[labels["label"] == 1, ["image_id", "finding"]].sort_values(["image_id", "finding"])
    several = present.duplicated("image_id", keep=False)
    single = present[~several].set_index("image_id")["finding"]
    joined = present[several].groupby("image_id")["finding"].agg(" + ".join)
    return image_ids.map(pd.concat([single, joined])).astype("str")


def as_levels(values: pd.Series) -> Levels:
    """Codes of a column and its values as text, sorted; missing and empty become Unknown."""
    codes, unique = pd.factorize(values, use_na_sentinel=True)
    texts = [value_text(value) or UNKNOWN for value in unique]
    names = sorted({*texts, *([UNKNOWN] if (codes < 0).any() else [])})
    place = {name: i for i, name in enumerate(names)}
    recode = np.array([*(place[text] for text in texts), place.get(UNKNOWN, -1)], dtype="int64")
    return Levels(recode[codes], tuple(names))  # code -1, missing, takes the last entry


def value_text(value: Any) -> str:
    """A value of an attribute as study files and tables both write it: 3, 2.5, true, Black.

    >>> [value_text(v) for v in (3, 3.0, 2.5, True, "AP")]
    ['3', '3', '2.5', 'true', 'AP']
    """
    if isinstance(value, (bool, np.bool_)):
        return "true" if value else "false"
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return str(int(value))
    return str(value)


def value_texts(values: Any) -> tuple[str, ...]:
    """One value or several, as text."""
    listed = values if isinstance(values, (list, tuple)) else (values,)
    return tuple(value_text(value) for value in listed)


def mentioned_attributes(study: Study) -> Iterator[tuple[str, str]]:
    """Every (place in the study file, attribute named there)."""
    yield from (("eligible", name) for name in study.eligible)
    yield from asked_attributes(study)
    if study.split.official is not None:
        yield "split.official", study.split.official


def asked_attributes(study: Study) -> Iterator[tuple[str, str]]:
    """Every (place, attribute) by which cohorts are chosen or balanced."""
    for cohort_name, cohort in study.cohorts.items():
        parts: dict[str, Mapping[str, Any]] = {
            "where": cohort.where,
            "mix": cohort.mix,
            "shares": cohort.shares,
            "counts": cohort.counts,
        }
        for part, mapping in parts.items():
            yield from ((f"cohorts.{cohort_name}.{part}", name) for name in mapping)
    yield from (("balance.over", name) for name in study.balance.over)
    yield from (("balance.shares", name) for name in study.balance.shares)


def unknown_attributes(study: Study, roster: Roster) -> list[str]:
    """One sentence for each attribute that the study names and the data do not have."""
    problems = []
    for place, name in dict.fromkeys(mentioned_attributes(study)):
        is_share = place.startswith("balance.") or place.endswith((".shares", ".counts"))
        if name not in roster.attributes and not (name == LABEL and is_share):
            near = nearest(name, roster.attributes)
            hint = f"nearest: {', '.join(near)}" if near else f"known: {', '.join(roster.attributes)}"
            problems.append(f"{place}: the data have no attribute '{name}'; {hint}")
    return problems
