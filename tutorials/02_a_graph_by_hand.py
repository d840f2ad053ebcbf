# %% [markdown]
# # 2 A graph by hand, and why the order matters
#
# Tutorial 1 walked through a graph "from left to right". Here we look at the walk itself. Section 5
# of Martens & Sutskever (2012) numbers the nodes from 1 to M and visits them in this order; it does
# not say where the order comes from, or what happens in another one. You need the product rule.
#
# We nudge a number, fill in a small graph by hand, forwards and backwards, and run its four steps
# in all 24 orders. Most orders give a wrong derivative, and no error. Then we find a right order
# automatically. Where it says **Predict**, write down your answer before you look at the next cell.

# %%
from collections import Counter
from itertools import permutations

import matplotlib.pyplot as plt
import numpy as np

import rop
from rop.graph import ancestors

# %% [markdown]
# ## 2.1 One nudge, three routes
#
# Hexagons are parameters, boxes are ops. Follow `x` with a finger: it reaches `z` by three routes.

# %%
x, y = rop.param("x"), rop.param("y")
p = (x * y).named("p")
q = (p + x).named("q")
r = (p + y).named("r")
z = (q * r).named("z")

rop.draw(z)

# %% [markdown]
# We compute it at $x = 3$, $y = 2$. Then we nudge `x` by $\varepsilon = 0.001$: `p` becomes 6.002,
# `q` 9.003 and `r` 8.002.
#
# **Predict**: `z` was 72. Which digits follow the point now?


# %%
def f(x, y):
    p = x * y
    q = p + x
    r = p + y
    return q * r


print(f"f(3, 2)     = {f(3, 2)}")
print(f"f(3.001, 2) = {f(3.001, 2):.6f}")

# %% [markdown]
# The first group of three digits is the derivative: 42. The next group, 6, belongs to
# $\varepsilon^2$.

# %%
assert int((f(3.001, 2) - f(3, 2)) / 0.001) == 42

# %% [markdown]
# ## 2.2 Forwards, by hand
#
# Now without a nudge. Every node holds its value $a$ and beside it $Ra$, its factor of
# $\varepsilon$. The leaves are given: $Rx = 1$ and $Ry = 0$, since only `x` moves. Copy the picture
# and fill in both numbers at `p`, `q`, `r` and `z`. Then compare.

# %%
a = {x: 3.0, y: 2.0}
R = {x: 1.0, y: 0.0}

a[p] = a[x] * a[y]
R[p] = R[x] * a[y] + a[x] * R[y]  # product rule (eq. 5)

a[q] = a[p] + a[x]
R[q] = R[p] + R[x]  # linearity (eq. 4)

a[r] = a[p] + a[y]
R[r] = R[p] + R[y]  # linearity

a[z] = a[q] * a[r]
R[z] = R[q] * a[r] + a[q] * R[r]  # product rule

assert a[z] == 72
assert R[z] == 42

# %% [markdown]
# You could not begin with `z`: its rule reads `q` and `r`. You could have done `r` before `q`,
# because neither reads the other. That is the whole condition: **a node comes after its parents**.
# An order that keeps it is called *topological*.
#
# The library agrees. A scalar node is an objective of its own, and `draw` writes the values into
# the nodes.

# %%
objective = rop.Objective(z)
theta, v = objective.pack({"x": 3.0, "y": 2.0}), objective.pack({"x": 1.0, "y": 0.0})
at = objective.linearize(theta, engine="numpy")

assert at.value == a[z]
assert at.jvp(v) == R[z]

rop.draw(objective, at=at, v=v, show="Ra", product="jvp")

# %% [markdown]
# ## 2.3 The 24 orders
#
# Four steps can be put in 24 orders. Many programs reserve an array for the derivatives and fill it
# with zeros before they begin. Then every order runs: a step that comes too early reads a zero.
#
# **Predict**: in how many of the 24 orders is $Rz$ still 42? Which other values can appear?

# %%
RULES = {
    p: lambda R: R[x] * a[y] + a[x] * R[y],
    q: lambda R: R[p] + R[x],
    r: lambda R: R[p] + R[y],
    z: lambda R: R[q] * a[r] + a[q] * R[r],
}


def run(order):
    R = dict.fromkeys(RULES, 0.0) | {x: 1.0, y: 0.0}
    for node in order:
        R[node] = RULES[node](R)
    return R[z]


found = Counter(run(order) for order in permutations(RULES))
right = [order for order in permutations(RULES) if run(order) == 42]

figure, ax = plt.subplots(figsize=(7, 3), layout="constrained")
for value, count in sorted(found.items()):
    bar = ax.bar(f"{value:g}", count, color="C2" if value == 42 else "C7", width=0.6)
    ax.bar_label(bar)
