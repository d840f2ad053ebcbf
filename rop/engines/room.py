"""How much memory there is, and plans that do not fit into it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath

from rop.errors import RopMemoryError
from rop.ops.rules import Value
from rop.programs.steps import Program

# Asking the system takes longer than many a product on so little.
_ALWAYS_FITS = 2**26


def available(root: Path = Path("/")) -> int | None:
    """Bytes of memory that can still be had, or None where the system does not tell.

    The least of what the machine has left, and what each control group that the process belongs to
    has left of its limit, as in containers and under job schedulers.

    Parameters
    ----------
    root : Path
        Where proc and sys are.

    Returns
    -------
    int or None
    """
    left = [*_control_groups(root)]
    with suppress(OSError, KeyError, ValueError):
        lines = (root / "proc/meminfo").read_text().splitlines()
        found = dict(line.split(":", 1) for line in lines)
        left.append(int(found["MemAvailable"].split()[0]) * 1024)
    if not left:
        with suppress(AttributeError, ValueError, OSError):
            return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min(left, default=None)


# Folder below sys/fs/cgroup, limit, use, and what files take of it that can be dropped.
_V1 = ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
_V2 = ("", "memory.max", "memory.current", "inactive_file")


def _control_groups(root: Path) -> Iterator[int]:
    """Bytes that each control group with a limit has left, of Linux's versions 1 and 2."""
    lines: list[str] = []
    with suppress(OSError):
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers not in ("", "memory"):
            continue
        folder, limit, use, dropped = _V1 if controllers else _V2
        top = root / "sys/fs/cgroup" / folder
        # A container may see the host's path, but only its own group, at the top.
        for group in (PurePosixPath(path), *PurePosixPath(path).parents):
            place = top / str(group).strip("/")
            with suppress(OSError, KeyError, ValueError):
                stat = dict(row.split() for row in (place / "memory.stat").read_text().splitlines())
                used = int((place / use).read_text()) - int(stat[dropped])
                yield max(0, int((place / limit).read_text()) - used)


def refuse_if_too_large(wanted: Mapping[str, int], what: str, advice: str) -> None:
    """Raise RopMemoryError, with the numbers, if a plan does not fit into memory.

    Parameters
    ----------
    wanted : dict of str to int
        Bytes that each part of the plan needs.
    what : str
        What the plan is for.
    advice : str
        What to do.
    """
    total = sum(wanted.values())
    if total < _ALWAYS_FITS:
        return
    free = available()
    if free is not None and total > free:
        parts = ", ".join(f"{name} {size / 2**20:,.0f} MiB" for name, size in wanted.items())
        raise RopMemoryError(
            f"{what} needs {total / 2**20:,.0f} MiB ({parts}), but {free / 2**20:,.0f} MiB are "
            f"available; {advice}"
        )


def temporaries(program: Program, cases: int, directions: int) -> int:
    """Most elements of values that are not kept, and are alive at the same time."""
    alive: set[Value] = set()
    now = most = 0
    for step, dying in zip(program.steps, program.dying, strict=True):
        target = step.target
        if target.place is None and target not in program.keep and target not in alive:
            alive.add(target)
            now += target.elements(cases, directions)
            most = max(most, now)
        now -= sum(v.elements(cases, directions) for v in dying if v in alive)
    return most
