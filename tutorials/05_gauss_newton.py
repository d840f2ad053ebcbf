# %% [markdown]
# # 5 Gauss-Newton against the Hessian
#
# Tutorial 4 ended with two curves. With the Hessian $H$ the step went anywhere. With another
# matrix, $G$, the same loop brought $f$ down. What is $G$, what does it leave out, and when does
# that matter?
#
# The idea fits in one line: **replace the network by its tangent, keep the loss as it is, and take
# the Hessian of that**. We try it on one number, then on matrices that we can look at. Then we move
# the boundary between network and loss, since $G$ depends on where it lies. This is section 6 of
# Martens & Sutskever (2012), with its table 2. You need tutorial 1.

# %%
import matplotlib.pyplot as plt
import numpy as np

import rop

# %% [markdown]
# ## 5.1 Nudge the tangent
#
# A network with one parameter and one output, $F(\theta) = \theta^2$, and a target $t = 1$. The
# loss is $L(z) = \frac12(z - t)^2$, so $f(\theta) = \frac12(\theta^2 - 1)^2$. At $\theta = 2$ we
# nudge the slope $f'$ to see the curvature, as in tutorial 4. Then we do the same with $F$ replaced
# by its tangent at 2, the straight line $4 + 4\,(\theta - 2)$.
#
# **Predict**: which of the two curvatures is larger?


# %%
def slope(theta):
    return (theta**2 - 1) * 2 * theta  # (F - t) F'


def slope_of_tangent(theta):
    return (4 + 4 * (theta - 2) - 1) * 4  # the same, with the tangent for F


print(f"f:            {slope(2.0):.6f} → {slope(2.001):.6f}")
print(f"with tangent: {slope_of_tangent(2.0):.6f} → {slope_of_tangent(2.001):.6f}")

# %% [markdown]
# The slopes agree. Curvatures stand in the first three digits after the point: 22 and 16. The
# second is $G$.

# %%
H_at_2 = int((slope(2.001) - slope(2.0)) / 0.001)
G_at_2 = round((slope_of_tangent(2.001) - slope_of_tangent(2.0)) / 0.001)

assert (H_at_2, G_at_2) == (22, 16)

# %% [markdown]
# ## 5.2 By hand
#
# Differentiate $f = L(F(\theta))$ twice:
#
# $$f'' = G + L'\,F'', \qquad G = F'\,L''\,F' .$$
#
# Here $L'' = 1$, $F' = 2\theta$, $F'' = 2$ and $L' = \theta^2 - 1$. So $G = 4\theta^2$, and what it
# leaves out is $2(\theta^2 - 1)$: the *residual* times the curvature of $F$.
#
# **Predict**: fill in $G$, the rest, and $H$ at $\theta = 0.4$, $1$ and $1.2$. Where is $H$
# negative? Where are both equal?

# %%
print("   θ      G    rest      H")
for theta in (0.4, 1.0, 1.2, 2.0):
    G, rest = 4 * theta**2, 2 * (theta**2 - 1)
    print(f"{theta:4} {G:6.2f}  {rest:6.2f} {G + rest:6.2f}")

assert 4 * 2.0**2 + 2 * (2.0**2 - 1) == 22

# %% [markdown]
# At $\theta = 1$ the fit is perfect, the residual is zero, and $G = H$. At 0.4 the residual is
# large and $H$ is negative. Here are the quadratic models of both, and where they send us.


# %%
def f(theta):
    return (theta**2 - 1) ** 2 / 2


thetas = np.linspace(-0.6, 1.8, 200)
landed = {}
figure, axes = plt.subplots(1, 2, figsize=(10, 3.4), layout="constrained", sharey=True)
for ax, start in zip(axes, (0.4, 1.2), strict=True):
    ax.plot(thetas, f(thetas), color="0.5", linewidth=3, label="f")
    G = 4 * start**2
    for name, curvature, colour in [("H", G + 2 * (start**2 - 1), "C1"), ("G", G, "C0")]:
        step = thetas - start
        model = f(start) + slope(start) * step + curvature * step**2 / 2
        ax.plot(thetas, model, color=colour, label=f"model with {name}")
        end = start - slope(start) / curvature
        ax.plot(end, f(start) - slope(start) ** 2 / curvature / 2, "v", color=colour)
        landed[start, name] = end
    ax.plot(start, f(start), "ko")
    ax.set(xlabel="θ", ylim=(-0.6, 1.5), title=f"from θ = {start}")
    ax.spines[["top", "right"]].set_visible(False)
axes[0].legend(frameon=False, fontsize=9)

