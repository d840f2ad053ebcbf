"""`rop figure`: a study of the papers, as pictures and numbers."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rop.cli import PASS, arguments
from rop.cli.options import add_options, add_seed, listing
from rop.experiments import STUDIES
from rop.experiments.registry import Findings, Study
from rop.experiments.repeating import compared, repeated
from rop.experiments.saving import save_findings, save_rows, save_slides
from rop.experiments.watching import watching
from rop.show.waiting import waiting
from rop.support.words import counted


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `rop figure`: a subcommand for each study, with its options."""
    parser.set_defaults(run=_list)
    names = parser.add_subparsers(dest="study", metavar="NAME")
    for name in _sorted():
        study = STUDIES[name]
        one = names.add_parser(name, help=study.summary, description=study.summary)
        _add_common(one, study.seconds, "rop-figures/NAME")
        one.add_argument(
            "--against",
            type=Path,
            metavar="FILE",
            help="say which numbers differ from those of an earlier run, its numbers.json",
        )
        add_options(one, study.options)
        one.set_defaults(run=_figure)
    summary = "All of them, one after the other, each in a folder of its own."
    every = names.add_parser("all", help=summary, description=summary)
    _add_common(every, sum(study.seconds for study in STUDIES.values()), "rop-figures")
    every.set_defaults(run=_all)


def _add_common(parser: argparse.ArgumentParser, seconds: float, folder: str) -> None:
    parser.add_argument(
        "--seconds",
        type=arguments.seconds,
        default=seconds,
        help=f"time for all runs together (default: {seconds:g})",
    )
    add_seed(parser, "θ and of the data drawn")
    parser.add_argument(
        "--out", type=arguments.output_folder, help=f"folder of results (default: {folder})"
    )
    parser.add_argument(
        "--repeat",
        type=arguments.count,
        default=1,
        help="run from so many seeds; tables have medians and ranges (default: 1)",
    )
    parser.add_argument(
        "--slides",
        choices=("light", "dark"),
        help="also write each picture as a slide, PNG and SVG, with a caption",
    )


def _list(given: argparse.Namespace) -> int:
    print(
        "rop figure NAME runs one of these, rop figure all runs all; NAME --help lists options.\n"
    )
    print(listing({n: f"{STUDIES[n].summary} ({STUDIES[n].seconds:g} s)" for n in _sorted()}))
    return PASS


def _sorted() -> list[str]:
    """The names of the studies, the papers' figures first."""
    return sorted(STUDIES, key=lambda name: (not name.isdigit(), name))


def _figure(given: argparse.Namespace) -> int:
    study = STUDIES[given.study]
    options = {name: getattr(given, name) for name in study.options}
    folder = given.out or Path("rop-figures", given.study)
    _run(study, given.seconds, given, folder, options)
    return PASS


def _all(given: argparse.Namespace) -> int:
    share = given.seconds / sum(study.seconds for study in STUDIES.values())
    for name in _sorted():
        study = STUDIES[name]
        folder = (given.out or Path("rop-figures")) / name
        _run(study, round(share * study.seconds, 1), given, folder, study.options)
    return PASS


def _run(
    study: Study,
    seconds: float,
    given: argparse.Namespace,
    folder: Path,
    options: Mapping[str, Any],
) -> None:
    with watching() as watch:
        try:
            with waiting(f"rop figure {study.name}", given.repeat * seconds, watch.line):
                findings = _findings(study, seconds, given, options)
        except KeyboardInterrupt:
            if watch.runs:
                file = save_rows(watch, folder)
                print(f"{counted(len(watch.runs), 'run')}, the last of them cut short: {file}")
            raise
    print(findings.text)
    if getattr(given, "against", None) is not None:
        print(compared(findings.tables, given.against))
    repeat = f" --repeat {given.repeat}" if given.repeat > 1 else ""
    chosen = "".join(
        f" --{n.replace('_', '-')} {v}" for n, v in options.items() if v != study.options[n]
    )
    command = f"rop figure {study.name} --seconds {seconds:g} --seed {given.seed}{repeat}{chosen}"
    files = save_findings(findings, folder, command)
    if given.slides:
        files += save_slides(findings, folder, study, dark=given.slides == "dark")
    for file in files:
        print(f"  {file}")


def _findings(
    study: Study, seconds: float, given: argparse.Namespace, options: Mapping[str, Any]
) -> Findings:
    def run(seed: int) -> Findings:
        return study.run(seconds, seed, **options)

    if given.repeat == 1:
        return run(given.seed)
    return repeated(run, range(given.seed, given.seed + given.repeat))
