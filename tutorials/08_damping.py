# %% [markdown]
# # 8 Damping
#
# A quadratic model is right at one point. Its minimum may lie far away, where the model knows
# nothing. *Damping* is everything that keeps an update where the model can be trusted, and section
# 8 of Martens & Sutskever (2012) is about little else. Here we damp in several ways, watch a rule
# find the right strength, and see what scale has to do with it.
#
# Throughout, $g = \nabla f(\theta)$, $B$ is the curvature matrix, and
#
# $$q(\delta) = g^\top \delta + \tfrac12 \delta^\top B \delta$$
#
# is the change of $f$ that the model predicts for an update $\delta$.

# %%
import matplotlib.pyplot as plt
import numpy as np

import rop

# %% [markdown]
# ## 8.1 A step too far
#
# Take $f(\theta) = \log \cosh \theta$. It looks like a parabola near 0 and like $|\theta|$ far
# away, which is how many losses look along many directions. We stand at $\theta = 2$.


# %%
def f(theta):
    return np.log(np.cosh(theta))


def derivatives(theta):
    return np.tanh(theta), 1 - np.tanh(theta) ** 2


g, B = derivatives(2.0)
print(f"g = {g:.3f}, B = {B:.4f}")

# %% [markdown]
# Newton's step is $\delta = -g/B$. **Predict:** where does it lead, and is $f$ lower there? Then
# nudge less far, and compare what the model promises with what $f$ does.

# %%
print("   δ      q(δ)   change of f")
for delta in (-g / B, -4.0, -2.0, -1.0, -0.1):
    q = g * delta + 0.5 * B * delta**2
    print(f"{delta:6.2f}  {q:7.3f}  {f(2.0 + delta) - f(2.0):7.3f}")

assert f(2.0 - g / B) > 8 * f(2.0)
assert abs(f(1.9) - f(2.0) - (-0.1 * g + 0.5 * B * 0.01)) < 1e-4

# %% [markdown]
# Newton's step lands at $-11.6$ and makes $f$ eight times larger. The curvature at 2 is small, so
# the model believes that the way down is long. Close by, model and $f$ agree to four digits.
#
# *Tikhonov damping* adds a penalty $\frac{\lambda}{2} \delta^2$ to the model. The curvature becomes
# $B + \lambda$, and the step $\delta = -g/(B + \lambda)$.

# %%
theta = np.linspace(-12.5, 4.5, 300)
figure, ax = plt.subplots(figsize=(7, 3.6), layout="constrained")
ax.plot(theta, f(theta), color="black", label="$f(θ) = \\log\\,\\cosh\\,θ$")
for lam, colour in [(0.0, "C3"), (0.1, "C1"), (0.4, "C0")]:
    delta = -g / (B + lam)
    M = f(2.0) + g * (theta - 2) + 0.5 * (B + lam) * (theta - 2) ** 2
    ax.plot(theta, M, color=colour, label=f"damped model, λ = {lam}")
    ax.plot(2 + delta, f(2 + delta), "o", color=colour)
ax.plot(2, f(2), "ko")
ax.set(xlabel="θ", ylabel="f", ylim=(-6, 13), title="Three models at θ = 2, and where they lead")
ax.legend(loc="upper right")

assert f(2 - g / (B + 0.4)) < 0.1 < f(2) < f(2 - g / (B + 0.1))

# %% [markdown]
# The dots are $f$ at the minimum of each model. With $\lambda = 0.4$ the update is good.
#
# ## 8.2 A rule that finds λ
#
# How should a program know that 0.4 is better than 0.1? By comparing what $f$ did with what the
# model predicted. The *reduction ratio* is
#
# $$\rho = \frac{f(\theta + \delta) - f(\theta)}{q(\delta)} . \tag{10}$$
#
# If $\rho$ is near 1, the model is good, and $\lambda$ may fall. If $\rho$ is small or negative,
# the model is bad out there, and $\lambda$ should rise. Work out $\rho$ for the table above by
# hand: for $\delta = -2$ it is $-1.325 / -1.787 = 0.74$. Then the rule of Levenberg and Marquardt
# is three lines (sec. 8.5):


