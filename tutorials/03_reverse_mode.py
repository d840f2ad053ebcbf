# %% [markdown]
# # 3 Reverse mode and the transposed rules
#
# Tutorial 1 carried R through a graph, from the parameters to the outputs: $Jv$. Backpropagation
# goes the other way: $J^\top u$. It looks like a different algorithm with rules of its own. It is
# not. Every one of its rules is a rule of tutorial 1, **transposed**, and the walk goes backwards
# because $(CBA)^\top = A^\top B^\top C^\top$.
#
# We multiply three small matrices by hand, from both ends. Then we transpose the rules one by one,
# run a network by them, and find a number that stays the same all the way through. Last comes the
# bill: why one sweep gives a whole gradient, and what it costs. This is sections 2, 5 and 7.1 of
# Martens & Sutskever (2012). You need tutorial 1 and matrix products.

# %%
import matplotlib.pyplot as plt
import numpy as np

import rop
from rop.graph import ancestors

# %% [markdown]
# ## 3.1 A nudge gives a column
#
# $F$ has three inputs and two outputs. Nudge one input after the other by $\varepsilon = 0.001$.


# %%
def F(x, y, w):
    return np.array([x * y, y + w * w])


theta = np.array([2.0, 3.0, 1.0])
columns = [(F(*(theta + nudge)) - F(*theta)) / 0.001 for nudge in 0.001 * np.eye(3)]

print("F(θ) =", F(*theta))
for name, column in zip("xyw", columns, strict=True):
    print(f"{name}: {column.round(3)}")

# %% [markdown]
# Each nudge tells how *all outputs* answer to *one input*. That is a column of the Jacobian
#
# $$J = \begin{pmatrix} 3 & 2 & 0 \\ 0 & 1 & 2 \end{pmatrix}.$$
#
# (The last entry came out as 2.001: $w^2$ bends, and a nudge sees that.) A *row* tells how one
# output depends on all inputs, and no nudge gives it. But the row is what training needs: $f$ is a
# single number, its Jacobian has a single row, and this row is the gradient.
#
# **Predict**: the network below has 1,930 parameters. How many nudges does its gradient take?

# %%
J = np.array([[3, 2, 0], [0, 1, 2]])

assert np.allclose(np.column_stack(columns), J, atol=2e-3)

# %% [markdown]
# ## 3.2 Three steps by hand, from both ends
#
# A program of three steps has a Jacobian of three factors, $J = CBA$: first a matrix, then an
# elementwise function whose slopes stand on a diagonal, then another matrix.

# %%
A = np.array([[1, 2], [0, 1], [3, -1]])
B = np.diag([2, 5, 1])
C = np.array([[1, 0, 2]])

# %% [markdown]
# Take a pencil. From the right, compute $C(B(Ae_1))$ and $C(B(Ae_2))$. From the left, compute $((1
# \cdot C)B)A$. How many multiplications by a matrix does each way take?

# %%
from_the_right = []
for e in np.eye(2, dtype=int):
    step_1 = A @ e
    step_2 = B @ step_1
    from_the_right.append((C @ step_2).item())
    print("right:", e, "→", step_1, "→", step_2, "→", from_the_right[-1])

row_3 = np.array([1]) @ C
row_2 = row_3 @ B
row_1 = row_2 @ A
print("left:  1 →", row_3, "→", row_2, "→", row_1)

assert from_the_right == row_1.tolist() == [8, 2]

# %% [markdown]
# Six products with a matrix from the right, three from the left, and the same two numbers. Nothing
# has happened but a change of brackets. Here are the two walks for larger factors, drawn to scale:
# columns travel to the left, rows travel to the right.

# %%
SIZES = [24, 12, 12, 4]  # of θ, after A, after B, after C


def rectangle(ax, left, height, width, name, colour):
    ax.add_patch(plt.Rectangle((left, -height / 2), width, height, fc=colour, ec="0.3"))
    ax.text(left + width / 2, -height / 2 - 1.2, name, ha="center", va="top")
    return left + width + 4.5


