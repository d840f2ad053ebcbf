# %% [markdown]
# # 1 The R-operator
#
# Second-order training needs products of a curvature matrix with a vector, $Hv$ or $Gv$, and never
# the matrix itself. This tutorial derives both products from three rules that you know from
# school, and follows sections 5 and 6 of Martens & Sutskever, *Training Deep and Recurrent Networks
# with Hessian-Free Optimization* (2012). You need NumPy and the chain rule.
#
# We go from a number that is nudged to a graph differentiated by hand, from there to twelve lines
# that do it automatically, and then apply the same rules to backpropagation itself. Every
# chapter ends in `assert`s: run them, then break them.

# %%
import matplotlib.pyplot as plt
import numpy as np
from scipy.sparse.linalg import eigsh

import rop
from rop.graph import ancestors

# %% [markdown]
# ## 1.1 The derivative is in the digits
#
# Take $f(x, y) = x^2 y$ at $\theta = (2, 3)$, where it is 12. Now nudge $\theta$ a little in the
# direction $v = (1, 2)$, and look at the digits.


# %%
def f(theta):
    x, y = theta
    return x**2 * y


theta, v = np.array([2.0, 3.0]), np.array([1.0, 2.0])

print(f"f(θ)      = {f(theta):.12f}")
print(f"f(θ + εv) = {f(theta + 0.0001 * v):.12f}   for ε = 0.0001")

# %% [markdown]
# Read the second number in groups of four digits: 12, then 20, 11 and 2. Multiply out
# $(2 + \varepsilon)^2 (3 + 2\varepsilon)$ and you find the same numbers:
#
# $$f(\theta + \varepsilon v) = 12 + 20\,\varepsilon + 11\,\varepsilon^2 + 2\,\varepsilon^3 .$$
#
# The factor of $\varepsilon$ is the *directional derivative* of $f$, here
# $\nabla f^\top v = 12 \cdot 1 + 4 \cdot 2 = 20$. The paper writes it with an R:
#
# $$R_v(X)
#   = \lim_{\varepsilon \to 0} \frac{X(\theta + \varepsilon v) - X(\theta)}{\varepsilon}
#   = \frac{\partial X}{\partial \theta}\, v \tag{3}$$
#
# Here $X$ may be anything that is computed from $\theta$: a number, a vector, the activations of a
# layer. So $RX$ always has the shape of $X$. When $X$ is the output of a network with
# Jacobian $J$, then $RX = Jv$; when $X$ is a gradient, then $RX = Hv$.

# %%
second_group = round((f(theta + 0.0001 * v) - f(theta)) / 0.0001)
gradient = np.array([2 * theta[0] * theta[1], theta[0] ** 2])

assert second_group == gradient @ v == 20

# %% [markdown]
# ## 1.2 A graph, and R by hand
#
# Digits run out (chapter 1.4 shows how soon). It is better to carry two numbers: every value $a$,
# and beside it $Ra$, the factor of $\varepsilon$ in $a$. This needs a computation in small steps,
# and a graph of nodes is exactly that. This one is $z = \sin(xy) + x$; hexagons are
# parameters.

# %%
x, y = rop.param("x"), rop.param("y")
p = (x * y).named("p")
s = rop.sin(p).named("s")
z = (s + x).named("z")

rop.draw(z)

# %% [markdown]
# Walk through it from left to right and fill in both numbers at every node. At the leaves
# $R$ is the direction, $(Rx, Ry) = v$. Everywhere else it follows from
# the node's inputs, by a rule of differentiation.

# %%
a = {x: 2.0, y: 0.5}
R = {x: 1.0, y: -1.0}

a[p] = a[x] * a[y]
R[p] = R[x] * a[y] + a[x] * R[y]  # product rule

a[s] = np.sin(a[p])
R[s] = np.cos(a[p]) * R[p]  # chain rule

a[z] = a[s] + a[x]
R[z] = R[s] + R[x]  # linearity

print("node        a       Ra")
for node in ancestors(z):
    print(f"   {node.name}  {a[node]:7.4f}  {R[node]:7.4f}")

# %% [markdown]
# Nudging gives the same number, with fewer digits.


# %%
def h(x, y):
    return np.sin(x * y) + x


nudged = (h(2.0 + 1e-6, 0.5 - 1e-6) - h(2.0 - 1e-6, 0.5 + 1e-6)) / 2e-6

