"""HF on a cluster goes the way of HF on one machine."""

import numpy as np
import pytest

import rop
import rop.distributed

SIZES = {"curvature": 0.5, "fewest": 1, "chunk": 30}
# Few steps of CG: many make of rounding errors some of 1e-7 in θ.
FULL = rop.hf.Recipe(batches=rop.hf.Batches(**SIZES)).replace(max_steps=4)
SAME = {"rtol": 1e-9, "atol": 1e-11}


def both(client, digits, recipe, iterations=2, **options):
    """The same run on one machine and on the cluster, in float64."""
    objective, theta, data = digits
    options |= {"iterations": iterations, "dtype": np.float64}
    here = rop.hf.minimize(objective, theta, data, recipe, **options)
    spread = rop.distributed.Objective(objective, client, data)
    there = rop.hf.minimize(spread, theta, {}, recipe, **options)
    return here, there


@pytest.mark.parametrize(
    "changes",
    [
        {},
        pytest.param({"gradient": 0.5}, marks=pytest.mark.ci),
        {"gradient": rop.hf.Ramp(0.2, 1.0, 0, 2), "seed": 3},
        pytest.param({"seed": None, "gradient": 0.6, "held_out": 0.2}, marks=pytest.mark.ci),
    ],
    ids=["all cases", "minibatches", "growing batches", "the data's own order"],
)
def test_the_same_cases_give_the_same_run(client, digits, changes):
    recipe = FULL.replace(batches=rop.hf.Batches(**(SIZES | changes)))
    here, there = both(client, digits, recipe, iterations=3)
    np.testing.assert_allclose(there.theta, here.theta, **SAME)
    assert [it.cg.steps for it in there.records] == [it.cg.steps for it in here.records]
    assert [it.work for it in there.records] == [it.work for it in here.records]


@pytest.mark.ci
@pytest.mark.parametrize(
    "policies",
    [
        {"preconditioner": rop.hf.ExactDiagonal()},
        {"preconditioner": rop.hf.GivenDiagonal(estimate=lambda at: at.diagonal() + 1)},
        {"preconditioner": rop.hf.EmpiricalFisher(cases="gradient")},
        {"damping": rop.hf.ScaleSensitive()},
        {"curvature": "hessian", "cg": rop.hf.ConjugateGradient(downhill=True)},
    ],
    ids=["exact", "own function", "Fisher", "scale-sensitive", "hessian"],
)
def test_policies_that_look_at_the_curvature_do_so_on_the_workers(client, digits, policies):
    here, there = both(client, digits, FULL.replace(**policies), iterations=2)
    np.testing.assert_allclose(there.theta, here.theta, **SAME)


@pytest.mark.ci
@pytest.mark.parametrize("cases", ["gradient", "curvature"])
@pytest.mark.parametrize("distribution", ["rademacher", "gaussian"])
def test_random_preconditioners_lower_f(client, digits, cases, distribution):
    objective, theta, data = digits
    policy = rop.hf.ChapelleErhan(cases=cases, distribution=distribution, kappa=0.1, probes=2)
    spread = rop.distributed.Objective(objective, client, data)
    run = rop.hf.minimize(spread, theta, {}, FULL.replace(preconditioner=policy), iterations=3)
    assert run.records[-1].f_after < run.records[0].f_before / 2


@pytest.mark.ci
def test_structural_damping_of_a_recurrent_net(client):
    x, z, hidden = rop.nets.rnn([2, 4, 2], steps=9)
    objective = rop.Objective(z, rop.SquaredError(rop.data("t", z.shape)), hidden=hidden)
    rng = np.random.default_rng(0)
    data = {n: rng.standard_normal((40, *shape)) for n, shape in objective.data_shapes.items()}
    theta = objective.init("recurrent", seed=0)
    recipe = FULL.replace(
        damping=rop.hf.Structural(mu=0.1), preconditioner=rop.hf.NoPreconditioner()
    )
    here, there = both(client, (objective, theta, data), recipe)
    np.testing.assert_allclose(there.theta, here.theta, **SAME)


@pytest.mark.ci
def test_validation_data_and_streams_go_to_the_workers(client, digits):
    objective, theta, data = digits
    held_out = {name: array[:40] for name, array in data.items()}
    here, there = both(client, digits, FULL, validation=held_out)
    assert there.f_validation == pytest.approx(here.f_validation, rel=1e-9)
    stream = rop.hf.Stream(lambda k: {n: a[20 * k : 20 * k + 20] for n, a in data.items()})
    spread = rop.distributed.Objective(objective, client, data)
    options = {"recipe": FULL, "iterations": 2, "dtype": np.float64}
    runs = [rop.hf.minimize(f, theta, stream, **options) for f in (objective, spread)]
    np.testing.assert_allclose(runs[1].theta, runs[0].theta, **SAME)


@pytest.mark.ci
def test_a_saddle_is_found_on_the_workers(client):
    x, t, w = rop.data("x", 2), rop.data("t"), rop.param("w", 2)
    objective = rop.Objective(w[0] * w[1] * x[0] + x[1] * w[0], rop.SquaredError(t))
    rng = np.random.default_rng(0)
    data = {"x": np.c_[rng.standard_normal(20), np.zeros(20)], "t": rng.standard_normal(20)}
    spread = rop.distributed.Objective(objective, client, data)
    run = rop.hf.minimize(spread, [0.0, 0.0], {}, gradient_norm=1e-9, dtype=np.float64)
    local = rop.hf.minimize(objective, [0.0, 0.0], data, gradient_norm=1e-9, dtype=np.float64)
    assert run.reason == local.reason == "saddle"
    assert run.eigenvalue == pytest.approx(local.eigenvalue)


@pytest.mark.ci
def test_a_run_goes_on_with_the_same_bits_on_another_number_of_workers(cluster, digits, tmp_path):
    objective, theta, data = digits
    options = {"recipe": FULL, "dtype": np.float64}
    with cluster(1) as client:
        spread = rop.distributed.Objective(objective, client, data, parts=4)
        whole = rop.hf.minimize(spread, theta, {}, iterations=4, **options)
        rop.hf.minimize(spread, theta, {}, iterations=2, folder=tmp_path, **options)
    with cluster(3) as client:
        spread = rop.distributed.Objective(objective, client, data, parts=4)
        rest = rop.hf.minimize(
            spread, theta, {}, iterations=4, folder=tmp_path, resume=True, **options
        )
        assert (rest.theta == whole.theta).all()
        other = rop.distributed.Objective(objective, client, data, parts=5)
        with pytest.raises(rop.RopValueError, match="run of something else"):
            rop.hf.minimize(other, theta, {}, folder=tmp_path, resume=True, **options)


@pytest.mark.ci
def test_a_run_is_replayed_from_its_log(client, digits, tmp_path):
    objective, theta, data = digits
    spread = rop.distributed.Objective(objective, client, data)
    rop.hf.minimize(spread, theta, {}, FULL, iterations=2, folder=tmp_path)
    assert len(list(rop.hf.replay(tmp_path, spread, theta, {}))) == 2