ax.set(xlabel="Rz that comes out", ylabel="number of orders", ylim=(0, 12.5))
ax.spines[["top", "right"]].set_visible(False)

print("right:", *[" ".join(node.name for node in order) for order in right], sep="\n  ")

# %% [markdown]
# Two orders are right, and they are the topological ones. The other 22 return a number that looks
# as good as any other. Eleven of them return 0, which anybody would suspect; 8, 18, 24 and 26 are
# worse.

# %%
assert found[42] == 2
assert all(order.index(p) == 0 and order.index(z) == 3 for order in right)

# %% [markdown]
# So a value that is not computed yet must not be zero. It must be missing. In Python a dictionary
# without the key does that: the wrong order raises a `KeyError`. `rop` leaves such values blank.
# Here we stop after $Rq$; $Rr$ and $Rz$ are still to come.

# %%
stepping = rop.step(at, "jvp", v, until="Rq")
for _ in stepping:
    pass
print(stepping)

assert "Ra" in stepping.values()[q]
assert "Ra" not in stepping.values()[r]

# %% [markdown]
# ## 2.4 Who finds the order?
#
# For six nodes you see it. For a network a program has to find it. The classic way is to visit the
# parents first, and theirs before them:


# %%
def visited(output):
    """The nodes that the output depends on, parents first."""
    order = {}

    def visit(node):
        if node not in order:
            for parent in node.parents:
                visit(parent)
            order[node] = True

    visit(output)
    return list(order)


def parents_first(order):
    place = {node: i for i, node in enumerate(order)}
    return all(place[parent] < place[node] for node in order for parent in node.parents)


print(*[node.name for node in visited(z)])

assert parents_first(visited(z))

# %% [markdown]
# This is right, and it is in many small libraries. It calls itself once per step of the longest
# route, though, and Python allows about a thousand calls inside each other. A recurrent net that
# runs over a long sequence has longer routes.
#
# **Predict**: this chain multiplies by 1.0002 five thousand times. What is its derivative? You know
# the number.

# %%
chain = x
for _ in range(5_000):
    chain = 1.0002 * chain

try:
    visited(chain)
    failure = None
except RecursionError as error:
    failure = type(error).__name__

slope = rop.Objective(chain).linearize([1.0], engine="numpy").gradient()[0]
print(f"visit: {failure}")
print(f"rop:   {slope:.6f}")

assert failure == "RecursionError"
assert abs(slope / np.e - 1) < 2e-4

# %% [markdown]
# It is $1.0002^{5000}$, almost $e$. How does `rop` find the order? It never looks for one. A node
# can only be built from nodes that exist, so **parents are older than their children**. Every node
# remembers when it was created, and `ancestors` sorts by that. Each sweep is then a plain loop. A
# circle cannot even be written down.

# %%
ages = [node.order for node in ancestors(z)]

assert ages == sorted(ages)
assert parents_first(ancestors(z)) and parents_first(ancestors(chain))

# %% [markdown]
# ## 2.5 Backwards, by hand
#
# $Ra$ says how a node moves when the *leaves* move. We can also ask from the other end: how much
# does `z` move if we nudge *this node*, and all that follows moves with it? This is the node's
# adjoint, $da = \partial z / \partial a$.
#
# Begin at the end, with $dz = 1$. Each node passes its adjoint on to its parents, times the slope
# of the edge. Copy the picture once more. `p` has two children, so it gets two contributions, and
# they add up.

# %%
d = dict.fromkeys(a, 0.0) | {z: 1.0}

d[q] += d[z] * a[r]
d[r] += a[q] * d[z]

d[p] += d[r]
d[y] += d[r]

d[p] += d[q]
d[x] += d[q]

d[x] += d[p] * a[y]
d[y] += a[x] * d[p]

print({node.name: adjoint for node, adjoint in d.items()})

assert d[x] == 42
assert at.gradient().tolist() == [d[x], d[y]]

rop.draw(objective, at=at, show="da")

# %% [markdown]
# `x` has 42 again. `y` has 60 besides, for which you would have had to go forwards a second time.
# Tutorial 3 is about this bargain.
#
# The order is turned round: **a node passes its adjoint on after all its children have**. Backwards
# the zeros at the start are harmless, since contributions are added. The order still matters.
#
# **Predict**: what does `x` get if `p` passes its adjoint on too early, when it has heard from `r`
# and not yet from `q`?

# %%
PASS = {
    z: lambda d: {q: d[z] * a[r], r: a[q] * d[z]},
    r: lambda d: {p: d[r], y: d[r]},
    q: lambda d: {p: d[q], x: d[q]},
    p: lambda d: {x: d[p] * a[y], y: a[x] * d[p]},
}


