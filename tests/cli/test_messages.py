"""What a user did wrong: one message that names the place, the rule and the value; exit code 2; nothing lost."""

from __future__ import annotations

import os
import pickle
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from subgroup_audit.store import RunFolder

Change = tuple[str, str]


@pytest.fixture
def change_study(study_file: Path) -> Callable[..., Path]:
    """Replaces parts of the small study's file, each of which it must hold."""

    def change(*changes: Change) -> Path:
        text = study_file.read_text(encoding="utf-8")
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        study_file.write_text(text, encoding="utf-8")
        return study_file

    return change


def _model(spec: str) -> Change:
    return "models: [small_cnn]", f"models: {{mine: {{{spec}}}}}"


# What is wrong with the study, and the message. `audit run`, its --dry-run and `audit cohort` all give it.
WRONG_STUDIES: dict[str, tuple[Change, str]] = {
    "no image is eligible": (
        ("balance:", "eligible: {age_years: {min: 119, max: 120}}\nbalance:"),
        "no image is left of 169 (1: sex is missing; 2: view is not AP or PA; 165: age below 119; "
        "1: age above 120)",
    ),
    "a label that no image carries": (
        ("positive: [Lung Opacity]", "positive: [Lung Opacityy]"),
        "findings.opacity.positive: no image carries the label 'Lung Opacityy'; nearest: Lung Opacity",
    ),
    "a cohort that is empty": (
        ("  M: {sex: M}", "  M: {sex: M}\n  X: {sex: X}"),
        "cohort 'X' is empty: of 165 eligible images none has sex = X (there: F 79, M 86)",
    ),
    "an unknown source": (
        ("source: phantom", "source: phantm"),
        "data.source: no data set is named 'phantm'; nearest: phantom",
    ),
}


@pytest.mark.parametrize("case", WRONG_STUDIES)
def test_a_study_that_cannot_be_drawn(audit, change_study, case: str) -> None:  # type: ignore[no-untyped-def]
    change, message = WRONG_STUDIES[case]
    study = change_study(change)
    for words in (["cohort", study], ["run", study, "--dry-run"]):
        answer = audit(*words)
        assert (answer.code, answer.out, answer.message) == (2, "", message)


def test_a_cohort_of_one_class(audit, change_study) -> None:  # type: ignore[no-untyped-def]
    study = change_study(("  F: {sex: F}", "  F: {sex: F, source_label: Normal}"))
    answer = audit("cohort", study)
    assert answer.code == 2
    assert answer.message == "cohort 'F': finding 'opacity' has 0 positive and 32 negative images, needs both"


def test_a_cohort_above_its_ceiling(audit, change_study) -> None:  # type: ignore[no-untyped-def]
    answer = audit("cohort", change_study(("size: equal", "size: 5000")))
    assert answer.code == 2
    assert (
        "cohort 'F': asked for 5,000 images, but its ceiling is 68: cell label=0 has 10 images in split test, "
        "and 750 would be needed" in answer.message
    )


def test_images_of_an_unmapped_label_leave_with_a_reason(audit, change_study) -> None:  # type: ignore[no-untyped-def]
    study = change_study(("negative: [Normal, No Lung Opacity / Not Normal]", "negative: [Normal]"))
    answer = audit("cohort", study, "--out", "drawn")
    assert answer.code == 0
    rows = Path("drawn/exclusions.csv").read_text(encoding="utf-8").splitlines()
    assert sum("labels" in row for row in rows) == 14


def test_the_folder_of_the_data(audit, change_study, study_file: Path, small_phantom: Path) -> None:  # type: ignore[no-untyped-def]
    Path("empty").mkdir()
    expected = {
        "nowhere": "nowhere: no such folder; --data (or data.root) must name the folder of the 'phantom' data",
        "empty": "empty: 'stage_2_train_labels.csv' is missing; the folder is empty. This source expects what "
        "`audit phantom DIR` writes: RSNA's layout with pneumonia-challenge-dataset-mappings_2018.json",
    }
    for folder, message in expected.items():
        answer = audit("run", study_file, "--data", folder)
        assert (answer.code, answer.message) == (2, message)
    answer = audit("run", change_study((f", root: '{small_phantom}'", "")))
    assert (answer.code, answer.message) == (
        2,
        "study 'small': data.root is not set in the file; say where the data lie: --data FOLDER",
    )


TABLE_STUDY = """\
study: tabled
data: {source: table, root: ., options: {file: FILE, columns: {path: path, patient_id: PERSON, label: label}}}
findings: {x: {positive: [x]}}
cohorts: {all: {}}
models: [small_cnn]
"""
TABLE = "path,person,label\na.png,p1,x\n"


