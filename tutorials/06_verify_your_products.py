# %% [markdown]
# # 6 Verify your own products
#
# You have written $Jv$, $J^\top u$, $Gv$ or $Hv$ yourself, in NumPy, PyTorch, JAX or C. It runs,
# and training goes down. Is it right? Wrong curvature products hardly ever crash. With a $G$ that
# is somewhat wrong HF usually still descends, only worse, and you will blame the damping.
#
# Section 7.2 of Martens & Sutskever (2012) says how to check: difference the parts, on a small
# network, in float64, at a $\theta$ of reasonable size. We do that by hand first and learn what
# each check can see, and what it cannot. Then `rop.check_products` does all of it for any
# functions, and finds a wrong Hessian product in PyTorch. Last come the museum, where other
# people's mistakes are, and yours to repair.

# %%
import warnings
from importlib.util import find_spec

import matplotlib.pyplot as plt
import numpy as np

import rop
from rop.checking import jax_functions, torch_functions

# %% [markdown]
# ## 6.1 How close is close?
#
# Here is somebody's network, by hand in NumPy: one hidden layer of $\tanh$, softmax, 20 cases.
# `slope` is the derivative of $\tanh$. It is an argument, because we are going to put errors there.

# %%
SHAPES = {"W1": (4, 5), "b1": (4,), "W2": (3, 4), "b2": (3,)}
ENDS = np.cumsum([0] + [int(np.prod(shape)) for shape in SHAPES.values()])
BLOCKS = {name: slice(*ENDS[i : i + 2]) for i, name in enumerate(SHAPES)}
n = int(ENDS[-1])

rng = np.random.default_rng(0)
X = rng.normal(size=(20, 5))
T = np.eye(3)[rng.integers(3, size=20)]
theta = 0.7 * rng.normal(size=n)


def unpack(theta):
    return [theta[BLOCKS[name]].reshape(shape) for name, shape in SHAPES.items()]


def pack(*parts):
    return np.concatenate([part.ravel() for part in parts])


def right_slope(y):
    return 1 - y**2


def outputs(theta):
    W1, b1, W2, b2 = unpack(theta)
    return np.tanh(X @ W1.T + b1) @ W2.T + b2


def jvp(theta, v, slope=right_slope):
    (W1, b1, W2, _), (RW1, Rb1, RW2, Rb2) = unpack(theta), unpack(v)
    y = np.tanh(X @ W1.T + b1)
    Ry = slope(y) * (X @ RW1.T + Rb1)
    return y @ RW2.T + Ry @ W2.T + Rb2


def vjp(theta, u, slope=right_slope):
    W1, b1, W2, _ = unpack(theta)
    y = np.tanh(X @ W1.T + b1)
    dx = slope(y) * (u @ W2)
    return pack(dx.T @ X, dx.sum(0), u.T @ y, u.sum(0))


# %% [markdown]
# Nudge $\theta$ to both sides and compare with $Jv$. A nudge has an error of its own, though
# (tutorial 1). Say the two differ by 0.0006. Is that the nudge, or a mistake?
#
# One number cannot tell. A whole ladder of steps can. We compare the right $Jv$, and one whose
# slope is 0.1 % too large.
#
# **Predict**: the nudge's error falls with the square of the step, until rounding takes over. What
# does the curve of the wrong $Jv$ look like?


# %%
def relative_error(approximate, exact):
    return np.linalg.norm(approximate - exact) / np.linalg.norm(exact)


def central(function, theta, v, step):
    return (function(theta + step * v) - function(theta - step * v)) / (2 * step)


def slightly_wrong_slope(y):
    return 1.001 * (1 - y**2)


v = rng.normal(size=n)
steps = np.logspace(-10, -0.5, 39)
errors = {
    slope: [relative_error(central(outputs, theta, v, h), jvp(theta, v, slope)) for h in steps]
    for slope in (right_slope, slightly_wrong_slope)
}

figure, ax = plt.subplots(figsize=(7, 3.4), layout="constrained")
ax.loglog(steps, errors[right_slope], color="C0", label="right")
ax.loglog(steps, errors[slightly_wrong_slope], color="C1", label="slope 0.1 % too large")
ax.loglog(steps[-20:], 0.4 * steps[-20:] ** 2, "k:", linewidth=1, label="step²")
ax.set(xlabel="step of the nudge", ylabel="difference from Jv")
ax.legend(frameon=False)
ax.spines[["top", "right"]].set_visible(False)