assert f(landed[0.4, "H"]) > f(0.4)
assert landed[0.4, "G"] > 1
assert f(landed[1.2, "H"]) < f(1.2) and f(landed[1.2, "G"]) < f(1.2)

# %% [markdown]
# On the right both models are good. On the left the model with $H$ has no minimum. Its stationary
# point, the triangle, is a *maximum*, and the "Newton step" climbs over the top. The model with $G$
# points downhill. It goes too far, beyond the minimum at 1, because it does not know the curvature
# of $F$. So $G$ always points down, and it still needs damping (tutorial 8).
#
# ## 5.3 With matrices
#
# Now a network of 39 parameters with a softmax, on 12 cases. $L$ is the cross-entropy *with* the
# softmax in it. Everything in the definition is small enough to be built:
#
# $$G = J^\top L'' J,$$
#
# where $J$ is $36 \times 39$ (12 cases with 3 outputs each), and $L''$ has a block
# $\frac1N(\operatorname{diag}(p) - p\,p^\top)$ for every case.

# %%
x, z = rop.nets.mlp([5, 4, 3])
t = rop.data("t", 3)
small = rop.Objective(z, rop.SoftmaxCrossEntropy(t))

rng = np.random.default_rng(0)
batch = {"x": rng.normal(size=(12, 5)), "t": np.eye(3)[rng.integers(3, size=12)]}
theta = small.init("glorot", seed=0)
at = small.linearize(theta, batch, engine="numpy")

J, G, H = at.J.matrix(), at.G.matrix(), at.H.matrix()
p = small.predict(theta, batch)
L2 = np.zeros((36, 36))
for i in range(12):
    own = slice(3 * i, 3 * i + 3)
    L2[own, own] = (np.diag(p[i]) - np.outer(p[i], p[i])) / 12

assert np.allclose(J.T @ L2 @ J, G, rtol=0, atol=1e-15)

# %% [markdown]
# The other reading, with the tangent: write $\hat f(\delta) = L(F(\theta) + J\delta)$, eq. (9), as
# a graph of its own, with $\delta$ as its parameters and $F(\theta)$ and $J$ as numbers. Its
# gradient at $\delta = 0$ is $\nabla f$, and its Hessian is $G$.

# %%
delta = rop.param("delta", small.n)
tangent = at.outputs + rop.reshape(J @ delta, (12, 3))
f_hat = rop.Objective(-rop.sum(batch["t"] * rop.log_softmax(tangent)) / 12)
at_zero = f_hat.linearize(np.zeros(small.n), engine="numpy")

assert np.allclose(at_zero.gradient(), at.gradient(), rtol=0, atol=1e-14)
assert np.allclose(at_zero.H.matrix(), G, rtol=0, atol=1e-14)

# %% [markdown]
# $\hat f$ is convex, since $L$ is convex and the tangent is straight. So $G$ has no negative
# eigenvalue, anywhere. $H$ has. Here are both for handwritten digits, 30 of them, and a network of
# 610 parameters.
#
# **Predict**: $G$ is a $610 \times 610$ matrix of 30 cases with 10 classes. How many of its
# eigenvalues can be positive at most?

# %%
images, logits = rop.nets.mlp([64, 8, 10])
labels = rop.data("t", 10)
thirty = {name: array[:30] for name, array in rop.datasets.digits().train.items()}
digits = rop.Objective(logits, rop.SoftmaxCrossEntropy(labels))
there = digits.linearize(digits.init("glorot", seed=0), thirty, engine="numpy")
spectra = {name: np.linalg.eigvalsh(B.matrix()) for name, B in [("H", there.H), ("G", there.G)]}

figure, ax = plt.subplots(figsize=(7, 3.4), layout="constrained")
for name, colour in [("H", "C1"), ("G", "C0")]:
    ax.plot(spectra[name][::-1], ".", color=colour, label=name)
ax.axhline(0, color="k", linewidth=0.8)
ax.set_yscale("symlog", linthresh=1e-4)
ax.set_yticks([-1, -1e-2, 0, 1e-2, 1])
ax.set_ylim(-4, 4)
ax.set(xlabel="eigenvalues, from the largest to the least")
ax.legend(frameon=False)
ax.spines[["top", "right"]].set_visible(False)

negative = (spectra["H"] < -1e-10).sum()
positive = (spectra["G"] > 1e-10).sum()
print(f"H: {negative} negative eigenvalues, the least is {spectra['H'][0]:.2f}")
print(f"G: {positive} positive ones, the others are zero")

assert negative > 100
assert spectra["G"][0] > -1e-12 and positive <= 30 * 9

