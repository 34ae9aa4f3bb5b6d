"""`audit check` from the command line: exit codes, outputs, and one message for what is wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import jsonschema
import numpy as np
import pandas as pd
import pytest

from subgroup_audit import check
from subgroup_audit.cli import main

SPEEDY = ("--resamples", "200", "--measure", "auc")


def invent(n_persons: int, signal_f: float, signal_m: float, seed: int = 0) -> pd.DataFrame:
    """Two images a person; how well the score tells the finding differs between F and M."""
    rng = np.random.default_rng(seed)
    person = np.repeat(np.arange(n_persons), 2)
    sex = np.where(rng.random(n_persons) < 0.5, "F", "M")[person]
    y_true = rng.integers(0, 2, len(person))
    signal = np.where(sex == "F", signal_f, signal_m)
    score = 1 / (1 + np.exp(-(signal * (2 * y_true - 1) + rng.normal(size=len(person)))))
    return pd.DataFrame(
        {
            "image_id": [f"i{i}" for i in range(len(person))],
            "patient_id": person,
            "sex": sex,
            "view": rng.choice(["AP", "PA"], len(person)),
            "y_true": y_true,
            "y_score": score,
        }
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prediction files with a gap, without one, and too small for either."""
    place = tmp_path_factory.mktemp("check")
    invent(800, 0.3, 2.0).to_csv(place / "gap.csv", index=False)
    invent(3000, 1.5, 1.5).to_csv(place / "equal.csv", index=False)
    invent(60, 1.0, 1.0).to_csv(place / "small.csv", index=False)
    invent(8, 1.0, 1.0).to_csv(place / "tiny.csv", index=False)
    return place


Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def audit_check(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], folder: Path) -> Call:
    """Calls `audit check` in this process: exit code, standard output, standard error."""

    def call(*words: str | Path) -> tuple[int, str, str]:
        monkeypatch.chdir(folder)
        monkeypatch.setattr(sys, "argv", ["audit", "check", *map(str, words)])
        with pytest.raises(SystemExit) as end:
            main()
        said = capsys.readouterr()
        assert "Traceback" not in said.err, said.err
        return int(end.value.code or 0), said.out, said.err

    return call


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("gap.csv",), 1),
        (("gap.csv", "--exit-zero"), 0),
        (("equal.csv", "--margin", "0.2"), 0),
        (("equal.csv", "--margin", "0.2", "--strict"), 0),
        (("small.csv", "--margin", "0.01"), 0),
        (("small.csv", "--margin", "0.01", "--strict"), 4),
        (("tiny.csv", "--min-persons", "50"), 5),
    ],
)
def test_exit_codes(audit_check: Call, words: tuple[str, ...], code: int) -> None:
    assert audit_check(*words, *SPEEDY)[0] == code


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("gap.csv", *SPEEDY), 1, ""),
        (("equal.csv", "--margin", "0.2", *SPEEDY), 0, ""),
        (("absent.csv",), 2, "audit: absent.csv: no such file; there lie "),
    ],
)
def test_exit_codes_of_a_real_process(folder: Path, words: tuple[str, ...], code: int, said: str) -> None:
    outcome = subprocess.run(
        [sys.executable, "-m", "subgroup_audit", "check", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert outcome.returncode == code, outcome.stderr
    assert outcome.stderr.startswith(said)
    assert "Traceback" not in outcome.stderr
    assert bool(outcome.stdout) is (code != 2)


def test_a_check_imports_neither_torch_nor_what_only_reports_need(folder: Path) -> None:
    program = (
        "import sys; from subgroup_audit import check; "
        "check('gap.csv', n_resamples=200, measures=['auc']); "
        "print([name for name in ('torch', 'timm', 'sklearn', 'plotly', 'matplotlib', 'numba', 'pydicom') "
        "if name in sys.modules])"
    )
    outcome = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=True
    )
    assert outcome.stdout.strip() == "[]"


def test_help_imports_no_table_library() -> None:
    program = (
        "import sys; from subgroup_audit.cli import main; sys.argv = ['audit', 'check', '--help']\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print([name for name in ('pandas', 'pyarrow', 'scipy', 'torch') if name in sys.modules], file=sys.stderr)"
    )
    outcome = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert outcome.stderr.strip() == "[]"
    assert "--suppress-below" in outcome.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("gap.csv", "--group", "gender"),
            "gap.csv: there is no column 'gender' (--group); nearest: 'sex', 'view'",
        ),
        (
            ("gap.csv", "--reference", "sex=X"),
            "gap.csv: --reference: 'sex' has no value 'X'; its values: 'F', 'M'",
        ),
        (
            ("gap.csv", "--reference", "sx=M"),
            "gap.csv: --reference: there is no group column 'sx'; nearest: 'sex'",
        ),
        (("gap.csv", "--reference", "M"), "--reference M: write GROUP=VALUE, for example sex=M"),
        (("gap.csv", "--bands", "age"), "--bands age: write COLUMN:NUMBERS, for example age:18,40,65"),
        (
            ("gap.csv", "--bands", "age:65,18"),
            "--bands age: needs rising numbers, such as 18,40,65; it has '65, 18'",
        ),
        (
            ("gap.csv", "--margin", "small"),
            "--margin small: write a number, or MEASURE=NUMBER as sensitivity=0.1",
        ),
        (
            ("gap.csv", "--margin", "-0.1"),
            "--margin: the largest difference that counts as none is above 0; auc has -0.1",
        ),
        (("gap.csv", "--metric", "acu"), "--metric: there is no measure 'acu'; nearest: auc"),
        (
            ("gap.csv", "--measure", "sensitivty"),
            "--measure: there is no measure 'sensitivty'; nearest: sensitivity",
        ),
        (("gap.csv", "--format", "jsn"), "--format: there is no 'jsn'; nearest: json"),
        (("gap.csv", "--scores", "logit"), "--scores: there is no 'logit'; nearest: logits"),
        (
            ("gap.csv", "--uncertain", "maybe"),
            "--uncertain: there is no 'maybe'; allowed: omit, positive, negative",
        ),
        (
            ("gap.csv", "--negative", "no"),
            "--negative says which labels mean absent; it needs --positive beside it",
        ),
        (
            ("gap.csv", "--confidence", "95", "--resamples", "10"),
            "--confidence is from 0.5 to below 1; it is 95; --resamples is from 100 to 100,000; it is 10",
        ),
        (
            ("gap.csv", "--output", "report.docx"),
            "--output report.docx: its ending is none of .html, .json, .md, .csv, .xml; "
            "without one it is a folder",
        ),
        (
            ("gap.csv", "--threshold-from", "val"),
            "gap.csv: --threshold-from val: there are no images of this split. "
            "Without it, the threshold is cross-fitted over persons",
        ),
        (
            ("gap.csv", "--threshold", "yuden"),
            "--threshold: must be youden, f1, sensitivity=0.9 or specificity=0.9 (any share), or a probability "
            "from 0 to 1; it is 'yuden'",
        ),
    ],
)
def test_what_is_wrong_is_said_in_one_message(audit_check: Call, words: tuple[str, ...], message: str) -> None:
    code, out, err = audit_check(*words)
    assert (code, out, err) == (2, "", f"audit: {message}\n")


