"""A phantom as its writer leaves it can be loaded, decoded and trusted."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from subgroup_audit.datasets import load_source
from subgroup_audit.datasets.phantom_design import PhantomDesign
from subgroup_audit.datasets.phantom_writer import write_phantom
from subgroup_audit.images.store import build_pixel_store
from subgroup_audit.study import Data


def test_what_is_loaded_is_what_was_planted(tmp_path: Path) -> None:
    root = tmp_path / "phantom"
    write_phantom(root, PhantomDesign(n_images=12, size=128, images_per_person=2.0, seed=4), workers=1)
    tables = load_source(Data(source="phantom"), root, cache=tmp_path / "cache")
    truth = pd.read_csv(root / "truth.csv", dtype={"patient_id": "str"}, keep_default_na=False)
    joined = tables.images.frame.merge(truth, on="image_id", suffixes=("", "_truth"), validate="1:1")
    assert len(joined) == 12
    for attribute in ("sex", "view", "age_years"):
        assert (joined[attribute] == joined[f"{attribute}_truth"]).all()
    assert joined["patient_id"].nunique() == truth["patient_id"].nunique()
    positive = tables.labels.frame.query("label == 1").set_index("image_id")["finding"]
    assert (joined["image_id"].map(positive) == joined["class_name"]).all()
    store, exclusions = build_pixel_store(tables.images, root, size=64, cache=tmp_path / "cache", workers=1)
    assert len(store) == 12
    assert len(exclusions) == 0
    assert store.digests()["pixel_digest"].is_unique
