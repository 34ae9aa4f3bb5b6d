"""Devices, threads and the allocator."""

from __future__ import annotations

import json
import platform
import subprocess
import sys

import pytest
import torch

from subgroup_audit.errors import TrainingError
from subgroup_audit.training import choose_device, describe_device


def test_auto_takes_what_is_there() -> None:
    expected = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    assert choose_device() == expected
    assert choose_device("cpu") == "cpu"


@pytest.mark.parametrize("name", ["gpu", "cpu:1", "cuda:x"])
def test_unknown_devices(name: str) -> None:
    with pytest.raises(TrainingError) as caught:
        choose_device(name)
    assert str(caught.value) == f"device must be auto, cpu, cuda, cuda:N or mps, not '{name}'"


@pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device is present")
def test_absent_devices() -> None:
    with pytest.raises(TrainingError) as caught:
        choose_device("cuda:1")
    assert str(caught.value).startswith("device 'cuda:1' is not present on this machine; present: cpu")


def test_description_is_plain() -> None:
    described = describe_device("cpu")
    assert json.loads(json.dumps(described)) == described
    assert {"name", "threads", "is_bf16_native", "torch"} <= described.keys()


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt belongs to glibc")
def test_the_allocator_is_tuned_in_a_process_of_its_own() -> None:
    code = "from subgroup_audit.training import tune_allocator; print(tune_allocator())"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "True"


def test_importing_the_package_is_light() -> None:
    code = (
        "import sys, subgroup_audit.training as t; t.FitSpec; t.estimate_seconds; t.validate_model; "
        "print([m for m in ('torch', 'timm', 'torchvision', 'cv2') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
