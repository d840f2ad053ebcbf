# %% [markdown]
# # 9 Hessian-free optimization, end to end
#
# The parts are there: products with $G$ (tutorials 1 and 5), conjugate gradients (7), damping (8).
# Here they become an optimizer. We write algorithm 3 of Martens & Sutskever (2012) in thirty lines,
# check it against `rop.hf` number by number, train a deep autoencoder of handwritten digits with
# it, and compare it with first-order methods. You need no more than the summaries of tutorials 7
# and 8.

# %%
import itertools

import matplotlib.pyplot as plt
import numpy as np

import rop

# %% [markdown]
# ## 9.1 The problem
#
# An autoencoder squeezes an image through a narrow code and has to rebuild it. Ours squeezes 64
# pixels through *two numbers*. These are real digits, and the net is 64-40-20-2-20-40-64 with
# logistic units, as in Hinton & Salakhutdinov (2006) and Martens (2010), only smaller.

# %%
digits = rop.datasets.digits()
X, labels = digits.x_train[:1000].astype(float), digits.labels_train[:1000]

x, z = rop.nets.autoencoder([64, 40, 20, 2])
objective = rop.Objective(z, rop.SigmoidCrossEntropy(x), l2=1e-5)
theta_0 = objective.init("glorot", seed=0)
data = {"x": X}

rop.draw(objective)

# %% [markdown]
# Before we train, we need two numbers to compare with. What is $f$ if the net ignores its input and
# returns the mean image? And how well do two numbers do without a net: principal components, fitted
# to the same images? **Predict** which of the two is closer to a good autoencoder. The *error* is
# the squared difference, summed over the pixels.

# %%
mean = X.mean(axis=0)
known = np.clip(mean, 1e-12, 1 - 1e-12)
f_mean = -np.mean(np.sum(X * np.log(known) + (1 - X) * np.log(1 - known), axis=1))

_, _, components = np.linalg.svd(X - mean, full_matrices=False)
rebuilt_by_pca = mean + (X - mean) @ components[:2].T @ components[:2]


def error(rebuilt):
    return np.mean(np.sum((rebuilt - X) ** 2, axis=1))


def rebuilt(theta):
    return objective.predict(theta, data)


print(f"mean image:   error {error(mean):.2f}, f = {f_mean:.2f}")
print(f"2 components: error {error(rebuilt_by_pca):.2f}")
print(
    f"net at θ_0:   error {error(rebuilt(theta_0)):.2f}, f = {objective.value(theta_0, data):.2f}"
)

assert error(rebuilt_by_pca) < error(mean) < error(rebuilt(theta_0))

# %% [markdown]
# Keep the number 27.42 in mind. It is the value of $f$ at which deep autoencoders get stuck: there
# the net has learned to return the mean image, and nothing tells it what to do with its code.
#
# ## 9.2 One update by hand
#
# An update of HF has five parts. First the model: $g$, and products with $\hat G = G + \lambda I$.

# %%
lam = 1.0
at = objective.linearize(theta_0, data)
g = at.gradient()

# %% [markdown]
# Second, CG on the model. **Predict** the sign of $q$ along the way, and whether it can rise.

# %%
solution = rop.hf.pcg(lambda v: at.ggnvp(v) + lam * v, -g, max_steps=30)
delta = solution.x
print("damped q after 0, 1, 2, ... steps:", *(f"{q:.4f}" for q in solution.q[:6]))

assert np.all(np.diff(solution.q) < 1e-12)

# %% [markdown]
# Third, the truth: $f$ at the new place, and the reduction ratio $\rho$. The denominator is the
# model without damping.

# %%
f_0, f_1 = at.value, objective.value(theta_0 + delta, data)
q = g @ delta + 0.5 * delta @ at.ggnvp(delta)
rho = (f_1 - f_0) / q
print(f"f: {f_0:.2f} -> {f_1:.2f}, q = {q:.2f}, ρ = {rho:.3f}")

assert np.isclose(q + 0.5 * lam * delta @ delta, solution.q[-1])

