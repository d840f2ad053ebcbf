"""A survey as a table on the terminal and as a page of HTML."""

from __future__ import annotations

import html
from collections.abc import Sequence
from itertools import groupby
from typing import Any

from rop.checking.survey.checks import MODES
from rop.checking.survey.results import Outcome, Survey

SHORT = {
    "pass": "pass",
    "fail": "FAIL",
    "inconclusive": "?",
    "unavailable": "-",
    "error": "error",
    "time": "time",
    "crash": "crash",
}
LEGEND = "? cannot tell   - the library has no such derivative"


def table(survey: Survey) -> str:
    """A row for each function, with a column for each mode, once for each dtype.

    Parameters
    ----------
    survey : Survey

    Returns
    -------
    str
    """
    lines = []
    for dtype, rows in _rows(survey):
        head = "".join(f"{mode:>11}" for mode in MODES)
        lines += [f"{dtype:<44}{head}{'s':>7}", "-" * (44 + 11 * len(MODES) + 7)]
        for (library, _, name), cells in rows:
            words = "".join(f"{SHORT[c.verdict] if c else '':>11}" for c in cells)
            seconds = sum(cell.seconds for cell in cells if cell)
            lines.append(f"{f'{library} {name}'[:43]:<44}{words}{seconds:7.1f}")
        lines.append("")
    counts = ", ".join(f"{count} {verdict}" for verdict, count in survey.counts.items())
    made = ", ".join(f"{name} {version}" for name, version in survey.versions.items())
    return "\n".join([*lines, f"{counts}   ({LEGEND})", made])


def findings(survey: Survey) -> str:
    """What fails, each with what the report says of it and which modes have it right."""
    lines = []
    for outcome in _failing(survey):
        lines.append(f"{_title(outcome)}: FAIL{_guilt(survey, outcome)}")
        lines += [f"    {line}" for line in outcome.says.splitlines()]
    return "\n".join(lines)


def _failing(survey: Survey) -> list[Outcome]:
    return [outcome for outcome in survey.outcomes.values() if outcome.verdict == "fail"]


def _title(outcome: Outcome) -> str:
    return f"{outcome.library} {outcome.function}, {outcome.mode}, {outcome.dtype}"


def _guilt(survey: Survey, outcome: Outcome) -> str:
    return "; other modes have it right" if survey.guilty(outcome) else ""


def _rows(survey: Survey) -> list[tuple[str, list[tuple[Any, list[Outcome | None]]]]]:
    """Dtype -> rows of (library, theme, function) and a cell for each mode."""
    made = []
    for dtype in dict.fromkeys(outcome.dtype for outcome in survey.outcomes.values()):
        of_dtype = [outcome for outcome in survey.outcomes.values() if outcome.dtype == dtype]
        keys = dict.fromkeys((o.library, o.theme, o.function) for o in of_dtype)
        made.append((dtype, [(key, _cells(survey, key, dtype)) for key in sorted(keys)]))
    return made


def _cells(survey: Survey, key: Sequence[str], dtype: str) -> list[Outcome | None]:
    library, _, function = key
    return [survey.outcomes.get((library, function, mode, dtype)) for mode in MODES]


_STYLE = """
body { font: 14px/1.4 system-ui, sans-serif; margin: 2em; max-width: 80em; color: #222 }
table { border-collapse: collapse } th, td { padding: .15em .6em; text-align: left }
thead th { position: sticky; top: 0; background: #fff } tr.theme th { padding-top: 1em }
td.pass { background: #d9f0d9 } td.fail { background: #d62728; color: #fff }
td.inconclusive { background: #fff0b3 } td.unavailable { color: #999 }
td.error, td.time, td.crash { background: #f5c6a5 } pre { white-space: pre-wrap }
"""
_SCRIPT = """
const filter = () => {
  const text = words.value.toLowerCase();
  for (const row of document.querySelectorAll("tbody tr.function"))
    row.hidden = !row.textContent.toLowerCase().includes(text)
      || (wrong.checked && !row.querySelector(".fail, .error, .time, .crash"));
};
words.oninput = wrong.onchange = filter;
"""


def page(survey: Survey) -> str:
    """One page of HTML that needs nothing else: the table, with the reports as tooltips.

    Parameters
    ----------
    survey : Survey

    Returns
    -------
    str
    """
    text = html.escape
    made = ", ".join(f"{name} {version}" for name, version in survey.versions.items())
    counts = ", ".join(f"{count} {verdict}" for verdict, count in survey.counts.items())
    body = []
    for dtype, rows in _rows(survey):
        heads = "".join(f"<th>{text(mode)}</th>" for mode in MODES)
        body.append(f"<h2>{text(dtype)}</h2><table><thead><tr><th></th>{heads}<th>s</th></tr>")
        body.append("</thead><tbody>")
        for (library, theme), group in groupby(rows, key=lambda row: row[0][:2]):
            title = f"{library}: {theme}"
            body.append(f'<tr class="theme"><th colspan="{len(MODES) + 2}">{text(title)}</th></tr>')
            for (_, _, name), cells in group:
                row = "".join(_cell(cell) for cell in cells)
                seconds = sum(cell.seconds for cell in cells if cell)
                body.append(
                    f'<tr class="function"><td>{text(name)}</td>{row}<td>{seconds:.1f}</td></tr>'
                )
        body.append("</tbody></table>")
    for outcome in _failing(survey):
        title = f"{_title(outcome)}{_guilt(survey, outcome)}"
        body.append(f"<h3>{text(title)}</h3><pre>{text(outcome.says)}</pre>")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>rop survey</title>'
        f"<style>{_STYLE}</style></head><body><h1>Derivatives, checked</h1>"
        f"<p>{text(made)}</p><p>{text(counts)}. {text(LEGEND)}.</p>"
        '<p><input id="words" placeholder="part of a name"> '
        '<label><input id="wrong" type="checkbox"> only what is wrong</label></p>'
        f"{''.join(body)}<script>{_SCRIPT}</script></body></html>\n"
    )


def _cell(outcome: Outcome | None) -> str:
    if outcome is None:
        return "<td></td>"
    error = f" {outcome.error:.0e}" if outcome.error is not None else ""
    words = html.escape(SHORT[outcome.verdict] + error)
    return f'<td class="{outcome.verdict}" title="{html.escape(outcome.says)}">{words}</td>'
