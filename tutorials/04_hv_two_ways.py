# %% [markdown]
# # 4 Hv two ways, and what the introductory note got wrong
#
# A short introductory note on Hessian-free optimization has two functions. The first computes $Hv =
# \nabla(\nabla f^\top v)$ and calls that *Pearlmutter's trick*. The second solves $Hx = -\nabla f$
# by conjugate gradients. Together they are twenty lines, and they look right.
#
# Here we do the same, and measure. There are two ways to $Hv$. They give the same numbers and are
# not the same computation, and Pearlmutter's is the other one. The solver has two errors that no
# run on an easy problem shows: its answer depends on the unit of $f$, and it takes a saddle for a
# minimum. We repair both. You need tutorials 1 and 3; sections 4 to 6 of Martens & Sutskever (2012)
# have the theory.

# %%
import matplotlib.pyplot as plt
import numpy as np

import rop
from rop.experiments.errata import ERRATA
from rop.graph import ancestors

# %% [markdown]
# ## 4.1 Nudge a gradient
#
# Take $f(x, y) = x^2 y$ again. Its gradient is $(2xy,\ x^2)$; at $\theta = (3, 1)$ that is $(6,
# 9)$. We nudge $\theta$ in the direction $v = (1, 2)$ and look at the digits.
#
# **Predict**: which digits follow the points?


# %%
def gradient(theta):
    x, y = theta
    return np.array([2 * x * y, x**2])


theta, v = np.array([3.0, 1.0]), np.array([1.0, 2.0])

for epsilon in (0, 0.0001):
    first, second = gradient(theta + epsilon * v)
    print(f"∇f = ({first:.8f}, {second:.8f})   for ε = {epsilon}")

# %% [markdown]
# The gradient is a function like any other, and this is its directional derivative: $Hv =
# R_v(\nabla f) = (14, 6)$. In the picture the gradient is an arrow that depends on the place. $Hv$
# is the change of the arrow, per unit of $\varepsilon$.

# %%
Hv = np.array([14.0, 6.0])
epsilon = 0.4
there = theta + epsilon * v

figure, ax = plt.subplots(figsize=(6, 4.6), layout="constrained")
xs, ys = np.meshgrid(np.linspace(2.5, 5.1, 60), np.linspace(0.6, 3.1, 60))
ax.contour(xs, ys, xs**2 * ys, 14, colors="0.8")
ax.plot(*zip(theta, there, strict=True), "k:", marker="o")
for place, name in [(theta, "∇f(θ)"), (there, "∇f(θ + εv)")]:
    arrow = gradient(place) / 12
    ax.annotate("", place + arrow, place, arrowprops={"arrowstyle": "-|>", "color": "C0"})
    ax.text(*(place + arrow + [0.04, 0.02]), name, color="C0")
tip = there + gradient(theta) / 12  # the old arrow, carried to the new place
ax.annotate("", tip, there, arrowprops={"arrowstyle": "-|>", "color": "C0", "alpha": 0.4})
change = {"arrowstyle": "-|>", "color": "C3"}
ax.annotate("", there + gradient(there) / 12, tip, arrowprops=change)
ax.text(*(tip + [0.3, -0.06]), "≈ ε Hv", color="C3")
ax.text(*(theta - [0.18, 0.12]), "θ")
ax.set(xlim=(2.6, 5.1), ylim=(0.7, 3.0), aspect="equal", xlabel="x", ylabel="y")
ax.spines[["top", "right"]].set_visible(False)

assert np.allclose(np.round((gradient(theta + 1e-4 * v) - gradient(theta)) / 1e-4), Hv)