plateau = np.median(errors[slightly_wrong_slope])
print(f"right: down to {min(errors[right_slope]):.0e}; wrong: stays at {plateau:.0e}")

assert min(errors[right_slope]) < 1e-9
assert 1e-4 < plateau < 1e-3
assert max(errors[slightly_wrong_slope][8:24]) < 1.1 * plateau

# %% [markdown]
# The wrong curve has a floor. It is flat over more than six decades of steps, and its height is the
# size of the mistake. So the question is not "is the difference small?" but "**does it go on
# falling?**" With a step of $10^{-1}$ alone, the two could not be told apart.
#
# ## 6.2 Part by part, by hand
#
# $Gv = J^\top (L''(Jv))$, so section 7.2 checks three parts. We need the loss:


# %%
def log_softmax(z):
    z = z - z.max(axis=1, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=1, keepdims=True))


def predict(z):
    return np.exp(log_softmax(z))


def loss(z):
    return -np.sum(T * log_softmax(z)) / len(z)


def loss_gradient(z):
    return (predict(z) - T) / len(z)


def loss_hvp(z, w):
    p = predict(z)
    return p * (w - np.sum(p * w, axis=1, keepdims=True)) / len(z)


def ggnvp(theta, v):
    return vjp(theta, loss_hvp(outputs(theta), jvp(theta, v)))


z = outputs(theta)
u, w = rng.normal(size=(2, *z.shape))
h = 1e-5

checks = {
    "Jv     and a nudge of F": (jvp(theta, v), central(outputs, theta, v, h)),
    "L''w   and a nudge of ∇L": (loss_hvp(z, w), central(loss_gradient, z, w, h)),
    "∇L     and a nudge of L": (np.sum(loss_gradient(z) * w), central(loss, z, w, h)),
    "Jᵀu    by the dot test": (vjp(theta, u) @ v, np.sum(u * jvp(theta, v))),
    "Gv     and Jᵀ times a nudge of ∇L": (
        ggnvp(theta, v),
        vjp(theta, central(loss_gradient, z, jvp(theta, v), h)),
    ),
}
for what, (mine, reference) in checks.items():
    error = relative_error(mine, reference)
    print(f"{what:36} {error:.0e}")
    assert error < 1e-7

# %% [markdown]
# The order matters once more. $Jv$ comes first, because the dot test compares $J^\top u$ with $Jv$.
# If $Jv$ is wrong, a right $J^\top u$ looks wrong as well.
#
# (The paper proposes to build $J^\top w$ from differences of $F$, column by column. The dot test of
# tutorial 3 is exact and needs one product.)
#
# ## 6.3 What a check can see
#
# There are cheaper checks of $Gv$, without any nudge: it must be *linear* in $v$, *symmetric*
# ($u^\top G v = v^\top G u$), and *positive semidefinite* ($v^\top G v \ge 0$). They are necessary.
# Are they enough?
#
# We put nine mistakes into $Gv$, one at a time, and let each check look.
#
# **Predict**: which column of the table is the emptiest?


# %%
def with_slope(slope):
    def wrong(theta, v):
        w = loss_hvp(outputs(theta), jvp(theta, v, slope))
        return vjp(theta, w, slope)

    return wrong


def algorithm_5_as_printed(theta, v):
    W1, b1, W2, _ = unpack(theta)
    RW2 = unpack(v)[2]
    y, dz = np.tanh(X @ W1.T + b1), loss_gradient(outputs(theta))
    Rdz = loss_hvp(outputs(theta), jvp(theta, v))
    Rdx = (1 - y**2) * (dz @ RW2)
    return pack(Rdx.T @ X, Rdx.sum(0), Rdz.T @ y, Rdz.sum(0))


def without_rank_one(theta, v):
    p = predict(outputs(theta))
    return vjp(theta, p * jvp(theta, v) / len(X))


def gradient(theta):
    return vjp(theta, loss_gradient(outputs(theta)))