figure, axes = plt.subplots(2, 1, figsize=(9, 4.6), layout="constrained")
n, k1, k2, m = SIZES
factors = [("C", m, k2, "C7"), ("B", k2, k1, "C7"), ("A", k1, n, "C7")]
walks = {
    "from the right, C (B (A v)): columns": (
        [*factors, ("v", n, 1, "C0")],
        [("Av", k1, 1, "C0"), ("BAv", k2, 1, "C0"), ("Jv", m, 1, "C0")],
    ),
    "from the left, ((uᵀ C) B) A: rows": (
        [("uᵀ", 1, m, "C1"), *factors],
        [("uᵀC", 1, k2, "C1"), ("uᵀCB", 1, k1, "C1"), ("uᵀJ", 1, n, "C1")],
    ),
}
for ax, (title, (product, results)) in zip(axes, walks.items(), strict=True):
    left = 0
    for name, height, width, colour in product:
        left = rectangle(ax, left, height, width, name, colour)
    ax.text(left + 1, 0, "then", va="center")
    left += 9
    for name, height, width, colour in results:
        left = rectangle(ax, left, height, width, name, colour)
    ax.set(xlim=(-1, 145), ylim=(-17, 13), title=title, aspect="equal")
    ax.axis("off")

# %% [markdown]
# In the upper walk each step multiplies a column by its Jacobian. In the lower one each step
# multiplies a row, or, written as a column, multiplies by its *transposed* Jacobian: $J^\top u =
# A^\top (B^\top (C^\top u))$. So reverse mode needs one thing of every step: multiply by its
# transpose.
#
# ## 3.3 Transposing without a matrix
#
# Nobody writes down the matrix of a sum or of a slice. What is its transpose? The definition works
# for any linear map $A$:
#
# $$u^\top (A x) = (A^\top u)^\top x \quad \text{for all } x \text{ and } u.$$
#
# **Predict** the transposes before you look: of making two copies, of a sum, of taking a part, of a
# running sum, of multiplying every element by its own number.

# %%
scales = np.array([0.2, 1.0, 0.4, 0.8, 0.6, 1.0])
PAIRS = {
    "two copies": (lambda x: np.concatenate([x, x]), lambda u: u[:6] + u[6:]),
    "sum": (lambda x: x.sum(keepdims=True), lambda u: np.repeat(u, 6)),
    "part [1:4]": (lambda x: x[1:4], lambda u: np.pad(u, (1, 2))),
    "running sum": (lambda x: np.cumsum(x), lambda u: np.cumsum(u[::-1])[::-1]),
    "reversed": (lambda x: x[::-1], lambda u: u[::-1]),
    "times s'": (lambda x: scales * x, lambda u: scales * u),
}
rng = np.random.default_rng(0)

figure, axes = plt.subplots(2, 6, figsize=(10, 4), layout="constrained")
for (name, (A, AT)), (above, below) in zip(PAIRS.items(), axes.T, strict=True):
    matrix = np.column_stack([A(e) for e in np.eye(6)])
    above.imshow(matrix, cmap="Blues", vmin=0, vmax=1)
    below.imshow(np.column_stack([AT(e) for e in np.eye(len(matrix))]), cmap="Oranges", vmin=0)
    above.set_title(name)

    x, u = rng.normal(size=6), rng.normal(size=len(matrix))
    assert np.isclose(u @ A(x), AT(u) @ x)
axes[0, 0].set_ylabel("A")
axes[1, 0].set_ylabel("Aᵀ")
for ax in axes.flat:
    ax.set(xticks=[], yticks=[])

