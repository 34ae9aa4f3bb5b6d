"""A model in, its scores with their truth out: what a check then reads like any table of predictions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from pydantic import ValidationError

from subgroup_audit.errors import StudyError
from subgroup_audit.store import read_json
from subgroup_audit.study import Data, Study
from subgroup_audit.training.foreign_spec import ModelUse, looks_like_model
from subgroup_audit.watcher import Silence, Watcher

if TYPE_CHECKING:
    from subgroup_audit.checking.model_images import CheckImages, Place
    from subgroup_audit.training.foreign_spec import ScoringModel

__all__ = ["ModelUse", "looks_like_model", "score_model"]

FIRST = ("model", "image_id", "patient_id", "split", "finding", "y_true", "y_score")


def score_model(
    source: str,
    use: ModelUse | None = None,
    *,
    study: Path | None = None,
    data: Path | None = None,
    dataset: str | None = None,
    splits: Sequence[str] = ("test",),
    cache: Path,
    watcher: Watcher | None = None,
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The scores of a model for images whose truth is known, and what a reader must know of them. Trains nothing.

    Parameters
    ----------
    source : model file, folder of a fit, `timm:NAME`, or `package.module:function`
    use : what the model's file does not say of it
    study : study file; its images are scored, for its findings and groups. A fit in a run's folder has its
        run's study where none is given
    data : folder of the data; absent: the study's
    dataset : name of the data set in `data` where there is no study; absent: known by its files
    splits : of the study's images, those that are scored
    cache : folder of decoded pixels

    Returns
    -------
    frame : one row an image and finding: model, image_id, patient_id, split, finding, y_true, y_score (a
        probability), sex, view, age_years, and every further attribute. `split` is absent where nothing says it.
    notes : how the model was used, which images these are, and what was left out

    Raises
    ------
    AuditError
        What the user can put right: of the model, the study, or the data.
    """
    from subgroup_audit.checking.model_images import Place, find_data
    from subgroup_audit.training.foreign import find_fit

    use = use or ModelUse()
    fit = find_fit(source)
    described, folder = _find_study(study, fit, dataset)
    place = Place(find_data(described, folder, data), cache, watcher or Silence())
    if described is not None:
        model, images = _of_study(source, use, described, place, splits)
    else:
        model, images = _of_folder(source, use, dataset, place)
    frame, said = _score(model, images, place)
    frame, seen = _mark_seen(frame, fit, has_study=described is not None)
    return frame, (*said, *images.notes, *seen)


def _find_study(path: Path | None, fit: Path | None, dataset: str | None) -> tuple[Study | None, Path | None]:
    """The study whose images are scored, and its folder: the one given, or that of the fit's run."""
    from subgroup_audit.study_file import load_study

    if path is not None:
        return load_study(path), path.resolve().parent
    if fit is None or dataset is not None or fit.resolve().parent.name != "steps":
        return None, None
    record = fit.resolve().parent.parent / "run.json"
    definition = read_json(record).get("definition")
    try:
        return (Study.model_validate(definition), None) if definition else (None, None)
    except ValidationError as error:
        raise StudyError(f"{record}: its study breaks a rule of this version; give --study FILE") from error


def _of_study(
    source: str, use: ModelUse, study: Study, place: Place, splits: Sequence[str]
) -> tuple[ScoringModel, CheckImages]:
    from subgroup_audit.checking.model_images import study_images
    from subgroup_audit.training.foreign import load_model

    model = load_model(source, use, study.finding_names, is_multiclass=study.is_multiclass)
    return model, study_images(study, place, model.findings, model.size, splits)


def _of_folder(source: str, use: ModelUse, dataset: str | None, place: Place) -> tuple[ScoringModel, CheckImages]:
    from subgroup_audit.checking.model_images import find_dataset, folder_images, read_tables, source_labels
    from subgroup_audit.training.foreign import load_model

    name = find_dataset(place.root, dataset)
    model = load_model(source, use, tuple(use.findings or use.labels))
    tables = read_tables(Data(source=name), place)
    labels = source_labels(tables, model.findings, use.labels)
    return model, folder_images(name, tables, place, labels, model.size)


def _score(model: ScoringModel, images: CheckImages, place: Place) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The rows with their scores, joined by image and finding."""
    from subgroup_audit.checking.model_images import timed
    from subgroup_audit.training.foreign import score_images

    ids = list(dict.fromkeys(images.rows["image_id"]))
    with timed(place.watcher, "scoring"):
        scored = score_images(
            model, images.pixels, ids, on_batch=lambda _, done, total: place.watcher.advance(done, total)
        )
    frame = images.rows.merge(scored.frame, on=["image_id", "finding"], how="left", validate="one_to_one")
    frame = frame.assign(model=model.name)
    first = [name for name in FIRST if name in frame.columns]
    return frame[[*first, *(name for name in frame.columns if name not in first)]], scored.notes


def _mark_seen(frame: pd.DataFrame, fit: Path | None, *, has_study: bool) -> tuple[pd.DataFrame, list[str]]:
    """The rows, and who of them the model may have been trained on, as far as that is known.

    The predictions beside a fit of ours say which persons its run learned from; of another model nobody knows.
    """
    known = _known_persons(frame, fit)
    if known is None:
        return frame, ["Nothing here says whether the model was trained on these persons; if so, this is no test."]
    split = frame["patient_id"].map(known).astype("str").fillna("test")
    seen = frame[split != "test"]
    n_seen, n_all = seen["image_id"].nunique(), frame["image_id"].nunique()
    notes = []
    if n_seen:
        notes.append(
            f"{n_seen:,} of {n_all:,} images show persons whom the fit's run used for training or validation."
        )
    if has_study:
        return frame, notes
    return frame.assign(split=split), [
        *notes,
        "The split of each person is that of the fit's run; others are test.",
    ]


def _known_persons(frame: pd.DataFrame, fit: Path | None) -> pd.Series | None:
    """Split by person in the fit's run, of persons with an image there; None where nothing lies beside the fit."""
    path = fit / "predictions.parquet" if fit is not None else None
    if path is None or not path.is_file():
        return None
    stored = pd.read_parquet(path, columns=["image_id", "patient_id", "split"]).drop_duplicates("image_id")
    # by image and person both: another data set may use the same names for other persons
    both = frame[["image_id", "patient_id"]].drop_duplicates().merge(stored, on=["image_id", "patient_id"])
    return both.drop_duplicates("patient_id").set_index("patient_id")["split"]