WRONG = {
    "twice G": lambda theta, v: 2 * ggnvp(theta, v),
    "1/N is missing": lambda theta, v: len(X) * ggnvp(theta, v),
    "minus G": lambda theta, v: -ggnvp(theta, v),
    "L'' without p pᵀ": without_rank_one,
    "slope 1 - y, in J and Jᵀ": with_slope(lambda y: 1 - y),
    "slope 0.1 % off, in J and Jᵀ": with_slope(slightly_wrong_slope),
    "H instead of G": lambda theta, v: central(gradient, theta, v, 1e-5),
    "algorithm 5 as printed": algorithm_5_as_printed,
    "squared somewhere": lambda theta, v: ggnvp(theta, v) * np.linalg.norm(v),
}


def sees(product):
    """Which checks see something wrong."""
    rng = np.random.default_rng(1)
    (a, b), vs = rng.normal(size=(2, n)), rng.normal(size=(200, n))
    Ga, Gb, Gab = (product(theta, vector) for vector in (a, b, a + 2 * b))
    size = np.linalg.norm(Ga) + np.linalg.norm(Gb)
    report = rop.check_products(
        theta, outputs=outputs, loss_gradient=loss_gradient, jvp=jvp, vjp=vjp, ggnvp=product
    )
    return {
        "linear": np.linalg.norm(Gab - Ga - 2 * Gb) > 1e-7 * size,
        "symmetric": abs(b @ Ga - a @ Gb) > 1e-7 * size,
        "semidefinite": any(v @ product(theta, v) < -1e-12 for v in vs),
        "differences": report.products["ggnvp"].verdict == "fail",
    }


seen = {name: sees(product) for name, product in WRONG.items()}
columns = list(seen["twice G"])
table = np.array([[row[column] for column in columns] for row in seen.values()])

figure, ax = plt.subplots(figsize=(7, 4), layout="constrained")
ax.imshow(table, cmap="Blues", vmin=0, vmax=2, aspect="auto")
for (i, j), found in np.ndenumerate(table):
    ax.text(j, i, "seen" if found else "–", ha="center", va="center")
ax.set_xticks(range(len(columns)), columns)
ax.set_yticks(range(len(seen)), seen)
ax.xaxis.tick_top()
ax.tick_params(length=0)
ax.spines[:].set_visible(False)

assert not any(sees(ggnvp).values())
assert table[:, columns.index("differences")].all()
assert not table[:6, [columns.index("linear"), columns.index("symmetric")]].any()

# %% [markdown]
# Five of nine mistakes pass all three cheap checks: they make another symmetric, positive matrix.
# It is a fine matrix, only not yours. Differences see every one. Keep the cheap checks as an extra;
# passing them proves nothing.
#
# ## 6.4 The checker
#
# `rop.check_products` does what we did, for whatever functions you give: a ladder of steps for each
# product, several directions (some of them along one block of $\theta$), a second $\theta$ (caches
# that are stale show there), the dot test, and tolerances from the measured noise. You set none.
# Here it has everything; each function is optional.

# %%
functions = {
    "value": lambda theta: loss(outputs(theta)),
    "outputs": outputs,
    "gradient": gradient,
    "jvp": jvp,
    "vjp": vjp,
    "loss": loss,
    "loss_gradient": loss_gradient,
    "loss_hvp": loss_hvp,
    "ggnvp": ggnvp,
}
report = rop.check_products(theta, **functions, blocks=BLOCKS)


def show(report, lines=None):
    """The report, less its first line, which has the number of calls and the time."""
    print(report.verdict.upper(), *str(report).splitlines()[1:][:lines], sep="\n")


show(report)

assert report.verdict == "pass"

# %% [markdown]
# The verdict is *pass*, *fail* or *inconclusive*: near a kink, or where all is rounding noise, an
# honest checker says that it cannot tell. The last lines say what was **not** checked. Here it is
# $Hv$, since we gave none.
#
# Now break something and read the diagnosis.
#
# **Predict**: the $1/N$ is left out of $L''$, a common slip. Which lines fail, and by which factor?

# %%
broken = functions | {
    "loss_hvp": lambda z, w: len(z) * loss_hvp(z, w),
    "ggnvp": WRONG["1/N is missing"],
}
report = rop.check_products(theta, **broken, blocks=BLOCKS)
show(report)

verdicts = {name: product.verdict for name, product in report.products.items()}

