# %% [markdown]
# # 7 Conjugate gradients
#
# HF never solves $B\delta = -\nabla f$. It lets the conjugate gradient method (CG) minimise the
# quadratic model for a few dozen steps, and takes what CG has by then. So the character of an
# update is the character of an unfinished run of CG. This tutorial shows what CG does in which
# order, why that order suits HF, and what a preconditioner changes. It follows sections 4, 8.7, 9
# and 11 of Martens & Sutskever (2012). You need $Gv$ (tutorial 1) from chapter 7.5 on.
#
# Throughout, CG minimises
#
# $$q(x) = \tfrac12 x^\top A x - b^\top x, \qquad r = Ax - b = \nabla q(x),$$
#
# with a symmetric positive definite $A$. In HF, $x$ is the update $\delta$, $A$ is the damped
# curvature and $b = -\nabla f$.

# %%
import matplotlib.pyplot as plt
import numpy as np
import scipy.sparse.linalg

import rop

# %% [markdown]
# ## 7.1 The bottom of a parabola
#
# Start with a $q$ of two variables. We stand at $x = 0$ and walk straight downhill, along
# $p = -r = b$. How far?

# %%
A = np.array([[5.0, -3.0], [-3.0, 5.0]])
b = np.array([16.0, 0.0])


def q(x):
    return 0.5 * x @ A @ x - b @ x


x, p = np.zeros(2), b

for alpha in (-0.1, 0.0, 0.1):
    print(f"q(x + {alpha:4.1f} p) = {q(x + alpha * p):6.1f}")

# %% [markdown]
# Along a line, $q$ is a parabola, and three values fix a parabola. **Predict:** at which $\alpha$
# is its bottom? The slope at 0 is $(-19.2 - 32) / 0.2 = -256$. The curvature is
# $(32 - 2 \cdot 0 - 19.2) / 0.1^2 = 1280$. The bottom is where slope and curvature balance, at
# $256/1280 = 0.2$.
#
# No nudge is needed for these numbers. The slope is $p^\top r$ and the curvature is $p^\top A p$,
# so
#
# $$\alpha = -\frac{p^\top r}{p^\top A p} .$$
#
# This is the only place where $A$ enters CG: one product $Ap$ a step.

# %%
slope = (q(x + 0.1 * p) - q(x - 0.1 * p)) / 0.2
curvature = (q(x + 0.1 * p) - 2 * q(x) + q(x - 0.1 * p)) / 0.1**2
r = A @ x - b

assert np.isclose(slope, p @ r) and np.isclose(curvature, p @ A @ p)
assert np.isclose(-slope / curvature, 0.2)

# %% [markdown]
# ## 7.2 Two steps by hand
#
# Gradient descent would turn downhill again, walk to the bottom of the next parabola, and so on. CG
# turns a little less. Its next direction is $-r$ plus some of the last direction:
#
# $$p_{\text{new}} = -r_{\text{new}} + \beta p, \qquad
#   \beta = \frac{r_{\text{new}}^\top r_{\text{new}}}{r^\top r} .$$
#
# Fill it in by hand. The numbers are friendly.

# %%
p0, r0 = np.array([16.0, 0.0]), np.array([-16.0, 0.0])
Ap0 = np.array([80.0, -48.0])
alpha0 = 256 / 1280  # 0.2
x1 = np.array([3.2, 0.0])
r1 = np.array([0.0, -9.6])  # r0 + 0.2 Ap0

beta1 = 92.16 / 256  # 0.36
p1 = np.array([5.76, 9.6])  # -r1 + 0.36 p0
Ap1 = np.array([0.0, 30.72])
alpha1 = 92.16 / 294.912  # 0.3125
x2 = np.array([5.0, 3.0])

assert np.allclose(r1, A @ x1 - b) and np.allclose(Ap1, A @ p1)
assert np.allclose(x2, x1 + alpha1 * p1)
assert np.allclose(A @ x2, b)

# %% [markdown]
# Two variables, two steps, and $r = 0$. Compare with gradient descent, which also takes the best
# $\alpha$ in each step. **Predict:** how many steps does it need for six correct digits?


# %%
def gradient_descent(A, b, steps):
    x, path = np.zeros_like(b), [np.zeros_like(b)]
    for _ in range(steps):
        r = A @ x - b
        x = x - (r @ r) / (r @ A @ r) * r
        path.append(x)
    return np.array(path)


