"""Hessian-free optimization: algorithm 3 with exchangeable policies."""

from rop.hf import explaining, recipes  # noqa: F401 - it registers an iteration's words
from rop.hf.batches import Batches
from rop.hf.cg import pcg
from rop.hf.comparison import Difference, compare
from rop.hf.conjugate_gradient import ConjugateGradient
from rop.hf.constants import prerun
from rop.hf.damping import Reparameterized, ScaleSensitive, Structural, Tikhonov, Undamped
from rop.hf.gltr import LanczosTrustRegion, gltr
from rop.hf.growth import Grown, Growth
from rop.hf.journal import repair
from rop.hf.krylov import KrylovDescent
from rop.hf.length import Forcing, Length, Limit
from rop.hf.levenberg_marquardt import LevenbergMarquardt, reduction_ratio
from rop.hf.line_search import Armijo, NoLineSearch
from rop.hf.lock import FolderInUseError
from rop.hf.log import Log, read_log
from rop.hf.moments import Moments, conjugate_smoothness
from rop.hf.optimizer import HessianFree, State
from rop.hf.pairs import QuasiNewton
from rop.hf.preconditioners import (
    ChapelleErhan,
    EmpiricalFisher,
    ExactDiagonal,
    GivenDiagonal,
    NoPreconditioner,
)
from rop.hf.recipe import Recipe
from rop.hf.record import Iteration
from rop.hf.replaying import ReplayError, replay
from rop.hf.result import Result
from rop.hf.run import minimize
from rop.hf.schedules import Ramp
from rop.hf.selection import Backtracking, Best, Every, LastIterate, Powers
from rop.hf.solution import Solution
from rop.hf.stopping import ObjectiveRise, RelativeProgress
from rop.hf.streams import Stream
from rop.hf.subproblem import Subproblem
from rop.hf.tables import columns, table
from rop.hf.trust_region import TrustRegion

__all__ = [
    "Armijo",
    "Backtracking",
    "Batches",
    "Best",
    "ChapelleErhan",
    "ConjugateGradient",
    "Difference",
    "EmpiricalFisher",
    "Every",
    "ExactDiagonal",
    "FolderInUseError",
    "Forcing",
    "GivenDiagonal",
    "Growth",
    "Grown",
    "HessianFree",
    "Iteration",
    "KrylovDescent",
    "LanczosTrustRegion",
    "LastIterate",
    "Length",
    "LevenbergMarquardt",
    "Limit",
    "Log",
    "Moments",
    "NoLineSearch",
    "NoPreconditioner",
    "ObjectiveRise",
    "Powers",
    "QuasiNewton",
    "Ramp",
    "Recipe",
    "RelativeProgress",
    "Reparameterized",
    "ReplayError",
    "Result",
    "ScaleSensitive",
    "Solution",
    "State",
    "Stream",
    "Structural",
    "Subproblem",
    "Tikhonov",
    "TrustRegion",
    "Undamped",
    "columns",
    "compare",
    "conjugate_smoothness",
    "gltr",
    "minimize",
    "pcg",
    "prerun",
    "read_log",
    "recipes",
    "reduction_ratio",
    "repair",
    "replay",
    "table",
]


def __dir__() -> list[str]:
    # What completion offers: the public names alone.
    return __all__