assert {name for name, verdict in verdicts.items() if verdict == "fail"} == {"loss_hvp", "ggnvp"}
assert "20 times the true product = N" in str(report)

# %% [markdown]
# In a test suite this is one line; the fixture `rop_check` comes with `rop` and fails with the
# report. On the command line, `rop check model.py:build` does the same.
#
# ```python
# def test_products(rop_check):
#     rop_check(theta, **functions, blocks=BLOCKS)
# ```
#
# ## 6.5 PyTorch and JAX
#
# A PyTorch module and its loss give the checker everything at once. We try a network with a layer
# norm, and two ways to its Hessian product: the gradient of a gradient (tutorial 4), and the
# gradient of a `jvp`. A `budget` keeps the check short; its report also says what a short check
# cannot see. (Without PyTorch this cell says so and goes on. The output in the notebook is of
# PyTorch 2.13.)


# %%
def installed(library):
    if find_spec(library) is None:
        print(f"{library} is not installed; the rest of this cell is skipped")
        return False
    return True


if installed("torch"):
    import torch

    torch.manual_seed(0)
    layers = [torch.nn.Linear(5, 4), torch.nn.LayerNorm(4), torch.nn.Tanh(), torch.nn.Linear(4, 3)]
    module = torch.nn.Sequential(*layers).double()
    inputs, labels = torch.tensor(X), torch.tensor(T.argmax(axis=1))
    for mode in ("reverse-reverse", "reverse-forward"):
        given = torch_functions(
            module, torch.nn.functional.cross_entropy, inputs, labels, mode=mode
        )
        with warnings.catch_warnings():
            for category in (DeprecationWarning, FutureWarning):  # PyTorch's, of its own code
                warnings.simplefilter("ignore", category)
            report = rop.check_products(**given, budget="300 calls")
        print(mode, end=": ")
        show(report, lines=3)
        assert mode == "reverse-forward" or report.verdict == "pass"

# %% [markdown]
# The same module, the same $v$, and PyTorch 2.13 has two answers; one of them is wrong by about
# 100 %, without a warning. The forward rule of the layer norm takes mean and variance for constants
# when it is differentiated once more. The matrix is not even symmetric. You could write everything
# correctly, pick this mode, and get nonsense.
#
# To check a product of your own, add it: `rop.check_products(**given | {"hvp": mine})`. With JAX it
# is the same. Here $\theta$ is a dictionary, as it may be anywhere in JAX, and $Hv$ is JAX's own.

# %%
if installed("jax"):
    import jax

    def f(parameters):
        y = jax.numpy.tanh(X @ parameters["W1"].T + parameters["b1"])
        log_p = jax.nn.log_softmax(y @ parameters["W2"].T + parameters["b2"])
        return -(T * log_p).sum() / len(X)

    parameters = dict(zip(SHAPES, unpack(theta), strict=True))
    report = rop.check_products(**jax_functions(f, parameters))
    show(report, lines=2)
    assert report.verdict == "pass"

# %% [markdown]
# Is this the only one? `rop survey torch jax` runs the checker over 212 functions of PyTorch and
# 181 of JAX in six modes; [docs/survey.md](../docs/survey.md) has all it found, with a proof for
# each that needs nothing but the library. The same mode of PyTorch is wrong for `batch_norm`,
# `instance_norm`, `det`, `solve` and others. The survey takes a file of your own functions, too:
# `rop survey mine.py`.
#
# ## 6.6 Where to check
#
# Section 7.2 warns to use random $\theta$ "of a reasonable scale". We take two mistakes: twice the
# slope of $\tanh$ in $Jv$, and twice $\tanh''$ in $Hv$. Then we multiply all weights by a factor
# between $10^{-4}$ and $10^3$, and measure how much each mistake changes its product.
#
# **Predict**: with tiny weights $\tanh$ is a straight line, and with huge ones it is a step. Which
# mistake hides where?


# %%
def hvp(theta, v, factor=1):
    (W1, b1, W2, _), (RW1, Rb1, RW2, _) = unpack(theta), unpack(v)
    y = np.tanh(X @ W1.T + b1)
    ds, d2s = 1 - y**2, -2 * factor * y * (1 - y**2)
    z, dz = outputs(theta), loss_gradient(outputs(theta))
    Rx = X @ RW1.T + Rb1
    Ry, Rdz = ds * Rx, loss_hvp(z, jvp(theta, v))
    Rdx = ds * (Rdz @ W2 + dz @ RW2) + d2s * Rx * (dz @ W2)
    return pack(Rdx.T @ X, Rdx.sum(0), Rdz.T @ y + dz.T @ Ry, Rdz.sum(0))


