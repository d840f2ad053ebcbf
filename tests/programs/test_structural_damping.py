"""Structural damping against the dense Gauss-Newton matrix of its penalty (sec. 8.4)."""

import numpy as np
import pytest

import rop

STEPS, HIDDEN, CASES = 5, 4, 7


def recurrent(distance, activation=rop.tanh, extra=False):
    x, t = rop.data("x", (STEPS, 3)), rop.data("t", 2)
    W_xh, W_hh = rop.param("W_xh", (HIDDEN, 3)), rop.param("W_hh", (HIDDEN, HIDDEN))
    W_hz = rop.param("W_hz", (2, HIDDEN))
    h = activation(W_xh @ x[0])
    states = [h]
    for step in range(1, STEPS):
        h = activation(W_xh @ x[step] + W_hh @ h)
        states.append(h)
    z = W_hz @ h
    hidden = [*states, rop.tanh(2.0 * z)] if extra else states
    return rop.Objective(z, rop.SquaredError(t), hidden=hidden, distance=distance), hidden


def numbers(objective, seed=0):
    rng = np.random.default_rng(seed)
    batch = {"x": rng.normal(size=(CASES, STEPS, 3)), "t": rng.normal(size=(CASES, 2))}
    return 0.6 * rng.normal(size=objective.n), batch, rng


def penalty_matrix(objective, hidden, theta, batch):
    """(1/N) Σ J_hᵀ W J_h, with J_h from objectives whose outputs are the hidden units."""
    D = np.zeros((objective.n, objective.n))
    for node in hidden:
        output = node.parents[0] if objective.distance == "matching" else node
        own = rop.Objective(
            output, rop.SquaredError(np.zeros(output.shape)), params=objective.parameters
        )
        data = {name: batch[name] for name in own.data_shapes}
        J = own.linearize(theta, data).J.matrix().reshape(-1, objective.n)
        weight = np.ones(len(J))
        if objective.distance == "matching":
            unit = rop.Objective(
                node, rop.SquaredError(np.zeros(node.shape)), params=objective.parameters
            )
            a = unit.linearize(theta, data).outputs.reshape(-1)
            weight = 1 - a**2 if node.op.name == "tanh" else a * (1 - a)
        D += J.T @ (weight[:, None] * J) / CASES
    return D


@pytest.mark.ci
@pytest.mark.parametrize("engine", ["numpy", "numba"])
@pytest.mark.parametrize("activation", [rop.tanh, rop.sigmoid])
@pytest.mark.parametrize("extra", [False, True])
@pytest.mark.parametrize("distance", ["squared", "matching"])
def test_product_and_diagonal(distance, extra, activation, engine):
    objective, hidden = recurrent(distance, activation, extra)
    theta, batch, rng = numbers(objective)
    at = objective.linearize(theta, batch, engine=engine)
    D = penalty_matrix(objective, hidden, theta, batch)
    G, mu = at.G.matrix(), 0.3
    V = rng.normal(size=(objective.n, 3))
    expected = (G + mu * D) @ V
    assert np.allclose(at.ggnvp(V, mu), expected, rtol=0, atol=1e-12 * np.abs(expected).max())
    assert np.allclose(at.ggnvp(V[:, 0], mu), expected[:, 0], atol=1e-12 * np.abs(expected).max())
    assert np.allclose(at.ggnvp(V[:, 0]), G @ V[:, 0], rtol=1e-11, atol=1e-12)
    estimates = [at.diagonal("chapelle-erhan", seed, mu) for seed in range(4000)]
    mean, exact = np.mean(estimates, axis=0), np.diag(G + mu * D)
    error = np.std(estimates, axis=0) / np.sqrt(len(estimates))
    assert (np.abs(mean - exact) <= 6 * error + 1e-12).all()