# %% [markdown]
# The model promised almost exactly what happened. Fourth, the line search: it shortens the update
# until $f$ falls by at least a hundredth of what the slope promises. It has nothing to do here.
# Fifth, $\lambda$: since $\rho > 3/4$, it falls to $2/3$.
#
# ## 9.3 Algorithm 3
#
# Now automate. One thing is new: CG starts from 0.95 times its last iterate (sec. 10). The surface
# changes little from one update to the next, so the last answer is a good guess.


# %%
def hessian_free(theta, lam, updates, max_steps=30, zeta=0.95):
    """Algorithm 3: θ, λ and f after each update."""
    start, path = None, []
    for _ in range(updates):
        at = objective.linearize(theta, data)
        f, g = at.value, at.gradient()

        solution = rop.hf.pcg(
            lambda v, at=at, lam=lam: at.ggnvp(v) + lam * v, -g, start, max_steps=max_steps
        )
        delta = solution.x
        start = zeta * delta

        f_new = objective.value(theta + delta, data)
        q = g @ delta + 0.5 * delta @ at.ggnvp(delta)
        rho = (f_new - f) / q if f_new <= f else -np.inf

        alpha = 1.0
        while f_new > f + 0.01 * alpha * (g @ delta):
            alpha *= 0.8
            f_new = objective.value(theta + alpha * delta, data)

        theta = theta + alpha * delta
        lam *= 2 / 3 if rho > 3 / 4 else 3 / 2 if rho < 1 / 4 else 1
        path.append((theta, lam, f_new))
    return path


ours = hessian_free(theta_0, lam=1.0, updates=8)
print("f:", *(f"{f:.2f}" for _, _, f in ours))

# %% [markdown]
# Compare with the library. Every choice that we made is a policy of a recipe.

# %%
recipe = rop.hf.recipes.damped().replace(
    batches=rop.hf.Batches(curvature=1.0, selection=1.0),
    damping=rop.hf.Tikhonov(1.0, rop.hf.LevenbergMarquardt(lower_by=2 / 3)),
    preconditioner=rop.hf.NoPreconditioner(),
    decay=0.95,
    cg=rop.hf.ConjugateGradient(max_steps=30, residual=0.0, forcing=None),
    selection=rop.hf.LastIterate(),
    line_search=rop.hf.Armijo(c=0.01, shrink=0.8),
)
library = rop.hf.minimize(objective, theta_0, data, recipe, iterations=8, dtype=np.float64)

for (_, lam, f), it in zip(ours, library.records, strict=True):
    assert np.isclose(lam, it.lam_after) and np.isclose(f, it.f_after, rtol=1e-9)
assert np.allclose(ours[-1][0], library.theta, atol=1e-10)

# %% [markdown]
# The same numbers, with one difference: the library wrote everything down. `explain` on a recipe
# prints algorithm 3 with the recipe's choices, and `explain` on an iteration says why it did what
# it did.

# %%
rop.explain(recipe)

# %%
print(library.records[0].explain())

# %% [markdown]
# ## 9.4 A whole run
#
# The recipe `damped` has more techniques of the paper. `diff` lists them. The default recipe goes
# on from there: CG's length takes the place of $\lambda$, and CG's directions improve its
# preconditioner.

# %%
print(recipe.diff("damped"))

# %% [markdown]
# CG now has a preconditioner (tutorial 7), stops when $q$ stagnates or $f$ rises, and its best
# iterate on the way back becomes the update. We let it train for 30 updates. **Predict** what $f$
# does near 27.42, the value of the mean image.

# %%
run = rop.hf.minimize(objective, theta_0, data, "damped", iterations=30)
print("f:", *(f"{it.f_after:.2f}" for it in run.records[:12]), f"... {run.fun:.2f}")

plateau = [it.f_after for it in run.records[3:7]]
assert all(abs(f - f_mean) < 0.4 for f in plateau) and run.fun < f_mean - 4
assert min(it.gradient_norm for it in run.records[:8]) < run.records[0].gradient_norm / 100

rop.plot.run(run)

