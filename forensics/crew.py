"""Who does the work of a batch: this process, or the workers of a Dask cluster.

A task is a function of a module and one argument that can be pickled. Results come in the order in
which they are ready; nothing may depend on it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from forensics.errors import ForensicsError, UsageError

_RETRIES = 3
"""Times that a task is tried again when its worker died: a task that kills its worker each time,
by its memory say, must end the batch and not go round for ever."""


class Crew(Protocol):
    """Does tasks."""

    def each(self, task: Callable[[Any], Any], arguments: Iterable[Any]) -> Iterator[Any]:
        """Do a task with each argument; give the results as they are ready."""


class Alone:
    """Does tasks one after the other in this process."""

    def each(self, task: Callable[[Any], Any], arguments: Iterable[Any]) -> Iterator[Any]:
        """Do a task with each argument."""
        for argument in arguments:
            yield task(argument)


class Cluster:
    """Hands tasks to the workers of a cluster.

    Args:
        client: of `distributed`.
    """

    def __init__(self, client: Any) -> None:
        self._client = client

    def each(self, task: Callable[[Any], Any], arguments: Iterable[Any]) -> Iterator[Any]:
        """Do a task with each argument.

        Raises:
            ForensicsError: the cluster is gone, or a task killed its workers.
        """
        from distributed import as_completed
        from distributed.client import FutureCancelledError
        from distributed.comm import CommClosedError
        from distributed.scheduler import KilledWorker

        futures = self._client.map(task, list(arguments), pure=False, retries=_RETRIES)
        try:
            for future in as_completed(futures):
                yield future.result()
                future.release()
        except KilledWorker as error:
            raise ForensicsError(
                f"a task killed its workers, by its memory perhaps: {error.task}"
            ) from None
        except (FutureCancelledError, CommClosedError) as error:
            raise ForensicsError(
                f"the cluster is gone ({type(error).__name__}); the same command goes on from here"
            ) from None


@contextmanager
def crew(workers: int | None, scheduler: str | None) -> Iterator[Crew]:
    """Give a crew: a cluster by its address, `workers` processes here, or this process.

    Raises:
        UsageError: `distributed` is not installed, or the cluster cannot be reached.
    """
    if workers is None and scheduler is None:
        yield Alone()
        return
    try:
        from distributed import Client, LocalCluster
    except ImportError:
        raise UsageError(
            "--workers and --scheduler need Dask: install dns-forensics[archive]"
        ) from None
    import dask

    quiet = {
        "distributed.worker.daemon": True,
        "distributed.scheduler.allowed-failures": _RETRIES,
        "distributed.admin.log-format": "%(message)s",
        "distributed.comm.timeouts.connect": "10s",
        "distributed.comm.retry.count": 1,
    }
    with dask.config.set(quiet):
        if scheduler is not None:
            try:
                client = Client(scheduler, timeout="10s")
            except (OSError, ValueError, TimeoutError) as error:
                raise UsageError(f"--scheduler {scheduler}: no answer ({error})") from None
            with client:
                yield Cluster(client)
            return
        os.environ.setdefault("NUMBA_NUM_THREADS", "1")
        # Tables of hashes are touched here and there: pages of 2 MiB make some 100 MiB more of them
        # resident, and files are too short to gain by it.
        os.environ.setdefault("NUMPY_MADVISE_HUGEPAGE", "0")
        with (
            LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                processes=True,
                dashboard_address="127.0.0.1:0",
                host="127.0.0.1",
                memory_limit=0,
                silence_logs=50,
            ) as cluster,
            Client(cluster) as client,
        ):
            yield Cluster(client)