assert abs(R[z] - nudged) < 1e-8

# %% [markdown]
# ## 1.3 Three rules, twelve lines
#
# Write $X + \varepsilon RX$ for a nudged $X$, calculate, and read off the factor of
# $\varepsilon$:
#
# | rule | nudged | hence | eq. |
# |---|---|---|---|
# | linearity | $(X + \varepsilon RX) + (Y + \varepsilon RY)$ | $R(X + Y) = RX + RY$ | (4) |
# | product | $(X + \varepsilon RX)\,(Y + \varepsilon RY)$ | $R(XY) = (RX)\,Y + X\,RY$ | (5) |
# | chain | $h(X + \varepsilon RX)$ | $R(h(X)) = h'(X)\,RX$ | (6) |
#
# There are no further rules. In (5) a product may be one of matrices, in this order; $h'$ in (6) is
# a Jacobian, and for a function of single elements such as $\tanh$ an elementwise factor. (The
# paper prints $(RX)\,h'(X)$; for a Jacobian the order must be the one above.)
#
# So each kind of node gets a row: how to compute its value, and its R.

# %%
RULES = {
    "add": (lambda x, y: x + y, lambda x, y, Rx, Ry: Rx + Ry),
    "multiply": (lambda x, y: x * y, lambda x, y, Rx, Ry: Rx * y + x * Ry),
    "matvec": (lambda W, x: W @ x, lambda W, x, RW, Rx: RW @ x + W @ Rx),
    "sin": (lambda x: np.sin(x), lambda x, Rx: np.cos(x) * Rx),
    "tanh": (lambda x: np.tanh(x), lambda x, Rx: (1 - np.tanh(x) ** 2) * Rx),
}

# %% [markdown]
# Now the work by hand becomes a loop. Nodes can only be built from nodes that exist, so
# `ancestors(z)`, in order of creation, lists parents before children: one sweep is enough.


# %%
def forward_mode(z, values, v, rules):
    """The value and R of every node that z depends on (eq. 7 and 8)."""
    a, R = {}, {}
    for node in ancestors(z):
        if node.op is None:  # a parameter, or data, which do not move: R = 0
            a[node] = values[node.name]
            R[node] = v.get(node.name, np.zeros(node.shape))
        else:
            value, R_rule = rules[node.op.name]
            inputs, R_inputs = [a[i] for i in node.parents], [R[i] for i in node.parents]
            a[node] = value(*inputs)
            R[node] = R_rule(*inputs, *R_inputs)
    return a, R


by_hand = a, R
automatic = forward_mode(z, {"x": 2.0, "y": 0.5}, {"x": 1.0, "y": -1.0}, RULES)

assert automatic == by_hand

# %% [markdown]
# It works, but the table is clumsy: five rows state only three rules. Each row is an instance of
# one rule, so let the rule write the row.


# %%
def linear(A):
    return A, lambda x, y, Rx, Ry: A(Rx, Ry)  # eq. 4


def bilinear(B):
    return B, lambda x, y, Rx, Ry: B(Rx, y) + B(x, Ry)  # eq. 5


def elementwise(s, ds):
    return s, lambda z, Rz: ds(z) * Rz  # eq. 6


BY_FAMILY = {
    "add": linear(np.add),
    "multiply": bilinear(np.multiply),
    "matvec": bilinear(np.matmul),
    "sin": elementwise(np.sin, np.cos),
    "tanh": elementwise(np.tanh, lambda z: 1 - np.tanh(z) ** 2),
}

assert forward_mode(z, {"x": 2.0, "y": 0.5}, {"x": 1.0, "y": -1.0}, BY_FAMILY) == by_hand

# %% [markdown]
# A new op now costs one line, and its R rule cannot be forgotten. `rop` is built this way: every op
# belongs to one of three families, and the family has the rules (`rop/ops/families.py`).

# %%
assert isinstance(z.op, rop.ops.Linear)
assert isinstance(p.op, rop.ops.Bilinear)
assert isinstance(s.op, rop.ops.Elementwise)

# %% [markdown]
# Now something real: a network with 20 hidden units for handwritten digits. The picture is the
# paper's figure 1 for our graph. Left of the cut is $F$, which maps $\theta$ to the outputs $z$;
# right of it is the loss $L$, here $\frac12 \|z - t\|^2$, averaged over the cases. The model is
# written for one case.

