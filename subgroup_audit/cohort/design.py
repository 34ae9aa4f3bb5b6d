"""The cohorts of a study: from a source's tables to a checked manifest, with all that a reader must know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from subgroup_audit.cohort.balance import cell_attributes, fill_pool, matching, unknown_values
from subgroup_audit.cohort.departures import Departures, departed_rows, nobody_left
from subgroup_audit.cohort.draw import Draw, ceiling_rows, draw_cohort, size_cohorts, undrawn_rows
from subgroup_audit.cohort.eligibility import impossible_rules, leave_ineligible, rules_in_force
from subgroup_audit.cohort.flow import as_flow, cohort_flow, shared_flow, source_counts, unread_images
from subgroup_audit.cohort.labels import Truth, leave_unlabelled, unknown_labels
from subgroup_audit.cohort.leakage import (
    BY_IMAGE,
    BY_PERSON,
    Drawn,
    identities,
    image_level_leakage,
    leakage_certificate,
)
from subgroup_audit.cohort.priority import priority
from subgroup_audit.cohort.roster import LABEL, Ints, Roster, read_roster, unknown_attributes, value_texts
from subgroup_audit.cohort.split import TEST, divide, follow_official, split_units, unite_persons
from subgroup_audit.cohort.table1 import COLUMNS as TABLE1_COLUMNS
from subgroup_audit.cohort.table1 import describe_cohort
from subgroup_audit.errors import CohortError
from subgroup_audit.schema import SPLITS, UNKNOWN, CohortManifest, ExclusionTable, SourceTables
from subgroup_audit.study import Study

Floats = NDArray[np.float64]
Digests = NDArray[np.object_]


@dataclass(frozen=True, eq=False)
class CohortDesign:
    """Who is in which cohort and split, who is not and why, and what balancing cost.

    Attributes
    ----------
    manifest : one row per cohort, image and finding; group attributes and age_years follow the fixed columns
    exclusions : every image that left, of the source, of eligibility, labels and pixels, and of each draw
    flow : cohort ('' before any is drawn), step, reason, n_images, n_patients, left_images, left_patients; a row
        with a reason counts those that leave, a row without one those that are there
    ceiling : cohort, split, cell, available, used, ceiling, is_limiting
    counts : finding, sex, view, n_images, n_patients of the source before anything is left out
    table1 : cohort, split, variable, level, n, percent, mean, sd, missing, smd
    leakage : what each pair of a training and a test cohort shares; zeros where persons were split
    image_level_leakage : what a split of the same images one by one would have leaked
    notes : sentences that a reader of the report must know
    """

    manifest: CohortManifest
    exclusions: ExclusionTable
    flow: pd.DataFrame
    ceiling: pd.DataFrame
    counts: pd.DataFrame
    table1: pd.DataFrame
    leakage: pd.DataFrame
    image_level_leakage: pd.DataFrame
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class _Drawn:
    """All that the frames of a design are made from."""

    roster: Roster
    truth: Truth
    departures: Departures
    parts: Ints
    fractions: Floats
    draws: list[Draw]
    digests: Digests | None
    near_copies: pd.DataFrame | None
    notes: list[str]


def design_cohorts(
    study: Study,
    tables: SourceTables,
    *,
    unreadable: ExclusionTable | None = None,
    pixel_digests: pd.DataFrame | None = None,
    near_copies: pd.DataFrame | None = None,
    describe: bool = True,
) -> CohortDesign:
    """The cohorts of a study.

    Parameters
    ----------
    tables : what the source holds
    unreadable : images whose pixels could not be decoded
    pixel_digests : image_id and pixel_digest, equal for images of identical pixels
    near_copies : image_id and other_id of pictures that are nearly the same
    describe : whether Table 1 is made, which takes most of the time

    Raises
    ------
    CohortError
        The study names what the data do not have; a cohort is empty, of one class, or larger than its ceiling.
    """
    drawn = _draw_all(study, tables, unreadable, pixel_digests, near_copies)
    manifest = _manifest(study, drawn)
    rows = shared_flow(drawn.roster, drawn.departures, unread_images(tables.exclusions, drawn.roster))
    for draw in drawn.draws:
        rows += cohort_flow(drawn.roster, draw, drawn.parts)
    certificate, one_by_one = _leakage(study, drawn)
    return CohortDesign(
        manifest=manifest,
        exclusions=_exclusions(tables, drawn),
        flow=as_flow(rows),
        ceiling=pd.concat(
            [ceiling_rows(d, drawn.fractions, study.balance) for d in drawn.draws], ignore_index=True
        ),
        counts=source_counts(drawn.roster, tables.labels),
        table1=_table1(study, drawn) if describe else pd.DataFrame(columns=list(TABLE1_COLUMNS)),
        leakage=certificate,
        image_level_leakage=one_by_one,
        notes=tuple(drawn.notes),
    )


def _draw_all(
    study: Study,
    tables: SourceTables,
    unreadable: ExclusionTable | None,
    pixel_digests: pd.DataFrame | None,
    near_copies: pd.DataFrame | None,
) -> _Drawn:
    roster = read_roster(study, tables)
    _stop_if([*unknown_attributes(study, roster), *unknown_labels(study, tables.labels)])
    rules, notes = rules_in_force(study, roster)
    _stop_if(impossible_rules(rules, roster))
    departures = nobody_left(len(roster))
    _leave_named(departures, roster, tables.exclusions)
    leave_ineligible(departures, roster, rules)
    truth = leave_unlabelled(departures, roster, tables.labels, study)
    if unreadable is not None:
        _leave_named(departures, roster, unreadable)
    _stop_if(_nobody(departures))
    names = _used_cohorts(study, notes)
    _stop_if([*unknown_values(study, roster, truth.label), *_bad_cohorts(study, names, roster, truth, departures)])
    digests = _digest_of_each(roster, pixel_digests)
    parts, fractions = _part(study, roster, truth, departures, digests, notes)
    draws = _draw(study, names, roster, truth, parts, fractions, notes)
    drawn = _Drawn(roster, truth, departures, parts, fractions, draws, digests, near_copies, notes)
    _stop_if([line for draw in draws for line in _one_class_splits(study, drawn, draw)])
    notes += _notes(study, drawn)
    return drawn


def _stop_if(problems: Sequence[str]) -> None:
    if problems:
        raise CohortError("\n".join(problems))


def _leave_named(departures: Departures, roster: Roster, named: ExclusionTable) -> None:
    """Let the images that a table names leave, each with its reason."""
    rows = named.frame.drop_duplicates("image_id").sort_values(["step", "reason", "image_id"])
    position = pd.Index(roster.frame["image_id"]).get_indexer(pd.Index(rows["image_id"]))
    rows, position = rows[position >= 0], position[position >= 0]
    for step, reason in dict.fromkeys(zip(rows["step"], rows["reason"], strict=True)):
        who = np.zeros(len(roster), dtype=bool)
        who[position[((rows["step"] == step) & (rows["reason"] == reason)).to_numpy()]] = True
        departures.leave(str(step), str(reason), who)


def _nobody(departures: Departures) -> list[str]:
    if departures.is_in.any():
        return []
    counts = np.bincount(departures.why, minlength=len(departures.rules)).tolist()
    said = [f"{count:,}: {rule}" for count, (_, rule) in zip(counts, departures.rules, strict=True)]
    return [f"no image is left of {len(departures.why):,} ({'; '.join(said) or 'the source has none'})"]


def _used_cohorts(study: Study, notes: list[str]) -> list[str]:
    """Cohorts that fits are trained or tested on, in the order of the file."""
    fitted = {cohort for cohort, *_ in study.fit_combinations()}
    used = {*study.train_cohorts, *study.test_cohorts, *fitted}
    notes += [
        f"cohort '{name}' is neither trained nor tested on; not drawn"
        for name in study.cohorts
        if name not in used
    ]
    return [name for name in study.cohorts if name in used]


def _bad_cohorts(
    study: Study, names: list[str], roster: Roster, truth: Truth, departures: Departures
) -> list[str]:
    """One sentence for each cohort that is empty or of one class."""
    problems = []
    for name in names:
        matched = np.flatnonzero(matching(roster, study.cohorts[name]) & departures.is_in)
        if len(matched) == 0:
            problems.append(_empty_cohort(study, name, roster, departures))
        else:
            problems += _one_class(study, f"cohort '{name}'", truth.y[matched])
    return problems


def _empty_cohort(study: Study, name: str, roster: Roster, departures: Departures) -> str:
    cohort = study.cohorts[name]
    wanted = {**cohort.where, **{attribute: tuple(shares) for attribute, shares in cohort.mix.items()}}
    said = []
    for attribute, values in wanted.items():
        levels = roster.levels(attribute)
        counts = np.bincount(levels.codes[departures.is_in], minlength=len(levels.names))
        there = ", ".join(f"{level} {n:,}" for level, n in zip(levels.names[:20], counts, strict=False) if n)
        said.append(f"{attribute} = {' or '.join(value_texts(values))} (there: {there})")
    n_eligible = int(departures.is_in.sum())
    return f"cohort '{name}' is empty: of {n_eligible:,} eligible images none has {' and '.join(said)}"


def _one_class(study: Study, place: str, y: Floats) -> list[str]:
    """One sentence for each finding without positive or without negative images.

    A study of several independent findings stands as long as one of them has both.
    """
    positive, negative = (y == 1).sum(axis=0), (y == 0).sum(axis=0)
    lacking = (positive == 0) | (negative == 0)
    if not study.is_multiclass and not lacking.all():
        return []
    return [
        f"{place}: finding '{name}' has {positive[i]:,} positive and {negative[i]:,} negative images, needs both"
        for i, name in enumerate(study.finding_names)
        if lacking[i]
    ]


def _one_class_splits(study: Study, drawn: _Drawn, draw: Draw) -> list[str]:
    part = drawn.parts[draw.drawn]
    return [
        line
        for i, split in enumerate(SPLITS)
        for line in _one_class(
            study, f"cohort '{draw.pool.name}', split {split}", drawn.truth.y[draw.drawn[part == i]]
        )
    ]


def _digest_of_each(roster: Roster, pixel_digests: pd.DataFrame | None) -> Digests | None:
    if pixel_digests is None:
        return None
    by_image = pixel_digests.drop_duplicates("image_id").set_index("image_id")["pixel_digest"]
    return roster.frame["image_id"].map(by_image).to_numpy(dtype=object)


def _part(
    study: Study, roster: Roster, truth: Truth, departures: Departures, digests: Digests | None, notes: list[str]
) -> tuple[Ints, Floats]:
    """The split of each image, and the fraction of the images that each split is to have."""
    split = study.split
    groups, united = unite_persons(roster, digests, departures.is_in)
    if united and split.unit == "person":
        notes.append(
            f"{united:,} persons have images of identical pixels with another and were split together with them"
        )
    units, names = split_units(roster, groups, split)
    strata = _strata(study, roster, truth)
    if split.official is None:
        parts = divide(units, names, strata, split, departures.is_in)
        return parts, np.array([split.train, split.val, split.test])
    parts = follow_official(roster, split, departures, units, names, strata)
    counts = np.bincount(parts[parts >= 0], minlength=3)
    return parts, counts / counts.sum()


def _strata(study: Study, roster: Roster, truth: Truth) -> Ints:
    """The code of each image's combination of label and every attribute that cohorts and balance use."""
    used = [*study.group_attributes]
    for cohort in study.cohorts.values():
        used += cell_attributes(study.balance, cohort)
    code = truth.label.codes.copy()
    for attribute in dict.fromkeys(used):
        if attribute == LABEL or pd.api.types.is_float_dtype(roster.frame[attribute]):
            continue
        levels = roster.levels(attribute)
        code = np.unique(code * len(levels.names) + levels.codes, return_inverse=True)[1].astype("int64")
    return code


