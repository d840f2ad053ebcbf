"""The arguments of `rop train` and `rop figure`, and what they print."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rop.experiments import EXPERIMENTS, STUDIES
from rop.experiments.saving import save_findings
from rop.experiments.training import Order, recipe_names, train

PASS, FAIL, INTERRUPTED = 0, 1, 130


def add_train(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `rop train`: a subcommand for each experiment, with its options.

    Parameters
    ----------
    parser : ArgumentParser
        The parser of the command.
    """
    names = parser.add_subparsers(dest="experiment", required=True, metavar="EXPERIMENT")
    for name, experiment in EXPERIMENTS.items():
        one = names.add_parser(name, help=experiment.summary, description=experiment.summary)
        one.add_argument(
            "--recipe",
            default="own",
            choices=["own", "default", *recipe_names()],
            help="settings of HF: the experiment's own, the default, or the papers' by name",
        )
        one.add_argument("--seed", type=int, default=0, help="seed of θ and of the data drawn")
        one.add_argument(
            "--iterations",
            type=int,
            help=f"iterations in all (default: {experiment.iterations})",
        )
        one.add_argument("--seconds", type=float, help="begin no iteration after this time")
        one.add_argument(
            "--engine", default="numba", choices=["numba", "numpy", "cuda"], help="default: numba"
        )
        one.add_argument("--out", type=Path, help="folder of results (default: rop-runs/...)")
        one.add_argument("--resume", action="store_true", help="go on with the run in the folder")
        _add_options(one, experiment.options)
        one.set_defaults(run=_train)


def _train(given: argparse.Namespace) -> int:
    options = {name: getattr(given, name) for name in EXPERIMENTS[given.experiment].options}
    order = Order(given.experiment, options, given.recipe, given.seed, given.engine)
    folder = given.out or Path("rop-runs", f"{given.experiment}-{given.recipe}-{given.seed}")
    result = train(
        order,
        folder,
        iterations=given.iterations,
        seconds=given.seconds,
        resume=given.resume,
    )
    print(f"{result.message}: {result.nit} iterations, f = {result.fun:.6g}")
    print((folder / "summary.json").read_text(encoding="utf-8"), end="")
    print(f"results: {folder}")
    if result.reason == "interrupted":
        return INTERRUPTED
    return PASS if result.success else FAIL


def add_figure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `rop figure`: a subcommand for each study, with its options.

    Parameters
    ----------
    parser : ArgumentParser
        The parser of the command.
    """
    names = parser.add_subparsers(dest="study", required=True, metavar="NAME")
    for name, study in STUDIES.items():
        one = names.add_parser(name, help=study.summary, description=study.summary)
        one.add_argument(
            "--seconds",
            type=float,
            default=study.seconds,
            help=f"time for all runs together (default: {study.seconds:g})",
        )
        one.add_argument("--seed", type=int, default=0, help="seed of θ and of the data drawn")
        one.add_argument("--out", type=Path, help="folder of results (default: rop-figures/NAME)")
        _add_options(one, study.options)
        one.set_defaults(run=_figure)


def _figure(given: argparse.Namespace) -> int:
    study = STUDIES[given.study]
    options = {name: getattr(given, name) for name in study.options}
    findings = study.run(given.seconds, given.seed, **options)
    print(findings.text)
    for file in save_findings(findings, given.out or Path("rop-figures", given.study)):
        print(f"  {file}")
    return PASS


def _add_options(parser: argparse.ArgumentParser, options: Mapping[str, Any]) -> None:
    for name, default in options.items():
        flag = f"--{name.replace('_', '-')}"
        what = f"default: {default}" if default != "" else "by default as published"
        if isinstance(default, bool):
            action = argparse.BooleanOptionalAction
            parser.add_argument(flag, dest=name, action=action, default=default, help=what)
        else:
            parser.add_argument(flag, dest=name, type=type(default), default=default, help=what)