# %% [markdown]
# ## 4.2 By hand, both ways
#
# **The first way** applies R to the gradient, line by line, as in tutorial 1:
#
# $$\begin{aligned}
# g_x &= 2xy & Rg_x &= 2\,(Rx\,y + x\,Ry) \\
# g_y &= x^2 & Rg_y &= 2x\,Rx
# \end{aligned}$$
#
# **The second way** makes one number of the gradient, $s = \nabla f^\top v = 2xy \cdot 1 + x^2
# \cdot 2$, where $v$ is constant, and takes the gradient of *that*:
#
# $$\frac{\partial s}{\partial x} = 2y + 4x, \qquad \frac{\partial s}{\partial y} = 2x .$$
#
# **Predict**: put in the numbers. Why must both agree?

# %%
(x, y), (Rx, Ry) = theta, v
first_way = np.array([2 * (Rx * y + x * Ry), 2 * x * Rx])
second_way = np.array([2 * y + 4 * x, 2 * x])

assert first_way.tolist() == second_way.tolist() == Hv.tolist()

# %% [markdown]
# In the words of tutorial 3: let $J$ be the Jacobian of the gradient. The first way is $Jv$, a
# sweep forwards. The second is $J^\top v$, a sweep backwards. They agree because this $J$ is the
# Hessian, and the Hessian is symmetric.
#
# ## 4.3 The gradient is a graph
#
# Both ways need one thing: the gradient as a graph of its own. In tutorial 3 the reverse sweep
# computed numbers. If its rules are given *nodes*, they build nodes. Nothing else changes.

# %%
RULES = {  # dz for every parent z, from da, the node a, and its parents
    "multiply": lambda da, a, x, y: [da * y, x * da],
    "subtract": lambda da, a, x, y: [da, -da],
    "matmat": lambda da, a, A, B: [da @ B.T, A.T @ da],
    "transpose": lambda da, a, x: [da.T],
    "tanh": lambda da, a, z: [(1 - a * a) * da],
    "square": lambda da, a, z: [2 * z * da],
    "sum": lambda da, a, z: [da * np.ones(z.shape)],
}


def gradient_nodes(f, parameters):
    """The gradient of a scalar node, as new nodes."""
    d = {f: rop.constant(1.0)}
    for node in reversed(ancestors(f)):
        if node.kind == "op":
            contributions = RULES[node.op.name](d[node], node, *node.parents)
            for parent, contribution in zip(node.parents, contributions, strict=True):
                d[parent] = d[parent] + contribution if parent in d else contribution
    return [d[parameter] for parameter in parameters]


x, y = rop.param("x"), rop.param("y")
gx, gy = gradient_nodes((x * x).named("s") * y, [x, y])
g = rop.stack([gx.named("gx"), gy.named("gy")]).named("g")

rop.draw(g)

# %% [markdown]
# This graph computes $\nabla(x^2y)$. It holds `s` from the forward sweep, and the adjoints of the
# reverse sweep. Now let it be a network: three layers of $\tanh$, 50 cases, $f = \|Z - T\|^2$. We
# write all cases at once, as the rows of a matrix, because the gradient sums over them.
#
# For the first way, $\nabla f$ is the output of a graph, and `jvp` carries R through it. For the
# second, $\nabla f^\top v$ is a scalar node, and `gradient` goes back through it. Neither knows
# that second derivatives are wanted. `hvp` does.


# %%
def relative_error(approximate, exact):
    return np.linalg.norm(approximate - exact) / np.linalg.norm(exact)


rng = np.random.default_rng(0)
X, T = rng.normal(size=(2, 50, 10))


def network(depth):
    weights = [rop.param(f"W{i}", (10, 10)) for i in range(1, depth + 2)]
    y = rop.constant(X)
    for W in weights[:-1]:
        y = rop.tanh(y @ W.T)
    return rop.sum(rop.square(y @ weights[-1].T - T)), weights


f, weights = network(depth=3)
g = rop.concatenate([rop.flatten(node) for node in gradient_nodes(f, weights)])

objective = rop.Objective(f)
theta = objective.init("glorot", seed=0)
v = rng.normal(size=objective.n)

r_of_gradient = rop.Objective(g, rop.LossGraph(rop.sum(g)))  # the loss plays no part in Jv
gradient_of_dot = rop.Objective(rop.dot(g, v))

