"""Finding a source by name."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from subgroup_audit import datasets
from subgroup_audit.datasets import find_source, load_source, source_names
from subgroup_audit.errors import DataError, StudyError
from subgroup_audit.study import Data

BUILT_IN = ["chexpert", "folder", "mimic_cxr", "nih", "phantom", "rsna", "table"]


def test_built_in_sources_are_registered() -> None:
    assert set(BUILT_IN) <= set(source_names())


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_source_says_what_it_expects(name: str, tmp_path: Path) -> None:
    assert len(find_source(name).expects) > 20
    with pytest.raises((DataError, StudyError)):
        load_source(Data(source=name), tmp_path, cache=tmp_path)


def test_unknown_source_names_the_nearest() -> None:
    with pytest.raises(StudyError, match=r"^data\.source: no data set is named 'chexprt'; nearest: chexpert$"):
        find_source("chexprt")


def _register(monkeypatch, *values: str) -> None:
    points = [EntryPoint("mine", value, datasets.GROUP) for value in values]
    monkeypatch.setattr(datasets, "entry_points", lambda group: points)


def test_a_name_registered_twice_is_refused(monkeypatch) -> None:
    _register(monkeypatch, "a:B", "c:D")
    with pytest.raises(StudyError, match=r"^data\.source: 'mine' is registered more than once: a:B, c:D$"):
        find_source("mine")


def test_a_source_that_cannot_be_loaded_is_named(monkeypatch) -> None:
    _register(monkeypatch, "no_such_module:Source")
    with pytest.raises(
        StudyError, match=r"^data\.source: 'mine' \(no_such_module:Source\) cannot be loaded: No module"
    ):
        find_source("mine")


def test_root_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    with pytest.raises(DataError, match="data: this folder is a file; source 'folder' expects there CLASS/"):
        load_source(Data(source="folder"), tmp_path / "data", cache=tmp_path)
