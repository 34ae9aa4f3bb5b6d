"""Random changes of training images, drawn on the CPU and keyed by seed, epoch and image.

A change is one affine map from the output's coordinates to the stored image's, both running from -1 to 1 over the
image's edges, and one straight line through the grey levels. It is the same on every device, for every batch size
and order, because its numbers are hashes of the keys instead of draws from a stream.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from subgroup_audit.study import Augmentation
from subgroup_audit.training.spec import FloatArray

KeyArray = NDArray[np.uint64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_A, _MIX_B = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


@dataclass(frozen=True)
class Changes:
    """One change per image of a batch.

    Attributes
    ----------
    maps : float32 [n, 2, 3], from output coordinates to stored coordinates, both in [-1, 1]
    scale, offset : float32 [n]; a grey level g of 0 to 255 becomes scale * g + offset, cut to 0 to 255
    """

    maps: FloatArray
    scale: FloatArray
    offset: FloatArray

    @property
    def has_tone(self) -> bool:
        """Whether any grey level changes."""
        return bool(np.any(self.scale != 1.0) or np.any(self.offset != 0.0))


def image_keys(image_ids: Sequence[str]) -> KeyArray:
    """64-bit hashes of image ids, shape [n], the same in every process."""
    digests = b"".join(hashlib.blake2b(str(key).encode(), digest_size=8).digest() for key in image_ids)
    return np.frombuffer(digests, dtype="<u8").astype(np.uint64)


def no_changes(n: int) -> Changes:
    """Changes that leave n images as they are."""
    maps = np.zeros((n, 2, 3), dtype=np.float32)
    maps[:, 0, 0] = maps[:, 1, 1] = 1.0
    return Changes(maps, np.ones(n, dtype=np.float32), np.zeros(n, dtype=np.float32))


def is_off(augmentation: Augmentation) -> bool:
    """Whether the augmentation changes nothing."""
    return augmentation == Augmentation()


def draw_changes(
    augmentation: Augmentation, keys: KeyArray, *, seed: int, epoch: int, turns: NDArray[np.int64] | None = None
) -> Changes:
    """The changes of these images in this epoch.

    Parameters
    ----------
    keys : of `image_keys`, shape [n]
    turns : how often each image was already drawn in this epoch, shape [n]; absent: never
    """
    states = _mix(keys ^ _mix(np.uint64(seed)) ^ _mix(np.uint64(epoch) + _GOLDEN))
    if turns is not None:
        states = _mix(states + turns.astype(np.uint64))
    draw = [_uniform(states, stream) for stream in range(11)]
    symmetric = [2.0 * values - 1.0 for values in draw]
    a = augmentation
    flip_x = np.where(draw[0] < a.horizontal_flip, -1.0, 1.0)
    flip_y = np.where(draw[1] < a.vertical_flip, -1.0, 1.0)
    quarters = np.floor(4.0 * draw[2]) * (np.pi / 2.0 if a.rotate_quarter else 0.0)
    angle = quarters + np.deg2rad(a.rotation_degrees) * symmetric[3]
    zoom = 1.0 + a.zoom * symmetric[4]
    linear = _linear_maps(angle, a.shear * symmetric[5], zoom, flip_x, flip_y)
    shift = 2.0 * a.shift * np.stack([symmetric[6], symmetric[7]], axis=1)
    maps = np.concatenate([linear, shift[:, :, None]], axis=2).astype(np.float32)
    contrast = 1.0 + a.contrast * symmetric[8]
    offset = 127.5 * (1.0 - contrast) + 255.0 * a.brightness * symmetric[9]
    return Changes(maps, contrast.astype(np.float32), offset.astype(np.float32))


def _linear_maps(
    angle: NDArray[np.float64],
    shear: NDArray[np.float64],
    zoom: NDArray[np.float64],
    flip_x: NDArray[np.float64],
    flip_y: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Rotation after shear after flip, divided by zoom: maps of output to stored, shape [n, 2, 2]."""
    cosine, sine = np.cos(angle), np.sin(angle)
    return (
        np.stack(
            [
                np.stack([cosine * flip_x, (cosine * shear - sine) * flip_y], axis=1),
                np.stack([sine * flip_x, (sine * shear + cosine) * flip_y], axis=1),
            ],
            axis=1,
        )
        / zoom[:, None, None]
    )


def _uniform(states: KeyArray, stream: int) -> NDArray[np.float64]:
    """Numbers in [0, 1), one per state, independent between streams."""
    with np.errstate(over="ignore"):
        mixed = _mix(states + np.uint64(stream + 1) * _GOLDEN)
    return (mixed >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _mix(values: KeyArray | np.uint64) -> KeyArray:
    """SplitMix64's finaliser: every input bit changes every output bit with probability one half."""
    with np.errstate(over="ignore"):
        z = np.asarray(values, dtype=np.uint64) + _GOLDEN
        z = (z ^ (z >> np.uint64(30))) * _MIX_A
        z = (z ^ (z >> np.uint64(27))) * _MIX_B
        return np.asarray(z ^ (z >> np.uint64(31)), dtype=np.uint64)


def pixel_maps(maps: FloatArray, stored: int, size: int) -> FloatArray:
    """The same maps in pixels, from output pixel centres to stored pixel centres, shape [n, 2, 3]."""
    # normalised x of pixel i is (2 i + 1) / side - 1
    linear = maps[:, :, :2].astype(np.float64)
    start = linear.sum(axis=2) * (1.0 / size - 1.0) + maps[:, :, 2]
    moved = (start + 1.0) * stored / 2.0 - 0.5
    return np.concatenate([linear * (stored / size), moved[:, :, None]], axis=2).astype(np.float32)
