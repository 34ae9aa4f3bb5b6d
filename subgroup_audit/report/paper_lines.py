"""A row of each table as a paper shows it: headings in words, numbers rounded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from subgroup_audit.report.belonging import small
from subgroup_audit.report.cohort_figures import table1_cell
from subgroup_audit.report.encoding import ATTRIBUTES, SOURCES
from subgroup_audit.report.fit_table import fit_line
from subgroup_audit.report.gaps import comparison_label
from subgroup_audit.report.numerals import ABSENT, count, decimal, interval, is_number, p_value, percent, signed
from subgroup_audit.report.performance import RATES
from subgroup_audit.report.published import published_line
from subgroup_audit.report.survival import way_words
from subgroup_audit.report.waterfall import is_description, stage_words

Row = dict[str, Any]
# The numbers that no drawn rate names.
METRICS: Mapping[str, str] = {
    "average_precision": "Average precision",
    "expected_calibration_error": "Calibration error",
    "calibration_slope": "Calibration slope",
    "calibration_intercept": "Calibration intercept",
    "brier_score": "Brier score",
}


def _fit_names(row: Row) -> dict[str, str]:
    names = {"finding": "Finding", "model": "Model", "recipe": "Recipe"}
    return {heading: str(row[name]) for name, heading in names.items() if name in row}


def _matrix_line(row: Row) -> dict[str, str]:
    return {
        **_fit_names(row),
        "Trained on": str(row["train_cohort"]),
        "Tested on": str(row["test_group"]),
        "AUC": decimal(row["estimate"]),
        "Interval": interval(row["low"], row["high"]),
        "Bootstrap interval": interval(row["bootstrap_low"], row["bootstrap_high"]),
        "SE": decimal(row["standard_error"]),
        "SE, patients alone": decimal(row["patient_se"]),
        "SD between seeds": decimal(row["seed_sd"]) if row["n_seeds"] > 1 else "one seed",
        "Persons": count(row["n_patients"]),
        "Positive": count(row["n_positive"]),
        "Negative": count(row["n_negative"]),
        "Status": str(row["status"]),
    }


def _gap_line(row: Row) -> dict[str, str]:
    kinds = {
        "subgroup_gap": "subgroup",
        "transfer_gap": "transfer",
        "generalization_gap": "train/test",
        "gap_of_gaps": "gap of gaps",
    }
    return {
        "Gap": kinds.get(row["kind"], str(row["kind"])),
        **_fit_names(row),
        "Comparison": comparison_label(row),
        "Difference": signed(row["estimate"]),
        "Interval": interval(row["low"], row["high"], with_signs=True),
        "Bootstrap interval": interval(row["bootstrap_low"], row["bootstrap_high"], with_signs=True),
        "p": p_value(row["p_value"]),
        "p adjusted": p_value(row["p_adjusted"]),
        "p permutation": p_value(row["p_permutation"]),
        "Verdict": str(row["verdict"]),
    }


def _case_mix_line(row: Row) -> dict[str, str]:
    label, _ = way_words(row)
    return {
        **_fit_names(row),
        "Comparison": comparison_label({**row, "kind": "subgroup_gap"}),
        "Mix": label,
        "Made equal": str(row["held_equal"]) or ABSENT,
        "Difference": signed(row["estimate"]),
        "Interval": interval(row["low"], row["high"], with_signs=True),
        "Change": signed(row["change"]),
        "Interval of the change": interval(row["change_low"], row["change_high"], with_signs=True),
        "Effective images": count(row["n_effective"]),
        "Verdict": str(row["verdict"]),
    }


def _spread_line(row: Row) -> dict[str, str]:
    return {
        **_fit_names(row),
        "Trained on": str(row["train_cohort"]),
        "Attribute": str(row["attribute"]),
        "Groups": str(row["groups"]),
        "Worst group": str(row["worst_group"]),
        "Its AUC": decimal(row["worst_estimate"]),
        "Limits": interval(row["worst_low"], row["worst_high"]),
        "Range": decimal(row["range"]),
        "Limits of the range": interval(row["range_low"], row["range_high"]),
        "SD less chance": decimal(row["corrected_sd"]),
        "p of all equal": p_value(row["p_equality"]),
    }


def _waterfall_line(row: Row) -> dict[str, str]:
    return {
        **_fit_names(row),
        "Trained on": str(row["train_cohort"]),
        "Stage": stage_words(row)[0],
        "AUC": decimal(row["auc"]),
        "Interval": interval(row["auc_low"], row["auc_high"]),
        "Step": signed(row["change"]),
        "Interval of the step": interval(row["low"], row["high"], with_signs=True),
        "Persons": count(row["n_patients"]),
        "Read as": "description" if is_description(row) else "estimate",
    }


def _control_line(row: Row) -> dict[str, str]:
    return {
        **_fit_names(row),
        "Control": str(row["words"]),
        "Trained on": str(row["train_cohort"]),
        "Tested on": str(row["test_group"]),
        "AUC": decimal(row["auc"]),
        "Interval": interval(row["auc_low"], row["auc_high"]),
        "Own AUC": decimal(row["usual_auc"]),
        "Change": signed(row["change"]),
        "Interval of the change": interval(row["low"], row["high"], with_signs=True),
        "Persons": count(row["n_patients"]),
    }


def _fit_line(row: Row) -> dict[str, str]:
    return {
        **_fit_names(row),
        "Seed": str(row["seed"]),
        "Trained on": str(row["train_cohort"]),
        "Split": str(row["split"]),
        "Scored on": str(row["test_group"]),
        "AUC": decimal(row["auc"]),
    }


def _table1_line(row: Row) -> dict[str, str]:
    text, difference, _ = table1_cell(row)
    return {
        "Cohort": str(row["cohort"]),
        "Split": str(row["split"]),
        "Variable": _words(row["variable"]),
        "Level": _words(row["level"]),
        "n (%) or mean ± SD": text,
        "SMD": difference or ABSENT,
    }


def _flow_line(row: Row) -> dict[str, str]:
    return {
        "Cohort": _words(row["cohort"]) or "all",
        "Step": _words(row["step"]),
        "Reason": _words(row["reason"]),
        "Images out": count(row["n_images"]),
        "Persons out": count(row["n_patients"]),
        "Images left": count(row["left_images"]),
        "Persons left": count(row["left_patients"]),
    }


def _leakage_line(row: Row) -> dict[str, str]:
    share = row["share_of_test_images_of_seen_persons"]
    return {
        "Trained on": str(row["train_cohort"]),
        "Tested on": str(row["test_cohort"]),
        "Test images": count(row["n_test_images"]),
        "Shared persons": count(row["shared_persons"]),
        "Shared files": count(row.get("shared_files")),
        "Shared pixels": count(row.get("shared_pixels")),
        "Near copies": count(row.get("shared_near_pixels")),
        "Test images of seen persons": percent(share, 1),
    }


def _estimate_line(row: Row) -> dict[str, str]:
    line = _matrix_line(row)
    first = {name: line.pop(name) for name in ("Finding", "Model", "Recipe", "Trained on")}
    return {**first, "Split": str(row["split"]), "Measure": str(row["metric"]).replace("auc", "AUC"), **line}


def _performance_line(row: Row) -> dict[str, str]:
    return {
        **_fit_names(row),
        "Trained on": str(row["train_cohort"]),
        "Tested on": str(row["test_group"]),
        "Number": metric_words(str(row["metric"])),
        "Threshold": decimal(row["threshold"]),
        "Estimate": decimal(row["estimate"]),
        "Interval": interval(row["low"], row["high"]),
        "SD between seeds": decimal(row["seed_sd"]) if row["n_seeds"] > 1 else "one seed",
        "Persons": count(row["n_patients"]),
        "Positive": count(row["n_positive"]),
        "Negative": count(row["n_negative"]),
        "Status": str(row["status"]),
    }


def _performance_gap_line(row: Row) -> dict[str, str]:
    return {
        **_fit_names(row),
        "Trained on": str(row["train_cohort"]),
        "Groups": f"{row['test_group']} − {row['other']}",
        "Number": metric_words(str(row["metric"])),
        "First": decimal(row["minuend_estimate"]),
        "Second": decimal(row["subtrahend_estimate"]),
        "Difference": signed(row["estimate"]),
        "Interval": interval(row["low"], row["high"], with_signs=True),
        "Persons": count(row["n_patients"]),
        "Status": str(row["status"]),
    }


def metric_words(metric: str) -> str:
    """A stored metric as a table calls it.

    >>> metric_words("ppv"), metric_words("false_negative_rate")
    ('PPV', 'False negative rate')
    """
    plain = metric.replace("_", " ").capitalize()
    return RATES[metric][0] if metric in RATES else METRICS.get(metric, plain)


def _operating_point_line(row: Row) -> dict[str, str]:
    return {
        **_fit_names(row),
        "Trained on": str(row["train_cohort"]),
        "Seed": str(row["seed"]),
        "Rule": str(row["rule"]).split(",")[0],
        "Threshold": decimal(row["threshold"]),
        "Validation persons": count(row["n_patients"]),
        "Positive": count(row["n_positive"]),
        "Negative": count(row["n_negative"]),
        "Reason": _words(row["reason"]) or ABSENT,
    }


def _composition_line(row: Row) -> dict[str, str]:
    return {
        **_fit_names(row),
        "Tested on": str(row["test_group"]),
        "Mixed": f"{row['attribute']} {row['value']}",
        "Share in training": percent(row["share"]),
        "AUC": decimal(row["estimate"]),
        "Interval": interval(row["low"], row["high"]),
        "Persons": count(row["n_patients"]),
        "Status": str(row["status"]),
    }


def _cause_line(row: Row) -> dict[str, str]:
    return {
        **_fit_names(row),
        "Trained on": str(row["train_cohort"]),
        "Cause": str(row["cause"]),
        "Group": _words(row["group"]) or ABSENT,
        "Verdict": str(row["verdict"]),
        "Size": signed(row["size"]),
        "Interval": interval(row["low"], row["high"], with_signs=True),
        "Evidence": str(row["sentence"]),
    }


def _encoding_line(row: Row) -> dict[str, str]:
    attribute = str(row["attribute"])
    return {
        **_fit_names(row),
        "Trained on": str(row["train_cohort"]),
        "Attribute": ATTRIBUTES.get(attribute, attribute),
        "Told apart": f"{row['value']} against {row['against']}" if _words(row["value"]) else ABSENT,
        "Features": SOURCES.get(str(row["source"]), str(row["source"])),
        "AUC": decimal(row["auc"]),
        "Interval": interval(row["low"], row["high"]),
        "Persons": count(row["n_patients"]),
        "Status": str(row["status"]),
    }


def _advantage_line(row: Row) -> dict[str, str]:
    share = (row["low"], row["high"])
    return {
        **_fit_names(row),
        "Trained on": str(row["train_cohort"]),
        "Tested on": str(row["test_group"]),
        "Attribute": str(row["attribute"]),
        "AUC of all": decimal(row["auc_all"]),
        "Within": decimal(row["auc_within"]),
        "Attribute alone": decimal(row["auc_alone"]),
        "Share": percent(row["share"]),
        "Interval": " to ".join(percent(end) for end in share) if all(map(is_number, share)) else ABSENT,
        "Persons": count(row["n_patients"]),
        "Status": str(row["status"]),
    }


def _heat_map_line(row: Row) -> dict[str, str]:
    return {
        **_fit_names(row),
        "Trained on": str(row["train_cohort"]),
        "Tested on": str(row["test_group"]),
        "Label": str(row["label"]),
        "Images there": count(row["n_available"]),
        "Images drawn": count(row["n_images"]),
        "Without heat": count(row["n_without_heat"]),
        "Persons": count(row["n_patients"]),
        "Status": str(row["status"]),
    }


def _box_heat_line(row: Row) -> dict[str, str]:
    return {
        **_fit_names(row),
        "Trained on": str(row["train_cohort"]),
        "Tested on": str(row["test_group"]),
        "Images of": f"{_words(row['attribute'])} {row['value']}".strip(),
        "Network": str(row["source"]),
        "Heat in boxes": decimal(row["heat_share"]),
        "Area of boxes": decimal(row["area_share"]),
        "Difference": signed(row["estimate"]),
        "Interval": interval(row["low"], row["high"], with_signs=True),
        "Trained less untrained": signed(row["gain"]),
        "Interval of it": interval(row["gain_low"], row["gain_high"], with_signs=True),
        "Persons": count(row["n_patients"]),
        "Status": str(row["status"]),
    }


def _difference_line(row: Row) -> dict[str, str]:
    return {
        "Cohort": str(row["cohort"]),
        "Other": str(row["other"]),
        "Split": str(row["split"]),
        "Variable": _words(row["variable"]).replace("_", " "),
        "SMD": decimal(row["smd"], 2),
        "Images": count(row["n_images"]),
        "Images of the other": count(row["n_images_other"]),
        "Reason": _words(row["reason"]) or ABSENT,
    }


def _ceiling_line(row: Row) -> dict[str, str]:
    return {
        "Cohort": str(row["cohort"]),
        "Split": str(row["split"]),
        "Cell": str(row["cell"]),
        "Available": count(row["available"]),
        "Used": count(row["used"]),
        "Ceiling": count(row["ceiling"]),
        "Sets the limit": "yes" if row["is_limiting"] else "no",
    }


def _count_line(row: Row) -> dict[str, str]:
    named = {name: name.replace("n_patients", "persons").replace("n_", "").replace("_", " ") for name in row}
    return {
        named[name].capitalize(): count(value) if name.startswith("n_") else _words(value) or ABSENT
        for name, value in row.items()
    }


def _image_level_line(row: Row) -> dict[str, str]:
    return {
        "Trained on": _words(row["train_cohort"]) or "whole data set",
        "Tested on": _words(row["test_cohort"]) or "whole data set",
        "Images": count(row["n_images"]),
        "Persons": count(row.get("n_patients")),
        "Test images of seen persons": percent(row["share_of_test_images_of_seen_persons"], 1),
    }


def _order_line(row: Row) -> dict[str, str]:
    return {
        **_fit_names(row),
        "Control": _words(row["control"]) or ABSENT,
        "Trained on": str(row["train_cohort"]),
        "Seed": str(row["seed"]),
        "Images": count(row["n_images"]),
        "Different": count(row["n_different"]),
        "Found elsewhere": count(row["n_elsewhere"]),
        "Wrong labels": count(row["n_wrong_labels"]),
        "Largest difference": small(row["largest_difference"]) if is_number(row["largest_difference"]) else ABSENT,
        "Result": str(row["result"]),
    }


def _same_scores_line(row: Row) -> dict[str, str]:
    return {
        "Fit": str(row["first"]),
        "Other fit": str(row["second"]),
        "Finding": str(row["finding"]),
        "Images": count(row["n_images"]),
        "Relation": str(row["relation"]),
    }


def _error_line(row: Row) -> dict[str, str]:
    return {
        **_fit_names(row),
        "Trained on": str(row["train_cohort"]),
        "Seed": str(row["seed"]),
        "Tested on": str(row["test_group"]),
        "Images": count(row["n_images"]),
        "Wrong": count(row["n_wrong"]),
        "Persons of several images": count(row["n_persons_of_several"]),
        "All wrong": count(row["n_all_wrong"]),
        "Expected": decimal(row["expected_all_wrong"], 1),
        "Errors that they hold": percent(row["held"]),
        "Interval": f"{percent(row['held_low'])} to {percent(row['held_high'])}",
    }


def _words(value: Any) -> str:
    return "" if value is None or (not isinstance(value, str) and not is_number(value)) else str(value)


# The line maker of every table that a paper can show, in the order in which the page names them.
LINES: Mapping[str, Callable[[Row], dict[str, str]]] = {
    "matrix": _matrix_line,
    "gaps": _gap_line,
    "spreads": _spread_line,
    "case_mix": _case_mix_line,
    "performance": _performance_line,
    "performance_gaps": _performance_gap_line,
    "operating_points": _operating_point_line,
    "composition": _composition_line,
    "causes": _cause_line,
    "waterfall": _waterfall_line,
    "controls": _control_line,
    "encoding": _encoding_line,
    "advantage": _advantage_line,
    "heat_maps": _heat_map_line,
    "box_heat": _box_heat_line,
    "fits": _fit_line,
    "fit_summary": fit_line,
    "published": published_line,
    "table1": _table1_line,
    "flow": _flow_line,
    "differences": _difference_line,
    "ceiling": _ceiling_line,
    "counts": _count_line,
    "leakage": _leakage_line,
    "image_level_leakage": _image_level_line,
    "order_check": _order_line,
    "same_scores": _same_scores_line,
    "error_counts": _error_line,
    "estimates": _estimate_line,
}
