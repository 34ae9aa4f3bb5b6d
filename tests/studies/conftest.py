"""Tiny data sets in the layouts of the shipped studies, and the studies made tiny to fit them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from subgroup_audit.cohort.priority import largest_remainder
from subgroup_audit.datasets.phantom_design import PhantomDesign
from subgroup_audit.datasets.phantom_writer import write_phantom
from subgroup_audit.study import Cohort, Model, Recipe, Study

SIDE = 40
IMAGES = 60  # of a cohort whose counts are scaled down; of men or women alone, 40
NIH_FINDINGS = (
    "Atelectasis", "Cardiomegaly", "Consolidation", "Edema", "Effusion", "Emphysema", "Fibrosis", "Hernia",
    "Infiltration", "Mass", "Nodule", "Pleural_Thickening", "Pneumonia", "Pneumothorax",
)  # fmt: skip

Write = Callable[[Path], None]


def picture(path: Path, rng: np.random.Generator, *, is_positive: bool, in_colour: bool = False) -> None:
    """A picture of noise; a positive one has a brighter square in its middle."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (SIDE, SIDE, 3) if in_colour else (SIDE, SIDE)
    pixels = rng.integers(0, 160, shape)
    if is_positive:
        pixels[10:30, 10:30] += 60
    Image.fromarray(pixels.astype(np.uint8)).save(path)


def write_class_folders(root: Path, files: Iterable[str], positive: str) -> None:
    """A picture for each file; those below the folder of the positive class are positive."""
    rng = np.random.default_rng(0)
    for name in files:
        picture(root / name, rng, is_positive=f"{positive}/" in name)


def write_guangzhou(root: Path) -> None:
    """train, val and test, each with NORMAL and PNEUMONIA, named as the published files are."""
    names = []
    for split, n in (("train", 24), ("val", 4), ("test", 10)):
        names += [f"{split}/NORMAL/IM-{i:04d}-0001.jpeg" for i in _numbers(split, n)]
        names += [
            f"{split}/PNEUMONIA/person{i}_{'virus' if i % 2 else 'bacteria'}_{i}.jpeg" for i in _numbers(split, n)
        ]
    write_class_folders(root, names, "PNEUMONIA")


def _numbers(split: str, n: int) -> range:
    start = {"train": 100, "val": 200, "test": 300}[split]
    return range(start, start + n)


def write_slices(root: Path) -> None:
    """ILD slices of ten persons and normal ones of five."""
    names = [f"ILD/patient{p}_{i:03d}.png" for p in range(1, 11) for i in range(4)]
    names += [f"normal/patient{p}_{i:03d}.png" for p in range(11, 16) for i in range(5)]
    write_class_folders(root, names, "ILD")


def write_patches(root: Path) -> None:
    """train_labels.csv (id, label), train/ID.tif in colour, and test/ID.tif without labels."""
    rng = np.random.default_rng(1)
    rows = [(f"{i:040x}", i % 5 < 2) for i in range(90)]
    for name, is_positive in rows:
        picture(root / "train" / f"{name}.tif", rng, is_positive=is_positive, in_colour=True)
    for i in range(5):
        picture(root / "test" / f"{1000 + i:040x}.tif", rng, is_positive=i % 2 == 0, in_colour=True)
    table = pd.DataFrame({"id": [name for name, _ in rows], "label": [int(positive) for _, positive in rows]})
    table.to_csv(root / "train_labels.csv", index=False)


