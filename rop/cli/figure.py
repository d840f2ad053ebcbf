"""`rop figure`: a study of the papers, as pictures and numbers."""

from __future__ import annotations

import argparse
from pathlib import Path

from rop.cli import PASS, arguments
from rop.cli.options import add_options, add_seed, listing
from rop.experiments import STUDIES
from rop.experiments.saving import save_findings, save_rows
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
        one.add_argument(
            "--seconds",
            type=arguments.seconds,
            default=study.seconds,
            help=f"time for all runs together (default: {study.seconds:g})",
        )
        add_seed(one, "θ and of the data drawn")
        one.add_argument(
            "--out",
            type=arguments.output_folder,
            help="folder of results (default: rop-figures/NAME)",
        )
        add_options(one, study.options)
        one.set_defaults(run=_figure)


def _list(given: argparse.Namespace) -> int:
    print("rop figure NAME runs one of these; NAME --help lists its options.\n")
    print(listing({n: f"{STUDIES[n].summary} ({STUDIES[n].seconds:g} s)" for n in _sorted()}))
    return PASS


def _sorted() -> list[str]:
    """The names of the studies, the papers' figures first."""
    return sorted(STUDIES, key=lambda name: (not name.isdigit(), name))


def _figure(given: argparse.Namespace) -> int:
    study = STUDIES[given.study]
    options = {name: getattr(given, name) for name in study.options}
    folder = given.out or Path("rop-figures", given.study)
    with watching() as watch:
        try:
            with waiting(f"rop figure {given.study}", given.seconds, watch.line):
                findings = study.run(given.seconds, given.seed, **options)
        except KeyboardInterrupt:
            if watch.runs:
                file = save_rows(watch, folder)
                print(f"{counted(len(watch.runs), 'run')}, the last of them cut short: {file}")
            raise
    print(findings.text)
    for file in save_findings(findings, folder):
        print(f"  {file}")
    return PASS
