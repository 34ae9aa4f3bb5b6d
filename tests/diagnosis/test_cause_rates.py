"""The rules that name a cause, on worlds of closed form: rarely wrong where nothing is planted."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest
from scipy.stats import binomtest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def rates(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "examples")
    import cause_rates

    return cause_rates


def world(rates: ModuleType, start: str) -> int:
    return next(place for place, found in enumerate(rates.WORLDS) if found.name.startswith(start))


def test_a_draw_names_what_is_planted_in_it(rates: ModuleType) -> None:
    for start, named in (("nothing, AUC 0.85", []), ("scores shuffled", ["order"]), ("two thirds", ["leak"])):
        assert rates.name_in(rates.WORLDS[world(rates, start)], 100, 1) == named


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("n_test", [100, 220, 440])
def test_no_rule_accuses_falsely_in_more_than_one_of_twenty_clean_draws(rates: ModuleType, n_test: int) -> None:
    row = rates.draw_all([world(rates, "nothing, AUC 0.85")], [n_test], 200, 2).iloc[0]
    for cause in rates.CAUSES:
        assert binomtest(int(row[cause]), 200, 0.05, alternative="greater").pvalue > 0.01
