"""Verdicts that sum up others: on one product, and on a whole check."""

from collections.abc import Iterable, Mapping, Sequence

from rop.checking.calls import Fault
from rop.checking.findings import Comparison, ProductReport
from rop.checking.identities import Finding
from rop.checking.sizes import Sizes
from rop.checking.tolerance import Verdict

NOTHING_TO_COMPARE = "nothing to compare it with"


def overall(verdicts: Iterable[Verdict]) -> Verdict:
    """The worst verdict; where there is none, nothing was checked."""
    found = set(verdicts)
    if "fail" in found:
        return "fail"
    return "pass" if found == {"pass"} else "inconclusive"


def conclude(
    name: str,
    comparisons: Sequence[Comparison],
    findings: Sequence[Finding],
    faults: tuple[Fault, ...],
    diagnosis: Sequence[str],
    missing: str,
    sizes: Sizes | None,
) -> ProductReport:
    """The report on one product.

    Parameters
    ----------
    name : str
    comparisons : sequence of Comparison
    findings : sequence of Finding
        Identities that it breaks.
    faults : tuple of Fault
    diagnosis : sequence of str
        What wrong numbers look like.
    missing : str
        Why it has no oracle, "" if it has one.
    sizes : Sizes or None
        If known.

    Returns
    -------
    ProductReport
    """
    verdicts = {c.verdict for c in comparisons}
    random = [fault for fault in faults if fault.kind == "random"]
    broken = any(finding.wrong for finding in findings)
    wrong = broken or ("fail" in verdicts and not random)
    verdict: Verdict = "pass"
    cause = ""
    if wrong or len(faults) > len(random):
        verdict = "fail"
    else:
        if random:
            cause = "random"
        elif missing:
            cause = missing
        elif "inconclusive" in verdicts:
            cause = next(c.cause for c in comparisons if c.verdict == "inconclusive")
        elif sizes is not None and sizes.reference > 0 and all(c.vanishes for c in comparisons):
            cause = "zero"
        verdict = "inconclusive" if cause else "pass"
    notes = tuple(f.message for f in findings if f.wrong or verdict != "pass") + tuple(diagnosis)
    return ProductReport(name, verdict, cause, wrong, tuple(comparisons), faults, notes)


def unchecked(
    products: Mapping[str, ProductReport], unlocks: Mapping[str, str], symbols: Mapping[str, str]
) -> list[str]:
    """What was not checked, and what would unlock it."""
    missing = []
    for name, needs in unlocks.items():
        if name not in products:
            missing.append(f"{symbols[name]} (give {name}= to check it)")
        elif products[name].cause == NOTHING_TO_COMPARE:
            missing.append(f"{symbols[name]} (needs {needs})")
    return missing