scales = np.logspace(-4, 3, 50)
changes_Jv, changes_Hv = [], []
for scale in scales:
    there = scale * theta
    twice = jvp(there, v, slope=lambda y: 2 * (1 - y**2))
    changes_Jv.append(relative_error(twice, jvp(there, v)))
    changes_Hv.append(relative_error(hvp(there, v, factor=2), hvp(there, v)))

figure, ax = plt.subplots(figsize=(7, 3.2), layout="constrained")
ax.loglog(scales, changes_Jv, color="C0", label="twice tanh' in Jv")
ax.loglog(scales, changes_Hv, color="C1", label="twice tanh'' in Hv")
ax.axhline(1e-6, color="k", linestyle=":", linewidth=1, label="section 7.2's 10⁻⁶")
ax.set(xlabel="scale of the weights", ylabel="change of the product", ylim=(1e-9, 3))
ax.legend(frameon=False, loc="lower center")
ax.spines[["top", "right"]].set_visible(False)

assert relative_error(hvp(theta, v), central(gradient, theta, v, 1e-5)) < 1e-8
assert changes_Hv[0] < 1e-6 and changes_Jv[-1] < 1e-6
assert min(np.interp(1.0, scales, changes) for changes in (changes_Jv, changes_Hv)) > 0.1

# %% [markdown]
# At scale 1 both mistakes change the product by half. With tiny weights the mistake in $\tanh''$ is
# there and cannot be seen. With huge ones the same happens to the slope, since all units are
# saturated. A check that passes at such a $\theta$ tells you little. (At $\theta = 0$, where some
# like to begin, 51 of 84 mistakes that we put in stayed hidden.) So check where you train, and at
# random weights besides.
#
# `rop` says so when it meets such a $\theta$:

# %%
report = rop.check_products(1e-3 * theta, value=functions["value"], gradient=gradient, hvp=hvp)
print(next(line for line in str(report).splitlines() if line.startswith("Warning")))

assert "theta is tiny" in str(report)

# %% [markdown]
# For a `rop` graph, `rop.check(objective, theta, batch, power=True)` goes further. It puts wrong
# rules into your graph, one at a time, and reports how many of them this check would see at this
# $\theta$.
#
# ## 6.7 The museum
#
# Most of the mistakes above were really made. `rop.museum` keeps those that we found in papers,
# libraries and optimizers: each with its source, the broken code, the right code, and the check
# that catches it.

# %%
for exhibit in rop.museum.EXHIBITS:
    print(f"{exhibit.name:50.50} {exhibit.source.split(',')[0]}")

# %% [markdown]
# Three of them, with what the checker says. The first is from a textbook's code. In the second a
# preconditioner was built and never returned, in its own test as well. In the third everything is
# right but for the number of outputs; the test that would have seen it was slow, and CI skipped it.

# %%
for name in (
    "tanh, detached",
    "the preconditioner that nobody returned",
    "off by the number of outputs",
):
    exhibit = rop.museum.exhibit(name)
    report = exhibit.report()
    said = next(line.strip() for line in str(report).splitlines() if exhibit.says in line)
    print(f"{name}\n    {said}\n")
    assert report.verdict == "fail" and exhibit.corrected().verdict == "pass"

# %% [markdown]
# ## 6.8 Exercises
#
# Each cell prints "not yet". Repair the code until it prints "solved".
#
# **1.** Test your test. `accepts` should say whether a $Gv$ is right. It must accept `ggnvp` and
# refuse all nine mistakes of chapter 6.3. This one looks at symmetry only. You may use `central`,
# `loss_gradient`, `jvp` and `vjp`, which are right.


# %%
def accepts(product):
    a, b = np.random.default_rng(2).normal(size=(2, n))
    return bool(np.isclose(b @ product(theta, a), a @ product(theta, b)))


