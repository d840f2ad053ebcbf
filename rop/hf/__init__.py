"""Hessian-free optimization: algorithm 3 out of small exchangeable policies."""

from rop.hf import recipes
from rop.hf.backtracking import Backtracking, Every, LastIterate, Powers
from rop.hf.batches import Batches
from rop.hf.cg import Solution, pcg
from rop.hf.damping import LevenbergMarquardt, Tikhonov, reduction_ratio
from rop.hf.line_search import Armijo
from rop.hf.optimizer import HessianFree, State
from rop.hf.preconditioners import EmpiricalFisher, NoPreconditioner
from rop.hf.recipes import Recipe
from rop.hf.record import Iteration
from rop.hf.run import Result, minimize
from rop.hf.stopping import ConjugateGradient, RelativeProgress

__all__ = [
    "Armijo",
    "Backtracking",
    "Batches",
    "ConjugateGradient",
    "EmpiricalFisher",
    "Every",
    "HessianFree",
    "Iteration",
    "LastIterate",
    "LevenbergMarquardt",
    "NoPreconditioner",
    "Powers",
    "Recipe",
    "RelativeProgress",
    "Result",
    "Solution",
    "State",
    "Tikhonov",
    "minimize",
    "pcg",
    "recipes",
    "reduction_ratio",
]