path = gradient_descent(A, b, 30)
gap = [0.5 * (x - x2) @ A @ (x - x2) for x in path]  # q(x) - q(x2)

side = np.linspace(-1.0, 6.5, 120)
X, Y = np.meshgrid(side, side - 1.5)
height = 2.5 * X**2 - 3 * X * Y + 2.5 * Y**2 - 16 * X + 40
levels = [40 * 0.36**k for k in (4, 3, 2, 1, 0, -1)]

figure, ax = plt.subplots(figsize=(6, 4), layout="constrained")
ax.contour(X, Y, height, levels, colors="lightgrey")
ax.plot(*path.T, "o-", markersize=4, label="gradient descent")
ax.plot(*np.array([[0, 0], x1, x2]).T, "o-", markersize=4, label="conjugate gradients")
ax.set(xlabel="$x_1$", ylabel="$x_2$", aspect="equal", title="The level lines of q, and two paths")
ax.legend(loc="upper left")

assert np.allclose(np.array(gap[1:]) / gap[:-1], 0.36)
assert np.argmax(np.linalg.norm(path - x2, axis=1) < 1e-6 * np.linalg.norm(x2)) == 28

# %% [markdown]
# It needs 28: each step leaves 36 % of what $q$ lacks. Its second step spoils the first, since the
# bottom along $p_0$ moves when we leave along $r_1$. CG's second step spoils nothing: $p_1$ is
# *conjugate* to $p_0$, which means $p_1^\top A p_0 = 0$. Moving along $p_1$ does not change the
# slope along $p_0$, so that direction is done for good.

# %%
assert abs(p1 @ A @ p0) < 1e-12
assert abs((A @ x2 - b) @ p0) < 1e-12  # still at the bottom along p0

# %% [markdown]
# ## 7.3 Twelve lines
#
# Now the work by hand becomes a loop. This is the paper's algorithm 2 without a preconditioner.
# Note the signs: $r$ is the gradient of $q$, so the first direction is $-r$, and the new $r$ is the
# old one *plus* $\alpha A p$.


# %%
def cg(A, b, steps):
    """The iterates x_0, x_1, ... of CG (algorithm 2 with P = I)."""
    x, r = np.zeros_like(b), -b
    p, iterates = -r, [x]
    for _ in range(steps):
        Ap = A @ p
        alpha = (r @ r) / (p @ Ap)
        x = x + alpha * p
        r_new = r + alpha * Ap
        p = -r_new + (r_new @ r_new) / (r @ r) * p
        r = r_new
        iterates.append(x)
    return np.array(iterates)


assert np.allclose(cg(A, b, 2), [[0, 0], x1, x2])

# %% [markdown]
# Compare with two libraries, on a matrix of size 100 with random eigenvectors. `rop.hf.pcg` keeps
# the iterates after the steps in `store`.

# %%
rng = np.random.default_rng(0)
V, _ = np.linalg.qr(rng.normal(size=(100, 100)))


def with_eigenvalues(values):
    return (V[:, : len(values)] * values) @ V[:, : len(values)].T


A, b = with_eigenvalues(np.linspace(1, 50, 100)), rng.normal(size=100)

ours = cg(A, b, 10)
rops = rop.hf.pcg(A, b, max_steps=10, store=range(1, 11))
scipys = []
scipy.sparse.linalg.cg(A, b, maxiter=10, callback=lambda x: scipys.append(x.copy()))

assert np.allclose(ours[1:], [iterate.x for iterate in rops.iterates])
assert np.allclose(ours[1:], scipys)

# %% [markdown]
# In exact arithmetic CG ends after at most $n$ steps. It can be much sooner. **Predict:** how many
# steps does it need for this matrix, whose 100 eigenvalues are 1, 4 and 20, many times each?

# %%
A = with_eigenvalues(np.repeat([1.0, 4.0, 20.0], [50, 40, 10]))
iterates = cg(A, b, 5)

for i, x in enumerate(iterates):
    print(f"step {i}: ‖Ax - b‖ = {np.linalg.norm(A @ x - b):.1e}")

assert np.linalg.norm(A @ iterates[2] - b) > 0.1
assert np.linalg.norm(A @ iterates[3] - b) < 1e-12