def run_backwards(order):
    d = dict.fromkeys(a, 0.0) | {z: 1.0}
    for node in order:
        for parent, contribution in PASS[node](d).items():
            d[parent] += contribution
    return d[x]


print("z r q p:", run_backwards([z, r, q, p]))
print("z r p q:", run_backwards([z, r, p, q]))

assert run_backwards([z, r, p, q]) == 9 * 2 + 8
assert [order[::-1] for order in permutations(PASS) if run_backwards(order) == 42] == right

# %% [markdown]
# All of this can be watched. The player goes through a program one step at a time, forwards and
# back, and shows what each step reads and writes: in the graph, in the listing and in numbers. Go
# to the start, tick *Predict*, and guess each number before you see it. (GitHub does not show the
# player; Jupyter and the documentation do. With `path="player.html"` it becomes a page for a
# browser.)

# %%
rop.play(at, "gradient")

# %% [markdown]
# ## 2.6 Routes and nodes
#
# There is a second way to see 42. Along one route, the slopes multiply. Over all routes, the
# products add up.

# %%
PLACES = {x: (0, 0), y: (0, 2), p: (1.2, 1), q: (2.4, 0), r: (2.4, 2), z: (3.6, 1)}
SLOPES = {(x, p): a[y], (y, p): a[x], (q, z): a[r], (r, z): a[q]}  # of all other edges: 1
ROUTES = [[x, p, q, z], [x, q, z], [x, p, r, z]]

figure, axes = plt.subplots(1, 3, figsize=(10, 3), layout="constrained")
for ax, route in zip(axes, ROUTES, strict=True):
    steps = list(zip(route, route[1:], strict=False))
    slopes = [SLOPES.get(step, 1) for step in steps]
    for child in RULES:
        for parent in child.parents:
            on = (parent, child) in steps
            style = {"arrowstyle": "-|>", "color": "C3" if on else "0.8", "lw": 2 if on else 1}
            style |= {"shrinkA": 13, "shrinkB": 13}
            ax.annotate("", PLACES[child], PLACES[parent], arrowprops=style)
    for (parent, child), slope in zip(steps, slopes, strict=True):
        middle = np.add(PLACES[parent], PLACES[child]) / 2
        ax.text(*middle, f"{slope:g}", color="C3", ha="center", va="center", backgroundcolor="w")
    for node, place in PLACES.items():
        circle = {"boxstyle": "circle,pad=0.35", "fc": "w", "ec": "C3" if node in route else "0.6"}
        ax.text(*place, node.name, ha="center", va="center", bbox=circle)
    ax.set_title(" · ".join(f"{slope:g}" for slope in slopes) + f" = {np.prod(slopes):g}")
    ax.set(xlim=(-0.4, 4), ylim=(-0.6, 2.6))
    ax.axis("off")

assert sum(np.prod([SLOPES.get(step, 1) for step in zip(route, route[1:], strict=False)])
           for route in ROUTES) == 42  # fmt: skip

# %% [markdown]
# Why not compute it this way? Because routes multiply. In $x \cdot x$ there are two of them, one
# for each factor. Square the result and there are four.
#
# **Predict**: at $x = 1$ every slope is 1, so the derivative of the square of the square of ... is
# just the number of routes. How many are there after 40 squarings, and how many steps does a sweep
# take?

# %%
power = x
for _ in range(40):
    power = power * power

routes = rop.Objective(power).linearize([1.0], engine="numpy").gradient()[0]
print(f"{routes:,.0f} routes, {len(ancestors(power)) - 1} nodes to visit")

assert routes == 2**40

# %% [markdown]
# A million million routes, and a sweep visits 40 nodes, once each. It can do so because at every
# node it adds up what has arrived *before* it goes on. This is what the order is for.
#
# ## 2.7 Exercises
#
# Each cell prints "not yet". Change the code until it prints "solved". The solutions are folded
# below.
#
# **1.** Backpropagation visits the nodes nearest to the output first. So why not sort by the
# distance from the output, far ones first? It works for `z`. In the second graph a connection skips
# a layer, as in a residual net. Repair `in_order`, and let it survive the chain of 5,000.


# %%
def in_order(output):
    """The nodes that the output depends on, parents first."""
    order, level = [], [output]
    while level:
        order += [node for node in level if node not in order]
        level = [parent for node in level for parent in node.parents if parent not in order]
    return order[::-1]


skip = (z + p).named("skip")


def check_1(in_order):
    if not parents_first(in_order(z)):
        return "not yet: in z a child comes before its parent"
    order = in_order(skip)
    if set(order) != set(ancestors(skip)) or len(order) != len(set(order)):
        return "not yet: every node must be listed once"
    if not parents_first(order):
        return f"not yet: {' '.join(node.name for node in order)} has a child before its parent"
    try:
        ordered = parents_first(in_order(chain))
    except RecursionError:
        return "not yet: the chain is too deep for a function that calls itself"
    return "solved" if ordered else "not yet: the chain is out of order"


