"""The engines run the same programs: every value of every step, shards, blocks, repeated runs."""

from collections import Counter

import numpy as np
from agreement import all_products
from hypothesis import given
from hypothesis import strategies as st
from random_graphs import examples, models

import rop.engines.execution
from rop.engines import engine_named
from rop.engines.execution import Execution
from rop.engines.numba import binding
from rop.engines.numpy import NumpyExecution, run
from rop.engines.planning import plan
from rop.engines.python_steps import view
from rop.objective.definition import programs_of
from rop.ops.rules import Value
from rop.programs.steps import Program

PROGRAMS = (
    *("gradient", "vjp", "jvp", "loss_hvp", "ggnvp", "hvp", "rows", "squares"),
    *("algorithm 1", "algorithm 1 with f"),
)


def _loaded(model, engine: str) -> Execution:
    objective, float64 = model.objective, np.dtype(np.float64)
    arguments = (programs_of(objective), model.cases, engine, float64, "products")
    execution = engine_named(engine)(*arguments)
    execution.load(
        model.theta, model.batch, objective._refuse_batch, programs_of(objective).forward
    )
    return execution


def _every_value(model, engine: str, K: int) -> dict[tuple[str, str, int], np.ndarray]:
    """Run all programs so that no two values share memory, and return every value of every step."""
    programs = programs_of(model.objective)
    execution = _loaded(model, engine)
    if model.objective.loss.convexify:
        m = model.objective.z.size
        rows = model.cases if model.objective.z.per_case else 1
        execution.give("convex", np.random.default_rng(0).standard_normal((rows, m, m)))
    stages = [
        programs.forward,
        programs.loss_value,
        programs.loss_gradient,
        programs.loss_curvature,
        programs.adjoints,
    ]
    products = [programs.product(name) for name in PROGRAMS]
    v, u = model.vectors()
    rng = np.random.default_rng(1)
    found: dict[tuple[str, str, int], np.ndarray] = {}
    for program in [*stages, *products]:
        directions = K if program in products[1:] else 1
        size = u.size if program.name in ("vjp", "loss_hvp", "rows", "squares") else v.size
        given = rng.standard_normal(size * directions)
        _run(program, execution, given, directions, found)
    return found


def _run(program, execution: Execution, given, K: int, found) -> None:
    targets = list(dict.fromkeys(step.target for step in program.steps))
    unplaced = {value for value in targets if value.place is None}
    # Under a name of its own: what the execution keeps of the same program stays as it is.
    apart = Program(f"{program.name} apart", program.steps, unplaced)
    output = np.full(_length(program, execution.cases, K), np.nan)
    if isinstance(execution, NumpyExecution):
        ends = execution.given | {"input": given, "output": output}
        kept = run(apart, execution.cases, K, ends, execution.kept)
        execution.kept |= kept
    else:
        (shard,) = execution.shards
        layout = plan(apart, shard.cases, K)
        shard.prepare(apart, layout)
        binding.bind(apart, layout, shard, K)(given, output)
        kept = {value: view(value, layout, shard, K) for value in unplaced}
    for i, value in enumerate(targets):
        if value.place is None:
            found[program.name, value.name, i] = kept[value].copy()
    found[program.name, "output", -1] = output


def _length(program: Program, cases: int, K: int) -> int:
    """Elements of all results of a program, or more."""
    placed = {s.target for s in program.steps if s.target.place is not None}
    return sum(value.size for value in placed) * cases * K


@examples(600)
@given(model=models(), K=st.sampled_from([1, 3]))
def test_every_value_of_every_step(sharded, model, K):
    expected = _every_value(model, "numpy", K)
    with sharded(1):
        found = _every_value(model, "numba", K)
    assert expected.keys() == found.keys()
    for key, right in expected.items():
        size = max(1.0, np.abs(right[~np.isnan(right)]).max(initial=0.0))
        # Where nothing is written, NaN stays, in both.
        np.testing.assert_allclose(found[key], right, rtol=0, atol=1e-12 * size, err_msg=str(key))


@examples(300)
@given(model=models(), K=st.sampled_from([1, 3]))
def test_sharing_memory_changes_nothing(sharded, model, K):
    """Temporaries that take each other's place give, bit for bit, what they give apart."""
    programs = programs_of(model.objective)
    with sharded(1):
        execution = _loaded(model, "numba")
    for stage in (
        programs.forward,
        programs.loss_gradient,
        programs.loss_curvature,
        programs.adjoints,
    ):
        execution.stage(stage)
    v, u = model.vectors()
    (shard,) = execution.shards
    rng = np.random.default_rng(1)
    for name in ("vjp", "jvp", "hvp", "squares", "rows", "algorithm 1"):
        program = programs.product(name)
        given = rng.standard_normal((u.size if name in ("vjp", "squares", "rows") else v.size) * K)
        results = []
        for keep in (set(), {s.target for s in program.steps if s.target.place is None}):
            apart = Program(f"{name} apart, {len(keep)} kept", program.steps, keep)
            layout = plan(apart, shard.cases, K)
            shard.prepare(apart, layout)
            shard.buffers["work"].fill(np.nan)
            output = np.full(_length(program, shard.cases, K), np.nan)
            binding.bind(apart, layout, shard, K)(given, output)
            results.append(output)
        for value in list(shard.kept):
            if shard.kept[value][0] == "apart":
                del shard.kept[value]
        np.testing.assert_array_equal(*results, err_msg=name)