def test_machine_formats_are_nothing_but_the_format(audit_check: Call) -> None:
    _, out, _ = audit_check("gap.csv", "--format", "json", *SPEEDY)
    assert json.loads(out)["schema"] == "subgroup_audit/check/1"
    _, out, _ = audit_check("gap.csv", "--format", "junit", *SPEEDY)
    assert ElementTree.fromstring(out).tag in ("testsuites", "testsuite")
    _, out, _ = audit_check("gap.csv", "--format", "github", *SPEEDY)
    assert all(line.startswith("::") for line in out.splitlines())


def test_outputs_are_written_by_their_endings(audit_check: Call, tmp_path: Path) -> None:
    names = ["a.html", "a.json", "a.md", "a.csv", "a.xml", "new/folder"]
    words = [word for name in names for word in ("--output", str(tmp_path / name))]
    code, _, err = audit_check("gap.csv", *words, "--model-card", tmp_path / "README.md", *SPEEDY)
    assert code == 1
    assert [line.removeprefix(f"Written: {tmp_path}/") for line in err.splitlines()] == [*names, "README.md"]
    assert (tmp_path / "a.html").read_text(encoding="utf-8").lstrip().lower().startswith("<!doctype html>")
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))["schema"] == "subgroup_audit/check/1"
    assert (tmp_path / "new/folder/check.json").is_file()
    assert "model-index" in (tmp_path / "README.md").read_text(encoding="utf-8")