first_way = r_of_gradient.linearize(theta, engine="numpy").jvp(v).ravel()
second_way = gradient_of_dot.linearize(theta, engine="numpy").gradient()
Hv = objective.linearize(theta, engine="numpy").hvp(v)

print(f"R of the gradient:  {relative_error(first_way, Hv):.1e} from hvp")
print(f"gradient of ∇fᵀv:   {relative_error(second_way, Hv):.1e} from hvp")

assert relative_error(first_way, Hv) < 1e-14
assert relative_error(second_way, Hv) < 1e-14

# %% [markdown]
# ## 4.4 Same numbers, another bill
#
# The first way is Pearlmutter's R-operator of 1994: **forward over reverse**. The note's formula is
# **reverse over reverse**, or double backpropagation (erratum N4). The difference is what must be
# kept. R runs along with the gradient, and both may forget what no later step reads. A reverse
# sweep over the gradient comes back for everything, the adjoints included.
#
# We count numbers, for deeper and deeper networks. `at_once` runs through a graph and drops every
# value after its last use; R doubles each. `read_again` adds up all values that a reverse sweep
# needs: both operands of a product, the output of a $\tanh$.
#
# **Predict**: both grow with the depth. Which faster, and by how much?


# %%
def is_value(node):  # neither a leaf, nor a weight that is only turned
    return node.kind == "op" and not (node.op.name == "transpose" and not node.parents[0].parents)


def at_once(order, results):
    last = {parent: i for i, node in enumerate(order) for parent in node.parents}
    kept, most = set(), 0
    for i, node in enumerate(order):
        kept |= {node} if is_value(node) else set()
        most = max(most, sum(one.size for one in kept))
        kept = {one for one in kept if last.get(one, i) > i or one in results}
    return most


def read_again(order):
    read = set()
    for node in order:
        if node.kind == "op" and node.op.name in ("matmat", "multiply"):
            read |= {parent for parent in node.parents if is_value(parent)}
        elif node.kind == "op" and node.op.name == "tanh":
            read.add(node)
    return sum(node.size for node in read)


depths = list(range(1, 11))
forward_over_reverse, reverse_over_reverse = [], []
for depth in depths:
    results = gradient_nodes(*network(depth))
    order = ancestors(*results)
    forward_over_reverse.append(2 * at_once(order, results))
    reverse_over_reverse.append(read_again(order))

figure, ax = plt.subplots(figsize=(7, 3.2), layout="constrained")
ax.plot(depths, reverse_over_reverse, "o-", color="C1", label="reverse over reverse: ∇(∇fᵀv)")
ax.plot(depths, forward_over_reverse, "o-", color="C0", label="forward over reverse: R(∇f)")
ax.set(xlabel="layers of tanh", ylabel="numbers kept at once", ylim=(0, None), xticks=depths)
ax.legend(frameon=False)
ax.spines[["top", "right"]].set_visible(False)

each_layer = [np.diff(kept)[-1].item() for kept in (forward_over_reverse, reverse_over_reverse)]
print("each further layer:", each_layer)

assert each_layer[1] > 2 * each_layer[0]
assert all(np.less(forward_over_reverse, reverse_over_reverse)[1:])

# %% [markdown]
# With one layer it makes no difference. Each further layer costs the second way 2.6 times as much
# memory as the first. The multiplications are about the same. `at.hvp` is the first way; it keeps
# the gradient's own values for the next $v$, since conjugate gradients will ask for many.
#
# ## 4.5 An answer that depends on the unit
#
# Now the note's second function. Newton's step solves $Hx = -\nabla f$. Here is its loop in NumPy,
# letter by letter. (The original stops with a `NameError`: it imports `torch` inside the other
# function. That is erratum N1, and the smallest.)