# %%
x, t = rop.data("x", 64), rop.data("t", 10)
W1, b1 = rop.param("W1", (20, 64)), rop.param("b1", 20)
W2, b2 = rop.param("W2", (10, 20)), rop.param("b2", 10)
z = W2 @ rop.tanh(W1 @ x + b1) + b2

objective = rop.Objective(z, rop.SquaredError(t))

rop.draw(objective)

# %% [markdown]
# All parameters together are one vector $\theta$ of length $n$, and $v$ is a vector like it.
# `linearize` runs the forward sweep for 200 digits, keeps the activations, and offers the products.
# The NumPy engine is the readable one: it makes one NumPy call for each step. `jvp` is $Jv$, the R
# of all outputs. Our twelve lines, applied to the first digit, give its first row.


# %%
def relative_error(approximate, exact):
    return np.linalg.norm(approximate - exact) / np.linalg.norm(exact)


digits = rop.datasets.digits()
batch = {name: array[:200] for name, array in digits.train.items()}

theta = objective.init("glorot", seed=0)
v = np.random.default_rng(1).normal(size=objective.n)

at = objective.linearize(theta, batch, engine="numpy")
print(f"n = {objective.n}, N = {at.cases}, Jv: {at.jvp(v).shape}")

first = objective.unpack(theta) | {"x": batch["x"][0]}
_, R = forward_mode(z, first, objective.unpack(v), BY_FAMILY)

assert relative_error(R[z], at.jvp(v)[0]) < 1e-13

# %% [markdown]
# ## 1.4 Digits run out
#
# Why not simply nudge? Because nudging has two errors. The first is a remainder, like the
# $11\,\varepsilon$ above; it shrinks with $\varepsilon$. The second is rounding: the two numbers we
# subtract agree in more and more digits, which costs about $u / \varepsilon$, where $u$ is the
# precision of the numbers. Nudging to both sides cancels the term in $\varepsilon$ and leaves one
# in $\varepsilon^2$, but it does not reduce the rounding error. We measure how far both kinds of
# nudging are from $Jv$, in both precisions.


# %%
def F(theta):
    return objective.linearize(theta, batch, engine="numpy").outputs


def one_sided(F, theta, v, step):
    return (F(theta + step * v) - F(theta)) / step


def central(F, theta, v, step):
    return (F(theta + step * v) - F(theta - step * v)) / (2 * step)


theta32, v32 = theta.astype(np.float32), v.astype(np.float32)
at32 = objective.linearize(theta32, batch, engine="numpy")

Jv = at.jvp(v)
R_error = relative_error(at32.jvp(v32), Jv)
steps = np.logspace(-13, 0, 53).tolist()

figure, ax = plt.subplots(figsize=(7, 4), layout="constrained")
for dtype, point, colour in [("float32", (theta32, v32), "C1"), ("float64", (theta, v), "C0")]:
    for name, nudge, line in [("one-sided", one_sided, ":"), ("central", central, "-")]:
        errors = [relative_error(nudge(F, *point, step), Jv) for step in steps]
        ax.loglog(steps, errors, line, color=colour, label=f"{name}, {dtype}")
ax.axhline(R_error, color="black", linestyle="--", label="R-operator, float32")
ax.set(xlabel="step ε", ylabel="relative error of Jv", ylim=(1e-12, 10))
ax.legend(loc="lower left")
ax.spines[["top", "right"]].set_visible(False)

assert relative_error(central(F, theta, v, 1e-4), Jv) < 1e-6  # what sec. 7.2 promises
assert min(relative_error(central(F, theta32, v32, step), Jv) for step in steps) > 10 * R_error

# %% [markdown]
# In float32 the best nudge has four or five correct digits, if you know the best step. The
# R-operator needs no step. Its error is that of any forward sweep: the dashed line in float32, and
# about $10^{-16}$ in float64, far below the frame. (Central differences in float64 remain useful as
# an independent check: sec. 7.2.)
#
# ## 1.5 R of backpropagation is the Hessian
#
# The Hessian is the Jacobian of the gradient, so $Hv = R_v(\nabla f)$: the R of what
# backpropagation computes. And backpropagation is only a computation, in small steps, out of sums,
# products and elementwise functions. Here it is for our network, the paper's algorithm 1 in NumPy;
# cases are rows, and `da` is the derivative of $f$ with respect to $a$.

