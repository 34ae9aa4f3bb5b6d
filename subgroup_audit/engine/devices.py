"""Which device fits run on, how many side by side, and with how many threads each."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from subgroup_audit.engine.planned import planned_device
from subgroup_audit.errors import TrainingError

GPU_FILES = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")  # NVIDIA's driver, that of Windows under Linux, AMD's
KINDS = ("cpu", "cuda", "mps")


def default_workers(device: str, n_fits: int) -> int:
    """Fits that run side by side: one per core on a CPU, one per CUDA device, never more than there are fits."""
    if device.startswith("cuda"):
        return max(1, min(n_fits, count_cuda_devices() if device == "cuda" else 1))
    if device == "mps":
        return 1
    return max(1, min(n_fits, available_cores()))


def resolve_device(name: str) -> str:
    """The device of this name; `auto` stands for cuda where there is a usable GPU, then mps, then cpu.

    A Linux machine without the file of a GPU's driver is a CPU machine; saying so does not need torch.

    Raises
    ------
    TrainingError
        The name is unknown, or this machine has no such device.
    """
    is_cpu_machine = sys.platform == "linux" and not any(Path(file).exists() for file in GPU_FILES)
    if name == "cpu" or (name == "auto" and is_cpu_machine):
        return "cpu"
    from subgroup_audit.training import choose_device

    return choose_device(name)


def device_of_fits(name: str, run: Path, *, is_elsewhere: bool, gpus: float = 0.0) -> str:
    """The device that the fits of a run are done on, which may be another machine's.

    Where fits run elsewhere, or were planned for a device, a kind of device is taken at its word: a login node
    without a GPU hands fits to a cluster that has some, and gathers their results.

    Parameters
    ----------
    run : folder of the run; its plan, if there is one, says what its fits were planned for
    is_elsewhere : whether the fits may run on other machines than this one
    gpus : GPUs that the engine asks for per task; with `auto`, any means cuda

    Raises
    ------
    TrainingError
        The name is unknown; or the fits run here, and this machine has no such device.
    """
    kind, planned = name.partition(":")[0], planned_device(run)
    if is_elsewhere and (kind in KINDS or (name == "auto" and gpus)):
        return kind if kind in KINDS else "cuda"
    if planned and name in ("auto", planned) and not _is_present(planned):
        return planned
    return resolve_device(name)


def _is_present(device: str) -> bool:
    try:
        return resolve_device("auto") == device or bool(resolve_device(device))
    except TrainingError:
        return False


def require_device(name: str) -> str:
    """The device of planned fits, now that they are to be done here; `TrainingError` if it is not present."""
    try:
        return resolve_device(name)
    except TrainingError as error:
        kind = name.partition(":")[0]
        raise TrainingError(
            f"{error}; these fits were planned for {kind}, and --device plans them anew for another"
        ) from error


def threads_per_fit(device: str, n_fits: int) -> int:
    """Threads of one fit on a CPU: all cores for a lone fit, else one, since fits run side by side.

    It follows from the study and the machine alone, so a resumed run has the numbers of one that was not stopped.
    """
    return available_cores() if device == "cpu" and n_fits == 1 else 1


def available_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def count_cuda_devices() -> int:
    """CUDA devices that this process sees."""
    from subgroup_audit.training.device import count_cuda_devices

    return int(count_cuda_devices())
