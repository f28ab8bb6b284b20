"""An ensemble that is too large for memory, on threads, processes, Dask, joblib or MPI, that goes on where it was killed.

    python ensemble.py --on dask --count 100000
    mpiexec -n 9 python -m mpi4py.futures ensemble.py --on mpi

The final states go to states.npy, a chunk of trajectories at a time, so memory holds one chunk; done.npy has 0 where a trajectory is not
written yet, 1 where it finished and 2 where it ended early. Files of another --count are refused; --chunk may change. A chunk whose
worker was lost is computed again. Read the result without loading it: np.load("states.npy", mmap_mode="r").
"""

import argparse
import contextlib
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import numpy as np

import mflow

FINISHED, UNFINISHED = 1, 2


def lorenz(t: float, y: Any, rho: float) -> list[float]:
    return [10.0 * (y[1] - y[0]), y[0] * (rho - y[2]) - y[1], y[0] * y[1] - 8.0 / 3.0 * y[2]]


@contextlib.contextmanager
def executor(kind: str, workers: int) -> Iterator[futures.Executor]:
    """Somebody else's engine: mflow takes any of them."""
    if kind == "dask":
        from distributed import Client, LocalCluster  # a real cluster: Client("address of its scheduler")

        with LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
            yield client.get_executor()
    elif kind == "joblib":
        from joblib.externals.loky import get_reusable_executor

        yield get_reusable_executor(max_workers=workers)
    elif kind == "mpi":
        from mpi4py.futures import MPIPoolExecutor

        with MPIPoolExecutor() as pool:
            yield pool
    else:
        with futures.ThreadPoolExecutor(workers) if kind == "threads" else futures.ProcessPoolExecutor(workers) as pool:
            yield pool


def kept(path: Path, shape: tuple[int, ...], kind: Any) -> Any:
    """An array in a file: the one that is there, or a new one of zeros. Ends the program where that is of another run."""
    if path.exists():
        there = np.lib.format.open_memmap(path, mode="r+")
        if (there.shape, there.dtype) != (shape, np.dtype(kind)):
            raise SystemExit(f"{path}: expected {shape} of {np.dtype(kind)}, got {there.shape} of {there.dtype}; give another --folder")
        return there
    return np.lib.format.open_memmap(path, mode="w+", dtype=kind, shape=shape)


def run(count: int, chunk: int, kind: str, workers: int, folder: Path) -> int:
    """The number of trajectories that did not finish; chunks that were lost with a worker are tried three times."""
    states, done = kept(folder / "states.npy", (count, 3), float), kept(folder / "done.npy", (count,), np.int8)
    for _ in range(3):
        with executor(kind, workers) as pool:  # a pool of processes that has lost one takes no more work, so each try has its own
            left = np.flatnonzero(done == 0)
            for first in range(0, len(left), chunk):
                part = left[first : first + chunk]
                rho = 20.0 + 10.0 * part / count
                r = mflow.solve_ivp_batch(lorenz, (0.0, 2.0), np.ones(3), "dop853", rtol=1e-8, atol=1e-10, batch_args=rho, executor=pool)
                if "executor_failed" in r.reason:
                    print(f"{r.reason.count('executor_failed')} of {len(r.reason)} were lost: {r.message}", flush=True)
                    break
                states[part] = r.y
                states.flush()
                done[part] = [FINISHED if reason == "finished" else UNFINISHED for reason in r.reason]
                done.flush()
                print(f"{np.count_nonzero(done)} of {count}", flush=True)
        if done.all():
            break
    return int(np.sum(done != FINISHED))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--on", default="processes", choices=["threads", "processes", "dask", "joblib", "mpi"], dest="kind")
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--chunk", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=Path())
    given = parser.parse_args()
    raise SystemExit(1 if run(given.count, given.chunk, given.kind, given.workers, given.folder) else 0)