# %%
P = objective.unpack(theta)
X, T, N = batch["x"], batch["t"], at.cases

y2 = np.tanh(X @ P["W1"].T + P["b1"])
dz = (y2 @ P["W2"].T + P["b2"] - T) / N

dy2 = dz @ P["W2"]
dx2 = (1 - y2**2) * dy2
gradient = objective.pack({"W2": dz.T @ y2, "b2": dz.sum(0), "W1": dx2.T @ X, "b1": dx2.sum(0)})

assert relative_error(gradient, at.gradient()) < 1e-13

# %% [markdown]
# `explain` prints the same program as `rop` runs it.

# %%
rop.explain(objective, "gradient")

# %% [markdown]
# Now apply the three rules to it, line by line. The result is the paper's algorithm 4. `rop` has
# done so already. We print every assignment of the gradient beside its R, taken from the listing of
# `"hvp"`.


# %%
def assignments(listing):
    """What is added up to each value, as {"x2": ["+ W1 x", "+ b1"], ...}."""
    terms = {}
    for line in (*listing.once, *listing.each):
        terms.setdefault(line.target, []).extend(line.terms)
    return terms


def right_side(terms):
    return " ".join(terms).removeprefix("+ ")


Hv_terms = assignments(rop.explain(objective, "hvp"))

for value, terms in assignments(rop.explain(objective, "gradient")).items():
    if f"R{value}" in Hv_terms:
        left = f"{value} = {right_side(terms)}"
        print(f"{left:24}R{value} = {right_side(Hv_terms[f'R{value}'])}")

# %% [markdown]
# Cover the right half and derive it. Data do not move, so $Rx = 0$. `dW2` is a product and gets two
# terms, and so does `dy2`. In `dx2` both factors move as well: the chain rule turns $\tanh'(x_2)$
# into $\tanh''(x_2) \odot Rx_2$. This is where second derivatives come in. (`s''·da(x2)` is
# $\tanh''(x_2) \odot dy_2$; it does not depend on $v$, and is computed once, like the activations.)
#
# With the left half cached, the right half costs at most about as much as two gradients, and no
# matrix of $n^2$ numbers appears anywhere. Is it right? We check with a nudge, and with the
# symmetry of $H$.


# %%
def gradient_at(theta):
    return objective.linearize(theta, batch, engine="numpy").gradient()


u = np.random.default_rng(2).normal(size=objective.n)

assert relative_error(at.hvp(v), central(gradient_at, theta, v, 1e-5)) < 1e-8
assert relative_error(u @ at.hvp(v), v @ at.hvp(u)) < 1e-12

# %% [markdown]
# ## 1.6 Drop the curvature: Gauss-Newton
#
# $H$ has a flaw: far from a minimum it is usually indefinite, and the quadratic model that is
# built on it then has no minimum to step to. With $f = L \circ F$ the chain rule splits it in two
# (sec. 6):
#
# $$H = G + \sum_i [\nabla L]_i\, [F]_i'', \qquad G = J^\top L'' J .$$
#
# The first part $G$, the *generalized Gauss-Newton matrix*, keeps the curvature of the loss and
# treats $F$ as linear. It is positive semidefinite wherever $L$ is convex, because
# $v^\top G v = (Jv)^\top L'' (Jv) \geq 0$. In the program the second part is easy to find. Every
# product in backpropagation is an adjoint times a factor, and R makes two terms of it: one with R
# on the adjoint, one with R on the factor. $G$ keeps the first and drops the second, as if the
# factors were constants. Here is the listing of $Gv$, the paper's algorithm 5; to its right stands
# what only $Hv$ has.

# %%
Gv_terms = assignments(rop.explain(objective, "ggnvp"))
dropped = []

for value, terms in Hv_terms.items():
    if value.startswith("R"):
        only_in_Hv = [term for term in terms if term not in Gv_terms[value]]
        left = f"{value} = {right_side(Gv_terms[value])}"
        print(f"{left:32}{' '.join(only_in_Hv)}".rstrip())
        dropped += only_in_Hv

assert len(dropped) == 3

# %% [markdown]
# These three terms, one for each product whose factor moves, are the whole difference between $H$
# and $G$. Without them, $Gv$ is R-forward, then $L''$ (here $I/N$), then ordinary backpropagation
# of another vector: $Gv = J^\top(L''(Jv))$. The gain shows along the direction in which $H$ curves
# down most.

