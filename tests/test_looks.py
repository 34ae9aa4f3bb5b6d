"""Looks inside the networks on a small phantom: asked for, stored, shown, and not done again."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from subgroup_audit.pipeline import RunOptions, RunSummary, render_again, run_study
from subgroup_audit.schema import (
    ADVANTAGE_COLUMNS,
    BOX_HEAT_COLUMNS,
    ENCODING_COLUMNS,
    SALIENCY_COLUMNS,
    conform_frame,
)
from subgroup_audit.steps.place import Place
from subgroup_audit.study import Study
from subgroup_audit.study_file import load_study

Finished = tuple[Study, Place, RunSummary]


@pytest.fixture(scope="module")
def looked(
    small_phantom: Path, tmp_path_factory: pytest.TempPathFactory, write_small_study: Callable[[Path, Path], Path]
) -> Finished:
    """A finished run of the small study that looks inside its networks; one of them is a transformer."""
    folder = tmp_path_factory.mktemp("looks")
    path = write_small_study(folder, small_phantom)
    text = path.read_text(encoding="utf-8")
    text = text.replace("models: [small_cnn]", "models: [small_cnn, vit_tiny_patch16_224]\ntrain_on: [all]")
    path.write_text(f"{text}diagnose: [encoding, saliency]\n", encoding="utf-8")
    study = load_study(path)
    place = Place(folder, small_phantom, folder / "out", folder / "cache")
    return study, place, run_study(study, place, RunOptions(device="cpu", workers=1))


def _stored(place: Place, name: str) -> pd.DataFrame:
    return pd.read_parquet(next(place.out.glob(f"steps/*/{name}.parquet")))


def test_the_frames_are_whole(looked: Finished) -> None:
    _, place, _ = looked
    for name, columns in {
        "encoding": ENCODING_COLUMNS,
        "advantage": ADVANTAGE_COLUMNS,
        "saliency": SALIENCY_COLUMNS,
        "box_heat": BOX_HEAT_COLUMNS,
    }.items():
        frame = conform_frame(_stored(place, name), columns, name)
        assert len(frame)


def test_features_tell_the_view_of_a_phantom(looked: Finished) -> None:
    _, place, _ = looked
    frame = _stored(place, "encoding").set_index(["model", "attribute", "source"])
    assert frame.loc[("small_cnn", "view", "fitted"), "low"] > 0.6
    shuffled = frame.loc[("small_cnn", "view", "shuffled")]
    assert shuffled["low"] < 0.5 < shuffled["high"]


def test_a_transformer_has_features_and_no_map_with_the_reason(looked: Finished) -> None:
    _, place, summary = looked
    assert "vit_tiny_patch16_224" in set(_stored(place, "encoding")["model"])
    rows = _stored(place, "saliency").query("model == 'vit_tiny_patch16_224'")
    assert set(rows["status"]) == {"not available"}
    assert rows["reason"].str.startswith("a transformer has no last convolutional map").all()
    assert "a transformer has no last convolutional map" in summary.report.read_text(encoding="utf-8")


def test_nothing_that_names_a_person_or_an_image_is_shown(looked: Finished) -> None:
    _, place, summary = looked
    errors = next(place.out.glob("steps/saliency-*"))
    manifest = _stored(place, "manifest")
    page = summary.report.read_text(encoding="utf-8")
    for frame in (pd.read_parquet(path) for path in errors.glob("*.parquet")):
        assert not {"image_id", "patient_id", "person"} & set(frame.columns)
    assert not [name for name in manifest["image_id"].unique() if name in page]


def test_the_page_shows_both_sections_and_figures_lie_beside_it(looked: Finished) -> None:
    _, place, summary = looked
    page = summary.report.read_text(encoding="utf-8")
    for said in ("What the features tell", "Where the network looks", "A heat map is a weak witness"):
        assert said in page
    assert (place.out / "figures" / "encoding.svg").is_file()
    assert (place.out / "figures" / "saliency_opacity-small-cnn-default.png").is_file()
    assert (place.out / "tables" / "box_heat.csv").is_file()


def test_a_second_run_does_nothing_and_imports_no_torch(looked: Finished) -> None:
    study, place, _ = looked
    again = run_study(study, place, RunOptions(device="cpu"))
    assert again.is_unchanged
    assert {"encoding", "saliency"} <= set(again.reused)
    program = (
        "import sys; from pathlib import Path\n"
        "from subgroup_audit.pipeline import RunOptions, run_study\n"
        "from subgroup_audit.steps.place import Place\nfrom subgroup_audit.study_file import load_study\n"
        f"folder = Path({str(place.study_folder)!r})\n"
        f"place = Place(folder, Path({str(place.root)!r}), folder / 'out', folder / 'cache')\n"
        "assert run_study(load_study(folder / 'study.yaml'), place, RunOptions(device='cpu')).is_unchanged\n"
        "assert not {'torch', 'sklearn'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_report_can_be_rendered_again_with_the_looks(looked: Finished) -> None:
    _, place, _ = looked
    page = render_again(place.out).read_text(encoding="utf-8")
    assert "Where the network looks" in page
    assert "The heat maps are missing" not in page