@pytest.mark.parametrize(
    ("content", "file", "person", "message"),
    [
        (TABLE, "m.csv", "persn", "m.csv: column 'persn' is missing; nearest present: person"),
        (TABLE, "n.csv", "person", "n.csv: no such file; there lie m.csv"),
        ("path,person,label\n", "m.csv", "person", "m.csv: the table has no rows"),
        (
            TABLE,
            "m.csv",
            "person",
            "m.csv: no image that it names can be used below HERE (1 x file is missing); the first file named is "
            "'a.png'",
        ),
        (
            "\udcff\udcfe",
            "m.csv",
            "person",
            "m.csv: cannot be read as a table in UTF-8: 'utf-8' codec can't decode byte 0xff in position 0: "
            "invalid start byte",
        ),
    ],
)
def test_a_table_that_cannot_be_used(audit, content: str, file: str, person: str, message: str) -> None:  # type: ignore[no-untyped-def]
    Path("m.csv").write_text(content, encoding="utf-8", errors="surrogateescape")
    Path("study.yaml").write_text(TABLE_STUDY.replace("FILE", file).replace("PERSON", person), encoding="utf-8")
    answer = audit("cohort", "study.yaml")
    assert (answer.code, answer.message) == (2, message)


def test_files_that_are_no_study(audit) -> None:  # type: ignore[no-untyped-def]
    Path("folder").mkdir()
    Path("picture.yaml").write_bytes(b"\x00\x8f\xff")
    Path("studies").mkdir()
    expected = {
        "folder": "folder: this is a folder; a study file is YAML",
        "studies/none.yaml": "studies/none.yaml: no such study file",
        "pictur.yaml": "pictur.yaml: no such study file; study files there: picture.yaml",
        "picture.yaml": "picture.yaml: cannot be read as UTF-8 text: 'utf-8' codec can't decode byte 0x8f in "
        "position 1: invalid start byte",
    }
    for path, message in expected.items():
        answer = audit("run", path)
        assert (answer.code, answer.message) == (2, message)


def test_unknown_models_are_all_named_before_any_work(audit, change_study) -> None:  # type: ignore[no-untyped-def]
    study = change_study(("models: [small_cnn]", "models: [densnet121, small_cnm]"))
    for words in (["--dry-run"], []):
        answer = audit("run", study, "--out", "out", *words)
        assert answer.code == 2
        first, second = answer.message.splitlines()
        assert first.startswith(
            "models.densnet121: no architecture of timm, torchvision or this package is named 'densnet121'; "
            "nearest: densenet121, "
        )
        assert second == (
            "models.small_cnm: no architecture of timm, torchvision or this package is named 'small_cnm'; "
            "nearest: small_cnn"
        )
        assert not Path("out").exists()


def test_weights_that_cannot_be_had(audit, change_study, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("subgroup_audit.training.names._is_cached", lambda repository, file: False)
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    study = change_study(_model("architecture: resnet18, pretrained: true"))
    answer = audit("run", study, "--out", "out")
    assert answer.code == 2
    assert answer.message.startswith(
        "models.mine: published weights of 'resnet18' are not in the local cache and cannot be downloaded from "
    )
    assert answer.message.endswith(
        "connect once, or set HF_HOME (timm) or TORCH_HOME (torchvision) to a cache that holds them, or name a "
        "local file with `weights:`"
    )
    assert not Path("out").exists()
    assert audit("run", study, "--out", "out", "--dry-run").code == 0


class _Code:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("executed",)


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("none.safetensors", "weights file 'none.safetensors' does not exist"),
        (
            "code.pth",
            "weights file 'code.pth' is refused: it holds more than weights, and to read it would run its code; "
            "save its `state_dict()` alone, best as safetensors",
        ),
        ("code.pkl", "weights must be a .safetensors, .pth, .pt, .bin or .ckpt file, not 'code.pkl'"),
    ],
)
def test_weights_files_that_cannot_be_used(audit, change_study, file: str, message: str) -> None:  # type: ignore[no-untyped-def]
    for name in ("code.pth", "code.pkl"):
        Path(name).write_bytes(pickle.dumps({"a": _Code()}))
    answer = audit("run", change_study(_model(f"architecture: small_cnn, weights: {file}")), "--out", "out")
    assert (answer.code, answer.message) == (2, f"models.mine: {message}")
    assert not Path("executed").exists()
    assert not Path("out").exists()