# %%
assert relative_error(at.vjp(at.loss_hvp(at.jvp(v))), at.ggnvp(v)) < 1e-13

_, vectors = eigsh(at.H, k=1, which="SA", v0=v)  # the eigenvector of the smallest eigenvalue
w = vectors[:, 0]
print(f"wᵀHw = {w @ at.hvp(w):.2f}, wᵀGw = {w @ at.ggnvp(w):.2f}")

assert w @ at.hvp(w) < 0 <= w @ at.ggnvp(w)

# %% [markdown]
# Each dropped term contains an adjoint, `dz` or `dy2`, and these come from the residual
# $\nabla L = (z - t)/N$. So the better the fit, the closer $G$ is to $H$. Where the targets *are*
# the predictions, both are the same.

# %%
perfect = objective.linearize(theta, batch | {"t": at.outputs}, engine="numpy")

assert relative_error(at.ggnvp(v), at.hvp(v)) > 0.1
assert np.array_equal(perfect.ggnvp(v), perfect.hvp(v))

# %% [markdown]
# ## 1.7 Exercises: four errors to find
#
# Each cell below contains an error and prints "not yet". Find the line and repair it, until it
# prints "solved". Three of the errors are in print. The solutions are folded.
#
# **1.** A row of the table in which a slope has gone wrong.

# %%
SLIP = BY_FAMILY | {"tanh": elementwise(np.tanh, lambda z: 1 - np.tanh(z))}


def judged(found, right):
    if np.shape(found) != right.shape:
        return f"not yet: the shape should be {right.shape}, got {np.shape(found)}"
    error = relative_error(found, right)
    if error < 1e-8:
        return "solved"
    ratio = np.vdot(found, right) / np.vdot(right, right)
    multiple = np.linalg.norm(found - ratio * right) < 1e-8 * np.linalg.norm(right)
    return f"not yet: {f'{ratio:.3g} times the right one' if multiple else f'{error:.0%} off'}"


def check_1(rules):
    _, R = forward_mode(z, first, objective.unpack(v), rules)
    return judged(R[z], at.jvp(v)[0])


print(check_1(SLIP))

# %% [markdown]
# <details>
# <summary>Solution</summary>
#
# The slope of $\tanh$ is $1 - \tanh^2$.
#
# ```python
# SLIP = BY_FAMILY | {"tanh": elementwise(np.tanh, lambda z: 1 - np.tanh(z) ** 2)}
#
# assert check_1(SLIP) == "solved"
# ```
#
# </details>
#
# **2.** Table 2 gives the gradient of each loss. For the squared error $\frac12\|z - t\|^2$ it
# says:


# %%
def loss_gradient(z, t):
    return -(z - t)


def check_2(loss_gradient):
    return judged(loss_gradient(at.outputs, T), N * at.loss_gradient())


print(check_2(loss_gradient))

# %% [markdown]
# <details>
# <summary>Solution</summary>
#
# The minus belongs to a log-likelihood that is maximised (erratum M29).
#
# ```python
# def loss_gradient(z, t):
#     return z - t
#
#
# assert check_2(loss_gradient) == "solved"
# ```
#
# </details>
#
# **3.** Algorithm 4, $Hv$. In print the line for $R\,dx_{i+1}$ is just $dy\,s'(x)\,Rx$. We have put
# back its first term. Something is still wrong; the checker compares with a nudge.


# %%
def algorithm_4(v):
    R = objective.unpack(v)
    Rx2 = X @ R["W1"].T + R["b1"]
    Ry2 = (1 - y2**2) * Rx2
    Rdz = (y2 @ R["W2"].T + Ry2 @ P["W2"].T + R["b2"]) / N
    RdW2 = Rdz.T @ y2 + dz.T @ Ry2
    Rdy2 = Rdz @ P["W2"] + dz @ R["W2"]
    Rdx2 = Rdy2 * (1 - y2**2) + dy2 * (1 - y2**2) * Rx2
    return objective.pack({"W1": Rdx2.T @ X, "b1": Rdx2.sum(0), "W2": RdW2, "b2": Rdz.sum(0)})


