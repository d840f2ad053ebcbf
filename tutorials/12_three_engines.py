# %% [markdown]
# # 12 One rule, three engines
#
# A derivative rule is written once. In `rop` three engines run it: one calls NumPy, one is compiled
# by Numba, one runs on a GPU. None of them knows any rule. This tutorial shows how that is
# possible. We build all three in small: a loop over NumPy calls, a machine that reads a table of
# integers, and a kernel for a thousand threads. No GPU is needed, because the kernel runs on a
# stand-in that records what every thread does. You need $Gv$ (tutorial 1).

# %%
from pathlib import Path
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numba
import numpy as np

import rop
from rop.engines.cuda.source import assignments
from rop.ops.expressions import traced

# %% [markdown]
# ## 12.1 Three functions
#
# A new op for elements needs three functions: $s$ and its two derivatives. Take "swish",
# $s(z) = z\,\sigma(z)$ with the logistic function $\sigma$. **Fill in** the first derivative by the
# product rule, in terms of $a = s(z)$ and $\sigma$. Then nudge.


# %%
class Swish(rop.ops.Elementwise):
    """a = z σ(z):  s' = a + σ(z) (1 - a)."""

    @staticmethod
    def s(z):
        return z * (0.5 + 0.5 * np.tanh(0.5 * z))

    @staticmethod
    def ds(z, a):
        sigma = 0.5 + 0.5 * np.tanh(0.5 * z)
        return a + sigma * (1.0 - a)

    @staticmethod
    def d2s(z, a, ds):
        sigma = 0.5 + 0.5 * np.tanh(0.5 * z)
        return ds * (1.0 - sigma) + sigma * (1.0 - sigma) * (1.0 - a)


z = np.linspace(-4, 4, 9)
a, nudge = Swish.s(z), 1e-5

assert np.allclose(Swish.ds(z, a), (Swish.s(z + nudge) - Swish.s(z - nudge)) / (2 * nudge))

# %% [markdown]
# These are plain functions of NumPy, and any engine can call them. For a GPU they must become
# source text. `traced` runs the function once on symbols and notes every operation. **Predict** how
# many there are in $s$.

# %%
print("\n".join(assignments(traced(Swish.s, 1).applications, ["z"], "w")))

assert len(traced(Swish.s, 1).applications) == 5

# %% [markdown]
# `real` is float32 or float64. It matters: Numba turns `0.5 * z` into a float64 even if `z` is
# float32, and on many GPUs that is ten times slower or more (exercise 2).
#
# ## 12.2 A step is a nest of loops
#
# Between the elementwise functions a net has sums of products, such as $R x_2 = R W_1\, x$ for
# every case $n$:
#
# $$R x_2[n, h] = \sum_i R W_1[h, i]\; x[n, i] .$$
#
# Memory is flat: element $[h, i]$ of a $3 \times 4$ array lies at $4 h + i$. So the step is three
# nested loops over $n$, $h$ and $i$, and all that tells the arrays apart is how far each loop moves
# in each of them, its *stride*. **Fill in** the table for 5 cases, 3 hidden units and 4 inputs.
#
# | loop | $n$ | $h$ | $i$ |
# |---|---|---|---|
# | extent | 5 | 3 | 4 |
# | stride in $R x_2$ | 3 | 1 | 0 |
# | stride in $R W_1$ | ? | ? | ? |
# | stride in $x$ | ? | ? | ? |


# %%
def nest(memory, add, t, x, y, extents, in_t, in_x, in_y):
    """memory[t...] = or += Σ memory[x...] · memory[y...], over three loops; the last one sums."""
    for i in range(extents[0]):
        for j in range(extents[1]):
            at = t + i * in_t[0] + j * in_t[1]
            total = memory[at] if add else 0.0
            for k in range(extents[2]):
                first = x + i * in_x[0] + j * in_x[1] + k * in_x[2]
                second = y + i * in_y[0] + j * in_y[1] + k * in_y[2]
                total += memory[first] * memory[second]
            memory[at] = total