# %% [markdown]
# Blue is the map, orange is its transpose. Copying and adding are transposes of each other, and so
# are a part and padding with zeros. A running sum turns round, as reverse mode does as a whole. And
# a diagonal is its own transpose: this is why $s'$ looks the same forwards and backwards.
#
# The `assert` in the loop is the *dot test*. It needs no matrix and no nudge, and it is exact up to
# rounding. Keep it: it finds every reverse rule that does not fit its forward rule.
#
# ## 3.4 The three rules, transposed
#
# | rule | forwards | backwards |
# |---|---|---|
# | linearity | $Ra = A\,Rz$ | $dz$ += $A^\top da$ |
# | product | $Ra = B(Rx, y) + B(x, Ry)$ | $dx$ += $B_1^*(da, y)$, $dy$ += $B_2^*(x, da)$ |
# | chain | $Ra = s'(z) \odot Rz$ | $dz$ += $s'(z) \odot da$ |
#
# For fixed $y$ the product $B(x, y)$ is linear in $x$, and $B_1^*$ is the transpose of that map.
# For $Wx$ the two are $dW = da\,x^\top$ and $dx = W^\top da$. It says `+=` because a node that is
# used twice has been copied, and the transpose of a copy is a sum.
#
# So tutorial 1's table gets a third column, and the loop over the nodes turns round.


# %%
def linear(A, *AT):
    return A, lambda z, Rz: A(*Rz), lambda z, da: [AT_i(da) for AT_i in AT]


def bilinear(B, B1, B2):
    return (
        B,
        lambda z, Rz: B(Rz[0], z[1]) + B(z[0], Rz[1]),
        lambda z, da: [B1(da, z[1]), B2(z[0], da)],
    )


def elementwise(s, ds):
    return s, lambda z, Rz: ds(*z) * Rz[0], lambda z, da: [ds(*z) * da]


TABLE = {
    "add": linear(np.add, lambda da: da, lambda da: da),
    "matvec": bilinear(np.matmul, lambda da, x: np.outer(da, x), lambda W, da: W.T @ da),
    "tanh": elementwise(np.tanh, lambda z: 1 - np.tanh(z) ** 2),
}


def forward(order, leaves, v, table):
    """a and Ra of every node."""
    a, R = {}, {}
    for node in order:
        if node.op is None:
            a[node], R[node] = leaves[node.name], v.get(node.name, np.zeros(node.shape))
        else:
            value, R_rule, _ = table[node.op.name]
            z, Rz = [a[i] for i in node.parents], [R[i] for i in node.parents]
            a[node], R[node] = value(*z), R_rule(z, Rz)
    return a, R


def reverse(order, a, u, table):
    """da of every node, from u at the last one."""
    d = {node: np.zeros(node.shape) for node in order} | {order[-1]: u}
    for node in reversed(order):
        if node.op is not None:
            _, _, reverse_rule = table[node.op.name]
            contributions = reverse_rule([a[i] for i in node.parents], d[node])
            for parent, contribution in zip(node.parents, contributions, strict=True):
                d[parent] = d[parent] + contribution
    return d


# %% [markdown]
# Now a network with two hidden layers and one handwritten digit. Its loss is $\frac12\|z - t\|^2$,
# so reverse mode starts with $u = \nabla L = z - t$. (Table 2 of the paper prints it with the wrong
# sign: erratum M29.) We compare with the library.


# %%
def relative_error(approximate, exact):
    return np.linalg.norm(approximate - exact) / np.linalg.norm(exact)


x, z = rop.nets.mlp([64, 20, 20, 10])
objective = rop.Objective(z, rop.SquaredError(rop.data("t", 10)))
theta = objective.init("glorot", seed=0)
digit = {name: array[:1] for name, array in rop.datasets.digits().train.items()}
at = objective.linearize(theta, digit, engine="numpy")

order = ancestors(z)
leaves = objective.unpack(theta) | {"x": digit["x"][0]}
v = rng.normal(size=objective.n)