# %%
def as_in_the_note(Hv, g, max_iter=50, tol=1e-6):
    x = np.zeros_like(g)
    r = -g
    p = r.copy()
    for _ in range(max_iter):
        Hp = Hv(p)
        alpha = (r @ r) / (p @ Hp + 1e-10)
        x = x + alpha * p
        r_new = r - alpha * Hp
        if np.linalg.norm(r_new) < tol:
            break
        beta = (r_new @ r_new) / (r @ r + 1e-10)
        p = r_new + beta * p
        r = r_new
    return x


# %% [markdown]
# Measure $f$ in other units, say cents instead of euros, and $\nabla f$ and $H$ are both multiplied
# by the same $c$. The step $-H^{-1}\nabla f$ stays the same. So should the answer.
#
# **Predict**: where do the `1e-10` and the `1e-6` begin to matter?

# %%
eigenvectors, _ = np.linalg.qr(rng.normal(size=(30, 30)))
H = eigenvectors * np.logspace(-2, 1, 30) @ eigenvectors.T
g = rng.normal(size=30)
g /= np.linalg.norm(g)
exact = np.linalg.solve(H, -g)


def put_right(Hv, g, max_iter=50, tolerance=1e-10):
    x = np.zeros_like(g)
    r = -g
    p = r.copy()
    for _ in range(max_iter):
        Hp = Hv(p)
        if p @ Hp <= 0:  # f curves down along p: there is no minimum this way
            break
        alpha = (r @ r) / (p @ Hp)
        x = x + alpha * p
        r_new = r - alpha * Hp
        if np.linalg.norm(r_new) <= tolerance * np.linalg.norm(g):
            break
        beta = (r_new @ r_new) / (r @ r)
        p = r_new + beta * p
        r = r_new
    return x


scales = 10.0 ** np.arange(2, -9, -1)
errors = {
    solver: [
        relative_error(solver(lambda p, c=c: c * (H @ p), c * g, max_iter=400), exact)
        for c in scales
    ]
    for solver in (as_in_the_note, put_right)
}

figure, ax = plt.subplots(figsize=(7, 3.2), layout="constrained")
ax.loglog(scales, errors[as_in_the_note], "o-", color="C1", label="the note's loop")
ax.loglog(scales, errors[put_right], "o-", color="C0", label="relative tolerance, no guards")
ax.set(xlabel="‖∇f‖, by the choice of the unit", ylabel="relative error of the step")
ax.invert_xaxis()
ax.legend(frameon=False)
ax.spines[["top", "right"]].set_visible(False)

assert max(errors[put_right]) < 1e-8
assert errors[as_in_the_note][-1] > 0.99

# %% [markdown]
# The note's loop is fine as long as $\|\nabla f\|$ is large. At $10^{-4}$ most of the answer is
# wrong. Below $10^{-6}$ it returns after one step, with next to nothing: `tol` is absolute, and the
# residual was that small before the loop began. In between, `1e-10` is larger than the $r^\top r$
# beside it. The guard was meant to prevent a division by zero. It prevents convergence. This is
# erratum N2. It has a proof that runs, here and with `rop errata N2` in a terminal:

# %%
print(ERRATA["N2"].printed, "→", ERRATA["N2"].corrected, sep="\n")
proof = ERRATA["N2"].proof()

assert proof.printed > 0.1
assert proof.corrected < 1e-9

# %% [markdown]
# ## 4.6 A saddle is no minimum
#
# `put_right` has one line more: it stops if $p^\top Hp \le 0$. Here is why, in two dimensions. The
# quadratic model $q(x) = g^\top x + \frac12 x^\top Hx$ has curvature 1 in one direction and
# $-\frac12$ in the other. It has no minimum: along the second direction it falls for ever.
#
# **Predict**: where does the note's loop end? Is $q$ there above or below $q(0) = 0$?

# %%
H_saddle, g_saddle = np.diag([1.0, -0.5]), np.array([-1.0, -0.9])


def q(x):
    return g_saddle @ x + x @ H_saddle @ x / 2


path = np.array(
    [as_in_the_note(lambda p: H_saddle @ p, g_saddle, max_iter=steps) for steps in range(3)]
)
xs, ys = np.meshgrid(np.linspace(-2, 5, 90), np.linspace(-4, 4.5, 90))
heights = -xs + xs**2 / 2 - 0.9 * ys - ys**2 / 4