def _draw(
    study: Study, names: list[str], roster: Roster, truth: Truth, parts: Ints, fractions: Floats, notes: list[str]
) -> list[Draw]:
    order = np.argsort(priority(roster.frame["image_id"], purpose="draw", seed=study.balance.seed), kind="stable")
    pools = [fill_pool(study, roster, truth.label, name, order, parts) for name in names]
    sizes, said = size_cohorts(study, pools, fractions)
    notes += said
    return [draw_cohort(pool, sizes[pool.name], fractions, study.balance) for pool in pools]


def _notes(study: Study, drawn: _Drawn) -> list[str]:
    notes = []
    if study.split.unit == "image":
        notes.append(
            f"{BY_IMAGE}: test images may show persons who were trained on; read every test figure with that"
        )
    if len(study.findings) > 1 and any(LABEL in cell_attributes(study.balance, c) for c in study.cohorts.values()):
        first = study.finding_names[0]
        notes.append(
            f"balance over label is over the first finding, {first}; images where it is unknown fit no cell"
        )
    for draw in drawn.draws:
        n, of = len(draw.drawn), len(draw.pool.matched)
        if n < of:
            notes.append(f"cohort '{draw.pool.name}' uses {n:,} of {of:,} matching images ({100 * n / of:.0f} %)")
    return notes


