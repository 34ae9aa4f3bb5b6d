"""The verdict on a gap: found, shown to be small, undecided, or not to be had."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from subgroup_audit.stats.inputs import check_level, check_positive
from subgroup_audit.stats.limits import normal_quantile, one_sided_tail
from subgroup_audit.stats.results import Estimate

VerdictName = Literal["gap", "no gap beyond the margin", "inconclusive", "not estimable"]


@dataclass(frozen=True)
class Verdict:
    """What can be said of a gap.

    Attributes
    ----------
    name : {'gap', 'no gap beyond the margin', 'inconclusive', 'not estimable'}
    sentence : str
        The verdict with its numbers.
    p_equivalence : float or None
        The larger p-value of the two one-sided tests against the margin; None without a margin.
    minimal_detectable_gap : float or None
        The gap that these data would show with 80 % probability, from the gap's standard error.
    """

    name: VerdictName
    sentence: str
    p_equivalence: float | None
    minimal_detectable_gap: float | None
    margin: float | None


def equivalence_verdict(
    gap: Estimate,
    *,
    margin: float | None,
    confidence_level: float = 0.95,
    power: float = 0.8,
) -> Verdict:
    """The verdict on one gap.

    With alpha = 1 - `confidence_level`, in this order:

    1. 'not estimable' if one of the two AUCs is.
    2. 'no gap beyond the margin' if the (1 - 2 alpha) interval lies inside (-margin, margin): both one-sided
       tests reject at alpha (TOST). If the (1 - alpha) interval excludes 0 as well, there is a difference,
       but one shown to be smaller than the margin; the sentence names it.
    3. 'gap' if the (1 - alpha) interval excludes 0.
    4. 'inconclusive' otherwise: nothing was shown, neither a gap nor its absence. The sentence says how large
       a gap these data could have shown.

    Without a margin nothing can be shown to be absent, and rule 2 does not apply.

    Raises
    ------
    StatisticsError
        A margin that is not above 0, or a level outside 0 to 1.

    Notes
    -----
    Schuirmann 1987, doi:10.1007/BF01068419; for AUCs Liu et al. 2006, doi:10.1002/sim.2358.
    """
    check_level(confidence_level)
    if margin is not None:
        check_positive(margin, "margin")
    if gap.limits is None or gap.estimate is None:
        return Verdict("not estimable", f"The gap cannot be estimated: {gap.reason}.", None, None, margin)
    interval = gap.interval_at(confidence_level)
    excludes_zero = interval.low > 0.0 or interval.high < 0.0
    p_equivalence = None if margin is None else _tost_p(gap, margin)
    is_within = p_equivalence is not None and p_equivalence < 1.0 - confidence_level
    detectable = detectable_gap(gap, confidence_level, power)
    limits = f"{100 * confidence_level:.4g} % interval {interval.low:+.3f} to {interval.high:+.3f}"
    numbers = f"{gap.estimate:+.3f} ({limits})"
    name, sentence = _word(numbers, margin, detectable, power, excludes_zero=excludes_zero, is_within=is_within)
    return Verdict(name, sentence, p_equivalence, detectable, margin)


def _word(
    numbers: str,
    margin: float | None,
    detectable: float | None,
    power: float,
    *,
    excludes_zero: bool,
    is_within: bool,
) -> tuple[VerdictName, str]:
    if is_within and excludes_zero:
        return "no gap beyond the margin", (
            f"The gap of {numbers} is not zero, but shown to be smaller than the margin of {margin:g}."
        )
    if is_within:
        return "no gap beyond the margin", f"A gap beyond the margin of {margin:g} is excluded: {numbers}."
    if excludes_zero:
        return "gap", f"There is a gap of {numbers}."
    shown = (
        ""
        if detectable is None
        else (f" These data would show a gap of {detectable:.3f} with {100 * power:.0f} % probability.")
    )
    return "inconclusive", f"Neither a gap nor its absence is shown: {numbers}.{shown}"


def _tost_p(gap: Estimate, margin: float) -> float:
    """The larger of the p-values of 'the gap is the margin or more' and 'minus the margin or less'."""
    return max(_one_sided_p(gap, margin, side=1), _one_sided_p(gap, -margin, side=0))


def _one_sided_p(gap: Estimate, bound: float, *, side: int) -> float:
    if gap.limits is None or gap.estimate is None:
        return 1.0
    is_beyond = gap.estimate >= bound if side == 1 else gap.estimate <= bound
    if is_beyond:
        return 1.0 - one_sided_tail(gap.limits, bound, 1 - side)
    return one_sided_tail(gap.limits, bound, side)


def detectable_gap(gap: Estimate, confidence_level: float = 0.95, power: float = 0.8) -> float | None:
    """The gap that data like these would show with probability `power`; None without a standard error."""
    if gap.standard_error is None or not gap.standard_error > 0.0:
        return None
    quantiles = normal_quantile((1.0 - confidence_level) / 2.0) + normal_quantile(1.0 - power)
    return quantiles * gap.standard_error