figure, ax = plt.subplots(figsize=(7, 4.2), layout="constrained")
filled = ax.contourf(xs, ys, heights, np.linspace(-6, 6, 25), cmap="RdBu_r", extend="both")
figure.colorbar(filled, label="q", ticks=[-6, -3, 0, 3, 6])
ax.contour(xs, ys, heights, [0], colors="0.3", linewidths=0.8)
ax.plot(*path.T, "k.-")
for place, name in zip(path, ["0", "1", "2: the saddle"], strict=True):
    ax.text(*(place + [0.15, 0.15]), name)
ax.set(xlabel="curvature 1", ylabel="curvature -½")
print("q at the steps:", *[f"{q(x):.2f}" for x in path])

assert np.allclose(H_saddle @ path[-1], -g_saddle, atol=1e-6)
assert q(path[-1]) > q(path[0])

# %% [markdown]
# The first step is a good one. The second leaves it and goes to the only place where $\nabla q =
# 0$, and that is a saddle. The system $Hx = -g$ is solved to six digits, and $q$ is higher than at
# the start. Newton's formula has the same flaw: it heads for *any* stationary point
# (errata N3 and N6). What can one do?
#
# - **Stop** where $p^\top Hp \le 0$ and take what there is, as `put_right` does (truncated Newton).
# - **Fence it in**: minimise $q$ in a ball, where a minimum exists (a trust region, sec. 8.6).
# - **Damp**: add $\lambda I$ until $H + \lambda I$ is positive definite (sec. 8.1).
# - **Take another matrix**: $G$ instead of $H$, which never curves down (sec. 6).
#
# The paper's authors did not find the first very effective, and use the last two. Tutorial 5 is
# about $G$, tutorial 8 about damping. In `rop` the first two are called `pcg` and `gltr`:

# %%
stopped = rop.hf.pcg(H_saddle, -g_saddle)
fenced = rop.hf.gltr(H_saddle, -g_saddle, radius=np.linalg.norm(stopped.x))
print(f"pcg:  x = {stopped.x.round(2)}, q = {stopped.q[-1]:.2f}, stopped by {stopped.reason}")
print(f"gltr: x = {fenced.x.round(2)}, q = {fenced.q[-1]:.2f}, stopped by {fenced.reason}")

assert stopped.reason == "negative curvature"
assert fenced.q[-1] < min(q(place) for place in path)

# %% [markdown]
# ## 4.7 On a real network
#
# Is that far-fetched? Take 200 handwritten digits, the network of tutorial 1, and a usual
# initialisation. We let the same loop solve for the Newton step, once with $H$ and once with $G$,
# keep every iterate $x$ on the way, and look at $f(\theta + x)$.
#
# **Predict**: how long does it take until the loop meets a direction with $p^\top Hp < 0$: one
# step, ten, a hundred?

# %%
images, t = rop.data("x", 64), rop.data("t", 10)
W1, b1 = rop.param("W1", (20, 64)), rop.param("b1", 20)
W2, b2 = rop.param("W2", (10, 20)), rop.param("b2", 10)
digits = rop.Objective(W2 @ rop.tanh(W1 @ images + b1) + b2, rop.SquaredError(t))
batch = {name: array[:200] for name, array in rop.datasets.digits().train.items()}

start = digits.init("glorot", seed=0)
at = digits.linearize(start, batch, engine="numpy")


def all_iterates(product, g, steps):
    """The same loop, with the iterate and the curvature along p of every step."""
    x, r, p, iterates, curvatures = np.zeros_like(g), -g, -g, [], []
    for _ in range(steps):
        Ap = product(p)
        curvatures.append(p @ Ap / (p @ p))
        alpha = (r @ r) / (p @ Ap)
        x = x + alpha * p
        r_new = r - alpha * Ap
        p, r = r_new + (r_new @ r_new) / (r @ r) * p, r_new
        iterates.append(x)
    return iterates, curvatures


