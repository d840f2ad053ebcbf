"""The measured times as ratios, for JSON and as a table."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from rop.bench.bars import BARS, JAX
from rop.bench.timing import quartiles
from rop.support.words import counted


def summary(
    workload: str, product: str, roles: dict[str, str], measured: dict[str, Any]
) -> dict[str, Any]:
    """Medians and ratios of one product.

    Parameters
    ----------
    workload, product : str
        Their names.
    roles : dict of str to str
        Contestant -> "limit", "rop", "own" or "peer".
    measured : dict
        "seconds" (contestant -> time in each round), "differences" and "tolerance".

    Returns
    -------
    dict
        `measured`, and: "medians" in seconds; "ratios", contestant -> quartiles over the rounds
        of the time of rop's first engine over its time; "best peer"; "required" and "aim", if
        there is a bar; "verdict", which is "disagree", "not compared", "no bar", or of the bar.
    """
    seconds = measured["seconds"]
    if not seconds:
        return {**measured, "verdict": "disagree"}
    rop = next(name for name in seconds if roles[name] == "rop")
    medians = {name: float(np.median(times)) for name, times in seconds.items()}
    ratios = {name: quartiles(seconds[rop], times) for name, times in seconds.items()}
    found = {**measured, "medians": medians, "ratios": ratios}
    peers = [name for name in seconds if roles[name] == "peer"]
    best = min(peers, key=lambda name: medians[name], default=None)
    found["best peer"] = best
    bar = BARS.get((workload, product))
    if bar is None:
        return {**found, "verdict": "no bar"}
    found |= {"required": bar.required, "aim": bar.aim}
    reference = bar.beside or best
    if reference not in ratios:
        return {**found, "verdict": "not compared"}
    beside_jax = ratios.get(JAX, (0.0, 0.0, 0.0))[1]
    return {**found, "verdict": bar.verdict(ratios[reference][1], beside_jax)}


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    unit, name = (1e-6, "µs") if seconds < 1e-3 else (1e-3, "ms") if seconds < 1 else (1.0, "s")
    return f"{seconds / unit:.3g} {name}"


def _median(ratio: tuple[float, float, float] | None) -> str:
    return "-" if ratio is None else f"{ratio[1]:.2f}"


def _columns(rows: Iterable[list[str]]) -> str:
    table = list(rows)
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = []
    for first, *rest in table:
        cells = [cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True)]
        lines.append("  ".join([first.ljust(widths[0]), *cells]))
    return "\n".join(lines)


def workload_table(name: str, result: dict[str, Any]) -> str:
    """Write the products of one workload as a table.

    Parameters
    ----------
    name : str
        The workload.
    result : dict
        "description", "cores", "roles" and "products" (product -> `summary`).

    Returns
    -------
    str
        A heading, a line for each product, and a line for each disagreement.
    """
    roles, products = result["roles"], result["products"]
    timed = [c for c in roles if any(c in found["seconds"] for found in products.values())]
    rows = [["", *timed, "rop/limit", "rop/JAX", "rop/best*", "required", "aim", "verdict"]]
    notes = []
    for product, found in products.items():
        best = found.get("best peer")
        times = [
            _duration(found.get("medians", {}).get(c)) + ("*" if c == best else " ") for c in timed
        ]
        ratios = [_median(found.get("ratios", {}).get(c)) for c in ("limit", JAX, best)]
        bars = [f"{found[bar]:.2f}" if bar in found else "-" for bar in ("required", "aim")]
        rows.append([product, *times, *ratios, *bars, found["verdict"]])
        for c, difference in found["differences"].items():
            if difference > found["tolerance"]:
                first = next(iter(found["differences"]))
                notes.append(
                    f"{product}: {c} differs from {first} by {difference:.1e} "
                    f"(allowed {found['tolerance']:.1e}); not timed"
                )
    cores = counted(result["cores"], "core")
    title = f"{name}  {result['description']}; {cores}; * best peer"
    return "\n".join([title, _columns(rows), *notes])


LEGEND = """\
Times are medians over the rounds, for one product.
limit: the bare matrix products (GEMM) that it needs when all activations are cached.
rop/limit, rop/JAX, rop/best*: time of rop's first engine over that of the limit, of JAX linearize
and of the best peer, which has the *; below 1 rop is faster.
own Gv: a Gv of rop's first engine, for Hv.
required, aim: what rop/best* must not exceed, and what it is to reach; in W6 it is rop/JAX, and for
Hv rop's time over that of its own Gv.
verdict: aim met, met (what is required), missed, no bar (nothing is required), not compared
(no peer), disagree (results differ)."""


def startup_table(result: dict[str, Any]) -> str:
    """Write imports, first products and peak memory as two tables.

    Parameters
    ----------
    result : dict
        As `rop.bench.startup.measure` returns it.

    Returns
    -------
    str
        The tables.
    """
    imports = [[name, _duration(seconds)] for name, seconds in result["imports"].items()]
    first = [
        [name, _duration(m["seconds"]), f"{m['peak_mb']:.0f} MB", f"{m['before_mb']:.0f} MB"]
        for name, m in result["first Gv"].items()
    ]
    return "\n".join(
        [
            "Start of a fresh interpreter that imports",
            _columns(imports),
            "",
            "First Gv of W1 in a fresh process, its own imports included",
            _columns([["", "time", "peak memory", "memory before"], *first]),
        ]
    )
