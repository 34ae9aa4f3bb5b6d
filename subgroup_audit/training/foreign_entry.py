"""A Python function of the user's own as a model: the one way by which code is run, and only when asked for."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from subgroup_audit.errors import ModelError
from subgroup_audit.training.foreign_spec import Opened, is_entry_point, last_line


def open_entry_point(source: str) -> Opened:
    """The function that `package.module:function` names; to import it runs the module.

    It is called with normalised images, float32 [n, channels, side, side], a NumPy array, and returns [n] or
    [n, findings]: a NumPy array, or anything that `numpy.asarray` takes.

    Raises
    ------
    ModelError
        There is no such module or function.
    """
    if not is_entry_point(source):
        raise ModelError(f"model '{source}': an entry point is written package.module:function")
    module_name, _, function_name = source.partition(":")
    try:
        function: Any = getattr(import_module(module_name), function_name, None)
    except ModuleNotFoundError as error:
        raise ModelError(
            f"model '{source}': no module '{error.name}' can be imported; install it or put its folder on "
            "PYTHONPATH"
        ) from error
    except Exception as error:
        said = f"{type(error).__name__}: {last_line(error)}"
        raise ModelError(f"model '{source}': its module failed while being imported: {said}") from error
    if not callable(function):
        raise ModelError(f"model '{source}': module '{module_name}' has no function '{function_name}'")
    return Opened(function, "Python function")