# %% [markdown]
# Three updates bring $f$ down to the mean image, and there it nearly stops. Each update gains about
# a tenth of a nat, and the gradient shrinks to less than a hundredth of what it was. Meanwhile
# $\lambda$ falls and the updates get longer. At about the eighth update the net finds out what its
# code is for, and the gradient grows again. A method that follows the gradient alone sees nothing
# but a plateau there; HF divides the small slope by a small curvature.
#
# This is what the two numbers hold. Each point is an image.

# %%
at = objective.linearize(run.theta, data, engine="numpy")
code = at.trace("gradient")["code"]

figure, (left, right) = plt.subplots(
    1, 2, figsize=(12, 4), layout="constrained", width_ratios=[1, 1.7]
)
points = left.scatter(*code.T, c=labels, cmap="tab10", s=8, vmin=-0.5, vmax=9.5)
figure.colorbar(points, ax=left, ticks=range(10), label="digit")
left.set(xlabel="first number", ylabel="second number", title="The code of 1,000 images")

shown = [int(np.argmax(labels == digit)) for digit in range(10)]
rows = [X, rebuilt_by_pca, rebuilt(library.theta), rebuilt(run.theta)]
names = ["image", "2 components", "8 updates", "30 updates"]
strip = np.block([[images[i].reshape(8, 8) for i in shown] for images in rows])
right.imshow(strip, cmap="Greys", vmin=0, vmax=1)
right.set_yticks([3.5 + 8 * i for i in range(4)], names)
right.set_xticks([3.5 + 8 * i for i in range(10)], range(10))
right.set_title("Ten images, and what came out")

print(
    f"error: {error(rebuilt_by_pca):.2f} by components, {error(rebuilt(run.theta)):.2f} by the net"
)

assert error(rebuilt(run.theta)) < 0.6 * error(rebuilt_by_pca)

# %% [markdown]
# The net was never told the digits, and yet it sorts them. After 8 updates it still returned one
# and the same image for everything.
#
# ## 9.5 Against first-order methods
#
# Now the comparison that every optimizer owes. We make the problem harder by one layer,
# 64-40-20-10-2 and back, and start all methods from the same $\theta_0$. A fair comparison needs a
# common price. A gradient over all images counts as 1; by its multiplications a product with $G$
# then costs $4/3$, and $f$ alone $1/3$. First-order methods take minibatches of 100 images, ten
# steps for the price of 1. **Predict** who leaves the mean image first.

# %%
x, z = rop.nets.autoencoder([64, 40, 20, 10, 2])
deeper = rop.Objective(z, rop.SigmoidCrossEntropy(x), l2=1e-5)
start = deeper.init("glorot", seed=0).astype(np.float32)
X32 = X.astype(np.float32)


def minibatch_gradient(theta, rng):
    return deeper.gradient(theta, {"x": X32[rng.choice(1000, 100, replace=False)]})


def sgd(rate):
    theta, rng = start, np.random.default_rng(0)
    while True:
        theta = theta - rate * minibatch_gradient(theta, rng)
        yield theta


def adam(rate):
    theta, rng, t = start, np.random.default_rng(0), 0
    m, v = np.zeros_like(theta), np.zeros_like(theta)
    while True:
        t, g = t + 1, minibatch_gradient(theta, rng)
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        theta = theta - rate * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
        yield theta


hf = rop.hf.minimize(deeper, start, data, "damped", iterations=14).records
price = np.cumsum([w.gradients + 4 / 3 * w.products + w.losses / 3 for w in (it.work for it in hf)])
curves = {"HF, damped": (price, [it.f_after for it in hf])}

