"""Numbers as a reader wants them: AUC with three decimals, a true minus sign, a dash for what is not there."""

from __future__ import annotations

import math
import re
from typing import Any

ABSENT = "–"


def is_number(value: Any) -> bool:
    """Whether the value can be shown as a number: present and finite.

    >>> is_number(0.5), is_number(float("nan")), is_number(None)
    (True, False, False)
    """
    if value is None or isinstance(value, str):
        return False
    try:
        return math.isfinite(float(value))
    except (TypeError, ValueError):
        return False


def decimal(value: Any, digits: int = 3) -> str:
    """The number with a fixed number of decimals, or a dash; never '-0.000'.

    >>> decimal(0.81234), decimal(-0.0001), decimal(None)
    ('0.812', '0.000', '–')
    """
    if not is_number(value):
        return ABSENT
    text = f"{float(value):.{digits}f}"
    if float(text) == 0.0:
        text = text.removeprefix("-")
    return text.replace("-", "−")


def signed(value: Any, digits: int = 3) -> str:
    """The difference with its sign always shown.

    >>> signed(0.0321), signed(-0.05), signed(0.0)
    ('+0.032', '−0.050', '0.000')
    """
    text = decimal(value, digits)
    if text == ABSENT or text.startswith("−") or float(text) == 0.0:
        return text
    return f"+{text}"


def typeset(sentence: str) -> str:
    """A sentence of the tables with minus signs where a number has a hyphen.

    >>> typeset("a change of -0.05 (-0.1 to +0.02), 2-fold, run-3")
    'a change of −0.05 (−0.1 to +0.02), 2-fold, run-3'
    """
    return re.sub(r"(?<![\w.)])-(?=\d)", "−", sentence)


def interval(low: Any, high: Any, digits: int = 3, *, with_signs: bool = False) -> str:
    """An interval in words, '0.770 to 0.848'; a dash where a limit is absent.

    >>> interval(0.77, 0.8481), interval(-0.02, 0.03, with_signs=True), interval(None, 0.2)
    ('0.770 to 0.848', '−0.020 to +0.030', '–')
    """
    if not (is_number(low) and is_number(high)):
        return ABSENT
    show = signed if with_signs else decimal
    return f"{show(low, digits)} to {show(high, digits)}"


def p_value(value: Any) -> str:
    """A p-value: three decimals, '<0.001' below, never '0.000'.

    >>> p_value(0.0342), p_value(1e-9), p_value(None)
    ('0.034', '<0.001', '–')
    """
    if not is_number(value):
        return ABSENT
    return "<0.001" if float(value) < 0.001 else decimal(value)


def count(value: Any) -> str:
    """A whole number with thousands separated; a dash where absent.

    >>> count(26684), count(None)
    ('26,684', '–')
    """
    return f"{round(float(value)):,}" if is_number(value) else ABSENT


def percent(share: Any, digits: int = 0) -> str:
    """A share in [0, 1] as a percentage.

    >>> percent(0.703), percent(0.004, 1), percent(None)
    ('70 %', '0.4 %', '–')
    """
    return f"{decimal(100 * float(share), digits)} %" if is_number(share) else ABSENT


def duration(seconds: Any) -> str:
    """Seconds in the two largest units that matter.

    >>> duration(3.21), duration(75), duration(4320)
    ('3.2 s', '1 min 15 s', '1 h 12 min')
    """
    if not is_number(seconds):
        return ABSENT
    if float(seconds) < 60:
        return f"{float(seconds):.1f} s"
    minutes, rest = divmod(round(float(seconds)), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes} min"


def plural(number: Any, one: str, many: str = "") -> str:
    """The number with its noun.

    >>> plural(1, "person"), plural(1200, "person"), plural(2, "study", "studies")
    ('1 person', '1,200 persons', '2 studies')
    """
    noun = one if is_number(number) and round(float(number)) == 1 else many or f"{one}s"
    return f"{count(number)} {noun}"


def listed(words: list[str], limit: int = 12) -> str:
    """Words as a list in a sentence, shortened beyond the limit.

    >>> listed(["a"]), listed(["a", "b", "c"]), listed(["a", "b", "c"], limit=2)
    ('a', 'a, b and c', 'a, b and 1 more')
    """
    if len(words) > limit:
        words = [*words[:limit], f"{len(words) - limit} more"]
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"


def nice_ceiling(value: float, step: float = 0.05) -> float:
    """The next multiple of `step` at or above the value, free of rounding dust.

    >>> nice_ceiling(0.121), nice_ceiling(0.2)
    (0.15, 0.2)
    """
    return round(math.ceil(round(value / step, 9)) * step, 9)
