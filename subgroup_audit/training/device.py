"""Devices, threads and the allocator: what a process computes on."""

from __future__ import annotations

import ctypes
import os
import platform
import sys
from pathlib import Path
from typing import Any

from subgroup_audit.errors import TrainingError

# glibc's mallopt keys, from malloc.h
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4


def choose_device(name: str = "auto") -> str:
    """`cuda`, `cuda:N`, `mps` or `cpu`: the one asked for, or with `auto` the fastest present.

    Raises
    ------
    TrainingError
        The device is not a known name, or is not present.
    """
    if name == "cpu":
        return name
    import torch

    if name == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    kind, _, index = name.partition(":")
    present = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if kind not in present or (index and (kind != "cuda" or not index.isdigit())):
        raise TrainingError(f"device must be auto, cpu, cuda, cuda:N or mps, not '{name}'")
    if not present[kind]:
        have = ", ".join(known for known, is_present in present.items() if is_present)
        raise TrainingError(f"device '{name}' is not present on this machine; present: {have}")
    if index and int(index) >= torch.cuda.device_count():
        raise TrainingError(
            f"device '{name}' is not present: this machine has {torch.cuda.device_count()} CUDA devices"
        )
    return name


def count_cuda_devices() -> int:
    """CUDA devices that this process sees."""
    import torch

    return int(torch.cuda.device_count())


def describe_device(device: str) -> dict[str, Any]:
    """What a device is, as plain values: name, memory, threads, whether bfloat16 is native."""
    import torch

    described: dict[str, Any] = {"device": device, "torch": str(torch.__version__)}
    if device.startswith("cuda"):
        properties = torch.cuda.get_device_properties(device)
        return described | {
            "name": properties.name,
            "memory_gb": round(properties.total_memory / 2**30, 1),
            "cuda": str(torch.version.cuda),
            "is_bf16_native": torch.cuda.get_device_capability(device) >= (8, 0),
        }
    return described | {
        "name": cpu_name(),
        "threads": torch.get_num_threads(),
        "is_bf16_native": device == "cpu" and has_native_bf16(),
    }


def cpu_name() -> str:
    """The processor's name as the system gives it."""
    for line in _cpuinfo():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def has_native_bf16() -> bool:
    """Whether the processor multiplies bfloat16 itself; emulated, it is 2 to 12 times slower than float32."""
    words = {word for line in _cpuinfo() if line.startswith(("flags", "Features")) for word in line.split()}
    return bool(words & {"avx512_bf16", "amx_bf16", "bf16"})


def _cpuinfo() -> list[str]:
    try:
        return Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


def use_threads(threads: int) -> None:
    """Set the threads of this process's numerical libraries, and its allocator: for worker processes."""
    import cv2
    import torch

    torch.set_num_threads(max(1, threads))
    cv2.setNumThreads(1)
    tune_allocator()


def tune_allocator() -> bool:
    """Whether freed memory now stays with this process instead of being faulted in again on every step.

    Convolutions free and allocate activations of many megabytes per step; glibc returns each to the system.
    Keeping them is 1.1 to 1.9 times faster on a CPU. glibc only, and only for processes that we start.
    """
    if sys.platform != "linux" or platform.libc_ver()[0] != "glibc" or "MALLOC_TRIM_THRESHOLD_" in os.environ:
        return False
    mallopt = ctypes.CDLL(None).mallopt
    settings = ((_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, 2**31 - 1), (_M_TOP_PAD, 64 * 2**20))
    done = [mallopt(ctypes.c_int(key), ctypes.c_int(value)) == 1 for key, value in settings]
    return all(done)
