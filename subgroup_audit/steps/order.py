"""The step that scores a few images of every fit again: do scores and labels belong together?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from subgroup_audit.diagnosis import Control
from subgroup_audit.diagnosis.order import (
    MATCHES,
    NOT_CHECKED,
    TOLERANCES,
    WRONG_LABELS,
    OrderFound,
    Predict,
    check_order,
    count_wrong_labels,
)
from subgroup_audit.diagnosis.same_scores import same_scores
from subgroup_audit.errors import ModelError
from subgroup_audit.images.store import PixelStore
from subgroup_audit.schema import ORDER_CHECK_COLUMNS, SAME_SCORE_COLUMNS, conform_frame
from subgroup_audit.steps.data import open_pixels, read_source_tables
from subgroup_audit.steps.place import Doing
from subgroup_audit.store import Done, Step, read_frames, write_frames

ORDER_VERSION = 1
ORDER_FRAMES = ("order_check", "same_scores")
_SETTINGS = {"train_cohort": "cohort", "model": "model_name", "recipe": "recipe_name", "seed": "seed"}


def order_step(
    source: Done, cohorts: Done, predictions: Done, fits: Sequence[Done], controls: Sequence[Done]
) -> Step:
    """Depends on the stored scores and labels and on the fits, not on how they are analysed."""
    inputs = {f"fit {i}": fit.step.key for i, fit in enumerate([*fits, *controls])}
    contents = {"source": source.content, "cohorts": cohorts.content, "predictions": predictions.content}
    return Step("order", ORDER_VERSION, {}, {**inputs, **contents})


def check_fits(doing: Doing) -> None:
    """Write what each fit's sample came to, and which fits have scored every image alike."""
    manifest = pd.read_parquet(doing.input("cohorts") / "manifest.parquet")
    predictions = pd.read_parquet(doing.input("predictions") / "predictions.parquet")
    images = read_source_tables(doing.input("source")).images
    pixels, _ = open_pixels(doing.study, doing.place, images)
    rows = list(_check_all(doing, manifest, predictions, pixels))
    copies = [
        dict(zip(("first", "second", "relation", "n_images"), pair, strict=True)) | {"finding": finding}
        for finding, columns in _columns(predictions)
        for pair in same_scores(columns)
    ]
    names = [column.name for column in SAME_SCORE_COLUMNS]
    write_frames(
        doing.work,
        {
            "order_check": conform_frame(_framed(rows), ORDER_CHECK_COLUMNS, "order_check"),
            "same_scores": conform_frame(pd.DataFrame(copies, columns=names), SAME_SCORE_COLUMNS, "same_scores"),
        },
    )


def _framed(rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=[column.name for column in ORDER_CHECK_COLUMNS])


def _check_all(
    doing: Doing, manifest: pd.DataFrame, predictions: pd.DataFrame, pixels: PixelStore
) -> Iterator[dict[str, Any]]:
    fits = [done for done in doing.inputs if done.step.name == "fit"]
    own = dict(list(predictions.groupby("fit_id", sort=False)))
    for number, fit in enumerate(fits, start=1):
        control = _control_of(fit)
        stored = (
            own.get(fit.folder.name) if control is None else pd.read_parquet(fit.folder / "predictions.parquet")
        )
        named = {name: fit.step.settings[key] for name, key in _SETTINGS.items()}
        yield {
            "fit_id": fit.folder.name,
            **named,
            "control": "" if control is None else control.words,
            **_check_fit(fit, stored, manifest, pixels, doing.device),
        }
        doing.progress(number, len(fits))


def _control_of(fit: Done) -> Control | None:
    named = fit.step.settings.get("control")
    return None if named is None else Control(str(named["kind"]), float(named["amount"]))


def _check_fit(
    fit: Done, stored: pd.DataFrame | None, manifest: pd.DataFrame, pixels: PixelStore, device: str
) -> dict[str, Any]:
    if stored is None:
        return _row(OrderFound(NOT_CHECKED, 0), "", 0, "no scores of this fit are stored")
    n_wrong = count_wrong_labels(stored, manifest)
    kind = str(fit.step.settings["device"])
    if device.partition(":")[0] != kind:  # fitted elsewhere: scores of two kinds of device differ by themselves
        return _row(OrderFound(NOT_CHECKED, 0), "", n_wrong, f"fitted on {kind}, which this machine does not have")
    try:
        predict, findings, precision = _open_fit(fit, pixels, device)
    except ModelError as error:
        reason = str(error).replace(f"{fit.folder}", fit.folder.name)
        return _row(OrderFound(NOT_CHECKED, 0), "", n_wrong, reason)
    wide = stored.pivot(index="image_id", columns="finding", values="y_score").reindex(columns=list(findings))
    tested = stored.loc[stored["split"] == "test", "image_id"].unique().tolist()
    found = check_order(wide, predict, tested, TOLERANCES[precision], int(fit.step.settings["seed"]))
    return _row(found, precision, n_wrong, "" if found.n_images else "the fit has scored no test image")


def _row(found: OrderFound, precision: str, n_wrong: int, reason: str) -> dict[str, Any]:
    result = WRONG_LABELS if n_wrong and found.result in (MATCHES, NOT_CHECKED) else found.result
    return {
        **vars(found),
        "result": result,
        "n_wrong_labels": n_wrong,
        "precision": precision,
        "tolerance": TOLERANCES.get(precision),
        "reason": reason,
    }


def _open_fit(fit: Done, pixels: PixelStore, device: str) -> tuple[Predict, tuple[str, ...], str]:
    """What scores images as the fit does, its findings, and the precision that it computes in."""
    from subgroup_audit.training.fitted import load_fitted, predict  # imports torch

    fitted = load_fitted(fit.folder, device)
    return (lambda image_ids: predict(fitted, pixels, image_ids)), fitted.findings, fitted.compute.precision


def _columns(predictions: pd.DataFrame) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    """Of each finding, the scores of every fit on the same images, by the fit's name in words."""
    fits = predictions.drop_duplicates("fit_id").to_dict("records")
    names = {
        row["fit_id"]: f"{row['train_cohort']} / {row['model']} / {row['recipe']} / seed {row['seed']}"
        for row in fits
    }
    label = predictions["fit_id"].map(names)
    for finding, rows in predictions.assign(label=label).groupby("finding", sort=False):
        wide = rows.pivot(index="image_id", columns="label", values="y_score")
        yield str(finding), {str(name): wide[name].to_numpy(dtype=np.float64) for name in wide}


def read_order(order: Done | None) -> dict[str, pd.DataFrame | None]:
    """The frames of a finished order step; none without one."""
    return {} if order is None else read_frames(order.folder, ORDER_FRAMES)