# %% [markdown]
# At most $30 \cdot 9 = 270$. Each case contributes a block $L''$ of rank 9, not 10: if all ten
# logits rise by the same amount, the softmax does not notice. So $G$ is positive *semi*definite,
# and singular as soon as there are more parameters than cases can speak for. (The paper says
# "positive definite": erratum M25.)
#
# ## 5.4 Table 2
#
# $G$ needs $L''$, and the paper's table 2 has it for three losses. All three have $\nabla L = p -
# t$. The printed table has a minus before it (erratum M29), so we do not take a table on trust. We
# nudge every entry.

# %%
T2 = {
    "squared error": (
        lambda z, t: np.sum((z - t) ** 2) / 2,
        lambda z: z,
        lambda p: np.eye(3),
    ),
    "logistic cross-entropy": (
        lambda z, t: np.sum(np.logaddexp(0, z) - t * z),
        lambda z: 1 / (1 + np.exp(-z)),
        lambda p: np.diag(p * (1 - p)),
    ),
    "softmax cross-entropy": (
        lambda z, t: np.log(np.sum(np.exp(z))) - t @ z,
        lambda z: np.exp(z) / np.sum(np.exp(z)),
        lambda p: np.diag(p) - np.outer(p, p),
    ),
}
h, e = 1e-5, np.eye(3)
z_0, t_0 = np.array([0.5, -1.0, 2.0]), np.array([0.0, 1.0, 0.0])

print("                        ∇L = p - t    ∇L = -(p - t)    L''")
for name, (L, prediction, hessian) in T2.items():
    p_0 = prediction(z_0)
    nudged = [(L(z_0 + h * e_i, t_0) - L(z_0 - h * e_i, t_0)) / (2 * h) for e_i in e]
    bent = [(prediction(z_0 + h * e_i) - prediction(z_0 - h * e_i)) / (2 * h) for e_i in e]
    off = [np.abs(p_0 - t_0 - nudged).max(), np.abs(t_0 - p_0 - nudged).max()]
    off.append(np.abs(hessian(p_0) - bent).max())
    print(f"{name:22}  off by {off[0]:.0e}  off by {off[1]:5.3f}     off by {off[2]:.0e}")
    assert max(off[0], off[2]) < 1e-8 < 1 < off[1]

# %% [markdown]
# (With $\nabla L = p - t$ and $t$ constant, $L''$ is the Jacobian of $p$; this is what we nudged.)
#
# In each row, the loss and the prediction *match*: $L''$ does not contain $t$. Whatever the targets
# are, $L''$ is the same, and it is positive semidefinite.
#
# ## 5.5 Where does F end?
#
# $f$ does not care which of its steps we call network and which we call loss. $H$ does not either.
# $G$ does. Take our small softmax classifier and let the boundary lie at one of three places: at
# the logits $z$, behind the softmax at the probabilities $p$, or behind everything, with $L(z) =
# z$.
#
# **Predict**: in the last case, what is $G$? Which of the three is nearest to $H$?

# %%
print(rop.cuts(small, theta, batch))

# %%
rop.plot.cuts(rop.cuts(small, theta, batch))

# %% [markdown]
# - **At L**: what is left of the loss has no curvature, so $G = 0$.
# - **At p**: $L = -\sum t \log p$ has $L'' = \operatorname{diag}(t/p^2)$, of rank one for each case
#   if $t$ is one-hot. $G$ has rank 12, and here it is even further from $H$ than the zero matrix.
#   It is the empirical Fisher matrix, the sum of $\nabla f_i \nabla f_i^\top / N$: it knows
#   gradients and no curvature.
# - **At z**: rank 24, and the nearest.
#
# This is the paper's rule of thumb: **put as much of $f$ into $L$ as possible**, as long as $L$ is
# convex in $z$ and makes sense for every $z$. (A tangent of $F$ does not respect that probabilities
# lie between 0 and 1; logits may be anything.) Is it only this $\theta$? We try five more.

# %%
for seed in range(1, 6):
    cuts = rop.cuts(small, small.init("glorot", seed=seed), batch)
    print(*(f"{cut.name}: {cut.distance:.2f}  " for cut in cuts))
    assert cuts["z"].distance < min(cuts["p"].distance, cuts["L"].distance)

gradients = at.per_case_gradients()
empirical_fisher = gradients.T @ gradients / at.cases
cuts = rop.cuts(small, theta, batch)

assert np.allclose(cuts["p"].G, empirical_fisher, rtol=0, atol=1e-12)
assert [cut.rank for cut in cuts] == [24, 12, 0]

