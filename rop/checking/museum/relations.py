"""Reports on relations that right code fulfils, for what is no derivative product."""

import time
from collections.abc import Sequence

from rop.checking import Identity, Report


def relation(name: str, error: float, allowed: float) -> Identity:
    """A relation that holds up to an error."""
    return Identity(name, "pass" if error <= allowed else "fail", float(error), allowed)


def report_on(
    relations: Sequence[Identity], n: int, start: float, remarks: Sequence[str] = ()
) -> Report:
    """The report on some relations, looked at since `start` on `time.perf_counter`."""
    return Report(
        verdict="pass" if all(r.verdict == "pass" for r in relations) else "fail",
        products={},
        not_checked=(),
        warnings=tuple(remarks),
        n=n,
        seed=0,
        reproduce="the exhibit's report()",
        seconds=time.perf_counter() - start,
        calls={},
        identities=tuple(relations),
    )
