"""RSNA's challenge brought from Kaggle, with the user's own token, by Kaggle's own client (kagglehub).

The rules of the challenge bind the user alone, so that nothing is downloaded before the user has accepted them.
What was downloaded when the network broke is kept, and the same call goes on from there.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from subgroup_audit.datasets.rsna import CLASS_FILE, IMAGE_FOLDER, LABEL_FILE
from subgroup_audit.errors import DataError

CHALLENGE = "rsna-pneumonia-detection-challenge"
PAGE = f"https://www.kaggle.com/c/{CHALLENGE}"
N_IMAGES = 26_684
# The archive and what is unpacked from it lie side by side for a while.
NEEDED_BYTES = 9_000_000_000
PARTIAL = ".kaggle_download"
WAY = (
    f"1. Accept the rules at {PAGE}/rules, signed in. "
    "2. Make a token at https://www.kaggle.com/settings (section API). "
    "3. Save it as ~/.kaggle/kaggle.json, or set KAGGLE_API_TOKEN, or KAGGLE_USERNAME and KAGGLE_KEY."
)


def fetch_rsna(folder: Path, *, needed_bytes: int = NEEDED_BYTES) -> int:
    """The number of training images that lie in `folder` afterwards, in the layout that source `rsna` reads.

    Parameters
    ----------
    folder : made where it is absent; where the challenge is there already, nothing is downloaded
    needed_bytes : free space without which nothing is begun

    Raises
    ------
    DataError
        kagglehub is not installed, the token is missing or refused, the rules are not accepted, the disk is too
        small, the network broke, or what came is not complete. Each says what to do.
    """
    if (found := count_images(folder)) is not None:
        return found
    client = _client()
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if free < needed_bytes:
        raise DataError(
            f"{folder}: {free / 1e9:.1f} GB are free; archive and images need "
            f"{needed_bytes / 1e9:.0f} GB for a while"
        )
    partial = folder / PARTIAL
    with _kept_in(partial):
        brought = _download(client)
    for origin in sorted(brought.iterdir()):
        _put(origin, folder / origin.name)
    shutil.rmtree(partial)
    if (found := count_images(folder)) is None:
        raise DataError(
            f"{folder}: what Kaggle sent lacks one of {IMAGE_FOLDER}/*.dcm, {LABEL_FILE} and {CLASS_FILE}"
        )
    return found


def count_images(folder: Path) -> int | None:
    """The number of training images, or None where the folder lacks them or one of the two tables."""
    if not all((folder / name).is_file() for name in (LABEL_FILE, CLASS_FILE)):
        return None
    images = folder / IMAGE_FOLDER
    return sum(entry.name.endswith(".dcm") for entry in os.scandir(images)) or None if images.is_dir() else None


def _client() -> Any:
    os.environ.setdefault("KAGGLEHUB_VERBOSITY", "warning")
    try:
        import kagglehub
    except ImportError:
        raise DataError(
            "audit fetch needs Kaggle's client: pip install 'subgroup_audit[fetch]' (or pip install kagglehub). "
            f"Or download the challenge by hand from {PAGE}/data"
        ) from None
    return kagglehub


@contextmanager
def _kept_in(partial: Path) -> Iterator[None]:
    """A block in which kagglehub keeps its archive in a folder of ours, from where it resumes."""
    before = os.environ.get("KAGGLEHUB_CACHE")
    os.environ["KAGGLEHUB_CACHE"] = str(partial)
    try:
        yield
    finally:
        if before is None:
            del os.environ["KAGGLEHUB_CACHE"]
        else:
            os.environ["KAGGLEHUB_CACHE"] = before


def _download(client: Any) -> Path:
    """Where the unpacked challenge lies."""
    from kagglehub.exceptions import KaggleApiHTTPError, UnauthenticatedError
    from requests.exceptions import RequestException

    try:
        return Path(client.competition_download(CHALLENGE))
    except UnauthenticatedError:
        raise DataError(f"audit fetch rsna: no Kaggle token was found. {WAY}") from None
    except KaggleApiHTTPError as error:
        status = None if error.response is None else error.response.status_code
        if status in (401, 403):
            raise DataError(
                f"audit fetch rsna: Kaggle refused ({status}): the token is not valid, or the rules of the "
                f"challenge are not accepted. {WAY}"
            ) from None
        raise DataError(f"audit fetch rsna: Kaggle answered {status}; try again later") from error
    except RequestException as error:
        raise DataError(
            f"audit fetch rsna: the network broke ({type(error).__name__}). What was downloaded is kept; the same "
            "command goes on from there"
        ) from error
    except ValueError as error:  # a token file that is no JSON, or lacks a key
        raise DataError(f"audit fetch rsna: {error}. {WAY}") from None


def _put(origin: Path, target: Path) -> None:
    """Move a file or folder to its place; what an interrupted move has left there is replaced."""
    if target.is_dir():
        shutil.rmtree(target)
    shutil.move(origin, target)