def judged_by_parameter(found, right):
    verdict = judged(found, right)
    if not verdict.endswith("off"):
        return verdict
    parts, right = objective.unpack(found), objective.unpack(right)
    wrong = [name for name in parts if not relative_error(parts[name], right[name]) < 1e-6]
    return f"{verdict}, in {', '.join(wrong)}"


def check_3(algorithm_4):
    return judged_by_parameter(algorithm_4(v), central(gradient_at, theta, v, 1e-5))


print(check_3(algorithm_4))

# %% [markdown]
# <details>
# <summary>Solution</summary>
#
# The last term needs $\tanh'' = -2\,\tanh\,(1 - \tanh^2)$ where the paper prints $s'$
# (erratum M21).
#
# ```python
# def algorithm_4(v):
#     R = objective.unpack(v)
#     Rx2 = X @ R["W1"].T + R["b1"]
#     Ry2 = (1 - y2**2) * Rx2
#     Rdz = (y2 @ R["W2"].T + Ry2 @ P["W2"].T + R["b2"]) / N
#     RdW2 = Rdz.T @ y2 + dz.T @ Ry2
#     Rdy2 = Rdz @ P["W2"] + dz @ R["W2"]
#     Rdx2 = Rdy2 * (1 - y2**2) + dy2 * -2 * y2 * (1 - y2**2) * Rx2
#     return objective.pack({"W1": Rdx2.T @ X, "b1": Rdx2.sum(0), "W2": RdW2, "b2": Rdz.sum(0)})
#
#
# assert check_3(algorithm_4) == "solved"
# ```
#
# </details>
#
# **4.** Algorithm 5, $Gv$. Its last line reads $R\,dy_i \leftarrow RW_i^\top dx_{i+1}$ (our $dz$ is
# the $dx$ of the last layer). You need no reference to find this error: a curvature matrix is
# symmetric, so $u^\top G v = v^\top G u$.


# %%
def algorithm_5(v):
    R = objective.unpack(v)
    Rx2 = X @ R["W1"].T + R["b1"]
    Ry2 = (1 - y2**2) * Rx2
    Rdz = (y2 @ R["W2"].T + Ry2 @ P["W2"].T + R["b2"]) / N
    RdW2 = Rdz.T @ y2
    Rdy2 = dz @ R["W2"]
    Rdx2 = (1 - y2**2) * Rdy2
    return objective.pack({"W1": Rdx2.T @ X, "b1": Rdx2.sum(0), "W2": RdW2, "b2": Rdz.sum(0)})


def check_4(algorithm_5):
    Gv, Gu = algorithm_5(v), algorithm_5(u)
    if np.shape(Gv) == v.shape and relative_error(u @ Gv, v @ Gu) > 1e-12:
        return f"not yet: uᵀGv = {u @ Gv:.4f}, vᵀGu = {v @ Gu:.4f}"
    return judged_by_parameter(Gv, at.ggnvp(v))


print(check_4(algorithm_5))

# %% [markdown]
# <details>
# <summary>Solution</summary>
#
# The printed term is the one that $G$ drops. Ordinary backpropagation has $R\,dy_i = W_i^\top
# R\,dx_{i+1}$ (erratum M27).
#
# ```python
# def algorithm_5(v):
#     R = objective.unpack(v)
#     Rx2 = X @ R["W1"].T + R["b1"]
#     Ry2 = (1 - y2**2) * Rx2
#     Rdz = (y2 @ R["W2"].T + Ry2 @ P["W2"].T + R["b2"]) / N
#     RdW2 = Rdz.T @ y2
#     Rdy2 = Rdz @ P["W2"]
#     Rdx2 = (1 - y2**2) * Rdy2
#     return objective.pack({"W1": Rdx2.T @ X, "b1": Rdx2.sum(0), "W2": RdW2, "b2": Rdz.sum(0)})
#
#
# assert check_4(algorithm_5) == "solved"
# ```
#
# </details>
#
# Symmetry finds many errors, but not all: twice the right product is symmetric too. Tutorial 6
# deals with what each kind of check can see.
#
# ## Summary
#
# - $RX$ is the factor of $\varepsilon$ in $X(\theta + \varepsilon v)$. Three rules carry it
#   through any program, exactly.
# - R of a network's outputs is $Jv$. R of backpropagation is $Hv$.
# - Keep R on the adjoints and drop it on their factors, and $Hv$ becomes $Gv = J^\top L'' J v$,
#   which is positive semidefinite.
