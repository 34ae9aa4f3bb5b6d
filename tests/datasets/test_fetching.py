"""Bringing the challenge: Kaggle's own client against a server of ours that speaks as Kaggle does."""

from __future__ import annotations

import io
import sys
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from subgroup_audit.cli import app
from subgroup_audit.datasets.fetching import PARTIAL, count_images, fetch_rsna
from subgroup_audit.errors import DataError

SERVICE = "/api/v1/competitions.CompetitionApiService/DownloadDataFiles"


def archive(names: list[str]) -> bytes:
    stored = io.BytesIO()
    with zipfile.ZipFile(stored, "w") as made:
        for name in names:
            made.writestr(name, b"x" * 100_000)
    return stored.getvalue()


COMPLETE = archive(
    [
        "stage_2_train_labels.csv",
        "stage_2_detailed_class_info.csv",
        *(f"stage_2_train_images/{i}.dcm" for i in range(30)),
        "stage_2_test_images/0.dcm",
    ]
)


@dataclass
class Kaggle:
    """What the server does, and what it was asked."""

    status: int = 200
    body: bytes = COMPLETE
    breaks_after: int | None = None
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def kaggle(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Kaggle]:
    """A server in Kaggle's place, and a token for it."""
    pytest.importorskip("kagglehub")
    from kagglesdk import kaggle_env

    state = Kaggle()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            state.asked.append("call")
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if state.status != 200:
                self.answer(state.status, b'{"message": "no"}')
                return
            self.send_response(302)
            self.send_header("Location", "/challenge.zip")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_GET(self) -> None:
            start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
            state.asked.append(f"from {start}")
            self.answer(206 if start else 200, state.body[start:], breaks_after=state.breaks_after)

        def answer(self, status: int, body: bytes, *, breaks_after: int | None = None) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Accept-Ranges", "bytes")
            self.end_headers()
            self.wfile.write(body[:breaks_after])

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setitem(
        kaggle_env._env_to_endpoint, kaggle_env.KaggleEnv.LOCAL, f"http://127.0.0.1:{server.server_port}"
    )
    monkeypatch.setenv("KAGGLE_API_ENVIRONMENT", "LOCALHOST")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for name in ("KAGGLE_API_TOKEN", "KAGGLE_API_V1_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("KAGGLE_CONFIG_DIR", str(tmp_path / "home"))
    monkeypatch.setenv("KAGGLE_USERNAME", "someone")
    monkeypatch.setenv("KAGGLE_KEY", "key")
    yield state
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_challenge_comes_in_the_layout_that_the_source_reads(kaggle: Kaggle, tmp_path: Path) -> None:
    folder = tmp_path / "rsna"
    assert fetch_rsna(folder, needed_bytes=0) == 30
    assert sorted(entry.name for entry in folder.iterdir()) == [
        "stage_2_detailed_class_info.csv",
        "stage_2_test_images",
        "stage_2_train_images",
        "stage_2_train_labels.csv",
    ]
    asked = list(kaggle.asked)
    assert fetch_rsna(folder, needed_bytes=0) == 30
    assert kaggle.asked == asked


def test_a_broken_network_keeps_what_came_and_the_next_call_goes_on_from_there(
    kaggle: Kaggle, tmp_path: Path
) -> None:
    folder = tmp_path / "rsna"
    kaggle.breaks_after = 2_500_000
    with pytest.raises(
        DataError, match=r"the network broke .* What was downloaded is kept; the same command goes on"
    ):
        fetch_rsna(folder, needed_bytes=0)
    assert (folder / PARTIAL).is_dir()
    assert count_images(folder) is None
    kaggle.breaks_after, kaggle.asked = None, []
    assert fetch_rsna(folder, needed_bytes=0) == 30
    starts = [int(word.split()[1]) for word in kaggle.asked if word.startswith("from ")]
    assert max(starts) > 0
    assert not (folder / PARTIAL).exists()


def test_without_a_token_it_says_what_to_accept_where(
    kaggle: Kaggle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KAGGLE_KEY")
    done = CliRunner().invoke(app, ["fetch", "rsna", "--into", str(tmp_path / "rsna")])
    assert isinstance(done.exception, DataError) or done.exit_code == 2
    with pytest.raises(DataError) as raised:
        fetch_rsna(tmp_path / "rsna", needed_bytes=0)
    assert str(raised.value) == (
        "audit fetch rsna: no Kaggle token was found. 1. Accept the rules at "
        "https://www.kaggle.com/c/rsna-pneumonia-detection-challenge/rules, signed in. 2. Make a token at "
        "https://www.kaggle.com/settings (section API). 3. Save it as ~/.kaggle/kaggle.json, or set "
        "KAGGLE_API_TOKEN, or KAGGLE_USERNAME and KAGGLE_KEY."
    )


@pytest.mark.parametrize("status", [401, 403])
def test_rules_that_are_not_accepted_are_named(kaggle: Kaggle, tmp_path: Path, status: int) -> None:
    kaggle.status = status
    with pytest.raises(DataError, match=rf"Kaggle refused \({status}\): the token is not valid, or the rules"):
        fetch_rsna(tmp_path / "rsna", needed_bytes=0)


def test_what_is_not_the_challenge_is_refused(kaggle: Kaggle, tmp_path: Path) -> None:
    kaggle.body = archive(["something_else.csv"])
    with pytest.raises(DataError, match=r"what Kaggle sent lacks one of stage_2_train_images/\*\.dcm"):
        fetch_rsna(tmp_path / "rsna", needed_bytes=0)


def test_a_disk_that_is_too_small_is_known_before_anything_is_asked(kaggle: Kaggle, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="GB are free; archive and images need"):
        fetch_rsna(tmp_path / "rsna", needed_bytes=10**18)
    assert kaggle.asked == []


def test_a_missing_client_is_named_with_its_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    with pytest.raises(DataError, match=r"pip install 'subgroup_audit\[fetch\]'"):
        fetch_rsna(tmp_path / "rsna", needed_bytes=0)


def test_an_unknown_data_set_is_refused() -> None:
    done = CliRunner().invoke(app, ["fetch", "mimic_cxr"])
    assert str(done.exception).startswith("audit fetch: there is no way to bring 'mimic_cxr'; allowed: rsna.")
