"""The small study with its cohorts built and its fits planned, as launchers and workers of these tests need it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from subgroup_audit.engine import FitJob, PlannedFits, read_plan
from subgroup_audit.pipeline import RunOptions, prepare_study
from subgroup_audit.steps.place import Place
from subgroup_audit.store import RunFolder
from subgroup_audit.study import Study
from subgroup_audit.study_file import load_study
from subgroup_audit.watcher import Silence


@dataclass(frozen=True)
class Planned:
    """A study whose fits are planned in a folder."""

    study: Study
    place: Place

    @property
    def plan(self) -> PlannedFits:
        return read_plan(self.place.out, cache=self.place.cache, study_folder=self.place.study_folder)

    @property
    def jobs(self) -> list[FitJob]:
        return list(self.plan.jobs)

    def scores(self) -> dict[str, bytes]:
        """The bytes of the predictions of every fit that is done, by its label."""
        folder = RunFolder(self.place.out, "")
        done = [job for job in self.jobs if folder.is_done(job.step)]
        return {job.label: (folder.folder(job.step) / "predictions.parquet").read_bytes() for job in done}

    def copy(self, name: str) -> Planned:
        """The same plan in a folder of its own, nothing of it done."""
        out = self.place.out.with_name(name)
        shutil.copytree(self.place.out, out)
        for done in out.glob("steps/fit-*"):
            shutil.rmtree(done)
        return Planned(self.study, Place(self.place.study_folder, self.place.root, out, self.place.cache))


Plan = Callable[..., Planned]


def small_study(path: Path, *, epochs: int = 3, **changes: object) -> Study:
    """The small study with changes."""
    study = load_study(path)
    recipe = {**study.recipes["default"].model_dump(mode="json"), "epochs": epochs}
    return Study.model_validate({**study.model_dump(mode="json"), **{"recipes": {"default": recipe}, **changes}})


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Decoded pixels, once for all tests."""
    return tmp_path_factory.mktemp("engines") / "cache"


@pytest.fixture
def plan_small(study_file: Path, cache: Path) -> Plan:
    """Plans the small study with changes in a folder of this name."""

    def plan(name: str = "out", **changes: object) -> Planned:
        study = small_study(study_file, **changes)  # type: ignore[arg-type]
        place = Place(study_file.parent, Path(study.data.root or ""), study_file.parent / name, cache)
        prepare_study(study, place, RunOptions(device="cpu"))
        return Planned(study, place)

    return plan


@pytest.fixture(scope="session")
def done_here(
    small_phantom: Path,
    write_small_study: Callable[[Path, Path], Path],
    cache: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Planned:
    """Two fits of the small study, done by two workers of this machine: what every engine must repeat."""
    from subgroup_audit.engine import run_fits

    folder = tmp_path_factory.mktemp("here")
    study = small_study(write_small_study(folder, small_phantom), epochs=10, train_on=["F", "M"])
    place = Place(folder, small_phantom, folder / "out", cache)
    prepare_study(study, place, RunOptions(device="cpu"))
    planned = Planned(study, place)
    run_fits(
        planned.jobs, device="cpu", workers=2, keep_going=False, watcher=Silence(), done=lambda job, seconds: None
    )
    assert len(planned.scores()) == 2
    return planned
