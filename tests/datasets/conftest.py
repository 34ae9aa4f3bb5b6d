"""Small data sets in the layouts in which the big ones are published."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from subgroup_audit.datasets import load_source
from subgroup_audit.schema import SourceTables
from subgroup_audit.study import Data

Load = Callable[..., SourceTables]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


@pytest.fixture
def load(root: Path, tmp_path: Path) -> Load:
    """A function that loads the data set below `root` with a source and its options."""

    def call(source: str, **options: Any) -> SourceTables:
        return load_source(Data(source=source, options=options), root, cache=tmp_path / "cache")

    return call


@pytest.fixture
def put(root: Path) -> Callable[[str, str], Path]:
    """A function that writes a text file below `root`, or an image where the text is empty."""

    def write(name: str, text: str = "") -> Path:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if text:
            path.write_text(text, encoding="utf-8")
        else:
            Image.fromarray(np.full((8, 8), 90, dtype=np.uint8)).save(path)
        return path

    return write
