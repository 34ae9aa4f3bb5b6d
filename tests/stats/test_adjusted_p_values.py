"""Adjusted p-values against statsmodels, which a check does not import."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from subgroup_audit.stats import adjust_p_values


@pytest.mark.parametrize(("ours", "theirs"), [("holm", "holm"), ("benjamini-hochberg", "fdr_bh")])
@given(p_values=st.lists(st.floats(0, 1), min_size=1, max_size=25))
def test_they_are_those_of_statsmodels(ours: str, theirs: str, p_values: list[float]) -> None:
    expected = multipletests(p_values, method=theirs)[1]
    assert adjust_p_values(p_values, ours) == pytest.approx(expected.tolist(), abs=1e-15)