# %% [markdown]
# Three steps, as many as there are distinct eigenvalues. The next chapter shows why.
#
# ## 7.4 CG chooses a polynomial
#
# Look at the error $x_i - x^*$ along each eigenvector $v_j$ of $A$, and divide it by the error at
# the start. This is the share of the error that has survived $i$ steps:
#
# $$\text{survived}_{ij} = \frac{v_j^\top (x_i - x^*)}{v_j^\top (x_0 - x^*)} .$$
#
# We plot it against the eigenvalue $\lambda_j$, for seven eigenvalues in two groups. **Predict:**
# is there a pattern?

# %%
eigenvalues = np.array([0.5, 0.7, 0.9, 8.0, 9.0, 9.5, 10.0])
n = len(eigenvalues)
V, _ = np.linalg.qr(rng.normal(size=(n, n)))
A, b = with_eigenvalues(eigenvalues), V @ np.array([1.0, 1, 1, 3, 3, 3, 3])
solution = np.linalg.solve(A, b)

iterates = cg(A, b, 4)
survived = ((iterates - solution) @ V) / ((iterates[0] - solution) @ V)


def ritz_values(iterates):
    """The eigenvalues of A, as seen from the directions that CG has searched."""
    basis, _ = np.linalg.qr((iterates[1:] - iterates[:-1]).T)
    return np.linalg.eigvalsh(basis.T @ A @ basis)


def polynomial(z, roots):
    return np.prod(1 - np.asarray(z)[..., None] / roots, axis=-1)


z = np.linspace(0, 10.6, 300)
figure, axes = plt.subplots(1, 3, figsize=(10, 3.2), sharey=True, layout="constrained")
for i, ax in enumerate(axes, start=1):
    roots = ritz_values(iterates[: i + 1])
    ax.axhline(0, color="grey", linewidth=0.8)
    ax.plot(z, polynomial(z, roots), color="C1", label="polynomial with $p(0) = 1$")
    ax.plot(eigenvalues, survived[i], "o", color="C0", label="measured")
    ax.set(title=f"after step {i}", xlabel="eigenvalue λ", ylim=(-1.1, 1.1))
axes[0].set_ylabel("share of the error that survives")
axes[0].legend(loc="lower left")

for i in (1, 2, 3, 4):
    assert np.allclose(survived[i], polynomial(eigenvalues, ritz_values(iterates[: i + 1])))

# %% [markdown]
# The points of step $i$ lie on a polynomial of degree $i$ that is 1 at 0. It must be so. CG's
# iterates are $x_0$ plus a combination of $r_0, Ar_0, \dots, A^{i-1}r_0$, and on an eigenvector $A$
# acts as the number $\lambda_j$. Such a polynomial is known by its roots,
#
# $$p(\lambda) = \prod_{k=1}^{i} \left(1 - \frac{\lambda}{\nu_k}\right),$$
#
# and CG's roots are the eigenvalues of $A$ as seen from the space that it has searched (the *Ritz
# values*). With as many roots as there are distinct eigenvalues, every error is gone: hence the
# three steps above.
#
# Among all such polynomials CG takes the best one. With $\omega_j$ for what $q$ can gain along
# $v_j$, equation 14 of the paper says
#
# $$q(x_i) - q(x^*) = \min_p \sum_j \omega_j\, p(\lambda_j)^2,
#   \qquad \omega_j = \tfrac12 \frac{\eta_j^2}{\lambda_j}, \quad \eta_j = v_j^\top r_0 .$$
#
# (The paper's definition of $\omega_j$ lacks the $\frac12$: `rop errata M55`.)


# %%
def gap(x):
    return 0.5 * (x - solution) @ A @ (x - solution)


omega = 0.5 * (V.T @ b) ** 2 / eigenvalues

for i in range(5):
    assert np.isclose(gap(iterates[i]), omega @ survived[i] ** 2)

for _ in range(100):  # other roots do worse
    roots = ritz_values(iterates[:3]) * rng.uniform(0.8, 1.2, size=2)
    assert omega @ polynomial(eigenvalues, roots) ** 2 > gap(iterates[2])

# %% [markdown]
# ## 7.5 High curvature first
#
# Why does CG put its first root at the large eigenvalues? This is the paper's figure 5, which
# `rop figure 5` draws. Take two eigenvalues, 1 and 5, with equal $\omega$, and one root to place.
# Fill in the factors $1 - \lambda/\nu$ by hand before you read on:
#
# | root | factor at $\lambda = 1$ | factor at $\lambda = 5$ |
# |---|---|---|
# | $\nu = 1.25$, near the small one | | |
# | $\nu = 4.6$, near the large one | | |

