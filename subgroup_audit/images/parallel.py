"""Work on many files, spread over processes and handed back in order."""

from __future__ import annotations

import os
import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from multiprocessing import get_context
from typing import TypeVar

from subgroup_audit.errors import DataError

Progress = Callable[[int, int], None]
Item = TypeVar("Item")
Result = TypeVar("Result")


@contextmanager
def interrupts_held() -> Iterator[None]:
    """Hold Ctrl-C back while processes start: they inherit that, and end with this one without tracebacks."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def count_workers(workers: int | None) -> int:
    """The number of processes to use: as asked, or as many as this process may run on."""
    if workers is not None:
        return max(1, workers)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def map_batches(
    work: Callable[[Sequence[Item]], Result],
    items: Sequence[Item],
    *,
    batch: int,
    workers: int,
    worth_processes: int,
) -> Iterator[Result]:
    """The result of `work` for each batch of `items`, in order.

    Runs in this process for one worker or for fewer than `worth_processes` items, where starting others would
    cost more than it saves. At most two batches per worker are under way, so memory stays bounded. `work` must be
    importable by name.

    Raises
    ------
    DataError
        A process died, as a decoder can that meets a malicious file.
    """
    batches = (items[start : start + batch] for start in range(0, len(items), batch))
    if workers == 1 or len(items) < worth_processes:
        yield from map(work, batches)
        return
    try:
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            with interrupts_held():  # the first of these starts the processes
                under_way: deque[Future[Result]] = deque(
                    pool.submit(work, b) for b in islice(batches, 2 * workers)
                )
            while under_way:
                result = under_way.popleft().result()
                under_way.extend(pool.submit(work, b) for b in islice(batches, 1))
                yield result
    except BrokenProcessPool as error:
        raise DataError(
            "a process that reads image files died; what was done is kept, so run again to go on, or with one "
            "worker to see which file it is (a script that starts this needs `if __name__ == '__main__':`)"
        ) from error
