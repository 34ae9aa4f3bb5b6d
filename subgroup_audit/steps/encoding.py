"""The step that probes the networks' features for sex, view and age band, where the study asks for it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from subgroup_audit import training
from subgroup_audit.diagnosis import Probed, ProbeRows, advantage_frame, encoding_frame, probe_rows
from subgroup_audit.diagnosis.encoding import FITTED, UNTRAINED
from subgroup_audit.schema import CohortManifest, Predictions
from subgroup_audit.steps.data import open_pixels, read_source_tables
from subgroup_audit.steps.place import Doing
from subgroup_audit.store import Done, Step, read_frames, write_frames
from subgroup_audit.study import Study

ENCODING_VERSION = 1
ENCODING_FRAMES = ("encoding", "advantage")


def encoding_step(
    study: Study, device: str, source: Done, cohorts: Done, predictions: Done, fits: Sequence[Done]
) -> Step:
    """What features tell: depends on the fits, the cohorts, the analysis and the kind of device."""
    del source
    return Step(
        "encoding", ENCODING_VERSION, look_settings(study, device), look_inputs(cohorts, predictions, fits)
    )


def look_settings(study: Study, device: str) -> dict[str, object]:
    """The parts of a study that a look inside its networks depends on."""
    return {
        "analysis": study.analysis.model_dump(mode="json", exclude={"operating_point"}),
        "cohorts": study.model_dump_json(
            include={"cohorts", "train_on", "test_on", "findings", "classes", "age_bands"}
        ),
        "device": device.split(":")[0],
    }


def look_inputs(cohorts: Done, predictions: Done, fits: Sequence[Done]) -> dict[str, str]:
    """The finished steps that a look inside the networks depends on; a key stands for a fit."""
    keys = {f"fit {i}": fit.step.key for i, fit in enumerate(fits)}
    return {**keys, "cohorts": cohorts.content, "predictions": predictions.content}


def fits_by_kind(fits: Sequence[Done]) -> dict[tuple[str, str, str], list[Done]]:
    """The study's own fits of each cohort, model and recipe, in the order of their seeds."""
    found: dict[tuple[str, str, str], list[Done]] = {}
    for done in sorted(fits, key=lambda fit: int(fit.step.settings["seed"])):
        settings = done.step.settings
        key = (str(settings["cohort"]), str(settings["model_name"]), str(settings["recipe_name"]))
        found.setdefault(key, []).append(done)
    order = [
        (str(s["cohort"]), str(s["model_name"]), str(s["recipe_name"])) for s in (f.step.settings for f in fits)
    ]
    return {key: found[key] for key in dict.fromkeys(order)}


def probe_encoding(doing: Doing) -> None:
    """Write what the features of every fit tell, and how much of its AUC the attributes explain."""
    manifest = CohortManifest(pd.read_parquet(doing.input("cohorts") / "manifest.parquet"))
    predictions = Predictions(pd.read_parquet(doing.input("predictions") / "predictions.parquet"))
    pixels, _ = open_pixels(doing.study, doing.place, read_source_tables(doing.input("source")).images)
    fits = [done for done in doing.inputs if done.step.name == "fit"]
    rows_of = cache(lambda cohort: probe_rows(doing.study, manifest, cohort))
    probed: dict[tuple[str, str, str], tuple[ProbeRows, Probed]] = {}
    n_done = 0
    for key, seeds in fits_by_kind(fits).items():
        images, found = rows_of(key[0]), Probed()
        for done in seeds:
            found.add(images, _features(done, doing.device, images, pixels), int(done.step.settings["seed"]))
            n_done += 1
            doing.progress(n_done, len(fits))
        probed[key] = images, found
    write_frames(
        doing.work,
        {
            "encoding": encoding_frame(doing.study, manifest, predictions, probed),
            "advantage": advantage_frame(doing.study, manifest, predictions),
        },
    )


def _features(
    done: Done, device: str, images: ProbeRows, pixels: training.Pixels
) -> dict[str, np.ndarray[tuple[int, int], np.dtype[np.float32]]]:
    """Features of the fitted network, and of the same one before it learned anything."""
    fitted = training.load_fitted(done.folder, device)
    twin = training.untrained_twin(fitted, done.folder, int(done.step.settings["seed"]))
    return {
        name: training.features_of(network, pixels, images.image_ids)
        for name, network in ((FITTED, fitted), (UNTRAINED, twin))
    }


def read_encoding(done: Done | None) -> dict[str, Any]:
    """The frames of a finished encoding step; nothing where the study did not ask for one."""
    return dict(read_frames(done.folder, ENCODING_FRAMES)) if done else {}