# %%
for nu in (1.25, 4.6):
    print(f"ν = {nu:4}: {1 - 1 / nu:5.2f} at 1, {1 - 5 / nu:5.2f} at 5")

A, b = np.diag([1.0, 5.0]), np.sqrt([2.0, 10.0])  # ω = 1 and 1
solution = np.linalg.solve(A, b)
(nu,) = ritz_values(cg(A, b, 1))
print(f"CG takes {nu:.2f}")

assert nu > 4
assert np.isclose(gap(cg(A, b, 1)[1]), (1 - 1 / nu) ** 2 + (1 - 5 / nu) ** 2)

# %% [markdown]
# A root near the small eigenvalue triples the error at the large one, with the wrong sign. A root
# near the large eigenvalue leaves 78 % of the error at the small one: no harm done. So CG attends
# to directions of high curvature first, and to those of low curvature late.
#
# Real curvature matrices have eigenvalues over many orders of magnitude. We take $G$ of a small
# classifier for digits, a little damped, and look at the error along its eigenvectors, in four
# groups by the size of the eigenvalue. **Predict:** how much of the error is left in each group
# after 20 steps?

# %%
digits = rop.datasets.digits()
batch = {name: array[:500] for name, array in digits.train.items()}


def classifier(scale=1.0):
    x, t = rop.data("x", 64), rop.data("t", 10)
    W1, b1 = rop.param("W1", (20, 64)), rop.param("b1", 20)
    W2, b2 = rop.param("W2", (10, 20)), rop.param("b2", 10)
    z = (scale * W2) @ rop.tanh(W1 @ x + b1) + b2
    return rop.Objective(z, rop.SoftmaxCrossEntropy(t))


objective = classifier()
theta = objective.init("glorot", seed=0)
theta = rop.hf.minimize(
    objective, theta, batch, "damped", iterations=4, dtype=np.float64, engine="numpy"
).theta

at = objective.linearize(theta, batch, engine="numpy")
lam = 1e-3


def damped(v):
    return at.ggnvp(v) + lam * v


run = rop.hf.pcg(damped, -at.gradient(), max_steps=80, store=range(1, 81))

eigenvalues, V = np.linalg.eigh(at.G.matrix())
moving = eigenvalues > 1e-10  # not the weights of pixels that are always 0
eigenvalues, V = eigenvalues[moving], V[:, moving]
exact = -(V.T @ at.gradient()) / (eigenvalues + lam)
errors = np.array([np.abs(V.T @ iterate.x / exact - 1) for iterate in run.iterates])

groups = {
    "above 0.1": eigenvalues > 0.1,
    "0.01 to 0.1": (eigenvalues > 0.01) & (eigenvalues <= 0.1),
    "0.001 to 0.01": (eigenvalues > 0.001) & (eigenvalues <= 0.01),
    "below 0.001": eigenvalues <= 0.001,
}

figure, ax = plt.subplots(figsize=(6, 3.6), layout="constrained")
for name, members in groups.items():
    label = f"{name}: {members.sum()} eigenvalues"
    ax.semilogy(range(1, 81), np.median(errors[:, members], axis=1), label=label)
ax.set(xlabel="CG step", ylabel="relative error (median)", ylim=(1e-4, 2))
ax.set_title("Error along the eigenvectors of G, by eigenvalue")
ax.legend(loc="upper right")

after_20 = [np.median(errors[19, members]) for members in groups.values()]
for name, error in zip(groups, after_20, strict=True):
    print(f"eigenvalues {name:14} error after 20 steps {error:.2f}")

assert after_20 == sorted(after_20)
assert after_20[0] < 0.1 and after_20[-1] > 0.4

# %% [markdown]
# Twenty steps settle the 22 directions of highest curvature. Along the 961 directions of lowest
# curvature, half of the error is left. So an unfinished update is no smaller copy of the finished
# one. It has arrived along steep directions, and has hardly left along flat ones.
#
# And why does the lowest group converge at all? Its eigenvalues differ by many orders of magnitude.
# But CG sees the damped matrix, whose eigenvalues are $\lambda_j + 0.001$. Damping has made them
# one cluster, and a few roots serve a cluster.
#
# ## 7.6 The model falls, the objective does not
#
# CG minimises the model $M(\delta) = f(\theta) + q(\delta)$. What we want is a low
# $f(\theta + \delta)$. We follow both along the run above, as figure 4 of the paper does for a deep
# autoencoder (`rop figure 4`). **Predict:** after how many of the 80 steps is $f$ lowest?