# %%
def adapted(lam, rho):
    if rho > 3 / 4:
        return lam * 2 / 3
    if rho < 1 / 4:
        return lam * 3 / 2
    return lam


def reduction_ratio(before, after, q):
    return (after - before) / q if after <= before else -np.inf


# %% [markdown]
# $q$ has no constant: $q(0) = 0$. (Equation 10 in print has $M(\delta)$, which contains
# $f(\theta)$. With it even a perfect model does not get $\rho = 1$: `rop errata M1`.) And if $f$
# rises, $\rho$ is $-\infty$ by definition.
#
# We start with $\lambda = 0.1$, which is too small, and take every step. **Predict** the first move
# of $\lambda$, and what $\lambda$ does in the end.

# %%
theta, lam, path = 2.0, 0.1, []

print("     θ       λ       δ       ρ")
for _ in range(9):
    g, B = derivatives(theta)
    delta = -g / (B + lam)
    rho = reduction_ratio(f(theta), f(theta + delta), g * delta + 0.5 * B * delta**2)
    path.append((theta, lam))
    print(f"{theta:8.4f} {lam:6.3f} {delta:8.4f} {rho:7.2f}")
    theta, lam = theta + delta, adapted(lam, rho)

assert [lam for _, lam in path[:3]] == [0.1, 0.1 * 3 / 2, 0.1 * 3 / 2 * 3 / 2]
assert path[-1][1] < 0.1 and abs(theta) < 1e-4

# %% [markdown]
# The first step raises $f$, the second gains little, and $\lambda$ rises twice. The third and the
# fourth are fair. From then on the model is good, $\lambda$ falls, and the method becomes Newton's.
#
# `rop.hf` does the same with its policies. For a function without a loss the curvature is the
# Hessian.

# %%
a = rop.param("a")
recipe = rop.hf.recipes.damped().replace(
    curvature="hessian",
    damping=rop.hf.Tikhonov(0.1, rop.hf.LevenbergMarquardt(lower_by=2 / 3)),
    preconditioner=rop.hf.NoPreconditioner(),
    decay=0.0,
    cg=rop.hf.ConjugateGradient(residual=1e-12, forcing=None, downhill=False),
    selection=rop.hf.LastIterate(),
    line_search=rop.hf.NoLineSearch(),
)
result = rop.hf.minimize(
    rop.Objective(rop.log(rop.cosh(a))),
    [2.0],
    {},
    recipe,
    iterations=9,
    dtype=np.float64,
    engine="numpy",
)
print(result.records[0].explain())

assert np.allclose([it.lam_before for it in result.records], [lam for _, lam in path])
assert np.allclose(
    [it.rho for it in result.records[:6]][1:], [0.12, 0.38, 0.50, 0.93, 1.0], atol=0.01
)

# %% [markdown]
# ## 8.3 Three ways to shorten a step
#
# With more than one parameter, "too far" has a direction. Let $v_j$ be the eigenvectors of $B$ and
# $\lambda_j$ its eigenvalues. Then the damped step is
#
# $$\delta = -(B + \lambda I)^{-1} g
#   = \sum_j \frac{\lambda_j}{\lambda_j + \lambda}\, (v_j^\top \delta_{\text{Newton}})\, v_j .$$
#
# So $\lambda$ hardly touches directions with $\lambda_j \gg \lambda$, and takes out those with
# $\lambda_j \ll \lambda$. **Predict** the share of Newton's step that is left along eigenvalues 10,
# 1 and 0.1 for $\lambda = 1$. Then draw what happens in a narrow valley, with the eigenvalue 20
# across and 0.5 along it. Beside Tikhonov's there are two other ways: a *line search* multiplies
# Newton's step by $\alpha < 1$, and a *trust region* takes the best point with $\|\delta\| \leq r$.

# %%
print([round(float(curvature / (curvature + 1)), 2) for curvature in (10.0, 1.0, 0.1)])