f_after, curvatures = {}, {}
for name, product in [("H", at.hvp), ("G", at.ggnvp)]:
    iterates, curvatures[name] = all_iterates(product, at.gradient(), steps=60)
    f_after[name] = [digits.value(start + x, batch) for x in iterates]

steps = range(1, 61)
figure, axes = plt.subplots(1, 2, figsize=(10, 3.2), layout="constrained")
for name, colour in [("H", "C1"), ("G", "C0")]:
    axes[0].plot(steps, curvatures[name], ".-", color=colour, label=name)
    axes[1].semilogy(steps, f_after[name], ".-", color=colour, label=name)
axes[0].axhline(0, color="k", linewidth=0.8)
axes[0].set_yscale("symlog", linthresh=0.1)
axes[0].set(xlabel="step", ylabel="pᵀAp / pᵀp", title="curvature along each direction")
axes[1].axhline(at.value, color="k", linestyle=":", linewidth=0.8)
axes[1].set(xlabel="step", ylabel="f(θ + x)", title="f at each iterate; dotted: f(θ)")
for ax in axes:
    ax.legend(frameon=False)
    ax.spines[["top", "right"]].set_visible(False)

first = next(step for step, curvature in zip(steps, curvatures["H"], strict=True) if curvature < 0)
above = sum(f > at.value for f in f_after["H"])
print(f"f at the start: {at.value:.2f}")
print(
    f"H: negative curvature first at step {first}; f is above the start after {above} of 60 steps"
)
print(f"G: curvature at least {min(curvatures['G']):.2f}; f comes down to {min(f_after['G']):.2f}")

assert first <= 10
assert max(f_after["H"]) > 10 * at.value
assert max(f_after["G"]) < at.value
assert min(curvatures["G"]) > 0

# %% [markdown]
# Three steps. The network is an ordinary one, and the start is where training starts. Where a run
# with $H$ stops is a lottery after that: mostly $f$ has come down, and now and then it is a hundred
# times higher. The loop does not notice. With $G$ it brings $f$ down at once.
#
# (Look at the end of the blue line: $f$ rises again, while the model says that it still falls. Even
# a good model is good only nearby. Tutorials 7 and 8 go on from here.)
#
# ## 4.8 Exercises
#
# Each cell prints "not yet". Repair the code until it prints "solved".
#
# **1.** $Hv$ by nudging is a good check if it is done well. This one depends on the *length* of
# $v$: $H(1000v)$ comes out wrong, though it should be $1000\,Hv$. (Tutorial 1 takes a step of about
# $10^{-5}$ in float64, for a $v$ whose elements are about 1.)


# %%
def nudged(gradient_at, theta, v):
    step = 1e-5
    return (gradient_at(theta + step * v) - gradient_at(theta - step * v)) / (2 * step)


def check_1(nudged):
    def gradient_at(theta):
        return digits.linearize(theta, batch, engine="numpy").gradient()

    v = np.random.default_rng(1).normal(size=digits.n)
    for size in (1.0, 1e3, 1e-3):
        error = relative_error(nudged(gradient_at, start, size * v), size * at.hvp(v))
        if not error < 1e-8:
            return f"not yet: for a v of size {size:g} the error is {error:.1e}"
    return "solved"


print(check_1(nudged))

# %% [markdown]
# <details>
# <summary>Solution</summary>
#
# What should be fixed is how far $\theta$ moves, so divide the step by the size of $v$.
#
# ```python
# def nudged(gradient_at, theta, v):
#     step = 1e-5 / np.sqrt(np.mean(v**2))
#     return (gradient_at(theta + step * v) - gradient_at(theta - step * v)) / (2 * step)
#
#
# assert check_1(nudged) == "solved"
# ```
#
# </details>
#
# **2.** A rule of your own for `gradient_nodes`: the logistic function. With this row the gradient
# is wrong, and so is everything that is built on it.