def test_an_output_that_cannot_be_written_is_a_message(audit_check: Call, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, _, err = audit_check("gap.csv", "--output", tmp_path / "file" / "a.json", *SPEEDY)
    assert code == 2
    assert err.startswith(f"audit: {tmp_path}/file/a.json: cannot be written (")


def test_the_full_output_confirms_the_columns(audit_check: Call) -> None:
    _, out, _ = audit_check("gap.csv", *SPEEDY)
    said = " ".join(out.split())
    for sentence in ('Label: column "y_true" (by its name).', "1,600 images of 800 persons."):
        assert sentence in said


def test_the_library_finds_what_the_command_finds(audit_check: Call, folder: Path) -> None:
    _, out, _ = audit_check("gap.csv", "--format", "json", "--group", "sex", "--reference", "sex=M", *SPEEDY)
    result = check(
        pd.read_csv(folder / "gap.csv"), group="sex", reference={"sex": "M"}, n_resamples=200, measures="auc"
    )
    assert result.exit_code() == 1
    found = json.loads(out)["contrasts"]
    own = json.loads(result.to_json())["contrasts"]
    assert found == own


def test_a_planted_gap_is_found_with_its_size_and_its_reference(folder: Path) -> None:
    result = check(folder / "gap.csv", group="sex", reference={"sex": "M"}, n_resamples=500, measures="auc")
    (gap,) = result.judged.to_dict("records")
    assert (gap["group"], gap["reference"], gap["verdict"]) == ("F", "M", "gap")
    assert gap["low"] < -0.2
    assert -0.45 < gap["estimate"] < -0.25


def test_margins_by_measure(folder: Path) -> None:
    result = check(
        folder / "equal.csv",
        group="sex",
        margin={"auc": 0.1, "sensitivity": 0.2},
        threshold=0.5,
        n_resamples=200,
        measures=["auc", "sensitivity"],
    )
    judged = result.judged[["metric", "margin"]].to_dict("records")
    assert judged == [{"metric": "auc", "margin": 0.1}, {"metric": "sensitivity", "margin": 0.2}]


def test_what_is_judged_is_measured_too(folder: Path) -> None:
    result = check(
        folder / "equal.csv", group="sex", metric="sensitivity", measures="auc", threshold=0.5, n_resamples=200
    )
    assert result.judged["metric"].tolist() == ["sensitivity"]


def test_the_policy_file_goes_before_the_options(audit_check: Call, tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("margins: {auc: 0.9}\n")
    assert audit_check("gap.csv", "--margin", "0.05", "--policy", policy, *SPEEDY)[0] == 0
    policy.write_text("margins: {auk: 0.9}\n")
    code, _, err = audit_check("gap.csv", "--policy", policy)
    assert code == 2
    assert "auk" in err


def test_the_same_seed_gives_the_same_bytes(audit_check: Call) -> None:
    words = ("small.csv", "--format", "json", "--seed", "3", *SPEEDY)
    assert audit_check(*words)[1] == audit_check(*words)[1]


@pytest.mark.parametrize("kind", ["study", "policy", "result"])
def test_schemas_are_json_schemas(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    monkeypatch.setattr(sys, "argv", ["audit", "schema", "--of", kind])
    with pytest.raises(SystemExit) as end:
        main()
    assert not end.value.code
    jsonschema.Draft202012Validator.check_schema(json.loads(capsys.readouterr().out))


def test_a_result_fits_its_schema(audit_check: Call) -> None:
    from subgroup_audit.checking.result_schema import result_schema

    _, out, _ = audit_check("gap.csv", "--format", "json", "--intersect", "sex,view", *SPEEDY)
    jsonschema.validate(json.loads(out), result_schema())