turn = np.array([[0.8, -0.6], [0.6, 0.8]])  # its columns are v_1 and v_2
B = turn @ np.diag([0.5, 20.0]) @ turn.T
newton = turn @ np.array([4.0, 0.5])
g = -B @ newton


def damped_step(lam):
    return -np.linalg.solve(B + lam * np.eye(2), g)


def q(delta):
    return delta @ g + 0.5 * np.sum(delta * (delta @ B), axis=-1)


tikhonov = np.array([damped_step(lam) for lam in np.logspace(-4, 4, 200)])
truncated = np.array([[0, 0], *(iterate.x for iterate in rop.hf.pcg(B, -g, store=(1, 2)).iterates)])
radius = 1.5
region = rop.hf.gltr(B, -g, radius)

side = np.linspace(-0.5, 3.5, 150)
grid = np.stack(np.meshgrid(side, side), axis=-1)
angle = np.linspace(0, 2 * np.pi, 100)

figure, ax = plt.subplots(figsize=(6, 5), layout="constrained")
levels = q(newton) + np.array([0.05, 0.5, 1.5, 3, 6, 12, 24])
ax.contour(side, side, q(grid), levels, colors="lightgrey", linestyles="solid")
ax.plot(*tikhonov.T, color="C0", linewidth=2, label="Tikhonov, all λ")
ax.plot(*np.array([[0, 0], newton]).T, "--", color="C1", label="line search, all α")
ax.plot(*truncated.T, "o-", color="C2", markersize=4, label="CG")
ax.plot(radius * np.cos(angle), radius * np.sin(angle), ":", color="black", label="‖δ‖ = 1.5")
ax.plot(*region.x, "k*", markersize=11, label="best within ‖δ‖ ≤ 1.5")
ax.plot(*newton, "ks", label="Newton's step")
ax.set(xlabel="$δ_1$", ylabel="$δ_2$", aspect="equal", xlim=(-0.5, 3.5), ylim=(-0.5, 3.5))
ax.set_title("Level lines of q in a narrow valley")
ax.legend(loc="lower right", fontsize=8)

share = turn.T @ damped_step(0.5) / (turn.T @ newton)
assert np.allclose(share, [0.5 / (0.5 + 0.5), 20 / (20 + 0.5)])

# %% [markdown]
# Tikhonov's curve first goes down into the valley and then along it: the steep direction is nearly
# complete before the flat one begins. CG does the same in two pieces; truncation is a kind of
# damping. The line search shortens both directions alike.
#
# Look at the star. It is the best point within the circle, and it lies *on* Tikhonov's curve. This
# is always so: for every radius there is a $\lambda$ with the same step. (For the trust region you
# choose $r$ and get $\lambda$; for damping it is the other way round.) At the start the curve runs
# along $-g$, since $\delta \to -g/\lambda$ for large $\lambda$.

# %%
for r in (0.3, 0.8, 1.5, 3.0):
    solution = rop.hf.gltr(B, -g, r)
    assert np.allclose(solution.x, damped_step(solution.multiplier))
    assert np.isclose(np.linalg.norm(solution.x), r)
    print(f"radius {r}: λ = {solution.multiplier:.3f}")

assert np.allclose(damped_step(1e6), -g / 1e6, rtol=1e-4)

# %% [markdown]
# Is the curve worth more than the straight line when the truth is not quadratic? We try it on a
# classifier for digits at its random start. Its $G$ has eigenvalues from 3 down to 0. We follow
# four families of updates and plot the true $f$ against their length. **Predict** the order of the
# four minima.

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
at = objective.linearize(theta, batch, engine="numpy")
eigenvalues, V = np.linalg.eigh(at.G.matrix())
along = V.T @ at.gradient()

long_step = -V @ (along / (eigenvalues + 1e-4))
run = rop.hf.pcg(lambda v: at.ggnvp(v) + 1e-4 * v, -at.gradient(), max_steps=20, store=range(1, 21))
families = {
    "gradient descent": [-rate * at.gradient() for rate in np.logspace(-1, 1.2, 25)],
    "line search": [alpha * long_step for alpha in np.logspace(-2.5, -0.5, 25)],
    "CG, truncated": [iterate.x for iterate in run.iterates],
    "Tikhonov": [-V @ (along / (eigenvalues + lam)) for lam in np.logspace(-2, 1, 25)],
}

