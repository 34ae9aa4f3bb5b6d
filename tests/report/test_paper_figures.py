"""What a printed figure must keep: inside its width, no letter on another, none too small to read."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
from fabricated import fabricated_flow, fabricated_samples
from made_up_looks import made_up_looks

from subgroup_audit.cli.report import JOURNALS
from subgroup_audit.errors import ReportError
from subgroup_audit.report import RunContents
from subgroup_audit.report.paper_figures import (
    LAYOUTS,
    ONE_COLUMN,
    Layout,
    figure_makers,
    files,
    layout_of,
    write_figures,
)
from subgroup_audit.report.paper_figures.style import MM_PER_INCH, style_of
from subgroup_audit.study import Study

SMALLEST_LETTER = 6.0
# Boxes of letters hold room above and below them, px at 100 dpi.
SLACK = 2.0


def drawn(contents: RunContents, layout: Layout) -> Iterator[tuple[str, Any]]:
    """Every figure of the run, laid out as it is saved."""
    with matplotlib.rc_context(style_of(layout)):
        for name, draw in figure_makers(contents, layout).items():
            figure = draw()
            figure.get_layout_engine().execute(figure)
            figure.set_layout_engine(None)
            figure.canvas.draw()
            yield name, figure


def words_of(figure: Any) -> list[tuple[str, Any, float]]:
    """Every visible text with its box in pixels and its size."""
    from matplotlib.text import Text

    renderer = figure.canvas.get_renderer()
    undrawn = {text for axes in figure.axes for text in _undrawn(axes)}
    found = []
    for text in figure.findobj(Text):
        if text.get_visible() and text.get_text().strip() and text not in undrawn:
            found.append((text.get_text(), text.get_window_extent(renderer), text.get_fontsize()))
    return found


def _undrawn(axes: Any) -> Iterator[Any]:
    """The texts of hidden axes, and the labels of ticks beyond a scale, which exist and are not drawn."""
    from matplotlib.text import Text

    if not axes.get_visible():
        yield from axes.findobj(Text)
        return
    for axis in (axes.xaxis, axes.yaxis):
        low, high = sorted(axis.get_view_interval())
        for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
            if not low - 1e-9 <= tick.get_loc() <= high + 1e-9:
                yield from (tick.label1, tick.label2)


@pytest.fixture(scope="module")
def looked(contents: RunContents) -> RunContents:
    """Heat maps alone."""
    return RunContents(study=contents.study, saliency=made_up_looks(contents.study, np.random.default_rng(1)))


@pytest.fixture(scope="module")
def crowded(hostile: RunContents) -> RunContents:
    """Flow, samples and heat maps of more cohorts than a page holds, one with a name that tries to be markup."""
    names = [*list(hostile.study.cohorts)[:2], *(f"Hospital {place}" for place in range(9))]
    spec = {**hostile.study.model_dump(mode="json", by_alias=True, exclude_unset=True), "test_on": names}
    study = Study.model_validate({**spec, "cohorts": {name: {} for name in names}, "reference": []})
    rng = np.random.default_rng(2)
    return RunContents(
        study=study,
        flow=fabricated_flow(study),
        samples=fabricated_samples(study, rng),
        saliency=made_up_looks(study, rng),
    )


@pytest.mark.filterwarnings("ignore:Glyph")
@pytest.mark.parametrize(
    ("name", "journal"),
    [
        ("contents", "one-column"),
        ("contents", "two-column"),
        ("hostile", "one-column"),
        ("looked", "one-column"),
        ("crowded", "one-column"),
        ("crowded", "two-column"),
    ],
)
def test_no_word_is_cut_covered_or_too_small(name: str, journal: str, request: pytest.FixtureRequest) -> None:
    layout = LAYOUTS[journal]
    for title, figure in drawn(request.getfixturevalue(name), layout):
        millimetres = [round(MM_PER_INCH * length, 3) for length in figure.get_size_inches()]
        assert millimetres[0] in (layout.width, layout.full_width), title
        assert millimetres[1] <= layout.height + 1, title
        words = words_of(figure)
        for text, box, size in words:
            assert size >= SMALLEST_LETTER, f"{title}: {text!r} in {size} pt"
            assert is_inside(box, figure.bbox), f"{title}: {text!r} at {box} leaves {figure.bbox}"
        for (one, a, _), (other, b, _) in combinations(words, 2):
            assert is_apart(a, b), f"{title}: {one!r} on {other!r}"


def is_inside(box: Any, whole: Any) -> bool:
    return bool(box.x0 >= -1 and box.y0 >= -1 and box.x1 <= whole.width + 1 and box.y1 <= whole.height + 1)


def is_apart(a: Any, b: Any) -> bool:
    beside = a.x1 - SLACK <= b.x0 or b.x1 - SLACK <= a.x0
    return bool(beside or a.y1 - SLACK <= b.y0 or b.y1 - SLACK <= a.y0)


def test_the_test_sees_words_that_are_cut_or_covered() -> None:
    with matplotlib.rc_context(style_of(ONE_COLUMN)):
        figure = ONE_COLUMN.figure(40)
        figure.text(0.5, 0.5, "one word")
        figure.text(0.55, 0.5, "another word")
        figure.text(0.9, 0.1, "a long word that leaves the figure")
        (_, one, _), (_, other, _), (_, long, _) = words_of(figure)
    assert not is_apart(one, other)
    assert is_apart(one, long)
    assert not is_inside(long, figure.bbox)


def test_shared_out_figures_are_those_that_one_process_draws(
    contents: RunContents, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "FORMATS", ("svg",))
    few = RunContents(study=contents.study, result=contents.result)
    shared = write_figures(figure_makers(few), tmp_path / "shared")
    monkeypatch.setattr(files, "FEW", 99)
    alone = write_figures(figure_makers(few), tmp_path / "alone")
    assert [path.name for path in shared] == [path.name for path in alone]
    assert [path.read_bytes() for path in shared] == [path.read_bytes() for path in alone]


def test_an_error_of_a_figure_is_raised_where_it_was_asked_for(tmp_path: Path) -> None:
    def fail() -> None:
        raise ValueError("this figure cannot be drawn")

    with pytest.raises(ValueError, match="this figure cannot be drawn"):
        write_figures({f"figure {i}": fail for i in range(5)}, tmp_path)


def test_the_command_names_every_layout() -> None:
    assert "; ".join(f"`{name}`: {layout.words}" for name, layout in LAYOUTS.items()) == JOURNALS


def test_an_unknown_journal_names_the_nearest() -> None:
    with pytest.raises(ReportError) as caught:
        layout_of("tow-column")
    said = "--journal tow-column: there is no such layout; nearest: two-column, one-column"
    assert str(caught.value) == said