# %%
SIGMOID = {"sigmoid": lambda da, a, z: [(1 - a) * da]}


def check_2(row):
    w = rop.param("w", 4)
    f = rop.sum(rop.square(rop.sigmoid(w)))
    RULES.update(row)
    (g,) = gradient_nodes(f, [w])
    here = np.array([-2.0, -0.5, 0.5, 2.0])
    at = rop.Objective(f).linearize(here, engine="numpy")
    found = rop.Objective(g, rop.LossGraph(rop.sum(g))).linearize(here, engine="numpy")
    error = relative_error(found.outputs.ravel(), at.gradient())
    if error > 1e-14:
        return f"not yet: the gradient is off by {error:.0%}"
    error = relative_error(found.jvp(here).ravel(), at.hvp(here))
    return "solved" if error < 1e-14 else f"not yet: Hv is off by {error:.0%}"


print(check_2(SIGMOID))

# %% [markdown]
# <details>
# <summary>Solution</summary>
#
# $\sigma' = \sigma (1 - \sigma)$. You need no rule for the second derivative: R finds it.
#
# ```python
# SIGMOID = {"sigmoid": lambda da, a, z: [a * (1 - a) * da]}
#
# assert check_2(SIGMOID) == "solved"
# ```
#
# </details>
#
# **3.** HF starts each run of conjugate gradients near where the last one ended (sec. 10). Somebody
# has added this to the loop, and forgot a line. It now returns a wrong solution, and is sure of it.


# %%
def warm_started(Hv, g, x0, max_iter=200, tolerance=1e-10):
    x = x0.copy()
    r = -g
    p = r.copy()
    for _ in range(max_iter):
        Hp = Hv(p)
        if p @ Hp <= 0:
            break
        alpha = (r @ r) / (p @ Hp)
        x = x + alpha * p
        r_new = r - alpha * Hp
        if np.linalg.norm(r_new) <= tolerance * np.linalg.norm(g):
            break
        p = r_new + (r_new @ r_new) / (r @ r) * p
        r = r_new
    return x


def check_3(warm_started):
    for x0, name in [(np.zeros(30), "0"), (0.95 * exact, "0.95 times the solution")]:
        error = relative_error(warm_started(lambda p: H @ p, g, x0), exact)
        if not error < 1e-7:
            return f"not yet: from {name} it ends {error:.0%} off"
    error = relative_error(warm_started(lambda p: H @ p, g, exact, max_iter=1), exact)
    return "solved" if error < 1e-7 else f"not yet: from the solution it goes {error:.0%} away"


print(check_3(warm_started))

# %% [markdown]
# <details>
# <summary>Solution</summary>
#
# The residual must be the one at $x_0$: $r = -g - Hx_0$. It costs one product more.
#
# ```python
# def warm_started(Hv, g, x0, max_iter=200, tolerance=1e-10):
#     x = x0.copy()
#     r = -g - Hv(x)
#     p = r.copy()
#     for _ in range(max_iter):
#         Hp = Hv(p)
#         if p @ Hp <= 0:
#             break
#         alpha = (r @ r) / (p @ Hp)
#         x = x + alpha * p
#         r_new = r - alpha * Hp
#         if np.linalg.norm(r_new) <= tolerance * np.linalg.norm(g):
#             break
#         p = r_new + (r_new @ r_new) / (r @ r) * p
#         r = r_new
#     return x
#
#
# assert check_3(warm_started) == "solved"
# ```
#
# </details>
#
# ## Summary
#
# - $Hv = R(\nabla f)$ is Pearlmutter's way, forward over reverse. $Hv = \nabla(\nabla f^\top v)$ is
#   reverse over reverse. The numbers are the same; the second keeps more.
# - A tolerance must be relative. An absolute one gives another answer in another unit.
# - A solver for $Hx = -g$ finds saddles too. Test $p^\top Hp$, or use a matrix that does not curve
#   down.
# - On an ordinary network the test strikes after three steps.