def _manifest(study: Study, drawn: _Drawn) -> CohortManifest:
    frame, n_findings = drawn.roster.frame, len(study.finding_names)
    images = [np.sort(draw.drawn) for draw in drawn.draws]
    position = np.repeat(np.concatenate(images), n_findings)
    finding = np.tile(np.arange(n_findings), len(position) // n_findings)
    cohort = np.repeat(np.arange(len(images)), [len(each) * n_findings for each in images])
    y = drawn.truth.y[position, finding]
    known = ~np.isnan(y)
    position, finding, cohort, y = position[known], finding[known], cohort[known], y[known]
    columns = {
        "cohort": _named([draw.pool.name for draw in drawn.draws], cohort),
        "image_id": frame["image_id"].take(position).to_numpy(),
        "patient_id": frame["patient_id"].take(position).to_numpy(),
        "split": _named(SPLITS, drawn.parts[position]),
        "finding": _named(study.finding_names, finding),
        "y_true": y.astype("int64"),
        "weight": np.ones(len(y)),
    }
    groups = {name: _group_column(drawn.roster, name, position) for name in study.group_attributes}
    age = frame["age_years"].take(position).to_numpy()
    return CohortManifest(pd.DataFrame({**columns, **groups, "age_years": age}))


def _named(names: Sequence[str], codes: Ints) -> pd.Series:
    return pd.Series(list(names), dtype="str").take(codes).reset_index(drop=True)


def _group_column(roster: Roster, attribute: str, position: Ints) -> pd.Series:
    """An attribute as text, Unknown where it is missing."""
    levels = roster.levels(attribute)
    return _named(levels.names, levels.codes[position])


def _exclusions(tables: SourceTables, drawn: _Drawn) -> ExclusionTable:
    unread = unread_images(tables.exclusions, drawn.roster)
    left = departed_rows(drawn.roster, drawn.departures)
    undrawn = [undrawn_rows(draw, drawn.roster.frame["image_id"]) for draw in drawn.draws]
    parts = [part for part in (unread, left, *undrawn) if len(part)]
    return ExclusionTable(pd.concat(parts, ignore_index=True) if parts else left)


def _table1(study: Study, drawn: _Drawn) -> pd.DataFrame:
    tables = []
    for draw in drawn.draws:
        images = np.sort(draw.drawn)
        frame = drawn.roster.frame[["patient_id", "age_years"]].take(images).reset_index(drop=True)
        columns: dict[str, pd.Series] = {"split": _named(SPLITS, drawn.parts[images])}
        for name in study.group_attributes:
            column = _group_column(drawn.roster, name, images)
            columns[name] = column.mask(column == UNKNOWN)
        for i, name in enumerate(study.finding_names):
            y = pd.Series(drawn.truth.y[images, i])
            columns[name] = y.map({1.0: "1", 0.0: "0"})
        tables.append(
            describe_cohort(draw.pool.name, frame.assign(**columns), study.group_attributes, study.finding_names)
        )
    return pd.concat(tables, ignore_index=True)


def _leakage(study: Study, drawn: _Drawn) -> tuple[pd.DataFrame, pd.DataFrame]:
    cohorts = {draw.pool.name: Drawn(draw.pool.name, draw.drawn) for draw in drawn.draws}
    train = [cohorts[name] for name in dict.fromkeys(cohort for cohort, *_ in study.fit_combinations())]
    test = [cohorts[name] for name in study.test_cohorts]
    unit = BY_IMAGE if study.split.unit == "image" else BY_PERSON
    same = identities(drawn.roster, drawn.digests, drawn.near_copies)
    certificate = leakage_certificate(train, test, drawn.parts, same, unit)
    eligible = np.flatnonzero(drawn.departures.is_in)
    seen_share = 1.0 - float(drawn.fractions[TEST])
    return certificate, image_level_leakage(eligible, train, test, drawn.roster.persons, seen_share)
