"""`rop train`: a problem of the papers, by HF, with everything it did in a folder."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from rop.cli import FAIL, INTERRUPTED, PASS, arguments
from rop.cli.options import add_engine, add_options, add_seed, listing
from rop.errors import RopValueError
from rop.experiments import EXPERIMENTS
from rop.experiments.training import Order, train
from rop.hf.log import LOG
from rop.hf.recipes import MAKERS
from rop.hf.result import Result
from rop.support.words import counted


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `rop train`: a subcommand for each experiment, with its options."""
    parser.set_defaults(run=_list)
    names = parser.add_subparsers(dest="experiment", metavar="EXPERIMENT")
    for name, experiment in EXPERIMENTS.items():
        one = names.add_parser(name, help=experiment.summary, description=experiment.summary)
        one.add_argument(
            "--recipe",
            default="own",
            choices=["own", *MAKERS],
            help="settings of HF: the experiment's own, the default, or the papers' by name",
        )
        add_seed(one, "θ and of the data drawn")
        one.add_argument(
            "--iterations",
            type=arguments.count,
            help=f"iterations in all (default: {experiment.iterations})",
        )
        one.add_argument(
            "--seconds", type=arguments.seconds, help="begin no iteration after this time"
        )
        one.add_argument(
            "--validation",
            type=arguments.share,
            metavar="SHARE",
            help="keep this share of the training cases for validation, and the best θ on them",
        )
        one.add_argument(
            "--patience",
            type=arguments.count,
            help="end after so many iterations without a lower f on the validation cases",
        )
        add_engine(one)
        one.add_argument(
            "--out", type=arguments.output_folder, help="folder of results (default: rop-runs/...)"
        )
        one.add_argument("--resume", action="store_true", help="go on with the run in the folder")
        one.add_argument(
            "--anyway",
            action="store_const",
            const="anyway",
            dest="resume",
            help="like --resume, also with another number of threads or other versions",
        )
        one.add_argument(
            "--scheduler",
            metavar="ADDRESS",
            help="train on the workers of a Dask cluster: its scheduler's address, or local",
        )
        one.add_argument(
            "--workers",
            type=arguments.count,
            metavar="K",
            help="train on K worker processes of this machine; with --scheduler local",
        )
        add_options(one, experiment.options)
        one.set_defaults(run=_train)


def _list(given: argparse.Namespace) -> int:
    print("rop train EXPERIMENT trains one of these; EXPERIMENT --help lists its options.\n")
    print(listing({name: experiment.summary for name, experiment in EXPERIMENTS.items()}))
    return PASS


def _train(given: argparse.Namespace) -> int:
    options = {name: getattr(given, name) for name in EXPERIMENTS[given.experiment].options}
    if given.patience is not None and given.validation is None:
        raise RopValueError("--patience needs --validation, cases to be judged by")
    order = Order(
        given.experiment, options, given.recipe, given.seed, given.engine, given.validation
    )
    folder = given.out or Path("rop-runs", f"{given.experiment}-{given.recipe}-{given.seed}")
    if not given.resume and (folder / LOG).exists():
        raise RopValueError(
            f"{folder} holds a run already: go on with it by --resume, or give another folder by "
            "--out"
        )
    run = partial(
        train,
        order,
        folder,
        iterations=given.iterations,
        seconds=given.seconds,
        patience=given.patience,
        resume=given.resume,
    )
    if given.scheduler is None and given.workers is None:
        result = run()
    else:
        result = _on_cluster(run, given.scheduler or "local", given.workers)
    print(f"{result.message}: {counted(result.nit, 'iteration')}, f = {result.fun:.6g}")
    print((folder / "summary.json").read_text(encoding="utf-8"), end="")
    print(f"results: {folder}")
    if result.reason == "interrupted":
        print("rop train: interrupted; the same command with --resume goes on", file=sys.stderr)
        return INTERRUPTED
    return FAIL if result.status == 2 else PASS


def _on_cluster(run: Callable[..., Result], scheduler: str, workers: int | None) -> Result:
    """Train on the workers of a cluster."""
    if workers is not None and scheduler != "local":
        raise RopValueError(
            "--workers is for --scheduler local; another scheduler has its workers already"
        )
    from rop.distributed import Objective  # Dask takes a second to load
    from rop.distributed.clusters import connected

    with connected(scheduler, workers) as client:
        print(f"dashboard: {client.dashboard_link}", file=sys.stderr)
        return run(spread=lambda objective, data: Objective(objective, client, data))