for name, method, steps in [
    ("SGD, rate 0.3", sgd(0.3), 4000),
    ("Adam, rate 0.001", adam(0.001), 2000),
    ("Adam, rate 0.01", adam(0.01), 2000),
]:
    values = [deeper.value(theta, data) for theta in itertools.islice(method, 99, steps, 100)]
    curves[name] = (np.arange(10, steps // 10 + 1, 10), values)

figure, ax = plt.subplots(figsize=(7, 4), layout="constrained")
for name, (prices, values) in curves.items():
    ax.plot(prices, values, ".-", markersize=4, label=name)
ax.axhline(f_mean, color="grey", linewidth=0.8)
ax.text(400, f_mean + 0.15, "mean image", color="grey", ha="right")
ax.set(xlabel="price, in gradients over all images", ylabel="f", ylim=(19.5, 29))
ax.set_title("The same start, four methods")
ax.legend(loc="lower right")

last = {name: values[-1] for name, (_, values) in curves.items()}
print({name: f"{value:.2f}" for name, value in last.items()})

assert last["HF, damped"] < 26.5 and abs(last["SGD, rate 0.3"] - f_mean) < 0.1
assert last["Adam, rate 0.01"] < last["HF, damped"]

# %% [markdown]
# For the price of HF's 14 updates, SGD takes 4,000 steps and has not left the mean image. That is
# the result that made HF famous in 2010: it leaves by itself, without being told a rate. But Adam
# leaves sooner with either rate, and with the better one it ends much lower. Sutskever et al.
# (2013) found the same for a well-tuned momentum: on feedforward nets HF has no monopoly. Say so
# when you report it. (The picture counts multiplications. On a clock HF does better than here, as a
# processor does one large product faster than many small ones.)
#
# They also found that the start matters more than the method. Martens' *sparse* start gives each
# unit a few strong weights instead of many weak ones. **Predict** the effect on HF.

# %%
sparse = deeper.init("sparse", seed=0)
from_sparse = rop.hf.minimize(deeper, sparse, data, "damped", iterations=14).records
print(
    f"after 14 updates: {hf[-1].f_after:.2f} from glorot, {from_sparse[-1].f_after:.2f} from sparse"
)

assert from_sparse[-1].f_after < hf[-1].f_after - 2

# %% [markdown]
# ## 9.6 Whose gradient is it?
#
# So far every product used all 1,000 images. HF is usually run with fewer for the curvature, as CG
# is most of the work. How few? We take one run of CG with gradient *and* curvature on the first 50
# images, and watch $f$ on these and on the 950 others. **Predict** where the best step is on each.

# %%
theta = run.theta.astype(float)
few, others = {"x": X[:50]}, {"x": X[50:]}
at = objective.linearize(theta, few)
solution = rop.hf.pcg(
    lambda v: at.ggnvp(v) + 0.01 * v, -at.gradient(), max_steps=40, store=range(1, 41)
)

changes = {}
for name, cases in [("the 50 images", few), ("the others", others)]:
    before = objective.value(theta, cases)
    changes[name] = [objective.value(theta + it.x, cases) - before for it in solution.iterates]
    print(f"{name:14} change of f after 1, 3, 10, 40 steps:", end="")
    print(*(f"{changes[name][step - 1]:7.2f}" for step in (1, 3, 10, 40)))
figure, ax = plt.subplots(figsize=(6, 3.2), layout="constrained")
for name, values in changes.items():
    ax.plot(range(41), [0, *values], label=name)
ax.axhline(0, color="grey", linewidth=0.8)
ax.set(xlabel="CG step", ylabel="change of f", title="A model made of 50 images")
ax.legend()

assert changes["the 50 images"][-1] < -0.5
assert min(changes["the others"]) > -0.1 and changes["the others"][-1] > 1

# %% [markdown]
# On the 50 images every step helps. On the others there is nothing to gain, and $f$ rises with
# almost every step: CG has *overfitted* the minibatch. The late steps follow directions of low
# curvature, and low curvature on 50 images is an accident of these images. The remedies are in
# sections 12 and 13: more cases, a gradient on more cases than the curvature, fewer steps, or a
# choice of the iterate on other cases.
#
# ## 9.7 Exercises
#
# Change each attempt until its check says "solved".
#
# **1.** Section 4 of the paper says: "we take $x = \delta$, $A = B$ and $b = \nabla f$". What does
# CG then find?


# %%
def update(at, lam):
    return rop.hf.pcg(lambda v: at.ggnvp(v) + lam * v, at.gradient(), max_steps=20).x


def check_1(update):
    at = objective.linearize(theta_0, data)
    delta, g = update(at, 1.0), at.gradient()
    if np.shape(delta) != g.shape:
        return f"not yet: the shape should be {g.shape}, got {np.shape(delta)}"
    if not g @ delta < 0:
        return f"not yet: it goes uphill, with ∇f·δ = {g @ delta:.1f}"
    q = g @ delta + 0.5 * delta @ (at.ggnvp(delta) + delta)
    lowest = rop.hf.pcg(lambda v: at.ggnvp(v) + v, -g, max_steps=30).q[-1]
    reached = f"{q:.2f} of {lowest:.2f}, where 20 steps of CG come closer"
    return "solved" if q < 0.95 * lowest else f"not yet: the damped q is {reached}"


print(check_1(update))

# %% [markdown]
# <details>
# <summary>Solution</summary>
#
# $b = -\nabla f$ (`rop errata M11`). CG as printed walks as carefully uphill as it should downhill.
#
# ```python
# def update(at, lam):
#     return rop.hf.pcg(lambda v: at.ggnvp(v) + lam * v, -at.gradient(), max_steps=20).x
#
#
# assert check_1(update) == "solved"
# ```
#
# </details>
#
# **2.** The gradient uses all cases $S$ and the curvature a part $S'$ of them. The paper writes the
# gradient as $\sum_i \nabla f_i$ in one place and as a mean in another. Here both are sums. The
# check uses least squares, which one undamped step must solve.


# %%
def step(everything, part):
    """everything, part: linearizations on S and on S'; their products are means over cases."""
    g = everything.cases * everything.gradient()
    return rop.hf.pcg(lambda v: part.cases * part.ggnvp(v), -g, residual=1e-13).x


def check_2(step):
    rng = np.random.default_rng(0)
    A, t = np.tile(rng.normal(size=(12, 3)), (4, 1)), rng.normal(size=(48, 1))
    line = rop.Objective(
        rop.param("w", (1, 3)) @ rop.data("x", 3), rop.SquaredError(rop.data("t", 1))
    )
    part = line.linearize(np.zeros(3), {"x": A[:12], "t": t[:12]})  # S has S' four times, with
    everything = line.linearize(np.zeros(3), {"x": A, "t": t})  # other targets: the same G
    found, right = step(everything, part), np.linalg.lstsq(A, t)[0].ravel()
    if np.shape(found) != right.shape:
        return f"not yet: the shape should be {right.shape}, got {np.shape(found)}"
    if np.allclose(found, right):
        return "solved"
    ratio = found @ right / (right @ right)
    if np.allclose(found, ratio * right):
        return f"not yet: the step is {ratio:.3g} times the right one"
    return "not yet: the step has another direction than the right one"


print(check_2(step))

# %% [markdown]
# <details>
# <summary>Solution</summary>
#
# Both must be means (`rop errata M65`). Then the number of cases drops out.
#
# ```python
# def step(everything, part):
#     return rop.hf.pcg(part.ggnvp, -everything.gradient(), residual=1e-13).x
#
#
# assert check_2(step) == "solved"
# ```
#
# </details>
#
# **3.** CG's start is HF's momentum. If CG takes only five steps for each update and starts from 0,
# then 30 updates of our own `hessian_free` end at $f = 25.5$. Get below 24.5 with the same number
# of products.

# %%
zeta = 0.0


def check_3(zeta):
    if zeta is None or np.shape(zeta):
        return f"not yet: zeta should be a number, got {zeta}"
    f = hessian_free(theta_0, lam=1.0, updates=30, max_steps=5, zeta=zeta)[-1][2]
    return "solved" if f < 24.5 else f"not yet: f = {f:.2f}"


print(check_3(zeta))

# %% [markdown]
# <details>
# <summary>Solution</summary>
#
# Let each run go on where the last one stopped. What five steps could not finish, the next five
# can.
#
# ```python
# assert check_3(0.95) == "solved"
# ```
#
# </details>
#
# ## Summary
#
# - An update of HF is a model, a run of CG, a comparison of promise and result, a line search and a
#   new $\lambda$. Thirty lines do it.
# - HF leaves plateaus where gradients are small and curvature is too. Tuned first-order methods
#   often do as well on feedforward nets, and the start matters as much.
# - Each run of CG believes its cases. Give it enough of them.
