"""Progress: lines in a log, bars on a terminal, and the terminal left as it was."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from subgroup_audit.cli import display

pty = pytest.importorskip("pty", reason="bars need a terminal of this system's kind")

BARS = """
import time
from subgroup_audit.cli.display import progress
with progress() as watcher:
    watcher.begin("pixels", 10); watcher.advance(5, 10); watcher.end("pixels", 3.0)
    watcher.reuse("cohorts")
    watcher.begin("fits", 4)
    watcher.fit_started("[F] / net"); watcher.fit_ended("[F] / net", 1.0, "no [bold]memory[/bold]")
    watcher.fit_started("M / net")
    for part in range(5):
        watcher.fit_advanced("M / net", 1.0 + part, 10, 321.0, "")
        time.sleep(0.3)
    END
"""


def _on_a_terminal(code: str) -> tuple[str, str]:
    """What a program wrote to a terminal: as sent, and without control sequences."""
    ours, theirs = pty.openpty()
    received: list[bytes] = []

    def listen() -> None:
        while True:
            try:
                received.append(os.read(ours, 4096))
            except OSError:
                return

    listener = threading.Thread(target=listen)
    listener.start()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "120"}
    subprocess.run([sys.executable, "-c", code], stderr=theirs, stdout=theirs, env=environment, check=False)
    os.close(theirs)
    listener.join(timeout=10)
    os.close(ours)
    sent = b"".join(received).decode()
    return sent, re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", sent)


def test_bars_show_speed_and_the_time_left() -> None:
    _, shown = _on_a_terminal(BARS.replace("END", 'watcher.end("fits", 75.0)'))
    assert "+ pixels: 3 s" in shown
    assert "= cohorts: reused, unchanged" in shown
    assert "x [F] / net: no [bold]memory[/bold]" in shown
    assert re.search(r"M / net .* 40% 321 images/s +0:00:\d\d", shown)
    assert re.search(r"fits .* 35% 1 of 4 done +0:00:\d\d", shown)  # one fit and four tenths of the second
    assert "+ fits: 1 min 15 s" in shown


def test_the_cursor_comes_back_after_an_interruption() -> None:
    sent, _ = _on_a_terminal(BARS.replace("END", "raise KeyboardInterrupt"))
    assert sent.rfind("\x1b[?25h") > sent.rfind("\x1b[?25l") >= 0


def test_lines_say_how_far_and_how_long(capsys: pytest.CaptureFixture[str], monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(display, "LINE_INTERVAL_SECONDS", 0.0)
    with display.progress() as watcher:
        watcher.begin("pixels")
        watcher.advance(500, 2000)
        watcher.end("pixels", 3.0)
        watcher.begin("fits", 2)
        watcher.fit_started("F / net")
        watcher.fit_advanced("F / net", 1.5, 10, 321.4, "lr 0.001")
        watcher.fit_ended("F / net", 7300.0, None)
        watcher.fit_ended("M / net", 1.0, "the loss is not finite")
        watcher.say("A sentence.")
    lines = re.sub(r"about \d+ s", "about 0 s", capsys.readouterr().err).splitlines()
    assert lines == [
        "pixels ...",
        "  pixels: 500 of 2,000",
        "pixels: done in 3 s",
        "fits (2) ...",
        "  F / net: epoch 1.5 of 10, 321 images/s, lr 0.001",
        "  fit 1 of 2, F / net: done in 2 h 1 min; about 0 s left",
        "  fit 2 of 2, M / net: FAILED: the loss is not finite",
        "A sentence.",
    ]


def test_a_run_goes_on_when_nobody_reads_its_progress(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path\n"
        "from subgroup_audit.cli.display import progress\n"
        "with progress() as watcher:\n"
        "    input()\n"
        "    [watcher.say('x' * 5000) for _ in range(30)]\n"
        "Path('done').touch()\n"
    )
    command = f'(echo; sleep 1) | {sys.executable} -c "$CODE" 2>&1 | true; exit ${{PIPESTATUS[1]}}'
    done = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, env={**os.environ, "CODE": code}, check=False, capture_output=True
    )
    assert done.returncode == 0
    assert (tmp_path / "done").exists()


def test_fits_of_controls_are_counted_anew(capsys: pytest.CaptureFixture[str]) -> None:
    from subgroup_audit.cli.display import Lines

    lines = Lines()
    for step, total in (("fits", 2), ("control fits", 3)):
        lines.begin(step, total)
        for number in range(total):
            lines.fit_started(f"fit {number}")
            lines.fit_ended(f"fit {number}", 1.0, "")
    captured = capsys.readouterr()
    shown = captured.out + captured.err
    assert "fit 2 of 2" in shown
    assert "fit 1 of 3" in shown
    assert "of 2" not in shown.split("control fits")[1]