a, R = forward(order, leaves, objective.unpack(v), TABLE)
u = a[z] - digit["t"][0]
d = reverse(order, a, u, TABLE)
gradient = objective.pack({node.name: d[node] for node in order if node.kind == "param"})

assert relative_error(R[z], at.jvp(v)[0]) < 1e-13
assert relative_error(gradient, at.gradient()) < 1e-13

# %% [markdown]
# `explain` prints the same sweep for a batch of cases. The parameters' lines begin with $\Sigma$.
# Where does this sum come from? The model is written for one case, and *every case uses a copy of
# the same $W$*. The transpose of copying is adding.

# %%
rop.explain(objective, "vjp")

# %% [markdown]
# ## 3.5 A number that stays
#
# Cut the graph anywhere. On its left, R has come as far as the cut. On its right, the adjoints have
# come back as far as the cut. Add up $da^\top Ra$ over all values that cross it. Each rule and its
# transpose satisfy $u^\top(Ax) = (A^\top u)^\top x$, so moving the cut across a step changes
# nothing. The sum is $u^\top J v$ everywhere.
#
# We cut our network at all nine places. Every bar is one cut: the blue part is what the layers'
# values contribute, the orange part is the parameters that come in further right. As $v$ we take
# the gradient. Then we break one rule: in the *reverse* rule of $\tanh$ the slope becomes $1 -
# \tanh$ instead of $1 - \tanh^2$.
#
# **Predict**: what does the picture of the broken sweep look like?

# %%
STEPS = [node for node in order if node.op is not None]
NAMES = ["θ", "a1", "x2", "y2", "a2", "x3", "y3", "a3", "z"]


def across_cuts(d, R):
    """For every cut, what values and parameters contribute to Σ daᵀRa."""
    rows = []
    for k in range(len(STEPS) + 1):
        later = {parent for step in STEPS[k:] for parent in step.parents} | {z}
        values = [node for node in STEPS[:k] if node in later]
        parameters = [node for node in order if node.kind == "param" and node in later]
        rows.append([sum(np.sum(d[i] * R[i]) for i in group) for group in (values, parameters)])
    return np.array(rows)


value, R_rule, _ = TABLE["tanh"]
SLIP = TABLE | {"tanh": (value, R_rule, lambda z, da: [(1 - np.tanh(z[0])) * da])}

_, R = forward(order, leaves, objective.unpack(gradient), TABLE)
right = across_cuts(d, R)
broken = across_cuts(reverse(order, a, u, SLIP), R)

figure, axes = plt.subplots(1, 2, figsize=(10, 3.4), layout="constrained", sharey=True)
for ax, rows, title in [
    (axes[0], right, "all rules right"),
    (axes[1], broken, "reverse rule of tanh wrong"),
]:
    ax.bar(NAMES, rows[:, 0], color="C0", label="values")
    ax.bar(NAMES, rows[:, 1], bottom=rows[:, 0], color="C1", label="parameters still to come")
    ax.set(title=title, xlabel="cut after", ylim=(0, 1.35 * right[0].sum()))
    ax.spines[["top", "right"]].set_visible(False)
axes[0].set_ylabel("Σ daᵀRa")
axes[0].legend(loc="upper center", ncols=2, frameon=False)

heights = broken.sum(axis=1)
jumps = [NAMES[i + 1] for i in range(8) if abs(heights[i + 1] - heights[i]) > 0.1]

assert np.allclose(right.sum(axis=1), gradient @ gradient)
assert jumps == ["y2", "y3"]

# %% [markdown]
# All bars on the left have the same height: $u^\top J v$, here $\|\nabla f\|^2$. On the right the
# height jumps where the cut crosses a $\tanh$, at `y3` and at `y2`, and nowhere else. The wrong
# rule has given itself away. `rop.check` tests every node by itself, too, and names the guilty one.
#
# ## 3.6 The bill
#
# A forward and a reverse step cost about the same: for $Wx$ both make two products with $W$'s
# shape. But a forward sweep gives a column of $J$ and a reverse sweep a row. We build the whole $J$
# of our network for one digit both ways.

