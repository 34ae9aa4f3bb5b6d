"""Phantom radiographs: what a person, a view and an opacity do to the pixels."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from subgroup_audit.datasets.phantom_anatomy import coarse_air, draw_radiograph, take_film
from subgroup_audit.datasets.phantom_lateral import draw_lateral
from subgroup_audit.datasets.phantom_person import Acquisition, Opacity, PatientAnatomy


def person(seed: int, sex: str = "M") -> PatientAnatomy:
    return PatientAnatomy.draw(sex, 50, np.random.default_rng([seed, 1]))


def film(seed: int, view: str, opacities: list[Opacity], *, size: int = 128, sex: str = "M"):
    rng = np.random.default_rng([seed, 2])
    acquisition = Acquisition.draw(view, rng)
    return take_film(person(seed, sex), acquisition, opacities, size=size, rng=rng)


@pytest.mark.parametrize("size", [96, 256, 700])
def test_has_the_size_and_type_asked_for(size):
    narrow = draw_radiograph(person(0), "PA", size=size, rng=np.random.default_rng(0))
    wide = draw_radiograph(person(0), "PA", size=size, rng=np.random.default_rng(0), bits=12)
    assert narrow.shape == wide.shape == (size, size)
    assert narrow.dtype == np.uint8
    assert wide.dtype == np.uint16
    assert 255 < wide.max() <= 4095
    assert np.abs(wide / 4095 - narrow / 255).max() < 1 / 255


def test_the_same_generator_gives_the_same_bytes_and_another_does_not():
    one, same, other = (
        draw_radiograph(person(3), "AP", size=128, rng=np.random.default_rng(s)) for s in (5, 5, 6)
    )
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), view=st.sampled_from(["AP", "PA"]), sex=st.sampled_from(["F", "M"]))
def test_every_person_gives_two_lungs_darker_than_heart_and_abdomen(seed, view, sex):
    drawn = film(seed, view, [], sex=sex)
    small = cv2.resize(drawn.pixels, (64, 64), interpolation=cv2.INTER_AREA)
    lung = drawn.air_cm > 0.6 * drawn.air_cm.max()
    assert lung[:, :32].sum() > 60
    assert lung[:, 32:].sum() > 60
    assert np.median(small[lung]) + 40 < np.median(small[56:60, 26:38])


def test_an_opacity_brightens_its_box_and_nothing_else():
    box = Opacity(28, 60, 24, 26, 0.6)
    without, with_box = film(4, "PA", []), film(4, "PA", [box])
    change = with_box.pixels.astype(int) - without.pixels
    inside = change[64:82, 32:48]
    outside = change.copy()
    outside[60:86, 28:52] = 0
    assert inside.mean() > 25
    # scatter and flattening reach beyond the box, but barely
    assert np.abs(outside).mean() < 2


def test_more_contrast_is_brighter_and_no_contrast_is_nothing():
    means = [film(4, "PA", [Opacity(28, 60, 24, 26, c)]).pixels[64:82, 32:48].mean() for c in (0.0, 0.2, 0.5, 1.0)]
    assert means == sorted(means)
    assert means[0] == film(4, "PA", []).pixels[64:82, 32:48].mean()


def test_an_opacity_never_holds_more_fluid_than_there_was_air():
    drawn = film(4, "PA", [Opacity(28, 60, 24, 26, 1.0)])
    lung = drawn.air_cm > 5
    assert (drawn.signal[lung] <= 0.205 * 0.73 * 1.3 * drawn.air_cm[lung] + 1e-3).all()


def heart_width(pixels) -> float:
    """Bright run across the midline at the heart's level, as a share of the width of both lungs and heart."""
    level = cv2.GaussianBlur(pixels, (0, 0), 2)[70:78].mean(axis=0)
    bright = level > (level[20:108].min() + level[60:70].max()) / 2
    middle = 64
    left = next(i for i in range(middle, 0, -1) if not bright[i])
    right = next(i for i in range(middle, 127) if not bright[i])
    return (right - left) / 88


def test_bedside_films_have_larger_hearts_and_less_air():
    seeds = range(25)
    films = {view: [film(s, view, []) for s in seeds] for view in ("AP", "PA")}
    ratio = {v: np.mean([f.cardiothoracic_ratio for f in fs]) for v, fs in films.items()}
    width = {v: np.mean([heart_width(f.pixels) for f in fs]) for v, fs in films.items()}
    air = {v: np.mean([f.air_cm.sum() for f in fs]) for v, fs in films.items()}
    assert ratio["AP"] - ratio["PA"] > 0.04
    assert width["AP"] - width["PA"] > 0.03
    assert air["AP"] < 0.92 * air["PA"]


def test_women_are_smaller_and_have_breast_shadows():
    women = [film(s, "PA", [], sex="F") for s in range(12)]
    men = [film(s, "PA", [], sex="M") for s in range(12)]
    assert np.mean([f.air_cm.sum() for f in women]) < np.mean([f.air_cm.sum() for f in men])
    assert all(person(s, "F").breast > 0 and person(s, "M").breast == 0 for s in range(12))


def test_air_known_before_drawing_is_the_air_drawn():
    rng = np.random.default_rng(8)
    acquisition = Acquisition.draw("PA", rng)
    drawn = take_film(person(8), acquisition, [], size=256, rng=rng)
    assert np.corrcoef(coarse_air(person(8), acquisition).ravel(), drawn.air_cm.ravel())[0, 1] > 0.98


def test_an_enlarged_heart_is_enlarged():
    rng = np.random.default_rng(1)
    plain = Acquisition.draw("PA", rng)
    large = Acquisition.draw("PA", np.random.default_rng(1), abnormality="enlarged heart")
    assert large.heart_scale > 1.2 * plain.heart_scale


@pytest.mark.parametrize("abnormality", ["nodule", "pleural line"])
def test_an_abnormality_changes_few_pixels(abnormality):
    rngs = [np.random.default_rng(2) for _ in range(2)]
    films = [
        take_film(person(2), Acquisition.draw("PA", rng, abnormality=a), [], size=256, rng=rng)
        for rng, a in zip(rngs, ("", abnormality), strict=True)
    ]
    change = np.abs(films[1].pixels.astype(int) - films[0].pixels)
    assert change.max() > 8
    assert 0.0002 < (change > 5).mean() < 0.08


def test_a_lateral_film_is_drawn():
    rng = np.random.default_rng(3)
    pixels = draw_lateral(person(3), Acquisition.draw("PA", rng), size=128, rng=rng)
    assert pixels.shape == (128, 128)
    assert pixels.std() > 30