rng = np.random.default_rng(0)
RW1, x = rng.normal(size=(3, 4)), rng.normal(size=(5, 4))
memory = np.concatenate([RW1.ravel(), x.ravel(), np.zeros(15)])

nest(memory, False, 32, 0, 12, (5, 3, 4), in_t=(3, 1, 0), in_x=(0, 4, 1), in_y=(4, 0, 1))

assert np.allclose(memory[32:].reshape(5, 3), x @ RW1.T)

# %% [markdown]
# Where an array lacks an index, its stride is 0. Now the reverse rule, $R dy = W^\top R dz$. It
# needs the transpose of $W$. **Predict** what changes in the table, and look at the order in which
# the two nests visit $W$.

# %%
W = np.arange(6).reshape(2, 3)  # every element is its place in memory
forward = [3 * z + 1 * h for z in range(2) for h in range(3)]  # Rz[z] = Σ_h W[z, h] Ry[h]
reverse = [1 * h + 3 * z for h in range(3) for z in range(2)]  # Rdy[h] = Σ_z W[z, h] Rdz[z]

figure, ax = plt.subplots(figsize=(6, 2.8), layout="constrained")
ax.plot(forward, "o-", label="W y: strides 3 and 1")
ax.plot(reverse, "s-", label="Wᵀ dz: strides 1 and 3")
ax.set(xlabel="visit", ylabel="place in memory", title="A 2 × 3 matrix and its transpose")
ax.legend()

assert forward == W.ravel().tolist() and reverse == W.T.ravel().tolist()

# %% [markdown]
# Two numbers are exchanged, and nothing is moved. This is why one rule is enough for all
# directions: a bilinear map *is* its nest of loops, and each of its adjoints is the same nest with
# the arrays in other roles.
#
# ## 12.3 The NumPy engine
#
# Here is the whole of $Gv$ for a net $z = W_2\, s(W_1 x)$ with squared error, algorithm 5, as a
# list of steps. Each has a target, its indices, two operands with theirs, and whether it adds to
# the target. An index that the target lacks is summed.

# %%
GV = [
    ("Rx2", "nh", "RW1", "hi", "x", "ni", False),
    ("Ry2", "nh", "s'", "nh", "Rx2", "nh", False),
    ("Rz", "nz", "RW2", "zh", "y2", "nh", False),
    ("Rz", "nz", "W2", "zh", "Ry2", "nh", True),
    ("Rdz", "nz", "Rz", "nz", "1/N", "", False),
    ("RdW2", "zh", "Rdz", "nz", "y2", "nh", False),
    ("Rdy2", "nh", "W2", "zh", "Rdz", "nz", False),
    ("Rdx2", "nh", "s'", "nh", "Rdy2", "nh", False),
    ("RdW1", "hi", "Rdx2", "nh", "x", "ni", False),
]

# %% [markdown]
# Compare it with what `rop` prints for the same net.

# %%
x, t = rop.data("x", 4), rop.data("t", 2)
W1, W2 = rop.param("W1", (3, 4)), rop.param("W2", (2, 3))
objective = rop.Objective(W2 @ Swish.of(W1 @ x), rop.SquaredError(t))

rop.explain(objective, "ggnvp")

# %% [markdown]
# The first engine is a loop. Each step becomes one call of NumPy, and `einsum` understands the
# indices as they are.


# %%
def numpy_engine(steps, arrays):
    for target, to, first, of_first, second, of_second, add in steps:
        term = np.einsum(f"{of_first},{of_second}->{to}", arrays[first], arrays[second])
        arrays[target] = arrays[target] + term if add else term
    return arrays


N = 5
theta, v = rng.normal(size=objective.n), rng.normal(size=objective.n)
batch = {"x": rng.normal(size=(N, 4)), "t": np.zeros((N, 2))}
weights, direction = objective.unpack(theta), objective.unpack(v)
x2 = batch["x"] @ weights["W1"].T

