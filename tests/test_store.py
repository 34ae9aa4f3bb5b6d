"""Step folders: content-addressed, atomic, held by one run."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
import pytest

from subgroup_audit.errors import StoreError
from subgroup_audit.store import RunFolder, Step, digest, fingerprint, frame_digest, read_json, write_json


def _write_half(folder: RunFolder, step: Step) -> None:
    with folder.writing(step) as work:
        (work / "half.txt").write_text("half")
        work.joinpath("rest.txt").write_text(str(1 / 0))


def test_a_step_is_done_only_when_its_block_ended(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run", "s")
    step = Step("cohorts", 1, {"a": 1})
    with folder.held():
        with pytest.raises(ZeroDivisionError):
            _write_half(folder, step)
        assert not folder.is_done(step)
        with folder.writing(step) as work:
            assert (work / "half.txt").exists()
        assert folder.is_done(step)
        assert folder.done(step).content == folder.find(step.folder_name).content


def test_the_key_changes_with_name_version_settings_and_inputs_alone() -> None:
    base = Step("a", 1, {"x": 1, "y": 2}, {"in": "1"})
    assert Step("a", 1, {"y": 2, "x": 1}, {"in": "1"}).key == base.key
    others = [
        Step("b", 1, {"x": 1, "y": 2}, {"in": "1"}),
        Step("a", 2, {"x": 1, "y": 2}, {"in": "1"}),
        Step("a", 1, {"x": 1, "y": 3}, {"in": "1"}),
        Step("a", 1, {"x": 1, "y": 2}, {"in": "2"}),
    ]
    assert len({step.key for step in [base, *others]}) == 5


def test_content_is_of_the_bytes_not_of_the_time(tmp_path: Path) -> None:
    contents = []
    for name in ("one", "two"):
        folder = RunFolder(tmp_path / name, "s")
        with folder.held(), folder.writing(Step("x", 1, {"run": name})) as work:
            (work / "a.txt").write_text("same")
        contents.append(folder.done(Step("x", 1, {"run": name})).content)
    assert contents[0] == contents[1]


def test_what_a_killed_writer_left_is_no_content(tmp_path: Path) -> None:
    contents = []
    for name in ("whole", "killed"):
        folder = RunFolder(tmp_path / name, "s")
        step = Step("numbers", 1, {})
        with folder.held(), folder.writing(step) as work:
            (work / "a.txt").write_text("1")
            if name == "killed":
                (work / ".step.json.4711").write_text('{"name"')
        contents.append(folder.done(step).content)
    assert contents[0] == contents[1]


def test_runs_that_begin_at_once_do_not_find_the_folder_read_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch = Path.touch

    def touch_and_lose(path: Path) -> None:
        touch(path)
        path.unlink()  # by the other run, which touched the same file

    monkeypatch.setattr(Path, "touch", touch_and_lose)
    with RunFolder(tmp_path / "run", "s").held() as folder:
        assert folder.record() == {"study": "s"}


def test_a_second_run_is_kept_out(tmp_path: Path) -> None:
    with (
        RunFolder(tmp_path, "s").held(),
        pytest.raises(StoreError, match="another run is writing to this folder"),
        RunFolder(tmp_path, "s").held(),
    ):
        pass


def test_a_folder_belongs_to_one_study(tmp_path: Path) -> None:
    with RunFolder(tmp_path, "first").held():
        pass
    with pytest.raises(StoreError) as caught, RunFolder(tmp_path, "second").held():
        pass
    assert str(caught.value) == (
        f"{tmp_path}: this folder holds a run of study 'first', not 'second'; give --out another folder"
    )


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with (
        pytest.raises(StoreError, match="the output folder cannot be written"),
        RunFolder(tmp_path / "x", "s").held(),
    ):
        pass


def test_an_output_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(StoreError, match="the output folder cannot be written"),
        RunFolder(tmp_path / "file", "s").held(),
    ):
        pass


def test_a_fingerprint_follows_names_sizes_and_times(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    file = tmp_path / "sub" / "a.csv"
    file.write_text("1")
    first = fingerprint(tmp_path)
    assert fingerprint(tmp_path) == first
    os.utime(file, ns=(1, 1))
    touched = fingerprint(tmp_path)
    file.rename(tmp_path / "sub" / "b.csv")
    assert len({first, touched, fingerprint(tmp_path)}) == 3


def test_a_fingerprint_survives_links_that_lead_nowhere_or_back(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("1")
    first = fingerprint(tmp_path)
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone")
    assert fingerprint(tmp_path) != first
    (tmp_path / "nowhere").unlink()
    for name in ("one", "two"):
        (tmp_path / name).symlink_to(tmp_path)
    assert fingerprint(tmp_path) == first


def test_json_is_replaced_whole_and_damage_is_named(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    write_json(path, {"a": "ü"})
    assert read_json(path) == {"a": "ü"}
    assert [p.name for p in tmp_path.iterdir()] == ["run.json"]
    path.write_text("{")
    with pytest.raises(StoreError, match="damaged or unreadable"):
        read_json(path)
    assert read_json(tmp_path / "absent.json") == {}


def test_frame_digest_sees_order_values_and_columns() -> None:
    frame = pd.DataFrame({"a": ["1", "2"], "b": [1.0, None]})
    assert frame_digest(frame) == frame_digest(frame.copy())
    changed = [frame.iloc[::-1], frame.rename(columns={"a": "c"}), frame.assign(b=[1.0, 2.0])]
    assert len({frame_digest(f) for f in [frame, *changed]}) == 4


def test_digest_tells_text_from_numbers() -> None:
    assert digest("1") != digest(1)