figure, ax = plt.subplots(figsize=(7, 4), layout="constrained")
lowest, place = {}, {}
for name, updates in families.items():
    values = [objective.value(theta + delta, batch, engine="numpy") for delta in updates]
    ax.semilogx([np.linalg.norm(delta) for delta in updates], values, ".-", label=name)
    lowest[name], place[name] = min(values), int(np.argmin(values))
ax.set(xlabel="length of the update, ‖δ‖", ylabel="f(θ + δ)", ylim=(1.2, 3.2))
ax.set_title(f"One update from f = {at.value:.2f}, in four families")
ax.legend()

for name, value in lowest.items():
    print(f"{name:17} {value:.2f}")

assert list(lowest) == sorted(lowest, key=lowest.get, reverse=True)
assert lowest["Tikhonov"] < 1.3 and lowest["line search"] > 1.8
assert run.iterates[place["CG, truncated"]].steps == 3

# %% [markdown]
# Tikhonov's best update brings $f$ from 2.54 to 1.24. The line search has the same model, and gets
# to 1.89. Newton's step goes much too far along the flat directions, and the line search must
# shorten the steep ones with them, by a factor of ten. It is a last line of defence and cannot
# replace damping. Truncated CG comes closer, and needs only three products with $G$.
#
# ## 8.4 The scale of the parameters
#
# Let a weight $w$ be $w = c\,\varphi$, and let $\varphi$ be the parameter. By the chain rule the
# gradient is multiplied by $c$ and the curvature by $c^2$. **Fill in:** what is the damped step of
# $\varphi$, and what is it as a step of $w$?
#
# $$\delta_\varphi = -\frac{c\,g}{c^2 B + \lambda}, \qquad
#   \delta_w = c\,\delta_\varphi = -\frac{g}{B + \lambda / c^2} .$$
#
# Without damping $c$ drops out: Newton's method does not care about units. With damping the weight
# has $\lambda / c^2$ instead of $\lambda$. Take $c = 100$ for the upper weights of the classifier,
# $W_2 = 100\,\theta_2$. Then $\lambda = 0.1$ damps the lower weights as before, and the upper ones
# with $10^{-5}$.


# %%
def one_update(scale, damping, lam):
    """The net's weights, and f, after one exact damped update in the parameters θ2 = W2 / scale."""
    objective, blocks = classifier(scale), dict(classifier().unpack(theta))
    blocks["W2"] = blocks["W2"] / scale
    at = objective.linearize(objective.pack(blocks), batch, engine="numpy")
    D = damping(at, scale)
    new = at.theta + np.linalg.solve(at.G.matrix() + lam * np.diag(D), -at.gradient())
    weights = dict(objective.unpack(new))
    weights["W2"] = weights["W2"] * scale
    return classifier().pack(weights), objective.value(new, batch, engine="numpy")


def identity(at, scale):
    return np.ones(at.n)


def diagonal(at, scale):
    # The small number is for weights of pixels that are always 0, where diag(G) is 0.
    return np.maximum(at.diagonal("exact"), 1e-10)


results = {}
for name, damping, lam in [("D = I", identity, 0.1), ("D = diag(G)", diagonal, 3.0)]:
    for scale in (1, 100):
        results[name, scale] = one_update(scale, damping, lam)
        print(f"{name:12} W2 = {scale:3} θ2: f = {results[name, scale][1]:.3f}")

assert results["D = I", 1][1] < 1.3 and results["D = I", 100][1] > at.value
weights, scaled = results["D = diag(G)", 1][0], results["D = diag(G)", 100][0]
assert np.linalg.norm(scaled - weights) < 1e-5 * np.linalg.norm(weights - theta)