given = {
    "x": batch["x"],
    "W2": weights["W2"],
    "y2": Swish.s(x2),
    "s'": Swish.ds(x2, Swish.s(x2)),
    "RW1": direction["W1"],
    "RW2": direction["W2"],
    "1/N": np.array(1 / N),
}
found = numpy_engine(GV, dict(given))
at = objective.linearize(theta, batch, engine="numpy")
truth = at.ggnvp(v)

assert np.allclose(objective.pack({"W1": found["RdW1"], "W2": found["RdW2"]}), truth)

# %% [markdown]
# `rop`'s NumPy engine is this loop. `rop.step` stops after each of its steps, shows the numbers,
# and can compare a step with a finite difference. **Predict** how many steps it makes for each $v$.

# %%
steps = [step for step in rop.step(at, "ggnvp", v) if not step.once]
print(steps[0])
print(steps[0].check())

assert [step.name for step in steps] == [target for target, *_ in GV]

# %% [markdown]
# The engine is easy to read and to trust. But for small arrays a call of NumPy takes longer than
# its arithmetic.
#
# ## 12.4 The Numba engine: a tape machine
#
# The second engine pays for one call in all. All arrays go into one flat memory, and every step
# becomes a row of 16 integers: whether it adds, three places, three extents, nine strides.
# **Predict** the row of the first step, with your table from 12.2.

# %%
SIZES = {"n": N, "h": 3, "i": 4, "z": 2}


def strides(indices, loops):
    """How far each loop moves in an array with these indices."""
    step, found = 1, {}
    for index in reversed(indices):
        found[index], step = step, step * SIZES[index]
    return [found.get(loop, 0) for loop in loops]


def assemble(steps):
    """The table of a program, the place of each array, and the size of the memory."""
    places, end = {}, 0
    for target, to, first, of_first, second, of_second, _ in steps:
        for name, indices in [(first, of_first), (second, of_second), (target, to)]:
            if name not in places:
                places[name], end = end, end + int(np.prod([SIZES[i] for i in indices]))
    table = []
    for target, to, first, of_first, second, of_second, add in steps:
        summed = "".join(sorted(set(of_first + of_second) - set(to)))
        loops = to + (summed or " ")
        row = [int(add), places[target], places[first], places[second]]
        row += [SIZES.get(loop, 1) for loop in loops]
        for indices in (to, of_first, of_second):
            row += strides(indices, loops)
        table.append(row)
    return np.array(table), places, end


table, places, size = assemble(GV)
print("add  places      extents    strides")
print(table[0, :1], table[0, 1:4], table[0, 4:7], table[0, 7:10], table[0, 10:13], table[0, 13:])

assert table[0, 4:7].tolist() == [5, 3, 4]
assert table[0, 7:].tolist() == [3, 1, 0, 0, 4, 1, 4, 0, 1]

# %% [markdown]
# The machine that runs such a table has nothing to do with nets. It is the function `nest`, once
# for every row.


# %%
def machine(table, memory):
    for add, t, x, y, *numbers in table:
        nest(memory, add, t, x, y, numbers[:3], numbers[3:6], numbers[6:9], numbers[9:])


def loaded():
    """The memory, with what is given."""
    memory = np.zeros(size)
    for name, array in given.items():
        memory[places[name] : places[name] + array.size] = array.ravel()
    return memory


def result(memory):
    shapes = {"RdW1": (3, 4), "RdW2": (2, 3)}
    parts = {
        name: memory[places[name] : places[name] + np.prod(shape)].reshape(shape)
        for name, shape in shapes.items()
    }
    return objective.pack({"W1": parts["RdW1"], "W2": parts["RdW2"]})


memory = loaded()
machine(table, memory)

assert np.allclose(result(memory), truth)

# %% [markdown]
# In Python this is slow. But it uses only loops, integers and one array, and these are what Numba
# compiles. We compile the same two functions. (Numba wants the numbers of a row as slices, so the
# machine changes by a line.)

# %%
fast_nest = numba.njit(nest)


@numba.njit
def fast_machine(table, memory):
    for row in table:
        fast_nest(memory, row[0], row[1], row[2], row[3], row[4:7], row[7:10], row[10:13], row[13:])


memory = loaded()
fast_machine(table, memory)

assert np.allclose(result(memory), truth)