# %%
by_columns = [forward(order, leaves, objective.unpack(e), TABLE)[1][z] for e in np.eye(objective.n)]
by_rows = [
    objective.pack({node.name: d[node] for node in order if node.kind == "param"})
    for d in (reverse(order, a, e, TABLE) for e in np.eye(10))
]
print(f"J is {z.size} × {objective.n}")
print(f"{len(by_columns)} sweeps forwards, {len(by_rows)} sweeps backwards")

assert relative_error(np.column_stack(by_columns), np.array(by_rows)) < 1e-13
assert relative_error(at.J.matrix(), np.array(by_rows)) < 1e-13

# %% [markdown]
# A gradient has one row: one sweep backwards, or 1,930 forwards. This bargain is what makes
# training by gradients affordable. (It works the other way too. $Jv$, one vector for all outputs,
# is one sweep forwards and would take a sweep backwards for each output.)
#
# The price is memory. A forward sweep can forget a value once it has been used. Reverse mode comes
# back for it, so everything is kept until then. A recurrent net over 400 steps shows it, and so
# does the remedy of section 7.1: keep about $\sqrt T$ states, and compute the others again. (We ask
# for the plan; it is made before anything is allocated.)
#
# **Predict**: four times as many steps, how much more memory, without and with the remedy?

# %%
kib = {}
for steps in (100, 400):
    _, last, _ = rop.nets.rnn([2, 20, 1], steps=steps, at=-1)
    recurrent = rop.Objective(last, rop.SquaredError(rop.data("t", 1)))
    batch = {"x": np.zeros((10, steps, 2)), "t": np.zeros((10, 1))}
    start = recurrent.init("glorot", seed=0)
    for keep, checkpoints in [("everything", 0), ("√T states", "sqrt")]:
        there = recurrent.linearize(start, batch, engine="numpy", checkpoints=checkpoints)
        kib[steps, keep] = sum(there.predicted_memory.values()) / 1024
        print(f"T = {steps}, keep {keep}: {kib[steps, keep]:5.0f} KiB")

assert 3.5 < kib[400, "everything"] / kib[100, "everything"] < 4.5
assert kib[400, "√T states"] / kib[100, "√T states"] < 2.2

# %% [markdown]
# ## 3.7 Exercises
#
# Each cell prints "not yet". Repair the code until it prints "solved".
#
# **1.** A layer for a whole batch: cases are the rows of `X`, and `Z = X @ W.T + b` adds the same
# `b` to every row. The transpose for `W` is right, the one for `b` is not.


# %%
def layer(W, b, X):
    return X @ W.T + b


def layer_transposed(dZ, X):
    return dZ.T @ X, dZ.mean(axis=0)


def check_1(layer_transposed):
    X, dZ, W, b = (rng.normal(size=shape) for shape in [(5, 3), (5, 2), (2, 3), 2])
    dW, db = layer_transposed(dZ, X)
    for name, found, array in [("W", dW, W), ("b", db, b)]:
        if np.shape(found) != array.shape:
            return f"not yet: d{name} has shape {np.shape(found)}, {name} has {array.shape}"
    for name, dot, left in [("W", dW * W, dZ * (X @ W.T)), ("b", db * b, dZ * b)]:
        if not np.isclose(np.sum(dot), np.sum(left)):
            return f"not yet: d{name}·{name} is {np.sum(dot):.3f} and should be {np.sum(left):.3f}"
    return "solved"


print(check_1(layer_transposed))