print(check_1(in_order))

# %% [markdown]
# <details>
# <summary>Solution</summary>
#
# Count how many children a node still waits for. It is ready when none is left. A node that is used
# twice by one child, as in `x * x`, waits for two. (This is Kahn's algorithm, from the output
# backwards.)
#
# ```python
# def in_order(output):
#     found, stack = {output}, [output]
#     while stack:
#         new = set(stack.pop().parents) - found
#         found |= new
#         stack += new
#     waits = Counter(parent for node in found for parent in node.parents)
#     order, ready = [], [output]
#     while ready:
#         node = ready.pop()
#         order.append(node)
#         for parent in node.parents:
#             waits[parent] -= 1
#             if waits[parent] == 0:
#                 ready.append(parent)
#     return order[::-1]
#
#
# assert check_1(in_order) == "solved"
# ```
#
# </details>
#
# **2.** A reverse sweep for sums and products in ten lines. It is right for $x \cdot y$ and wrong
# for $x \cdot x$. The same mistake is in the museum of tutorial 6, under "x·x, half of it".


# %%
def reverse_sweep(output, a):
    """The adjoint of every node, for graphs of add and multiply."""
    d = {output: 1.0}
    for node in reversed(ancestors(output)):
        if node.op is not None:
            left, right = node.parents
            product = node.op.name == "multiply"
            d[left] = d[node] * (a[right] if product else 1.0)
            d[right] = d[node] * (a[left] if product else 1.0)
    return d


square = x * x


def check_2(reverse_sweep):
    d = reverse_sweep(p, {x: 3.0, y: 2.0})
    if d != {p: 1.0, x: 2.0, y: 3.0}:
        return f"not yet: for x·y at (3, 2) the adjoints are 1, 2 and 3, got {d}"
    dx = reverse_sweep(square, {x: 3.0})[x]
    if dx != 6:
        return f"not yet: the derivative of x·x at 3 is 6, got {dx:g}"
    dx = reverse_sweep(z, a)[x]
    return "solved" if dx == 42 else f"not yet: the derivative of z is 42, got {dx:g}"


print(check_2(reverse_sweep))

# %% [markdown]
# <details>
# <summary>Solution</summary>
#
# Add, do not assign. `left` and `right` may be the same node.
#
# ```python
# def reverse_sweep(output, a):
#     d = dict.fromkeys(ancestors(output), 0.0) | {output: 1.0}
#     for node in reversed(ancestors(output)):
#         if node.op is not None:
#             left, right = node.parents
#             product = node.op.name == "multiply"
#             d[left] += d[node] * (a[right] if product else 1.0)
#             d[right] += d[node] * (a[left] if product else 1.0)
#     return d
#
#
# assert check_2(reverse_sweep) == "solved"
# ```
#
# </details>
#
# **3.** The order also decides how much has to be kept. A forward sweep may forget a value after
# its last use. `most_kept` should return the largest number of values that exist at once. This one
# never forgets. (A reverse sweep comes back for the values, which is why it needs more memory: sec.
# 7.1.)


# %%
def most_kept(order):
    kept, most = set(), 0
    for node in order:
        kept.add(node)
        most = max(most, len(kept))
    return most


sines = x
for _ in range(100):
    sines = rop.sin(sines)


def check_3(most_kept):
    for name, output, answer in [("sines", sines, 2), ("z", z, 4)]:
        found = most_kept(ancestors(output))
        if found != answer:
            return f"not yet: for {name} it is {answer}, got {found}"
    return "solved"


print(check_3(most_kept))

# %% [markdown]
# <details>
# <summary>Solution</summary>
#
# A node that is computed needs its place beside its parents. After that, those parents go which no
# later node reads.
#
# ```python
# def most_kept(order):
#     kept, most = set(), 0
#     for i, node in enumerate(order):
#         kept.add(node)
#         most = max(most, len(kept))
#         wanted = {parent for later in order[i + 1 :] for parent in later.parents}
#         kept &= wanted | {order[-1]}
#     return most
#
#
# assert check_3(most_kept) == "solved"
# ```
#
# </details>
#
# ## Summary
#
# - Forwards, a node comes after its parents. Backwards, it comes after its children.
# - In a wrong order a derivative is wrong and nobody complains, unless values that are not computed
#   yet are missing rather than zero.
# - Where a node is used twice, contributions add up.
# - A sweep visits every node once, however many routes there are.
# - In `rop` the order of creation is the order of the sweep.