# %% [markdown]
# **Predict** how often it must be compiled for another program: a gradient, an $Hv$, a net with
# other sizes.

# %%
TRANSPOSED = [("dx", "ni", "W1", "hi", "dx2", "nh", False)]
other_table, other_places, other_size = assemble(TRANSPOSED)
fast_machine(other_table, np.ones(other_size))

print("compiled versions:", len(fast_machine.signatures))

assert len(fast_machine.signatures) == 1

# %% [markdown]
# Never again. The program is data. A recurrent net with ten thousand steps has a longer table and
# the same machine; `rop`'s is compiled once for each dtype and kept on disk. (It also hands rows
# that are matrix products to BLAS, and elementwise functions to NumPy's inner loops.)

# %% [markdown]
# ## 12.5 The GPU engine: one thread for each element
#
# A GPU runs the same function in thousands of threads. Each asks for its number and does its share.
# For a nest the share is one element of the target: a thread works out its indices from its number,
# and sums.


# %%
def kernel(memory, row):
    add, t, x, y = row[:4]
    extents, in_t, in_x, in_y = row[4:7], row[7:10], row[10:13], row[13:]
    number = cuda.grid(1)
    if number >= extents[0] * extents[1]:
        return
    i, j = number // extents[1], number % extents[1]
    at = t + i * in_t[0] + j * in_t[1]
    total = memory[at] if add else 0.0
    for k in range(extents[2]):
        first = x + i * in_x[0] + j * in_x[1] + k * in_x[2]
        second = y + i * in_y[0] + j * in_y[1] + k * in_y[2]
        total += memory[first] * memory[second]
    memory[at] = total


# %% [markdown]
# There is no GPU here, so we need a stand-in for `cuda`. It runs the threads one after another and
# writes down every read and every write. (The idea is that of Sasha Rush's *GPU Puzzles*.) Threads
# of a block can wait for each other at a barrier. A kernel with barriers is a generator here, and a
# barrier is a `yield`: every thread runs to its next `yield`, and then the next phase begins.


# %%
class Recorded:
    """An array that notes who reads and writes what, and in which phase."""

    def __init__(self, array, name):
        self.array, self.name, self.dtype = np.asarray(array), name, np.asarray(array).dtype

    def __getitem__(self, index):
        cuda.log.append((cuda.phase, cuda.threadIdx.x, self.name, int(index), "reads"))
        return self.array[index]

    def __setitem__(self, index, value):
        cuda.log.append((cuda.phase, cuda.threadIdx.x, self.name, int(index), "writes"))
        self.array[index] = value


class StandIn:
    """What a kernel needs of numba.cuda, for one block of threads."""

    def __init__(self):
        self.threadIdx, self.blockIdx = SimpleNamespace(x=0), SimpleNamespace(x=0, y=0)
        self.gridDim, self.shared = SimpleNamespace(x=1, y=1), SimpleNamespace(array=self._shared)
        self.phase, self.log, self._block = 0, [], None

    def grid(self, dimensions):
        return self.threadIdx.x

    def jit(self, function):
        return function

    def _shared(self, size, dtype):
        if self._block is None:
            self._block = Recorded(np.zeros(size, dtype), "shared")
        return self._block

    def launch(self, kernel, threads, *arguments):
        """Run a kernel; returns the log."""
        self.phase, self.log, self._block = 0, [], None
        running = []
        for thread in range(threads):
            self.threadIdx.x = thread
            started = kernel(*arguments)  # a kernel without barriers is done by now
            if started is not None:
                running.append((thread, started))
        while running:
            for thread, generator in list(running):
                self.threadIdx.x = thread
                if next(generator, "end") == "end":
                    running.remove((thread, generator))
            self.phase += 1
        return self.log


cuda = StandIn()

flat = loaded()
for row in table.tolist():
    cuda.launch(kernel, 16, Recorded(flat, "memory"), row)

assert np.allclose(result(flat), truth)

# %% [markdown]
# The same $Gv$, for the third time. Now look at the log of the step
# $R dW_2 = \sum_n R dz\; y_2^\top$, whose target has six elements. **Predict:** how many threads
# are idle, and does any place have two writers?


