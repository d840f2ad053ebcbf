"""How good the checker is in float32, by numbers: clean networks it accuses, wrong products found.

The networks are NumPy's with rules by hand, PyTorch's by torch.func and JAX's by its transforms,
all computed in float32, with kinks and without, at ordinary and at extreme scales of the loss.
"""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from black_box import Case, jax_functions, torch_functions
from networks import Network

from rop.checking import check_products

# Each product with the functions that its best oracle needs.
NEEDS = {
    "jvp": ("outputs",),
    "vjp": ("outputs", "jvp"),
    "loss_gradient": ("outputs", "loss"),
    "gradient": ("value",),
    "loss_hvp": ("outputs", "loss_gradient"),
    "ggnvp": ("outputs", "jvp", "vjp", "loss_gradient"),
    "hvp": ("gradient",),
}
ERRORS = (0.003, 0.01, 0.05)


def in_numpy(rng, seed):
    """A network of random size whose products are written out, every result float32."""
    sizes = (20, 30, 10) if seed % 7 == 0 else tuple(rng.integers(2, 9, rng.integers(2, 5)))
    network = Network(
        sizes=tuple(map(int, sizes)),
        activation=str(rng.choice(["tanh", "sigmoid", "softplus", "relu", "sin"])),
        loss=str(rng.choice(["softmax", "sigmoid", "squared"])),
        cases=int(rng.choice([1, 9, 64])),
        weights=float(10 ** rng.uniform(-0.5, 0.5)),
        loss_scale=float(10.0 ** rng.choice([-6, 0, 6])),
        seed=seed,
        dtype=np.float32,
    )
    functions = {name: single(function) for name, function in network.functions().items()}
    return network.theta, functions, network.blocks


def single(function):
    def call(*arrays):
        return np.asarray(function(*(a.astype(np.float32) for a in arrays)), np.float32)

    return call


def in_a_framework(make):
    def of(rng, seed):
        case = Case(
            activation=str(rng.choice(["tanh", "softplus", "relu"])),
            loss=str(rng.choice(["softmax", "squared", "sigmoid"])),
            cases=int(rng.choice([1, 9, 64])),
            weights=float(10 ** rng.uniform(-0.5, 0.5)),
            loss_scale=float(10.0 ** rng.choice([-6, 0, 6])),
            seed=seed,
            dtype="float32",
        )
        return case.arrays()[2], make(case), case.blocks

    return of


KINDS = {
    "NumPy": in_numpy,
    "PyTorch": in_a_framework(torch_functions),
    "JAX": in_a_framework(jax_functions),
}


@dataclass
class Study:
    """Verdicts on clean networks; verdicts on products off by an error, where the right passes."""

    clean: Counter = field(default_factory=Counter)
    products: Counter = field(default_factory=Counter)
    wrong: Counter = field(default_factory=Counter)
    accused: list = field(default_factory=list)
    passed: list = field(default_factory=list)

    def __str__(self) -> str:
        lines = [f"{len(self.accused)} alarms on {self.clean.total()} clean {dict(self.clean)}"]
        for name in NEEDS:
            lines.append(f"  {name}: {self.row(self.products, name)}")
            lines += [f"    off by {e:.1%}: {self.row(self.wrong, (name, e))}" for e in ERRORS]
        return "\n".join(lines)

    @staticmethod
    def row(counts, key):
        verdicts = ("pass", "inconclusive", "fail")
        return ", ".join(f"{counts[key, verdict]} {verdict}" for verdict in verdicts)

    def run(self, kind, seeds, every=3):
        """Check clean networks, and in every `every`-th one products that are slightly wrong."""
        for seed in seeds:
            theta, functions, blocks = KINDS[kind](np.random.default_rng(seed), seed)
            report = check_products(theta, **functions, blocks=blocks, seed=seed)
            self.clean[report.verdict] += 1
            for name, product in report.products.items():
                self.products[name, product.verdict] += 1
            if report.verdict == "fail":
                self.accused.append(f"{kind} {seed}\n{report}")
            if seed % every == 0:
                right = [name for name in NEEDS if report.products[name].verdict == "pass"]
                for name in right:
                    self.spoil(kind, seed, name, theta, functions, blocks)
        return self

    def spoil(self, kind, seed, name, theta, functions, blocks):
        given = {need: functions[need] for need in NEEDS[name]}
        for error in ERRORS:
            wrong = spoilt(functions[name], error)
            report = check_products(theta, **given, **{name: wrong}, blocks=blocks, seed=seed)
            verdict = report.products[name].verdict
            self.wrong[(name, error), verdict] += 1
            if verdict == "pass":
                self.passed.append(f"{kind} {seed} {name} off by {error:.1%}")


def spoilt(function, error):
    return lambda *arrays: np.float32(1 + error) * function(*arrays)


if __name__ == "__main__":
    import sys

    number = int(sys.argv[1]) if len(sys.argv) > 1 else 333
    for kind in KINDS:
        study = Study().run(kind, range(10_000, 10_000 + number))
        print(kind, study, *study.accused, *study.passed, sep="\n", flush=True)