def test_a_device_that_is_not_there(audit, study_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    expected = {
        "cuda": "device 'cuda' is not present on this machine; present: cpu",
        "gpu": "device must be auto, cpu, cuda, cuda:N or mps, not 'gpu'",
    }
    for device, message in expected.items():
        for words in ([], ["--dry-run"]):
            answer = audit("run", study_file, "--out", "out", "--device", device, *words)
            assert (answer.code, answer.message) == (2, message)
    assert not Path("out").exists()


def test_usage_errors_name_option_rule_and_value(audit, study_file: Path) -> None:  # type: ignore[no-untyped-def]
    answer = audit("run", study_file, "--workers", "0")
    assert answer.code == 2
    assert answer.err.splitlines()[-1] == "Error: Invalid value for '--workers': must be 1 or more; it is 0"
    answer = audit("rum", study_file)
    assert answer.code == 2
    assert "No such command 'rum'" in answer.err


def test_an_output_folder_of_another_study(audit, change_study) -> None:  # type: ignore[no-untyped-def]
    with RunFolder(Path("out").resolve(), "other").held():
        pass
    study = change_study()
    for words in ([], ["--dry-run"]):
        answer = audit("run", study, "--out", "out", *words)
        assert (answer.code, answer.message) == (
            2,
            "out: this folder holds a run of study 'other', not 'small'; give --out another folder",
        )


def test_an_output_folder_that_another_run_holds(audit, study_file: Path) -> None:  # type: ignore[no-untyped-def]
    with RunFolder(Path("out").resolve(), "small").held():
        answer = audit("run", study_file, "--out", "out")
    assert (answer.code, answer.message) == (
        2,
        "out: another run is writing to this folder; wait for it, or give --out another folder",
    )


def test_places_that_cannot_be_written(audit, study_file: Path) -> None:  # type: ignore[no-untyped-def]
    Path("file").touch()
    cannot = "cannot be written (Not a directory)"
    expected = {
        ("run", study_file, "--out", "file/x"): f"file/x: the output folder {cannot}; give --out another folder",
        ("run", study_file, "--cache", "file/x"): f"file/x/headers: the cache {cannot}; name another one",
        ("init", "no/x.yaml"): "no/x.yaml: cannot be written (No such file or directory); name another place",
        ("schema", "-o", "."): ".: cannot be written (Is a directory); name another place",
        ("cohort", study_file, "--out", "file"): "file: cannot be written (File exists); name another place",
        ("phantom", "file/x"): "file/x: cannot be written (File exists); name another place",
        ("phantom", "file"): "file: a phantom needs a folder, this is a file",
        ("report", "file"): "file: no finished run lies here; `audit run STUDY --out file` makes one",
        ("report", "no"): "no: no finished run lies here; `audit run STUDY --out no` makes one",
        ("report", "no", "--journal", "tow-column"): "--journal tow-column: there is no such layout; nearest: "
        "two-column, one-column",
    }
    for words, message in expected.items():
        answer = audit(*words)
        assert (answer.code, answer.message) == (2, message)


def test_a_full_disk_stops_with_one_line(study_file: Path) -> None:
    """A limit on the size of a file stands for the full disk: both refuse the write."""
    done = subprocess.run(
        [sys.executable, "-m", "subgroup_audit", "run", "study.yaml", "--cache", "cache", "--device", "cpu"],
        cwd=study_file.parent,
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)),
        check=False,
    )
    assert done.returncode == 2
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"audit: {study_file.parent}/cache/pixels/64px-")
    assert last.endswith(": the pixel cache cannot be written ([Errno 27] File too large); name another one")
    assert "Traceback" not in done.stderr


def test_a_refusal_of_the_disk_in_the_middle_of_a_run(audit, study_file: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device", "out/steps")

    monkeypatch.setattr("subgroup_audit.pipeline.run_study", refuse)
    answer = audit("run", study_file)
    assert (answer.code, answer.message) == (
        2,
        "out/steps: No space left on device. What was finished is kept; mend this, and the same command goes on "
        "from there.",
    )


def test_a_defect_of_ours_is_told_apart(audit, study_file: Path, monkeypatch, capsys) -> None:  # type: ignore[no-untyped-def]
    def fail(*_: object) -> None:
        raise KeyError("lost")

    monkeypatch.setattr("subgroup_audit.pipeline.run_study", fail)
    with pytest.raises(AssertionError, match="Traceback"):
        audit("run", study_file)
    monkeypatch.setattr("traceback.print_exc", lambda: None)
    answer = audit("run", study_file)
    assert (answer.code, answer.message) == (3, "internal error; please report it with the lines above.")