# %%
def draw(ax, log, name, phase=0, label=True):
    """Threads against places in memory: dots are reads, squares are writes."""
    dot, square = {"marker": ".", "color": "C0"}, {"marker": "s", "ec": "C1", "fc": "none", "s": 60}
    for action, style in [("reads", dot), ("writes", square)]:
        at = [
            (place, thread)
            for p, thread, array, place, done in log
            if p == phase and array == name and done == action
        ]
        if at:
            ax.scatter(*zip(*at, strict=True), label=action, **style)
    if label:
        ax.legend(loc="upper right", fontsize=8)


step = table.tolist()[5]
log = cuda.launch(kernel, 8, Recorded(loaded(), "memory"), step)

figure, ax = plt.subplots(figsize=(9, 3), layout="constrained")
draw(ax, log, "memory")
for name in ("y2", "Rdz", "RdW2"):
    ax.axvline(places[name] - 0.5, color="grey", linewidth=0.8)
    ax.text(places[name], 8.2, name, fontsize=9)
ax.set(xlabel="place in memory", ylabel="thread", ylim=(-0.7, 9), yticks=range(8))
ax.set_title("One step on the GPU: who reads and writes what")

writers = [place for _, _, _, place, done in log if done == "writes"]

assert {thread for _, thread, *_ in log} == set(range(6))
assert sorted(writers) == list(range(places["RdW2"], places["RdW2"] + 6))

# %% [markdown]
# Two of eight threads find nothing to do. All others read what they like, and each writes to a
# place of its own. So the order of the threads does not matter.
#
# ## 12.6 A sum, and barriers
#
# One kind of step does not suit one thread for each element: a sum over 10,000 cases into one
# number. A single thread would do all of it. So several threads share the work and then add up
# their parts, in pairs, as a tree. Here the order does matter, and barriers keep it.
#
# This kernel is not ours. It is the source that `rop` runs on GPUs, read from its file. We print
# its end, and give it to the stand-in.

# %%
file = Path(rop.__file__).parent / "engines" / "cuda" / "kernels.py"
source = file.read_text()
reduce_source = source[source.index("def reduce") :]
print(reduce_source[reduce_source.index("    place = lane") :])


def from_source(text, threads):
    """rop's kernel for the stand-in: a barrier becomes a yield."""
    space = {"cuda": cuda, "THREADS": threads, "EXTENT": 0, "TARGET": 1, "X": 2, "Y": 3}
    exec(text.replace("cuda.syncthreads()", "yield"), space)
    return space["reduce"]


def sum_of(numbers, reduce, threads=8):
    """Sum numbers with 8 threads; returns the sum and the log."""
    total = np.zeros(1)
    x, t = Recorded(numbers, "x"), Recorded(total, "t")
    loops = np.array([[len(numbers), 0, 1, 0]])  # extent; strides of target, x and y
    log = cuda.launch(
        reduce, threads, t, 0, x, 0, x, 0, loops, 0, 1, 1, len(numbers), 1.0, False, False, 8, True
    )
    return total[0], log


numbers = rng.normal(size=16)
total, log = sum_of(numbers, from_source(reduce_source, 8))

figure, axes = plt.subplots(1, 4, figsize=(10, 3), sharey=True, layout="constrained")
for phase, ax in enumerate(axes):
    draw(ax, log, "shared", phase, label=phase == 1)
    ax.set(xlabel="shared memory", title=f"phase {phase}", xticks=range(8), yticks=range(8))
    ax.set(xlim=(-0.6, 7.6), ylim=(-0.6, 7.6))
axes[0].set_ylabel("thread")

assert np.isclose(total, numbers.sum())

# %% [markdown]
# In phase 0 every thread puts its part of the sum into shared memory. Then half of the threads add
# the other half's parts, then a quarter, then one. After $\log_2 8 = 3$ rounds the sum is at place
# 0.
#
# What if a barrier is missing? **Predict:** can thread 0 read a place before its owner has written
# it? A *race* is a place that one thread writes and another reads or writes in the same phase. The
# log tells.