def check_1(accepts):
    if not accepts(ggnvp):
        return "not yet: it refuses the right Gv"
    missed = [name for name, product in WRONG.items() if accepts(product)]
    return f"not yet: it accepts {', '.join(missed)}" if missed else "solved"


print(check_1(accepts))

# %% [markdown]
# <details>
# <summary>Solution</summary>
#
# Compare with $J^\top$ times a difference of $\nabla L$ along $Jv$; it knows nothing of your $L''$.
# A bound of $10^{-6}$ also refuses the slope that is 0.1 % off.
#
# ```python
# def accepts(product):
#     a = np.random.default_rng(2).normal(size=n)
#     reference = vjp(theta, central(loss_gradient, outputs(theta), jvp(theta, a), 1e-5))
#     return relative_error(product(theta, a), reference) < 1e-6
#
#
# assert check_1(accepts) == "solved"
# ```
#
# </details>
#
# **2.** CG asks for many products at one $\theta$, so it pays to keep the activations. This class
# does. It is right the first time, and passes every check that looks at one $\theta$.


# %%
class WithCache:
    def __init__(self):
        self.y = None

    def jvp(self, theta, v):
        W1, b1, W2, _ = unpack(theta)
        RW1, Rb1, RW2, Rb2 = unpack(v)
        if self.y is None:
            self.y = np.tanh(X @ W1.T + b1)
        Ry = (1 - self.y**2) * (X @ RW1.T + Rb1)
        return self.y @ RW2.T + Ry @ W2.T + Rb2


def check_2(cached):
    report = rop.check_products(theta, outputs=outputs, jvp=cached().jvp)
    if report.verdict == "pass":
        return "solved"
    lines = str(report).splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("Jv"))
    return "not yet:\n" + "\n".join(lines[first : first + 2])


print(check_2(WithCache))

# %% [markdown]
# <details>
# <summary>Solution</summary>
#
# Keep the $\theta$ too, as a copy, and compare. (`rop` has you call `linearize(theta, batch)`; the
# object that you get belongs to this $\theta$ and cannot go stale.)
#
# ```python
# class WithCache:
#     def __init__(self):
#         self.theta = None
#
#     def jvp(self, theta, v):
#         W1, b1, W2, _ = unpack(theta)
#         RW1, Rb1, RW2, Rb2 = unpack(v)
#         if self.theta is None or not np.array_equal(self.theta, theta):
#             self.theta, self.y = theta.copy(), np.tanh(X @ W1.T + b1)
#         Ry = (1 - self.y**2) * (X @ RW1.T + Rb1)
#         return self.y @ RW2.T + Ry @ W2.T + Rb2
#
#
# assert check_2(WithCache) == "solved"
# ```
#
# </details>
#
# **3.** From the museum: a line of algorithm 5 as it is printed. `Network` is the right network; a
# subclass replaces one line. Read the report, and repair the line.

# %%
exhibit = rop.museum.exhibit("algorithm 5 as printed")
Network = exhibit.right


class Mine(Network):
    def Rdy(self, W, RW, dx, Rdx):
        """R dy_i, from R dx_{i+1}; cases are rows."""
        return dx @ RW


def check_3(network):
    report = exhibit.run(network)
    if report.verdict == "pass":
        return "solved"
    return "not yet:\n" + "\n".join(str(report).splitlines()[1:5])


print(check_3(Mine))

# %% [markdown]
# <details>
# <summary>Solution</summary>
#
# $R\,dy_i = W_i^\top R\,dx_{i+1}$ (erratum M27). The printed term is the one that Gauss-Newton
# drops.
#
# ```python
# class Mine(Network):
#     def Rdy(self, W, RW, dx, Rdx):
#         return Rdx @ W
#
#
# assert check_3(Mine) == "solved"
# ```
#
# </details>
#
# ## Summary
#
# - A difference that goes on falling with the step is the nudge's. A floor is a mistake, and its
#   height is the mistake's size.
# - Check part by part: $Jv$ and $L''w$ by nudges, $J^\top u$ by the dot test. Symmetry, linearity
#   and semidefiniteness see little.
# - Check in float64, at random weights of a reasonable size, and at two $\theta$.
# - `rop.check_products` does this for functions of NumPy, PyTorch, JAX or C, says what is wrong,
#   and says what it did not check.
# - Test your test: a check that never failed has not been seen to work.
