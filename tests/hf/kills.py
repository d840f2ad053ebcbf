"""Kills a run inside disk calls and at random moments, resumes it, and compares with the whole run.

``python kills.py SECONDS SEED`` kills for that long, and at least 8 times inside disk calls and 3
times at random; ``python kills.py all SEED`` before, within and after every disk call, and 60 times
at random.
"""

import builtins
import io
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import rop
from rop.hf import compare, files, minimize, read_log, recipes

ITERATIONS = 3
CALLS = ("open", "write", "ftruncate", "fsync", "replace", "mkdir")


def problem():
    rng = np.random.default_rng(0)
    _, z = rop.nets.mlp([8, 10, 3])
    objective = rop.Objective(z, rop.SquaredError(rop.data("t", 3)), l2=1e-3)
    data = {"x": rng.standard_normal((100, 8)), "t": rng.standard_normal((100, 3))}
    recipe = recipes.martens2010(curvature=0.5, lam=1.0, max_steps=10)
    return objective, objective.init("sparse", seed=0), data, recipe


def run(folder=None):
    return minimize(
        *problem(), iterations=ITERATIONS, engine="numpy", folder=folder, resume=folder is not None
    )


class Countdown:
    """Kills the process at the n-th disk call: before it, after it, or in the middle of a write."""

    def __init__(self, n, when):
        self.n, self.when = n, when

    def install(self):
        for name in CALLS:
            setattr(os, name, self.around(getattr(os, name)))
        countdown = self

        class File(io.FileIO):
            def write(self, content):
                return countdown.write(super().write, content)

            def truncate(self, size=None):
                return countdown.around(super().truncate)(size)

        def opened(path, mode="r", buffering=-1, **rest):
            if mode in ("ab", "wb"):
                return countdown.around(File)(path, mode)
            return builtins.open(path, mode, buffering, **rest)

        files.open = opened

    def around(self, call):
        def counted(*arguments, **settings):
            self.n -= 1
            if self.n == 0 and self.when != "after":
                os.kill(os.getpid(), signal.SIGKILL)
            result = call(*arguments, **settings)
            if self.n == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return counted

    def write(self, call, content):
        if self.n == 1 and self.when == "within":
            call(bytes(content)[: len(content) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        return self.around(call)(content)


def child(folder, countdown=None, pause=None):
    """Go on with the run in a process of its own; returns whether it came to its end."""
    pid = os.fork()
    if pid == 0:
        if countdown is not None:
            countdown.install()
        run(folder)
        if countdown is not None:
            (folder / "left").write_text(str(countdown.n))
        os._exit(0)
    if pause is not None:
        time.sleep(pause)
        os.kill(pid, signal.SIGKILL)
    status = os.waitpid(pid, 0)[1]
    assert os.waitstatus_to_exitcode(status) in (0, -signal.SIGKILL), status
    return os.waitstatus_to_exitcode(status) == 0


def same(folder, whole):
    result = run(folder)
    return (
        np.array_equal(result.theta, whole.theta)
        and compare(result.records, whole.records) is None
        and compare(read_log(folder).records, whole.records) is None
    )


def main(limit, seed):
    rng = random.Random(seed)
    run()  # loads and compiles
    began = time.perf_counter()
    whole = run()
    wall = time.perf_counter() - began
    end = time.perf_counter() + (float("inf") if limit == "all" else float(limit))
    with tempfile.TemporaryDirectory() as base:
        folders = (Path(base, str(i)) for i in range(10**6))
        inside = at_random = wrong = 0
        child(folder := next(folders), Countdown(10**6, "before"))
        calls = 10**6 - int((folder / "left").read_text())
        chosen = [(n, when) for n in range(1, calls + 1) for when in ("before", "within", "after")]
        if limit != "all":
            rng.shuffle(chosen)
        for n, when in chosen:
            folder = next(folders)
            if not child(folder, Countdown(n, when)):
                inside += 1
                wrong += not same(folder, whole)
            if inside >= 8 and time.perf_counter() > (end + began) / 2:
                break
        while at_random < 3 or (time.perf_counter() < end and at_random < 60):
            folder = next(folders)
            for _ in range(3):  # killed as it was resumed, too
                if child(folder, pause=rng.uniform(0, 1.5 * wall)):
                    break
                at_random += 1
            wrong += not same(folder, whole)
    print(f"{inside} kills inside disk calls, {at_random} at random moments, {wrong} wrong")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