# %% [markdown]
# "As long as $L$ is convex": take $L(z) = \frac12\|\tanh z - t\|^2$, the example of section 6.3.
# $\tanh$ saturates, so this loss is bounded, and what is bounded and convex is constant.

# %%
bounded = rop.Objective(z, rop.LossGraph(0.5 * rop.sum((rop.tanh(z) - t) ** 2)))
signs = batch | {"t": 2 * batch["t"] - 1}
moved = rop.cuts(bounded, theta, signs)

print(f"F ends at z:      least eigenvalue of G {moved['z'].eigenvalues[0]:.2f}")
print(f"F ends at tanh z: least eigenvalue of G {moved[1].eigenvalues[0]:.0e}")

assert not moved["z"].psd
assert moved[1].what == "tanh" and moved[1].psd

# %% [markdown]
# With all of $f$ in $L$ the "Gauss-Newton matrix" is indefinite, and its advantage is lost. Section
# 6.3 has three remedies. Move the $\tanh$ into $F$, as the second line does. Or add $c I$ to $L''$,
# or cut off its negative eigenvalues: `rop.LossGraph(..., convexify="shift")` and `"eigen"`.
#
# ## 5.6 When are they equal?
#
# $H - G = \sum_i [\nabla L]_i [F]_i''$. The better the fit, the smaller $\nabla L$, so one expects
# $G \to H$ during training. We train the digits network with HF, once with the squared error and
# once with the softmax, and measure $\|G - H\| / \|H\|$ after each update.
#
# **Predict**: does it fall in both cases? Remember what happens to $p(1 - p)$ when the fit gets
# good.

# %%
figure, ax = plt.subplots(figsize=(7, 3.4), layout="constrained")
distances = {}
for name, loss in [
    ("squared error", rop.SquaredError(labels)),
    ("softmax cross-entropy", rop.SoftmaxCrossEntropy(labels)),
]:
    trained = rop.Objective(logits, loss)
    start = trained.init("glorot", seed=0)
    run = rop.hf.HessianFree(trained, start, thirty, "damped", engine="numpy", dtype=np.float64)
    distances[name] = []
    for update in range(11):
        now = trained.linearize(run.state.theta, thirty, engine="numpy")
        G_now, H_now = now.G.matrix(), now.H.matrix()
        distances[name].append(np.linalg.norm(G_now - H_now) / np.linalg.norm(H_now))
        if update < 10:
            next(run)
    ax.semilogy(distances[name], "o-", label=f"{name}: f ends at {now.value:.1g}")
ax.set(xlabel="updates of HF", ylabel="‖G - H‖ / ‖H‖", ylim=(3e-3, 1.5))
ax.legend(frameon=False, loc="lower left")
ax.spines[["top", "right"]].set_visible(False)

assert distances["squared error"][-1] < distances["squared error"][0] / 20
assert distances["softmax cross-entropy"][-1] > 0.1

# %% [markdown]
# For the squared error, yes: $L'' = I$ stays, the residual goes, and after ten updates the two
# matrices agree to about a percent. For the softmax the residual goes too. But $L'' =
# \operatorname{diag}(p) - pp^\top$ goes with it. Both parts of $H$ vanish together, and here their
# difference is still a third of $H$. "$G$ is nearly $H$ close to a solution" is a fact about the
# squared error. What holds for both is that $G$ never curves down.
#
# ## 5.7 Exercises
#
# Each cell prints "not yet". Repair the code until it prints "solved".
#
# **1.** Table 2's last row assumes that the targets sum to 1. With smoothed or weighted targets
# they may not: if $s = \sum t$, then $L = s \log \sum e^z - t^\top z$. Give gradient and Hessian
# for any $t$.


# %%
def softmax_row(z, t):
    """∇L and L''."""
    p = np.exp(z) / np.sum(np.exp(z))
    return p - t, np.diag(p) - np.outer(p, p)


def check_1(softmax_row):
    for t in (np.array([0.0, 1.0, 0.0]), np.array([0.5, 1.5, 0.25])):
        nudges = [
            (softmax_loss(z_0 + h * e_i, t) - softmax_loss(z_0 - h * e_i, t)) / (2 * h) for e_i in e
        ]
        dL, d2L = softmax_row(z_0, t)
        if not np.allclose(dL, nudges, rtol=0, atol=1e-8):
            return f"not yet: for targets that sum to {t.sum():g} the gradient is wrong"
        bends = [softmax_row(z_0 + h * e_i, t)[0] - softmax_row(z_0 - h * e_i, t)[0] for e_i in e]
        if not np.allclose(d2L, np.array(bends) / (2 * h), rtol=0, atol=1e-8):
            return f"not yet: for targets that sum to {t.sum():g} the Hessian is wrong"
    return "solved"