# %%
def races(log):
    """Places that one thread writes while another reads or writes them."""
    found = set()
    for phase, thread, name, place, done in log:
        for other_phase, other, other_name, other_place, _ in log:
            same = (phase, name, place) == (other_phase, other_name, other_place)
            if same and other != thread and done == "writes":
                found.add((phase, name, place))
    return sorted(found)


broken = reduce_source.replace("        cuda.syncthreads()\n        half", "        half")
wrong, log_of_broken = sum_of(numbers, from_source(broken, 8))
print("with both barriers:", races(log))
print("without the second:", races(log_of_broken))

assert races(log) == [] and len(races(log_of_broken)) > 0
assert not np.isclose(wrong, total)

# %% [markdown]
# On the stand-in the sum is wrong too, since it runs one thread after the other. On a GPU 32
# threads usually go in step, and the sum may be right a thousand times before it is wrong once. A
# test that compares numbers can miss a race. The log cannot, and it needs no GPU.
#
# ## 12.7 All three agree
#
# Back to `rop`. Its engines run the swish of 12.1, and they know nothing of it but its three
# functions. All products must agree to rounding. (On a machine with a GPU, add "cuda" to the list.)

# %%
x, t = rop.data("x", 64), rop.data("t", 10)
W1, b1 = rop.param("W1", (30, 64)), rop.param("b1", 30)
W2, b2 = rop.param("W2", (10, 30)), rop.param("b2", 10)
net = rop.Objective(W2 @ Swish.of(W1 @ x + b1) + b2, rop.SoftmaxCrossEntropy(t))

images = {name: array[:200].astype(float) for name, array in rop.datasets.digits().train.items()}
theta = net.init("glorot", seed=0)
v = rng.normal(size=net.n)

products = {}
for engine in ("numpy", "numba"):
    at = net.linearize(theta, images, engine=engine)
    products[engine] = np.array([at.gradient(), at.ggnvp(v), at.hvp(v)])

difference = np.abs(products["numba"] - products["numpy"]).max() / np.abs(products["numpy"]).max()
print(f"largest difference below 1e-13: {difference < 1e-13}")

few = {name: array[:8] for name, array in images.items()}
report = rop.check(net, theta, few)
print(f"against finite differences: {report.verdict}")

assert difference < 1e-13 and report.ok

# %% [markdown]
# ## 12.8 Exercises
#
# Change each attempt until its check says "solved".
#
# **1.** The forward step is `("z", "nz", "W", "zh", "y", "nh", False)`. Write its two adjoints,
# $dy = W^\top dz$ and $dW = \sum_n dz\, y^\top$. The check uses $\langle dz, z \rangle$, which must
# not change when a factor moves from one side to the other.

# %%
adjoints = [
    ("dy", "nh", "dz", "nz", "W", "hz", False),
    ("dW", "zh", "y", "nh", "dz", "nz", False),
]


def check_1(adjoints):
    arrays = {
        "W": rng.normal(size=(2, 3)),
        "y": rng.normal(size=(5, 3)),
        "dz": rng.normal(size=(5, 2)),
    }
    made = [step[0] for step in adjoints if len(step) == 7]
    if sorted(made) != ["dW", "dy"] or len(adjoints) != 2:
        return f"not yet: there should be two steps of seven entries, for dy and dW, got {made}"
    try:
        found = numpy_engine(adjoints, dict(arrays))
    except ValueError:
        return "not yet: an index stands for two different extents"
    except KeyError as missing:
        return f"not yet: there is no {missing} to read or to add to"
    for name in ("y", "W"):
        if found[f"d{name}"].shape != arrays[name].shape:
            wanted = f"{name} has {arrays[name].shape}"
            return f"not yet: d{name} has the shape {found[f'd{name}'].shape}, {wanted}"
        other = arrays | {name: rng.normal(size=arrays[name].shape)}
        left = np.sum(found[f"d{name}"] * other[name])
        right = np.sum(arrays["dz"] * np.einsum("zh,nh->nz", other["W"], other["y"]))
        if not np.isclose(left, right):
            return f"not yet: ⟨d{name}, {name}⟩ is {left:.3f}, but ⟨dz, z⟩ is {right:.3f}"
    return "solved"


