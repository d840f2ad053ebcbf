"""`rop study`: a comparison in many trials, in processes, that goes on where it was interrupted."""

from __future__ import annotations

import argparse
from pathlib import Path

from rop.cli import PASS, arguments
from rop.cli.options import add_engine, add_seed
from rop.experiments.adaptive_study import Plan, study_adaptive_hf
from rop.experiments.adaptive_trials import METHODS, PROBLEMS
from rop.experiments.saving import save_findings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `rop study`: a subcommand for each study."""
    parser.set_defaults(run=_list)
    names = parser.add_subparsers(dest="study", metavar="NAME")
    what = "Adaptive HF beside HF and first-order methods, over the ranges of its paper"
    one = names.add_parser("adaptive-hf", help=what, description=what)
    usual = Plan()
    one.add_argument(
        "--problem",
        default=usual.problem,
        choices=PROBLEMS,
        help=f"net and images (default: {usual.problem})",
    )
    one.add_argument(
        "--methods",
        nargs="+",
        default=list(METHODS),
        choices=list(METHODS),
        help="methods to compare (default: all)",
    )
    for name, said in (
        ("trials", "trials of each method"),
        ("updates", "updates in each trial"),
        ("every", "measure after every so many updates"),
        ("cases", "training and test cases that are measured"),
        ("processes", "trials at the same time, one core each"),
    ):
        default = getattr(usual, name)
        one.add_argument(
            f"--{name}", type=arguments.count, default=default, help=f"{said} (default: {default})"
        )
    add_seed(one, "θ and of the trials")
    add_engine(one)
    one.add_argument(
        "--out",
        type=arguments.output_folder,
        default=Path("rop-studies", "adaptive-hf"),
        help="folder of database and results (default: rop-studies/adaptive-hf)",
    )
    one.set_defaults(run=_study)


def _list(given: argparse.Namespace) -> int:
    print("rop study adaptive-hf compares Adaptive HF with others; --help lists its options.")
    return PASS


def _study(given: argparse.Namespace) -> int:
    plan = Plan(
        given.problem,
        tuple(given.methods),
        given.trials,
        given.updates,
        given.every,
        given.cases,
        given.seed,
        given.processes,
        given.engine,
    )
    try:
        findings = study_adaptive_hf(plan, given.out)
    except KeyboardInterrupt:
        print(f"finished trials are in {given.out}; the same command goes on with the rest")
        raise
    print(findings.text)
    for file in save_findings(findings, given.out, "rop study adaptive-hf"):
        print(f"  {file}")
    return PASS