# %%
steps = [iterate.steps for iterate in run.iterates]
f = [objective.value(theta + iterate.x, batch, engine="numpy") for iterate in run.iterates]
M = [at.value + iterate.q for iterate in run.iterates]
best = steps[int(np.argmin(f))]

figure, ax = plt.subplots(figsize=(6, 3.6), layout="constrained")
ax.plot([0, *steps], [at.value, *f], label="objective $f(θ + x_i)$")
ax.plot([0, *steps], [at.value, *M], label="damped model $M(x_i)$")
ax.plot(best, min(f), "o", color="C0")
ax.annotate(f"best after {best} steps", (best, min(f)), (best + 8, min(f) + 0.06))
ax.set(xlabel="CG step i", ylabel="nats", title="One run of CG")
ax.legend()

assert np.all(np.diff(M) < 0)
assert best < 20 and f[-1] > min(f) + 0.03

# %% [markdown]
# The model falls at every step; CG guarantees it. The objective turns up after a dozen steps. The
# late steps go far along flat directions, and a quadratic model is good only nearby.
#
# So there are two reasons to stop CG early. It saves products with the curvature, and the
# unfinished update may be better than the finished one. Martens (2010) keeps some iterates of CG,
# those after 5, 7, 9, 11, 15, ... steps, and chooses among them by $f$. His *CG-backtracking*
# starts at the last one and goes back for as long as $f$ does not rise. `rop` also offers `Best`,
# which tries them all. **Predict** from the picture what each of them takes.

# %%
iterations = []
kept = rop.hf.Powers(first=5)
for selection in (rop.hf.Backtracking(kept, enough=np.inf), rop.hf.Best(kept)):
    recipe = rop.hf.recipes.damped().replace(
        batches=rop.hf.Batches(curvature=1.0, selection=1.0),
        damping=rop.hf.Tikhonov(lam),
        preconditioner=rop.hf.NoPreconditioner(),
        cg=rop.hf.ConjugateGradient(80, forcing=None),
        selection=selection,
    )
    result = rop.hf.minimize(
        objective, theta, batch, recipe, iterations=1, dtype=np.float64, engine="numpy"
    )
    iterations += result.records
    print(f"{type(selection).__name__}\n{result.records[0].explain()}\n")

backtracking, best_of_all = iterations

assert abs(best_of_all.chosen - best) < 5
assert backtracking.chosen > 50 and best_of_all.f_after < backtracking.f_after - 0.03

# %% [markdown]
# Backtracking is cheap, since it stops at the first rise. Here a slight rise on the plateau stops
# it, and it misses the best iterate. Trying all of them costs a few more evaluations of $f$.
# Tutorial 8 treats the other remedy: with ten times the damping the whole run of CG can be used.
#
# ## 7.7 Preconditioning
#
# Eigenvalues depend on coordinates, and coordinates are a matter of choice. Write
# $\delta = C^{-1}\gamma$ and let CG minimise over $\gamma$. The matrix becomes
# $C^{-\top} A C^{-1}$, with other eigenvalues and another order of convergence. Algorithm 2 does
# this without ever forming $\gamma$: it needs $P^{-1} r$ for $P = C^\top C$, once a step. Check it:
# CG in $\gamma$ and preconditioned CG in $\delta$ go through the same points.

# %%
n = 20
S, C = rng.normal(size=(n, n)), rng.normal(size=(n, n)) + 4 * np.eye(n)
A, b = S @ S.T + np.eye(n), rng.normal(size=n)
inverse = np.linalg.inv(C)

in_gamma = cg(inverse.T @ A @ inverse, inverse.T @ b, 5) @ inverse.T
in_delta = rop.hf.pcg(A, b, preconditioner=inverse @ inverse.T, max_steps=5, store=range(1, 6))

assert np.allclose(in_gamma[1:], [iterate.x for iterate in in_delta.iterates])

# %% [markdown]
# What is a good $P$? **Predict** the number of steps of CG in three cases: $P = A$; $P = 7A$; and
# $A$ diagonal with $P$ its diagonal.