# %% [markdown]
# With $D = I$ the good update has become one that raises $f$ above 2.54. With
# $D = \operatorname{diag}(G)$, *scale-sensitive damping*, the curvature is $B + \lambda D$, and
# both terms have the factor $c^2$. The two nets then take the same step. (Section 8.3 of the paper
# also has $D = C^\top C$, for parameters whose natural scale you know.)
#
# ## 8.5 Why not always diag(B)?
#
# Because curvature is not trustworthiness. Here is the paper's figure 3 (`rop figure 3`):
# $B = uu^\top + 15\, vv^\top$ with $u = (-1, 1)$ along a valley and $v = (1, 1)$ across. **Fill
# in** $\operatorname{diag}(B)$ by hand. Then predict: with which $\lambda$ is the step along the
# valley halved, for $D = I$, for $D = \operatorname{diag}(B)$ and for $D = B$?

# %%
u, v = np.array([-1.0, 1.0]), np.array([1.0, 1.0])
B = np.outer(u, u) + 15 * np.outer(v, v)
D = np.diag(np.diag(B))
print(B)

circle = np.stack([np.cos(angle), np.sin(angle)])
figure, ax = plt.subplots(figsize=(5.5, 4.2), layout="constrained")
curves = [
    ("$δ^⊤Bδ = 1$", B),
    ("$δ^⊤\\mathrm{diag}(B)\\,δ = 1$", D),
    ("$δ^⊤(B + D)\\,δ = 1$", B + D),
]
for name, matrix in curves:
    values, vectors = np.linalg.eigh(matrix)
    ax.plot(*(vectors @ (circle / np.sqrt(values)[:, None])), label=name)
ax.set(xlabel="$δ_1$", ylabel="$δ_2$", aspect="equal", title="Where each penalty is 1")
ax.legend(loc="upper right", fontsize=9)


def share_along_valley(matrix, lam):
    g = -B @ u  # Newton's step is u
    return np.linalg.solve(B + lam * matrix, -g) @ u / 2


assert np.isclose(share_along_valley(np.eye(2), 2.0), 0.5)
assert np.isclose(share_along_valley(D, 1 / 8), 0.5)
assert np.isclose(share_along_valley(B, 1.0), 0.5)

# %% [markdown]
# The curvature along the valley is $u^\top B u / u^\top u = 2$, so $\lambda = 2$ halves the step if
# $D = I$. Yet both entries of $\operatorname{diag}(B)$ are 16, as each parameter alone runs into
# the steep wall. A damping with it is a circle as tight as the walls, and $\lambda = 1/8$ is enough
# to halve the step. The valley is long, and the damping cannot see it.
#
# $D = B$ sees the valley. But then $B + \lambda B = (1 + \lambda) B$, and the step is Newton's
# times $1/(1 + \lambda)$: a line search under another name. The paper's advice for nets with
# weights in their usual units is $D = I$ or a $\operatorname{diag}(G)$ to which enough of the
# identity is added.
#
# ## 8.6 Exercises
#
# Change each attempt until its check says "solved". All three formulas are in print.
#
# **1.** Section 8.2: if $C$ is the Jacobian of the map from new parameters to old ones, then the
# undamped step in the new parameters is $C^{-\top} B^{-1} \nabla f$.

# %%
rng = np.random.default_rng(0)
S, C = rng.normal(size=(6, 6)), rng.normal(size=(6, 6)) + 3 * np.eye(6)
B, g = S @ S.T + np.eye(6), rng.normal(size=6)
for array in (B, g, C):
    array.setflags(write=False)  # whoever changes it is told where


def new_step(B, g, C):
    return np.linalg.solve(C.T, np.linalg.solve(B, g))


def judged(found, right):
    if np.shape(found) != right.shape:
        return f"not yet: the shape should be {right.shape}, got {np.shape(found)}"
    error = np.linalg.norm(found - right) / np.linalg.norm(right)
    if error < 1e-8:
        return "solved"
    ratio = np.vdot(found, right) / np.vdot(right, right)
    multiple = np.linalg.norm(found - ratio * right) < 1e-8 * np.linalg.norm(right)
    return f"not yet: {f'{ratio:.3g} times the right one' if multiple else f'{error:.0%} off'}"