print(check_1(adjoints))

# %% [markdown]
# <details>
# <summary>Solution</summary>
#
# Keep every array's own indices. The strides then do the transposing.
#
# ```python
# adjoints = [
#     ("dy", "nh", "dz", "nz", "W", "zh", False),
#     ("dW", "zh", "dz", "nz", "y", "nh", False),
# ]
#
# assert check_1(adjoints) == "solved"
# ```
#
# </details>
#
# **2.** In NumPy, `0.5 * z` is float32 if `z` is. In Numba it is not. Write the logistic function
# so that it stays in float32 there too.


# %%
def logistic(z):
    return 0.5 + 0.5 * np.tanh(0.5 * z)


def check_2(logistic):
    compiled = numba.njit(logistic)
    for z in (0.3, -2.0, 5.0):
        value, right = compiled(np.float32(z)), 1 / (1 + np.exp(-z))
        if value is None or not np.isclose(value, right, rtol=0, atol=1e-6):
            return f"not yet: at {z} it should be {right:.4f}, got {value}"
    (kept,) = compiled.overloads.values()
    if kept.signature.return_type != numba.float32:
        return f"not yet: Numba makes it {kept.signature.return_type}"
    parts = [part for part in kept.type_annotation.calltypes.values() if part is not None]
    if any(part.return_type == numba.float64 for part in parts):
        return "not yet: it returns float32, but computes in float64"
    return "solved"


print(check_2(logistic))

# %% [markdown]
# <details>
# <summary>Solution</summary>
#
# The constants must be float32 themselves. That is the `real(0.5)` in 12.1.
#
# ```python
# half = np.float32(0.5)
#
#
# def logistic(z):
#     return half + half * np.tanh(half * z)
#
#
# assert check_2(logistic) == "solved"
# ```
#
# </details>
#
# **3.** This kernel sums eight numbers, one for each thread. Remember that a barrier is a `yield`.
# Remove the race; `cuda.shared.array(8, x.dtype)` gives all threads the same eight places.


# %%
def sum_kernel(x, t):
    thread = cuda.threadIdx.x
    t[0] = t[0] + x[thread]


def check_3(sum_kernel):
    for numbers in (np.arange(8.0), np.arange(8.0) ** 2):
        total, right = np.zeros(1), numbers.sum()
        log = cuda.launch(sum_kernel, 8, Recorded(numbers, "x"), Recorded(total, "t"))
        if total[0] != right:
            return f"not yet: the sum is {total[0]}, not {right}"
        if any(name == "x" and done == "writes" for _, _, name, _, done in log):
            return "not yet: the sum is right, but x is no longer what it was"
        if races(log):
            phase, name, place = races(log)[0]
            return f"not yet: the sum is right, with a race in phase {phase} at {name}[{place}]"
    return "solved"


print(check_3(sum_kernel))

# %% [markdown]
# <details>
# <summary>Solution</summary>
#
# A tree, with a barrier after every round. (One thread that sums all eight has no race either. It
# is right, and slow.)
#
# ```python
# def sum_kernel(x, t):
#     thread, parts = cuda.threadIdx.x, cuda.shared.array(8, x.dtype)
#     parts[thread] = x[thread]
#     yield
#     half = 4
#     while half > 0:
#         if thread < half:
#             parts[thread] = parts[thread] + parts[thread + half]
#         yield
#         half //= 2
#     if thread == 0:
#         t[0] = parts[0]
#
#
# assert check_3(sum_kernel) == "solved"
# ```
#
# </details>
#
# ## Summary
#
# - A rule becomes nests of loops. A nest is a few integers, and its adjoint is the same nest in
#   other roles.
# - The NumPy engine calls NumPy for each step. The Numba engine compiles one machine, and programs
#   are data to it. On the GPU every element has a thread.
# - What is written once has to be right once, and is checked in all engines.
