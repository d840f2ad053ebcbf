"""How good the checker is: bugs found and named, and clean graphs that it accuses, by numbers.

Two sets of graphs that share no code: the checker was designed on the first, feed-forward nets,
and judged on the second, recurrent, gated, residual and attentive ones with ops of users' own.
"""

import time
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import own_ops

import rop
from rop.checking import check
from rop.checking.localisation import localise
from rop.checking.mutations import mutations
from rop.checking.trials import Trials

SMOOTH = (rop.tanh, rop.sigmoid, rop.softplus, rop.sin, rop.cos)
KINKED = (rop.relu, rop.elu)
LOSSES = ("squared", "sigmoid", "softmax", "graph")

# Errors that change a product by a sizeable part of itself, wherever they are not hidden.
GROSS = frozenset(
    {
        "sign", "dropped term", "x2", "transposed", "off by one", "x1/N", "xN",
        "s'' for s'", "s' for s''", "zero", "dropped block", "transposed block", "other product",
        "stale cache",
    }
)  # fmt: skip


def maximum(x, y):
    """The larger of two nodes, elementwise: where users take the maximum, there are kinks."""
    return rop.relu(x - y) + y


@dataclass
class Sample:
    """An objective, θ, and batch, and how it was made."""

    objective: rop.Objective
    theta: np.ndarray
    batch: dict[str, np.ndarray]
    how: str

    @property
    def cases(self) -> int:
        return len(next(iter(self.batch.values()))) if self.batch else 1


def finish(rng, z, data, cases, *, scale=1.0, loss_scale=1.0, how=""):
    """Put a random loss on the outputs z, and numbers into θ and the batch."""
    kind = LOSSES[rng.integers(4)]
    if kind == "softmax" and (not z.shape or z.shape[-1] == 1):
        kind = "sigmoid"  # the softmax of one class is constant
    t = rop.data("t", z.shape)
    if kind == "squared":
        loss = rop.SquaredError(t, weight=loss_scale)
    elif kind == "sigmoid":
        loss = rop.SigmoidCrossEntropy(t, weight=loss_scale)
    elif kind == "softmax":
        loss = rop.SoftmaxCrossEntropy(t, weight=loss_scale)
    else:
        formula = rop.softplus(z) - t * z + 0.1 * rop.square(z)
        loss = rop.LossGraph(loss_scale * rop.sum(formula))
    objective = rop.Objective(z, loss, l2=float(rng.choice([0.0, 0.01])) * loss_scale)
    theta = np.concatenate(
        [
            (scale * rng.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))).ravel()
            for shape in objective.shapes.values()
        ]
    )
    batch = {name: rng.standard_normal((cases, *shape)) for name, shape in data.items()}
    targets = (cases, *z.shape)
    batch["t"] = rng.standard_normal(targets)
    if kind == "sigmoid":
        batch["t"] = rng.uniform(size=targets)
    elif kind == "softmax":
        batch["t"] = np.eye(z.shape[-1])[rng.integers(z.shape[-1], size=targets[:-1])]
    return Sample(objective, theta, batch, f"{how}, {kind}, N = {cases}")


def feed_forward(rng, *, activations=SMOOTH, cases=None, scale=1.0, loss_scale=1.0):
    """Layers of random widths; the design set."""
    cases = int(rng.integers(2, 12)) if cases is None else cases
    widths = rng.integers(1, 9, size=rng.integers(2, 6))
    x = rop.data("x", int(widths[0]))
    y = x
    for i, (fan_in, fan_out) in enumerate(zip(widths[:-1], widths[1:], strict=True), 1):
        y = rop.param(f"W{i}", (int(fan_out), int(fan_in))) @ y + rop.param(f"b{i}", int(fan_out))
        if i < len(widths) - 1:
            y = activations[rng.integers(len(activations))](y)
    return finish(
        rng, y, {"x": x.shape}, cases, scale=scale, loss_scale=loss_scale, how=f"layers {widths}"
    )