def write_masked_pack(root: Path) -> None:
    """metadata.csv and images/*.jpg as the pack of lung-masked radiographs has them: PA films of both sexes."""
    rng = np.random.default_rng(2)
    rows = []
    for i in range(180):
        label = ("Lung Opacity", "Normal")[i % 2]
        picture(root / "images" / f"{i}.jpg", rng, is_positive=i % 2 == 0)
        rows.append(
            (f"images/{i}.jpg", f"NIH{i // 2 * 2 + i % 2:08d}", "FM"[i // 2 % 2], 30 + i % 40, "PA", label)
        )
    columns = ["file", "patient_id", "sex", "age", "view", "label"]
    pd.DataFrame(rows, columns=columns).to_csv(root / "metadata.csv", index=False)


def write_nih(root: Path) -> None:
    """Data_Entry_2017.csv and images_001/images/*.png; each image has one finding or none."""
    rng = np.random.default_rng(3)
    rows = []
    for i in range(320):
        name, finding = f"{i:08d}_000.png", (*NIH_FINDINGS, "No Finding", "No Finding")[i % 16]
        picture(root / "images_001" / "images" / name, rng, is_positive=finding != "No Finding")
        rows.append((name, finding, 0, i, 20 + i % 60, "FM"[i // 16 % 2], "PA"))
    columns = [
        "Image Index", "Finding Labels", "Follow-up #", "Patient ID", "Patient Age", "Patient Gender",
        "View Position",
    ]  # fmt: skip
    pd.DataFrame(rows, columns=columns).to_csv(root / "Data_Entry_2017.csv", index=False)


def write_rsna(root: Path) -> None:
    """A phantom in Kaggle's layout, of which enough lie on PA films and in every class."""
    root.rmdir()
    design = PhantomDesign(
        n_images=260, size=64, images_per_person=1.2, share_ap=0.4, prevalence=0.45, contrast=1.0,
        not_normal_share=0.5, seed=4,
    )  # fmt: skip
    write_phantom(root, design, workers=1)


LAYOUTS: dict[str, Write] = {
    "guangzhou_pneumonia": write_guangzhou,
    "resnet50_heads": write_guangzhou,
    "metastases_patches": write_patches,
    "ild_slices": write_slices,
    "rsna_lung_masked_paper": write_masked_pack,
    "nih_composition": write_nih,
    "rsna_paper_curves": write_rsna,
    "rsna_paper_three_class": write_rsna,
    "rsna_composition": write_rsna,
}


@pytest.fixture(scope="session")
def stand_in(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a tiny data set in the layout that a shipped study reads; studies of one layout share it."""
    written: dict[Write, Path] = {}

    def place(study: str) -> Path:
        write = LAYOUTS[study]
        if write not in written:
            written[write] = tmp_path_factory.mktemp(write.__name__)
            write(written[write])
        return written[write]

    return place


@pytest.fixture(scope="session")
def shrink() -> Callable[[Study], Study]:
    """The study with every model replaced by the small CNN, one epoch, small images and cohorts, one seed, and at
    most three findings."""
    return _shrink


def _shrink(study: Study) -> Study:
    return study.model_copy(
        update={
            "data": study.data.model_copy(update={"stored_size": 32}),
            "models": {name: _small(model) for name, model in study.models.items()},
            "recipes": {name: _short(recipe) for name, recipe in study.recipes.items()},
            "cohorts": {name: _fewer(cohort) for name, cohort in study.cohorts.items()},
            "findings": dict(list(study.findings.items())[:3]),
            "seeds": (0,),
            "analysis": study.analysis.model_copy(update={"n_resamples": 200}),
        }
    )


def _small(model: Model) -> Model:
    return model.model_copy(update={"architecture": "small_cnn", "pretrained": False, "hidden": model.hidden[:1]})


def _short(recipe: Recipe) -> Recipe:
    changed = {"image_size": 32, "batch_size": 16, "epochs": 1, "precision": "fp32"}
    return recipe.model_copy(update=changed)


def _fewer(cohort: Cohort) -> Cohort:
    n = 40 if "sex" in cohort.where else IMAGES
    counts = {
        attribute: dict(zip(asked, _scaled(list(asked.values()), n), strict=True))
        for attribute, asked in cohort.counts.items()
    }
    return cohort.model_copy(update={"counts": counts})


def _scaled(counts: list[int], total: int) -> list[int]:
    return [int(n) for n in largest_remainder(total, np.array(counts) / sum(counts))]