def check_1(new_step):
    for name, map_ in [("C = I", np.eye(6)), ("a random C", C)]:
        right = rop.hf.pcg(map_.T @ B @ map_, -map_.T @ g, residual=1e-13).x  # in the new ones
        verdict = judged(new_step(B, g, map_), right)
        if verdict != "solved":
            return f"{verdict}, for {name}"
    return "solved"


print(check_1(new_step))

# %% [markdown]
# <details>
# <summary>Solution</summary>
#
# The step in the old parameters is $C$ times that in the new ones, and it is downhill. For a
# diagonal $C$ the printed formula is only wrong in its sign, so do not test with one.
#
# ```python
# def new_step(B, g, C):
#     return -np.linalg.solve(C, np.linalg.solve(B, g))
#
#
# assert check_1(new_step) == "solved"
# ```
#
# </details>
#
# **2.** A reduction ratio must raise $\lambda$ after every bad step. CG may start from the last
# update, and then $q(\delta) > 0$ is possible. This one is equation 10 with the right $q$. Which
# steps does it praise?


# %%
def rho(before, after, q):
    return (after - before) / q


def check_2(rho):
    steps = {
        "a perfect step": (5.0, 4.0, -1.0, 2 / 3),
        "a small perfect step": (5.0, 4.9, -0.1, 2 / 3),
        "half of what q promised": (5.0, 4.5, -1.0, 1.0),
        "a tenth of what q promised": (5.0, 4.9, -1.0, 3 / 2),
        "f rose though q < 0": (5.0, 6.0, -1.0, 3 / 2),
        "f rose and q > 0": (5.0, 6.0, 1.0, 3 / 2),
        "f is not a number": (5.0, float("nan"), -1.0, 3 / 2),
    }
    for name, (before, after, q, right) in steps.items():
        found = rho(before, after, q)
        if found is None or np.shape(found):
            return f"not yet: ρ should be a number, got {found}"
        lam = adapted(1.0, found)
        if lam != right:
            return f"not yet: {name}, ρ = {found:.3g}: λ goes from 1 to {lam:.3g}, not {right:.3g}"
    return "solved"


print(check_2(rho))

# %% [markdown]
# <details>
# <summary>Solution</summary>
#
# $\rho$ is $-\infty$ unless $f$ is known not to have risen (`rop errata M48`). Write the test so
# that NaN fails it.
#
# ```python
# def rho(before, after, q):
#     return (after - before) / q if after <= before else -np.inf
#
#
# assert check_2(rho) == "solved"
# ```
#
# </details>
#
# **3.** Section 8.8 calls a line search "a special type of a penalty based damping method, where we
# use a penalty term of the form $\frac{1}{2\alpha} B$". Which curvature gives $\alpha$ times
# Newton's step?


# %%
def damped_curvature(B, alpha):
    return B + B / alpha


def check_3(damped_curvature):
    for alpha in (1.0, 0.4, 0.01):
        found = damped_curvature(B, alpha)
        if np.shape(found) != B.shape:
            return f"not yet: the shape should be {B.shape}, got {np.shape(found)}"
        verdict = judged(np.linalg.solve(found, -g), alpha * np.linalg.solve(B, -g))
        if verdict != "solved":
            return f"{verdict}: the step for α = {alpha}"
    return "solved"


print(check_3(damped_curvature))

# %% [markdown]
# <details>
# <summary>Solution</summary>
#
# $B$ is replaced by $B / \alpha$, so the extra penalty has $\frac1\alpha - 1$ (`rop errata M52`).
#
# ```python
# def damped_curvature(B, alpha):
#     return B + (1 / alpha - 1) * B
#
#
# assert check_3(damped_curvature) == "solved"
# ```
#
# </details>
#
# ## Summary
#
# - The model is good nearby. Damping keeps the update nearby, above all along flat directions.
# - Tikhonov's damping and a trust region have the same steps, one by $\lambda$ and one by $r$. A
#   line search shortens all directions alike.
# - $\rho$ compares promise and result, and three lines turn it into $\lambda$.
# - $\lambda I$ assumes that all parameters have the same scale. $D = \operatorname{diag}(B)$ does
#   not, but it takes curvature for danger.