def recurrent(rng, activation):
    """A tied recurrent net that reads one input a step, with an output at every step."""
    steps, m, k = int(rng.integers(2, 5)), int(rng.integers(2, 5)), int(rng.integers(1, 4))
    x, h = rop.data("x", (steps, k)), rop.param("h0", m)
    W, V, U = rop.param("W", (m, m)), rop.param("V", (m, k)), rop.param("U", (3, m))
    outputs = []
    for step in range(steps):
        h = activation(W @ h + V @ x[step])
        outputs.append(U @ h)
    return rop.stack(outputs), {"x": x.shape}


def gated(rng, activation):
    """A residual net whose branches are gated by products."""
    m = int(rng.integers(2, 6))
    x = rop.data("x", m)
    y = x
    for i in range(int(rng.integers(1, 4))):
        gate = rop.sigmoid(rop.param(f"A{i}", (m, m)) @ y + rop.param(f"a{i}", m))
        y = y + gate * activation(rop.param(f"B{i}", (m, m)) @ y)
    return rop.param("C", (2, m)) @ y, {"x": x.shape}


def attentive(rng, activation):
    """Products of matrices, weights that sum to one, and a mean over positions."""
    T, m = int(rng.integers(2, 5)), int(rng.integers(2, 5))
    x = rop.data("x", (T, m))
    Q, K, V = (rop.param(name, (m, m)) for name in "QKV")
    e = rop.exp(rop.tanh((x @ Q) @ (x @ K).T))
    attention = e / rop.sum(e, axis=1, keepdims=True)
    return rop.mean(activation(attention @ (x @ V)), axis=0), {"x": x.shape}


def with_own_ops(rng, activation):
    """Ops of all four families, as users write them."""
    m = int(rng.integers(3, 7))
    x, W, c = rop.data("x", m), rop.param("W", (m, m)), rop.param("c", m)
    y = own_ops.Arctan.of(W @ x)
    y = own_ops.Convolution.of(y, c) / 2
    y = own_ops.CumulativeSum.of(activation(y))
    y = own_ops.Swirl.of(y, rop.tanh(W @ c))
    return rop.concatenate([y[1:], rop.reshape(rop.dot(c, y), (1,))]), {"x": x.shape}


def arithmetic(rng, activation):
    """Every remaining function of the catalogue, with shapes that broadcast."""
    a, b = int(rng.integers(2, 4)), int(rng.integers(2, 5))
    x, P, q = rop.data("x", (a, b)), rop.param("P", (a, b)), rop.param("q", b)
    y = rop.log(rop.square(P * x) + 1.0) - rop.sqrt(rop.softplus(q) + 0.5)
    y = activation(y) / (rop.exp(rop.sin(x)) + 0.5) + rop.cos(P - q)
    y = rop.transpose(y) @ rop.broadcast_to(rop.mean(P, axis=1), (a,))
    return y - rop.reciprocal(rop.square(q) + 1.0), {"x": x.shape}


UNUSUAL = (recurrent, gated, attentive, with_own_ops, arithmetic)


def unusual(rng, *, activations=SMOOTH, cases=None, scale=1.0, loss_scale=1.0):
    """Anything but layers; the held-out set."""
    cases = int(rng.integers(2, 12)) if cases is None else cases
    build = UNUSUAL[rng.integers(len(UNUSUAL))]
    activation = activations[rng.integers(len(activations))]
    z, data = build(rng, activation)
    how = f"{build.__name__} {getattr(activation, '__name__', 'max')}"
    return finish(rng, z, data, cases, scale=scale, loss_scale=loss_scale, how=how)


@dataclass
class Study:
    """Counts, and what went wrong."""

    mutants: int = 0
    found: int = 0
    gross: int = 0
    gross_found: int = 0
    equivalent: int = 0
    named: int = 0
    missed: list[str] = field(default_factory=list)
    misnamed: list[str] = field(default_factory=list)
    kinds: Counter = field(default_factory=Counter)

    def __str__(self) -> str:
        return (
            f"{self.found} of {self.mutants} mutants found ({self.found / self.mutants:.2%}), "
            f"{self.gross_found} of {self.gross} gross ones; {self.named} of {self.found} named "
            f"exactly ({self.named / self.found:.2%}); {self.equivalent} equivalent ones left out"
        )