# %%
whole = np.linalg.inv(A)
diagonal = np.linspace(1.0, 1000.0, n)


def steps_needed(A, P_inverse=None):
    return rop.hf.pcg(A, b, preconditioner=P_inverse, residual=1e-8).steps


counts = {
    "P = A": steps_needed(A, whole),
    "P = 7A": steps_needed(A, whole / 7),
    "A diagonal, P its diagonal": steps_needed(np.diag(diagonal), np.diag(1 / diagonal)),
    "A diagonal, P = I": steps_needed(np.diag(diagonal)),
}
print(counts)

assert list(counts.values())[:3] == [1, 1, 1] and counts["A diagonal, P = I"] >= n

# %% [markdown]
# One step each; only the shape of $P$ matters, not its scale. Solving with $A$ itself is what we
# cannot afford, but a diagonal $P$ costs $n$ divisions. Martens takes
# $P = (\operatorname{diag}(G) + \lambda)^\xi$ with $\xi = 0.75$.
#
# Does it help? We count the steps that CG needs for 99 % of what the model has to offer, for two
# versions of our classifier. The second has $10\,\theta_2$ where the first has $W_2$, with
# $\theta_2$ ten times smaller. Both compute the same function. **Predict:** for which one does $P$
# pay?


# %%
def steps_to_99_percent(scale, exponent):
    objective, blocks = classifier(scale), dict(classifier().unpack(theta))
    blocks["W2"] = blocks["W2"] / scale
    at = objective.linearize(objective.pack(blocks), batch, engine="numpy")
    d = at.diagonal("exact") + lam
    q = rop.hf.pcg(
        lambda v: at.ggnvp(v) + lam * v,
        -at.gradient(),
        preconditioner=lambda r: r / d**exponent,
        max_steps=250,
    ).q
    return int(np.argmax(np.array(q) <= 0.99 * min(q)))


table = {(scale, xi): steps_to_99_percent(scale, xi) for scale in (1, 10) for xi in (0, 0.75, 1)}

print("             no P   ξ = 0.75   ξ = 1")
for scale in (1, 10):
    print(f"W2 = {scale:2} θ2  {table[scale, 0]:4} {table[scale, 0.75]:9} {table[scale, 1]:9}")

assert abs(table[1, 0.75] - table[1, 0]) < 5  # nothing gained
assert table[10, 0.75] < table[10, 0] / 2

# %% [markdown]
# A diagonal $P$ repairs differences of scale between parameters, and little else. A net with one
# hidden layer in its natural scale has no such differences worth a $P$. In deep feedforward nets
# gradients grow or shrink from layer to layer, and there the paper finds $P$ "quite effective"; in
# recurrent nets, where all time steps share their weights, it does not.
#
# Note that $\xi = 1$ is not best: the exponent keeps $P$ gentle. And $P$ changes which directions
# come first, so it also changes what truncation leaves out.
#
# ## 7.8 Exercises
#
# Each exercise has an attempt that is not right yet, and a check that says so. Change the attempt
# until the check says "solved".
#
# **1.** $A$ has 50 different eigenvalues, and for most $b$ CG takes about thirty steps to ten
# correct digits. Find a $b$ for which it needs exactly three.

# %%
V50, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(50, 50)))
A50 = (V50 * np.linspace(1.0, 10.0, 50)) @ V50.T


def check_1(b):
    if np.shape(b) != (50,):
        return f"not yet: b should have the shape (50,), got {np.shape(b)}"
    steps = rop.hf.pcg(A50, b, residual=1e-10).steps
    along = np.sum(np.abs(V50.T @ b) > 1e-9 * np.linalg.norm(b))
    needs = f"CG needs {steps} steps; b has a part along {along} of the 50 eigenvectors"
    return "solved" if steps == 3 else f"not yet: {needs}"


print(check_1(np.ones(50)))

# %% [markdown]
# <details>
# <summary>Solution</summary>
#
# Only eigenvectors with $\omega_j > 0$ need a root. So let $b$ consist of three of them.
#
# ```python
# assert check_1(V50[:, 0] + V50[:, 20] + V50[:, 49]) == "solved"
# ```
#
# </details>
#
# **2.** The paper stops CG when $s_j = (M(x_j) - M(x_{j-k})) / M(x_j) < 0.0001$, with
# $k = \max(10, j/10)$. Here is this rule, literally, on a run of 300 steps where
# $f(\theta) = 50$. It stops CG at its first opportunity, while $q$ still falls fast. What should
# stand in place of $M$?