@examples(500)
@given(model=models(), shards=st.integers(2, 3))
def test_shards_change_nothing_but_rounding(sharded, model, shards):
    v, u = model.vectors()
    whole = all_products(model.objective.linearize(model.theta, model.batch, "numpy"), v, u)
    with sharded(shards):
        at = model.objective.linearize(model.theta, model.batch, "numba")
    for name, found in all_products(at, v, u).items():
        right = whole[name]
        size = max(1.0, np.abs(right).max(initial=0.0))
        np.testing.assert_allclose(found, right, rtol=0, atol=1e-12 * size, err_msg=name)


@examples(300)
@given(model=models(), K=st.integers(1, 4), shards=st.integers(1, 3), chunk=st.booleans())
def test_a_block_is_its_columns(sharded, short_of_room, model, K, shards, chunk):
    """K directions at once, and in pieces where memory is short, give what each gives alone."""
    vectors = [model.vectors(number) for number in range(K)]
    V = np.stack([v for v, _ in vectors], axis=-1)
    U = np.stack([u for _, u in vectors], axis=-1)
    for engine in ("numpy", "numba"):
        with sharded(shards), short_of_room(chunk):
            at = model.objective.linearize(model.theta, model.batch, engine)
            products = (at.jvp, V), (at.vjp, U), (at.loss_hvp, U), (at.ggnvp, V), (at.hvp, V)
            for product, block in products:
                together = product(block)
                for k in range(K):
                    alone = product(block[..., k])
                    assert together.shape == (*alone.shape, K)
                    size = max(1.0, np.abs(alone).max())
                    np.testing.assert_allclose(together[..., k], alone, rtol=0, atol=1e-12 * size)


@examples(300)
@given(model=models(), shards=st.integers(1, 3))
def test_bitwise_repeatable(sharded, model, shards):
    """Again, in another order, and beside other linearizations: the same bits."""
    v, u = model.vectors()
    for engine in ("numpy", "numba"):
        with sharded(shards):
            at = model.objective.linearize(model.theta, model.batch, engine)
            first = all_products(at, v, u)
            other = model.objective.linearize(-model.theta, model.batch, engine)
            all_products(other, u=u, v=v)
            other.hvp(np.stack([v, v, v], axis=1))
            at.jvp(np.stack([v, v, v], axis=1))
            again = all_products(at, v, u)
            anew = all_products(model.objective.linearize(model.theta, model.batch, engine), v, u)
        for name, right in first.items():
            np.testing.assert_array_equal(again[name], right, err_msg=name)
            np.testing.assert_array_equal(anew[name], right, err_msg=name)


@examples(300)
@given(model=models(), K=st.sampled_from([1, 2]))
def test_plans_never_overlap_what_is_alive(model, K):
    """At no step do two values that are still to be read lie on the same memory."""
    programs = programs_of(model.objective)
    for name in PROGRAMS:
        program = programs.product(name)
        layout = plan(program, model.cases, K)
        # What is kept lies in memory of its own.
        own: list[Value] = [value for value in layout.offsets if value not in program.keep]
        last = {v: i for i, s in enumerate(program.steps) for v in (s.target, *s.operands)}
        first: dict[Value, int] = {}
        for i, step in enumerate(program.steps):
            first.setdefault(step.target, i)
        for a in own:
            for b in own:
                # An operand read for the last time may be written over in the same step.
                if a is not b and first[a] < last[b] and first[b] < last[a]:
                    start, end = layout.offsets[a], layout.offsets[b]
                    assert (
                        start + a.elements(model.cases, K) <= end
                        or end + b.elements(model.cases, K) <= start
                    ), f"{name}: {a} and {b}"
        needed = [layout.offsets[v] + v.elements(model.cases, K) for v in own]
        assert max(needed, default=0) <= layout.work


def test_value_names_tell_values_apart(network):
    """Listings rest on it: within a program, no two values bear one name."""
    programs = programs_of(network().objective)
    for name in PROGRAMS:
        targets = {step.target for step in programs.product(name).steps}
        counts = Counter(value.name for value in targets)
        assert max(counts.values()) == 1, (name, counts)


def test_the_rows_of_j_run_in_pieces_too(monkeypatch, network, engine):
    model = network()
    at = model.objective.linearize(model.theta, model.batch, engine)
    diagonal = at.diagonal("exact")
    monkeypatch.setattr(rop.engines.execution, "_DIRECTIONS_BYTES", 1)
    np.testing.assert_allclose(at.diagonal("exact"), diagonal, rtol=1e-13)