def study_mutants(samples, per_sample=60, seconds=240.0, study=None, seed=0):
    """Put random mutants into samples; which are found, and is their rule named?"""
    study = Study() if study is None else study
    rng = np.random.default_rng(seed)
    end = time.perf_counter() + seconds
    for sample in samples:
        every = list(mutations(sample.objective, sample.cases))
        trials = Trials(sample.objective, sample.theta, sample.batch, "numba", 0)
        chosen = rng.permutation(len(every))[:per_sample]
        for mutation in (every[i] for i in chosen):
            if trials.harmless(mutation):
                study.equivalent += 1
            else:
                _try(study, sample, trials, mutation)
        if time.perf_counter() > end:
            break
    return study


def _try(study, sample, trials, mutation):
    label = f"{mutation} | {sample.how}"
    found = trials.sees(mutation)
    wrong = mutation.inject(sample.objective, sample.cases)
    if not found:
        report = check(wrong, sample.theta, sample.batch)
        found = report.verdict == "fail"
    study.mutants += 1
    study.gross += mutation.kind in GROSS
    study.kinds[mutation.rule, mutation.kind] += 1
    if not found:
        study.missed.append(f"{label} | changes {trials.change(mutation):.1e}")
        return
    study.found += 1
    study.gross_found += mutation.kind in GROSS
    first = blamed(wrong, sample, mutation)
    if is_named(sample, mutation, first):
        study.named += 1
    else:
        study.misnamed.append(f"{label} | {first}")


def blamed(wrong, sample, mutation):
    """The first guilty rule, at the second θ for what is stale there only."""
    theta = sample.theta
    if mutation.kind == "stale cache":
        wrong.linearize(theta, sample.batch).hvp(np.ones(wrong.n))
        theta = 0.9 * theta
    return localise(wrong, theta, sample.batch, "numba").first


def is_named(sample, mutation, guilt):
    """Whether the guilty rule is the one that is wrong."""
    if guilt is None:
        return False
    if mutation.node is None:
        return guilt.node is None and (guilt.what, guilt.rule) == (mutation.what, mutation.rule)
    return (guilt.node, guilt.rule) == (mutation.number_in(sample.objective), mutation.rule)


CLEAN = (
    {},
    {"activations": KINKED},
    {"activations": (rop.relu, lambda x: maximum(x, 0.5 * x), lambda x: maximum(x, rop.tanh(x)))},
    {"scale": 30.0},
    {"scale": 1e-3},
    {"loss_scale": 1e-6},
    {"loss_scale": 1e6},
    {"cases": 1},
    {"cases": 256},
)


def study_clean(make, number, seed=0, seconds=240.0):
    """Check clean graphs of all kinds; returns verdicts, and the reports of those accused."""
    verdicts, accused = Counter(), []
    end = time.perf_counter() + seconds
    for i in range(number):
        rng = np.random.default_rng([seed, i])
        sample = make(rng, **CLEAN[i % len(CLEAN)])
        report = check(sample.objective, sample.theta, sample.batch, seed=i)
        verdicts[report.verdict] += 1
        if report.verdict == "fail":
            accused.append(f"{sample.how} {CLEAN[i % len(CLEAN)]} {i}\n{report}")
        if time.perf_counter() > end:
            break
    return verdicts, accused


def print_figures(mutant_samples=40, clean=200, per_sample=40, seconds=240.0):
    """Print the figures for both sets; more samples take longer."""
    for name, make, seed in (("design", feed_forward, 1), ("held out", unusual, 2)):
        samples = (make(np.random.default_rng([seed, i])) for i in range(mutant_samples))
        print(f"{name}: {study_mutants(samples, per_sample, seconds)}")
        verdicts, accused = study_clean(make, clean, seed, seconds)
        print(f"{name}: {len(accused)} alarms on {verdicts.total()} clean graphs {dict(verdicts)}")
