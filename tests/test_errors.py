"""The catalogue of errors: all are the user's to mend, all exit with 2."""

from __future__ import annotations

import inspect

from subgroup_audit import errors


def test_every_class_is_documented_and_exits_with_two() -> None:
    classes = [c for _, c in inspect.getmembers(errors, inspect.isclass) if issubclass(c, errors.AuditError)]
    assert len(classes) > 8
    for found in classes:
        assert found.__doc__
        assert found.exit_code == 2


def test_nearest_ignores_case_and_stays_silent_when_nothing_is_near() -> None:
    assert errors.nearest("ResNet18", ["resnet18", "resnet50"])[0] == "resnet18"
    assert errors.nearest("xyz", ["resnet18"]) == []
