"""ONNX files, scored by onnxruntime: an extra, and imported nowhere else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from subgroup_audit.errors import ModelError
from subgroup_audit.training.foreign_spec import CHANNELS, Opened, last_line
from subgroup_audit.training.spec import FloatArray

_TYPES: dict[str, Any] = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64}
_INSTALL = "pip install 'subgroup-audit[onnx]'"


def open_onnx(path: Path, threads: int) -> Opened:
    """The model in an ONNX file, on the CPU.

    Raises
    ------
    ModelError
        onnxruntime is not installed, or the file is no model of one image batch.
    """
    session = _start(path, threads)
    inputs = session.get_inputs()
    if len(inputs) != 1:
        names = ", ".join(each.name for each in inputs)
        raise ModelError(f"model '{path}' has {len(inputs)} inputs ({names}); it must have one, the images")
    shape, kind = list(inputs[0].shape), inputs[0].type
    if kind not in _TYPES:
        raise ModelError(f"model '{path}': its input must be float16, float or double; it is {kind}")
    batch, channels, size = read_shape(path, shape)
    output = _find_output(path, session.get_outputs())
    name, number = inputs[0].name, _TYPES[kind]

    def run(images: FloatArray) -> Any:
        return session.run([output], {name: images.astype(number)})[0]

    return Opened(run, "ONNX file", channels, size, batch)


def _start(path: Path, threads: int) -> Any:
    try:
        import onnxruntime  # an extra: most users check tables
    except ImportError as error:
        raise ModelError(f"model '{path}': ONNX files need onnxruntime: {_INSTALL}") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4  # what is wrong comes as an exception, in one line of ours
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise ModelError(
            f"model '{path}' is not an ONNX file that onnxruntime can run: {last_line(error)}"
        ) from error


def _find_output(path: Path, outputs: list[Any]) -> str:
    """The one output that can be scores: [n] or [n, findings]."""
    fitting = (
        [each.name for each in outputs if len(each.shape or [0, 0]) <= 2]
        if len(outputs) > 1
        else [outputs[0].name]
    )
    if len(fitting) != 1:
        names = ", ".join(each.name for each in outputs)
        raise ModelError(f"model '{path}' has {len(outputs)} outputs ({names}); export it with the scores alone")
    return str(fitting[0])


def read_shape(path: Path, shape: list[Any]) -> tuple[int | None, int | None, int | None]:
    """Batch, channels and side of an input [n, channels, side, side]; None where it is left open.

    Raises
    ------
    ModelError
        The input is not a batch of square images with the channels before the sides.
    """
    fixed = [dim if isinstance(dim, int) and dim > 0 else None for dim in shape]
    said = [dim if dim is not None else "any" for dim in fixed]
    shown = f"[{', '.join(map(str, said))}]"
    if len(fixed) != 4:
        raise ModelError(f"model '{path}': its input must be [n, channels, side, side]; it is {shown}")
    batch, channels, height, width = fixed
    if channels not in (None, *CHANNELS) and width in CHANNELS:
        raise ModelError(
            f"model '{path}' takes its channels last, {shown}; export it with channels first, "
            "[n, channels, side, side]"
        )
    if channels not in (None, *CHANNELS):
        raise ModelError(f"model '{path}' takes {channels} channels; radiographs are given as 1 or 3")
    if height is not None and width is not None and height != width:
        raise ModelError(f"model '{path}' takes images of {width} x {height} px; images here are square")
    return batch, channels, height or width
