"""The lock of a run folder: one holder at a time, whatever becomes of that."""

import os
import subprocess
import sys
import threading

import pytest

from rop.hf import FolderInUseError
from rop.hf.lock import FolderLock

HOLD = """
import sys, time
from pathlib import Path
from rop.hf.lock import FolderLock
lock = FolderLock(Path(sys.argv[1]))
print("locked", flush=True)
time.sleep(60)
"""


def test_the_lock_is_another_process_s_until_that_dies(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout.readline() == "locked\n"
        with pytest.raises(FolderInUseError, match=rf"{tmp_path} .*process {process.pid}"):
            FolderLock(tmp_path)
    finally:
        process.kill()
        process.communicate()
    FolderLock(tmp_path).close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
# JAX, where a test before this one has loaded it, warns of every fork.
@pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning")
def test_a_forked_child_does_not_hold_the_lock(tmp_path):
    lock = FolderLock(tmp_path)
    to_parent, from_parent = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        os.write(to_parent[1], b"x")
        os.read(from_parent[0], 1)
        os._exit(0)
    try:
        os.read(to_parent[0], 1)
        lock.close()
        FolderLock(tmp_path).close()
    finally:
        os.write(from_parent[1], b"x")
        os.waitpid(child, 0)
        for end in (*to_parent, *from_parent):
            os.close(end)


def test_threads_wait_for_nobody(tmp_path):
    """Of many that want the folder at the same time exactly one gets it."""
    results = []

    def take():
        try:
            results.append(FolderLock(tmp_path))
        except FolderInUseError:
            results.append(None)

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    held = [lock for lock in results if lock is not None]
    assert len(held) == 1 and len(results) == 8
    held[0].close()