def softmax_loss(z, t):
    return np.sum(t) * np.log(np.sum(np.exp(z))) - t @ z


print(check_1(softmax_row))

# %% [markdown]
# <details>
# <summary>Solution</summary>
#
# Both get the factor $s$, but $t$ does not (erratum M30).
#
# ```python
# def softmax_row(z, t):
#     p = np.exp(z) / np.sum(np.exp(z))
#     return np.sum(t) * p - t, np.sum(t) * (np.diag(p) - np.outer(p, p))
#
#
# assert check_1(softmax_row) == "solved"
# ```
#
# </details>
#
# **2.** Gauss-Newton in a few lines, $Gv = J^\top(L''(Jv))$. A public HF code had its softmax in
# $F$, as this one has. Move the boundary to the logits. (`at.jvp(v)` is $Jv$ at the logits,
# `at.vjp` is $J^\top$; remember the $1/N$.)


# %%
def ggnvp(at, p, t, v):
    Rz = at.jvp(v)
    Rp = p * (Rz - np.sum(p * Rz, axis=1, keepdims=True))  # through the softmax
    w = t / p**2 * Rp / len(p)  # L'' of -Σ t log p
    return at.vjp(p * (w - np.sum(p * w, axis=1, keepdims=True)))  # and back


def check_2(ggnvp):
    v = np.random.default_rng(1).normal(size=small.n)
    found, right = ggnvp(at, p, batch["t"], v), G @ v
    if np.shape(found) != v.shape:
        return f"not yet: the shape should be {v.shape}, got {np.shape(found)}"
    if np.allclose(found, empirical_fisher @ v, rtol=0, atol=1e-12):
        return "not yet: this is the empirical Fisher matrix times v"
    ratio = found @ right / (right @ right)
    if np.allclose(found, ratio * right, rtol=0, atol=1e-9) and not np.isclose(ratio, 1):
        return f"not yet: {ratio:.3g} times the right one"
    error = np.linalg.norm(found - right) / np.linalg.norm(right)
    return "solved" if error < 1e-12 else f"not yet: {error:.0%} off"


print(check_2(ggnvp))

# %% [markdown]
# <details>
# <summary>Solution</summary>
#
# $L''w = \operatorname{diag}(p)\,w - p\,(p^\top w)$, and nothing is left to pass through.
#
# ```python
# def ggnvp(at, p, t, v):
#     Rz = at.jvp(v)
#     w = (p * Rz - p * np.sum(p * Rz, axis=1, keepdims=True)) / len(p)
#     return at.vjp(w)
#
#
# assert check_2(ggnvp) == "solved"
# ```
#
# </details>
#
# **3.** Section 6.3 suggests to make an indefinite $L''$ positive by "adding a scaled multiple of
# the diagonal". Try it on this one. However large the multiple, one eigenvalue stays negative. Add
# something better, and no more of it than needed.


# %%
def convexified(L2):
    return L2 + 10 * np.diag(np.diag(L2))


def check_3(convexified):
    L2 = np.array([[1.75, 0.3], [0.3, -0.59]])
    found = convexified(L2)
    least = np.linalg.eigvalsh(found)[0]
    if least < -1e-12:
        return f"not yet: the least eigenvalue is {least:.2f}"
    if np.linalg.norm(found - L2, 2) > 1.01 * abs(np.linalg.eigvalsh(L2)[0]):
        return "not yet: positive, but further from L'' than needed"
    return "solved"


print(check_3(convexified))

# %% [markdown]
# <details>
# <summary>Solution</summary>
#
# Where the diagonal is negative, a multiple of it makes things worse (erratum M32). Shift by a
# multiple of $I$, or cut off negative eigenvalues; both pass.
#
# ```python
# def convexified(L2):
#     values, vectors = np.linalg.eigh(L2)
#     return vectors * np.maximum(values, 0) @ vectors.T
#
#
# assert check_3(convexified) == "solved"
# ```
#
# </details>
#
# ## Summary
#
# - $G$ is the Hessian of $f$ with the network replaced by its tangent: $G = J^\top L'' J$.
# - It leaves out residual times curvature of $F$. So it never curves down where $L$ is convex, and
#   it equals $H$ where the fit is perfect.
# - $G$ depends on where $F$ ends. Put as much into a convex $L$ as possible: the softmax belongs to
#   the loss.
# - Near a solution $G \approx H$ for the squared error, but not for the cross-entropy.