# %% [markdown]
# <details>
# <summary>Solution</summary>
#
# `b` is copied to every case. The transpose of copying is a sum, not a mean. (If $f$ is a mean over
# cases, its $1/N$ is in `dZ` already.)
#
# ```python
# def layer_transposed(dZ, X):
#     return dZ.T @ X, dZ.sum(axis=0)
#
#
# assert check_1(layer_transposed) == "solved"
# ```
#
# </details>
#
# **2.** A convolution with the kernel (1, 2, 3). Its transpose is a convolution too, with padding.
# With a symmetric kernel this code would pass every test: never test with symmetric numbers.

# %%
KERNEL = np.array([1.0, 2.0, 3.0])


def convolve(x):
    """a_i = 1 x_i + 2 x_{i+1} + 3 x_{i+2}."""
    return np.correlate(x, KERNEL, mode="valid")


def convolve_transposed(da):
    return np.correlate(da, KERNEL, mode="full")


def check_2(convolve_transposed):
    for i in range(6):
        x, u = np.eye(8)[i], rng.normal(size=6)
        dx = convolve_transposed(u)
        if np.shape(dx) != x.shape:
            return f"not yet: the shape should be {x.shape}, got {np.shape(dx)}"
        left, right = u @ convolve(x), dx @ x
        if not np.isclose(left, right):
            return f"not yet: in place {i} it is {right:.3f}, but the dot test asks for {left:.3f}"
    return "solved"


print(check_2(convolve_transposed))

# %% [markdown]
# <details>
# <summary>Solution</summary>
#
# Every $a_i$ reads $x_{i+j}$ with weight $k_j$. So $x_i$ hears from $a_{i-j}$ with weight $k_j$:
# the kernel is turned round.
#
# ```python
# def convolve_transposed(da):
#     return np.correlate(da, KERNEL[::-1], mode="full")
#
#
# assert check_2(convolve_transposed) == "solved"
# ```
#
# </details>
#
# **3.** An op of your own. `rop` wants $A$ and $A^\top$ of a linear op, with the cases as axis 0,
# and makes all rules of them. `Differences` takes each element from the next. Something is wrong
# with `AT`; `rop.check` compares every product, and names the rule.


# %%
class Differences(rop.ops.Linear):
    def output_shape(self, shape):
        return (shape[0] - 1,)

    def A(self, z):
        return z[:, 1:] - z[:, :-1]

    def AT(self, da):
        dz = np.zeros((len(da), da.shape[1] + 1))
        dz[:, 1:] += da
        dz[:, :-1] += da
        return dz


def check_3(op):
    w = rop.param("w", 6)
    roughness = rop.Objective(rop.sum(rop.square(op.of(w))))
    here = np.arange(6.0) ** 2
    value = roughness.value(here, engine="numpy")
    if value != np.sum(np.diff(here) ** 2):
        return f"not yet: A is no longer the differences: Σ a² should be 165, got {value:g}"
    report = rop.check(roughness, here, engine="numpy")
    if report.verdict == "pass":
        return "solved"
    return "not yet:\n" + next(
        line for line in str(report).splitlines() if line.startswith("first guilty")
    )


print(check_3(Differences))

# %% [markdown]
# <details>
# <summary>Solution</summary>
#
# $a_i = z_{i+1} - z_i$: the element that is subtracted hears back with a minus.
#
# ```python
# class Differences(Differences):
#     def AT(self, da):
#         dz = np.zeros((len(da), da.shape[1] + 1))
#         dz[:, 1:] += da
#         dz[:, :-1] -= da
#         return dz
#
#
# assert check_3(Differences) == "solved"
# ```
#
# </details>
#
# ## Summary
#
# - Forward mode multiplies columns by the steps' Jacobians. Reverse mode multiplies by their
#   transposes, in reverse order. Only the brackets move.
# - $u^\top(Ax) = (A^\top u)^\top x$ defines the transpose and tests it. Copying and adding are
#   transposes of each other; hence `+=`, and the sums over cases.
# - $\sum da^\top Ra$ is the same across every cut. Where it jumps, a rule is wrong.
# - A gradient is one sweep backwards. It is paid for with memory.