# %%
def first_stop(q, f):
    M = [f + value for value in q]
    for j in range(11, len(M)):
        k = max(10, j // 10)
        if (M[j] - M[j - k]) / M[j] < 1e-4:
            return j
    return None


def check_2(rule):
    left = [0.95**j for j in range(300)]  # q falls to -10, by 5 % of the rest a step
    stop = rule([-10.0 * (1 - part) for part in left], 50.0)
    gains = [(left[j - max(10, j // 10)] - left[j]) / (1 - left[j]) for j in range(11, 300)]
    right = 11 + next(i for i, gain in enumerate(gains) if gain < 1e-4)
    if stop is None:
        return f"not yet: it never stops, and from step {right} on next to nothing is gained"
    if stop not in range(300):
        return f"not yet: it should return the number of a step, got {stop}"
    at_stop = f"q = {-10 * (1 - left[stop]):.4f} on its way to -10"
    return "solved" if stop == right else f"not yet: it stops at step {stop}, where {at_stop}"


print(check_2(first_stop))

# %% [markdown]
# <details>
# <summary>Solution</summary>
#
# $q$, the model without its constant (`rop errata M13`). With a positive $M$ that falls, $s_j$ is
# negative from the start.
#
# ```python
# def first_stop(q, f):
#     for j in range(11, len(q)):
#         k = max(10, j // 10)
#         if q[j] < 0 and (q[j] - q[j - k]) / q[j] < 1e-4:
#             return j
#     return None
#
#
# assert check_2(first_stop) == "solved"
# ```
#
# The guard $q_j < 0$ is for runs that start elsewhere than at 0, where $q$ is positive at first.
#
# </details>
#
# **3.** An introductory note adds $10^{-10}$ to two denominators, against division by zero, and
# stops at an absolute tolerance. The gradients of a net that is nearly trained are small. Repair
# its CG.


# %%
def note_cg(A, b):
    x, r, p = np.zeros_like(b), b.copy(), b.copy()
    for _ in range(400):
        Ap = A @ p
        alpha = (r @ r) / (p @ Ap + 1e-10)
        x = x + alpha * p
        r_new = r - alpha * Ap
        if np.linalg.norm(r_new) < 1e-6:
            break
        p = r_new + (r_new @ r_new) / (r @ r + 1e-10) * p
        r = r_new
    return x


def check_3(solver):
    A = (V50 * np.geomspace(1.0, 1000.0, 50)) @ V50.T
    for size in (1.0, 1e-3, 1e-6, 1e-12):
        b = size * (V50 @ np.ones(50)) / 50**0.5
        b.setflags(write=False)  # whoever changes it is told where
        x = solver(A, b)
        if np.shape(x) != b.shape:
            return f"not yet: x should have the shape {b.shape}, got {np.shape(x)}"
        error = np.linalg.norm(A @ x - b) / size
        if not error < 1e-5:
            return f"not yet: for ‖b‖ = {size:g} the relative residual is {error:.1g}"
    return "solved"


print(check_3(note_cg))

# %% [markdown]
# <details>
# <summary>Solution</summary>
#
# Drop both guards, and compare the residual with $\|b\|$.
#
# ```python
# def note_cg(A, b):
#     x, r, p = np.zeros_like(b), b.copy(), b.copy()
#     for _ in range(400):
#         Ap = A @ p
#         alpha = (r @ r) / (p @ Ap)
#         x = x + alpha * p
#         r_new = r - alpha * Ap
#         if np.linalg.norm(r_new) < 1e-6 * np.linalg.norm(b):
#             break
#         p = r_new + (r_new @ r_new) / (r @ r) * p
#         r = r_new
#     return x
#
#
# assert check_3(note_cg) == "solved"
# ```
#
# </details>
#
# ## Summary
#
# - CG needs one product $Ap$ a step. Each direction is conjugate to the earlier ones, so nothing
#   that is done is undone.
# - CG places the roots of a polynomial on the eigenvalues. Clusters cost one root, and high
#   curvature comes first.
# - The model falls at every step, $f$ does not. Truncation is a kind of damping.
# - A preconditioner is a change of coordinates. A diagonal one repairs differences of scale.
