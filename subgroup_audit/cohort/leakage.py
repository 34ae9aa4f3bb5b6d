"""What training and testing share: the certificate of the split, and what a split of images would have leaked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from subgroup_audit.cohort.roster import Ints, Mask, Roster
from subgroup_audit.cohort.split import TEST, TRAIN, VAL

BY_PERSON = "person"
BY_IMAGE = "image-level split (persons shared)"


@dataclass(frozen=True, eq=False)
class Drawn:
    """The images of a cohort: positions in the roster."""

    cohort: str
    images: Ints


@dataclass(frozen=True, eq=False)
class Identities:
    """Under which codes images count as the same: person, file, and pixels where they are known (-1: unknown).

    Attributes
    ----------
    near : positions of the two images of every near copy, int array [pairs, 2]; None where nobody looked
    """

    persons: Ints
    files: Ints
    pixels: Ints | None
    near: Ints | None = None


def identities(
    roster: Roster, digests: NDArray[np.object_] | None, near_copies: pd.DataFrame | None = None
) -> Identities:
    """The codes by which images are recognised again.

    Parameters
    ----------
    near_copies : pairs `image_id`, `other_id` of pictures that are nearly the same; of others than the roster's
        images nothing is kept
    """
    files = pd.factorize(roster.frame["path"])[0].astype("int64")
    pixels = None if digests is None else pd.factorize(digests)[0].astype("int64")
    return Identities(roster.persons, files, pixels, _positions(roster, near_copies))


def _positions(roster: Roster, near_copies: pd.DataFrame | None) -> Ints | None:
    if near_copies is None:
        return None
    known = pd.Index(roster.frame["image_id"])
    pairs = np.column_stack(
        [known.get_indexer(pd.Index(near_copies[name])) for name in ("image_id", "other_id")]
    ).astype("int64")
    return np.asarray(pairs[(pairs >= 0).all(axis=1)])


def leakage_certificate(
    train: Sequence[Drawn], test: Sequence[Drawn], parts: Ints, same: Identities, split_unit: str
) -> pd.DataFrame:
    """What each pair of cohorts shares between what a fit sees and what it is tested on.

    A fit sees its training images and, when it picks its epoch, its validation images; both count as seen.

    Columns
    -------
    n_train_images, n_val_images, n_test_images : images
    shared_persons : persons seen who are also tested
    shared_files : test images whose file was seen
    shared_pixels : test images whose pixels were seen; missing where pixels are not known
    pixels_under_other_ids : those of them that were seen under another image_id
    shared_near_pixels : test images of which a near copy was seen; missing where nobody looked
    share_of_test_images_of_seen_persons : in [0, 1]
    split_unit : person, or that images were split
    """
    known = [_Known.of(cohort, parts, same) for cohort in train]
    rows = [{**_compare(seen, other, parts, same), "split_unit": split_unit} for seen in known for other in test]
    frame = pd.DataFrame(rows)
    return frame.astype(
        {"shared_pixels": "Int64", "pixels_under_other_ids": "Int64", "shared_near_pixels": "Int64"}
    )


@dataclass(frozen=True, eq=False)
class _Known:
    """What the fits of one cohort see."""

    cohort: str
    n_train: int
    n_val: int
    images: Mask
    persons: Mask
    files: Mask
    pixels: Mask | None

    @classmethod
    def of(cls, drawn: Drawn, parts: Ints, same: Identities) -> _Known:
        part = parts[drawn.images]
        seen = drawn.images[(part == TRAIN) | (part == VAL)]
        images = np.zeros(len(parts), dtype=bool)
        images[seen] = True
        return cls(
            drawn.cohort,
            int((part == TRAIN).sum()),
            int((part == VAL).sum()),
            images,
            _met(same.persons, seen),
            _met(same.files, seen),
            None if same.pixels is None else _met(same.pixels, seen),
        )


def _met(codes: Ints, seen: Ints) -> Mask:
    met = np.zeros(int(codes.max(initial=-1)) + 2, dtype=bool)  # the last entry answers for code -1, unknown
    met[codes[seen]] = True
    met[-1] = False
    return met


def _compare(seen: _Known, other: Drawn, parts: Ints, same: Identities) -> dict[str, object]:
    tested = other.images[parts[other.images] == TEST]
    of_seen = seen.persons[same.persons[tested]]
    pixels, renamed = None, None
    if seen.pixels is not None and same.pixels is not None:
        again = seen.pixels[same.pixels[tested]]
        pixels, renamed = int(again.sum()), int((again & ~seen.images[tested]).sum())
    return {
        "train_cohort": seen.cohort,
        "test_cohort": other.cohort,
        "n_train_images": seen.n_train,
        "n_val_images": seen.n_val,
        "n_test_images": len(tested),
        "shared_persons": len(np.unique(same.persons[tested][of_seen])),
        "shared_files": int(seen.files[same.files[tested]].sum()),
        "shared_pixels": pixels,
        "pixels_under_other_ids": renamed,
        "shared_near_pixels": _near_copies_seen(seen, tested, same),
        "share_of_test_images_of_seen_persons": float(of_seen.mean()) if len(tested) else 0.0,
    }


def _near_copies_seen(seen: _Known, tested: Ints, same: Identities) -> int | None:
    """How many tested images are a near copy of one that was seen; None where nobody looked."""
    if same.near is None:
        return None
    is_tested = np.zeros(len(same.persons), dtype=bool)
    is_tested[tested] = True
    both_ways = np.concatenate([same.near, same.near[:, ::-1]])
    return len(np.unique(both_ways[is_tested[both_ways[:, 0]] & seen.images[both_ways[:, 1]], 0]))


def image_level_leakage(
    everyone: Ints, train: Sequence[Drawn], test: Sequence[Drawn], persons: Ints, seen_share: float
) -> pd.DataFrame:
    """The share of test images whose person would be seen, had the same images been split one by one.

    An image of the test cohort leaks if any other image of its person that the training cohort uses falls among
    the seen ones. With m such images that happens with probability 1 - (1 - seen_share)^m; the mean over images is
    the expected share, so no draw is needed. The first row, with empty cohorts, is of all eligible images.

    Parameters
    ----------
    everyone : positions of the eligible images
    seen_share : train and validation fraction of the images

    Columns
    -------
    n_images, n_patients : of the test cohort, all splits
    share_of_test_images_of_seen_persons : expected, in [0, 1]
    """
    all_images = Drawn("", everyone)
    pairs = [(all_images, all_images), *((a, b) for a in train for b in test)]
    n_persons = int(persons.max(initial=-1)) + 1
    counted: dict[str, tuple[Mask, Ints]] = {}
    rows = []
    for seen, other in pairs:
        if seen.cohort not in counted:
            is_used = np.zeros(len(persons), dtype=bool)
            is_used[seen.images] = True
            counted[seen.cohort] = (is_used, np.bincount(persons[seen.images], minlength=n_persons))
        is_used, per_person = counted[seen.cohort]
        others = per_person[persons[other.images]] - is_used[other.images]
        leaks = 1.0 - (1.0 - seen_share) ** others
        rows.append(
            {
                "train_cohort": seen.cohort,
                "test_cohort": other.cohort,
                "n_images": len(other.images),
                "n_patients": int(np.count_nonzero(np.bincount(persons[other.images]))),
                "share_of_test_images_of_seen_persons": float(leaks.mean()) if len(leaks) else 0.0,
            }
        )
    return pd.DataFrame(rows)