def test_the_model_is_that_of_the_damped_objective():
    """Second differences of f + μS, at δ = 0, for a residual that vanishes there: then G = H."""
    objective, hidden = recurrent("squared")
    theta, batch, rng = numbers(objective)
    outputs = objective.linearize(theta, batch).outputs
    batch["t"] = outputs
    units = rop.stack(hidden)
    own = rop.Objective(units, rop.SquaredError(np.zeros(units.shape)), params=objective.parameters)
    data = {"x": batch["x"]}
    start, mu = own.linearize(theta, data).outputs, 0.3

    def gradient(point):
        at, unit = objective.linearize(point, batch), own.linearize(point, data)
        return at.gradient() + mu * unit.vjp((unit.outputs - start) / CASES)

    v = rng.normal(size=objective.n)
    h = 1e-5
    expected = (gradient(theta + h * v) - gradient(theta - h * v)) / (2 * h)
    product = objective.linearize(theta, batch).ggnvp(v, mu)
    assert np.linalg.norm(product - expected) <= 1e-8 * np.linalg.norm(expected)


def test_bad_input():
    objective, hidden = recurrent("squared")
    theta, batch, _ = numbers(objective)
    at = objective.linearize(theta, batch)
    with pytest.raises(rop.RopValueError, match="mu must be a finite number"):
        at.ggnvp(theta, -1.0)
    with pytest.raises(rop.RopValueError, match="'exact' leaves structural damping out"):
        at.diagonal("exact", mu=0.1)
    plain = rop.Objective(objective.z, objective.loss)
    with pytest.raises(rop.RopValueError, match="needs hidden units"):
        plain.linearize(theta, batch).ggnvp(theta, 0.1)
    with pytest.raises(rop.RopValueError, match="for tanh and sigmoid units"):
        rop.Objective(objective.z, objective.loss, hidden=[objective.z], distance="matching")
    with pytest.raises(rop.RopValueError, match="nodes that depend on parameters"):
        rop.Objective(objective.z, objective.loss, hidden=[rop.data("y", 3)])
    with pytest.raises(rop.RopValueError, match="distance: expected"):
        rop.Objective(objective.z, objective.loss, hidden=hidden, distance="cosine")


@pytest.mark.parametrize("K", [None, 2])
def test_tikhonov_damping_in_the_product(engine, K):
    objective, _ = recurrent("squared")
    objective = rop.Objective(objective.z, objective.loss, l2=0.1, hidden=objective.hidden)
    theta, batch, rng = numbers(objective)
    at = objective.linearize(theta, batch, engine)
    v = rng.normal(size=objective.n if K is None else (objective.n, K))
    for mu in (0.0, 0.3):
        assert np.allclose(at.ggnvp(v, mu, lam=0.7), at.ggnvp(v, mu) + 0.7 * v, rtol=1e-13)


@pytest.mark.parametrize("engine", ["numpy", "numba"])
@pytest.mark.parametrize("distance", ["squared", "matching"])
def test_a_mask_frees_the_steps_after_the_end_of_a_sequence(distance, engine):
    objective, states = recurrent(distance)
    mask = rop.data("mask", STEPS)
    if distance == "matching":
        masked = [rop.tanh(mask[i] * h.parents[0]) for i, h in enumerate(states)]
    else:
        masked = [mask[i] * h for i, h in enumerate(states)]
    z, loss = objective.z, objective.loss
    whole = rop.Objective(z, loss, hidden=masked, distance=distance)
    theta, batch, _ = numbers(whole)
    ends = np.array([2, 3, 5, 5, 1, 4, 3])
    mask_of = {"mask": (np.arange(STEPS) < ends[:, None]).astype(float)}

    def structural(own, cases):
        at = own.linearize(theta, cases, engine=engine)
        return np.column_stack([at.ggnvp(e, 1.0) - at.ggnvp(e) for e in np.eye(own.n)])

    expected = np.zeros((whole.n, whole.n))
    for end in np.unique(ends):
        short = rop.Objective(z, loss, hidden=states[:end], distance=distance)
        expected += sum(
            structural(short, {name: array[[i]] for name, array in batch.items()})
            for i in np.flatnonzero(ends == end)
        )
    S = structural(whole, batch | mask_of)
    np.testing.assert_allclose(S, expected / CASES, rtol=1e-9, atol=1e-12)
    assert np.linalg.norm(S) < 0.9 * np.linalg.norm(structural(objective, batch))
