"""Answers that readers may give to the exercises of lessons 7 to 12, as code for their checkers.

``RIGHT`` has answers, besides the printed solution, that are as good. ``WRONG`` has answers that a
checker must refuse, each with words that its message must have. ``PREPARED`` is run before them.
"""

CG = """
def cg_with(guards=(0, 0), tolerance=lambda b: 1e-6 * np.linalg.norm(b), before=lambda b: b.copy()):
    def solver(A, b):
        x, r = np.zeros_like(b), before(b)
        p = r.copy()
        for _ in range(400):
            Ap = A @ p
            alpha = (r @ r) / (p @ Ap + guards[0])
            x = x + alpha * p
            r_new = r - alpha * Ap
            if np.linalg.norm(r_new) < tolerance(b):
                break
            p = r_new + (r_new @ r_new) / (r @ r + guards[1]) * p
            r = r_new
        return x
    return solver


def stopping(s, k=lambda j: max(10, j // 10), returned=lambda j, q: j):
    def rule(q, f):
        for j in range(11, len(q)):
            if s(q, f, j, j - k(j)) < 1e-4:
                return returned(j, q)
    return rule


by_q = lambda q, f, j, i: (q[j] - q[i]) / q[j]
"""

KERNELS = """
def one_thread(x, t):
    if cuda.threadIdx.x == 0:
        t[0] = sum(x[i] for i in range(8))


def neighbours(x, t):
    thread, parts = cuda.threadIdx.x, cuda.shared.array(8, x.dtype)
    parts[thread] = x[thread]
    yield
    stride = 1
    while stride < 8:
        if thread % (2 * stride) == 0:
            parts[thread] += parts[thread + stride]
        yield
        stride *= 2
    if thread == 0:
        t[0] = parts[0]


def tree(first=True, between=True, by=4):
    def kernel(x, t):
        thread, parts = cuda.threadIdx.x, cuda.shared.array(8, x.dtype)
        parts[thread] = x[thread]
        if first:
            yield
        half = by
        while half > 0:
            if thread < half:
                parts[thread] = parts[thread] + parts[thread + half]
            if between:
                yield
            half //= 2
        if thread == 0:
            t[0] = parts[0]
    return kernel


def in_x(x, t):
    thread, half = cuda.threadIdx.x, 4
    while half > 0:
        if thread < half:
            x[thread] = x[thread] + x[thread + half]
        yield
        half //= 2
    if thread == 0:
        t[0] = x[0]


def waits_in_turn(x, t):
    for turn in range(8):
        if turn == cuda.threadIdx.x:
            t[0] = t[0] + x[turn]
        yield


def known(x, t):
    if cuda.threadIdx.x == 0:
        t[0] = 28.0


def last_writes(x, t):
    t[0] = sum(x[i] for i in range(8))


def nothing(x, t):
    pass


dy, dW = ("dy", "nh", "dz", "nz", "W", "zh", False), ("dW", "zh", "dz", "nz", "y", "nh", False)
f32 = np.float32
"""

UPDATES = """
def by_cg(at, lam, b, steps=20):
    return rop.hf.pcg(lambda v: at.ggnvp(v) + lam * v, b, max_steps=steps)


def weighed(p, weight, b):
    return rop.hf.pcg(lambda v: weight * p.ggnvp(v), b, residual=1e-13).x
"""

STEP_SIZE = """
def hat(factor=4, sign=-1, power=2):
    def alpha_hat(n, t, b, s, L):
        bracket = n**2 * (1 - b) + sign * n * (b - b**t) * s
        return factor * bracket / (3 * L * (1 - b**t) ** power * s)
    return alpha_hat
"""

PREPARED = {"07": CG, "09": UPDATES, "11": STEP_SIZE, "12": KERNELS}

RIGHT = {
    "07": {
        "check_1": [
            "V50[:, [3, 4, 5]].sum(1)",
            "list(V50[:, 3] - 2 * V50[:, 4] + 3 * V50[:, 7])",
            "1e-9 * (V50[:, 0] + V50[:, 25] + V50[:, 49])",
            "A50 @ (V50[:, 1] + V50[:, 20] + V50[:, 30])",
        ],
        "check_2": [
            "stopping(by_q)",
            "stopping(lambda q, f, j, i: 1 - q[i] / q[j])",
            "stopping(lambda *given: abs(by_q(*given)), returned=lambda j, q: np.int64(j))",
            "stopping(by_q, k=lambda j: int(max(10, j / 10)))",
        ],
        "check_3": [
            "np.linalg.solve",
            "lambda A, b: rop.hf.pcg(A, b, residual=1e-9).x",
            "cg_with(tolerance=lambda b: 1e-8 * np.sqrt(b @ b))",
        ],
    },
    "08": {
        "check_1": [
            "lambda B, g, C: -np.linalg.solve(B @ C, g)",
            "lambda B, g, C: -np.linalg.inv(C) @ np.linalg.inv(B) @ g",
            "lambda B, g, C: np.linalg.solve(C.T @ B @ C, -C.T @ g)",
            "lambda B, g, C: list(np.einsum('ij,j', np.linalg.inv(B @ C), -g))",
        ],
        "check_2": [
            "lambda a, b, q: (b - a) / q if b < a else -np.inf",
            "lambda a, b, q: -float('inf') if not b <= a else (a - b) / -q",
            "lambda a, b, q: np.where(b <= a, (b - a) / q, -np.inf)",
            "lambda a, b, q: (b - a) / q if b <= a and q < 0 else -np.inf",
        ],
        "check_3": [
            "lambda B, alpha: B / alpha",
            "lambda B, alpha: (B / alpha).tolist()",
            "lambda B, alpha: np.linalg.inv(alpha * np.linalg.inv(B))",
        ],
    },
    "09": {
        "check_1": [
            "lambda at, lam: -by_cg(at, lam, at.gradient()).x",
            "lambda at, lam: by_cg(at, lam, -at.gradient(), steps=60).x",
        ],
        "check_2": [
            "lambda s, p: -np.linalg.solve(p.G.matrix(), s.gradient())",
            "lambda s, p: weighed(p, p.cases, -p.cases * s.gradient())",
            "lambda s, p: list(rop.hf.pcg(p.ggnvp, -s.gradient(), residual=1e-13).x)",
        ],
        "check_3": ["np.float32(0.95)"],
    },
    "10": {
        "check_1": [
            "lambda h, Rh: Rh * (Rh / ((1 - h) * (1 + h)))",
            "lambda h, Rh: (1 - h**2) * (Rh / (1 - h**2)) ** 2",
            "lambda h, Rh: np.divide(Rh * Rh, 1 - h * h, out=Rh)",
        ],
        "check_2": [
            "lambda at, v, lam, mu: at.ggnvp(v) + lam * (v + mu * Sv)",
            "lambda at, v, lam, mu: np.add(at.ggnvp(v, mu * lam), lam * v)",
            "lambda at, v, lam, mu: list(at.ggnvp(v, lam * mu) + lam * v)",
        ],
        "check_3": ["8", "12"],
    },
    "11": {
        "check_1": [
            "hat()",
            "lambda *given: np.float64(4) * hat(factor=1)(*given)",
        ],
        "check_2": ["lambda e, s: 1 / (1 + 2 * s / e)", "lambda e, s: np.divide(e, e + s + s)"],
        "check_3": ["2.0, 50.0"],
    },
    "12": {
        "check_1": [
            "[dW, dy]",
            "[list(dy), list(dW)]",
            "[(*s[:2], *s[4:6], *s[2:4], False) for s in (dy, dW)]",
        ],
        "check_2": [
            "lambda z: f32(1) / (f32(1) + np.exp(-z))",
            "lambda z: f32(0.5) * (f32(1) + np.tanh(f32(0.5) * z))",
            "lambda z: np.exp(z) / (np.exp(z) + f32(1))",
        ],
        "check_3": ["one_thread", "neighbours", "tree()", "waits_in_turn"],
    },
}

WRONG = {
    "07": {
        "check_1": {
            "np.zeros(50)": "0 steps",
            "V50[:, 0]": "1 steps",
            "V50[:, :2].sum(1)": "2 steps; b has a part along 2",
            "V50[:, :4].sum(1)": "4 steps",
            "np.eye(50)[0] + np.eye(50)[20] + np.eye(50)[49]": "along 50",
            "V50[0] + V50[20] + V50[49]": "along 50",
            "V50[:, :3]": "shape (50,), got (50, 3)",
            "None": "shape (50,), got ()",
        },
        "check_2": {
            "lambda q, f: None": "never stops",
            "stopping(lambda q, f, j, i: 1)": "never stops",
            "stopping(lambda q, f, j, i: abs((q[j] - q[i]) / (f + q[j])))": "stops at step 1",
            "stopping(lambda q, f, j, i: (q[j] - q[i]) / f)": "step 11",
            "stopping(lambda q, f, j, i: q[j] - q[i])": "step 11",
            "stopping(by_q, k=lambda j: 1)": "stops at step",
            "stopping(by_q, k=lambda j: 10)": "stops at step",
            "stopping(by_q, returned=lambda j, q: q[j])": "number of a step",
            "stopping(by_q, returned=lambda j, q: j - 1)": "stops at step",
            "lambda q, f: 299": "stops at step 299",
        },
        "check_3": {
            "note_cg": "0.001",
            "cg_with((1e-10, 1e-10))": "relative residual",
            "cg_with((1e-10, 0))": "relative residual",
            "cg_with((0, 1e-10))": "relative residual",
            "cg_with(tolerance=lambda b: 1e-6)": "relative residual",
            "cg_with(tolerance=lambda b: 1e-14)": "1e-12",
            "cg_with(before=lambda b: -b)": "relative residual is 2",
            "lambda A, b: b": "relative residual",
            "lambda A, b: b * np.nan": "nan",
            "lambda A, b: 2 * np.linalg.solve(A, b)": "relative residual is 1",
            "lambda A, b: None": "shape (50,), got ()",
            "lambda A, b: np.linalg.solve(A, b)[:, None]": "shape (50,), got (50, 1)",
        },
    },
    "08": {
        "check_1": {
            "lambda B, g, C: -np.linalg.solve(C.T, np.linalg.solve(B, g))": "a random C",
            "lambda B, g, C: np.linalg.inv(B @ C) @ g": "-1 times the right one, for C = I",
            "lambda B, g, C: -2 * np.linalg.solve(B @ C, g)": "2 times the right one",
            "lambda B, g, C: -C @ np.linalg.solve(B, g)": "a random C",
            "lambda B, g, C: -np.linalg.solve(B, np.linalg.solve(C, g))": "a random C",
            "lambda B, g, C: -np.linalg.solve(B, g)": "a random C",
            "lambda B, g, C: g": "off",
            "lambda B, g, C: g * np.nan": "off",
            "lambda B, g, C: None": "shape should be (6,), got ()",
            "lambda B, g, C: -np.linalg.solve(B @ C, g[:, None])": "got (6, 1)",
        },
        "check_2": {
            "lambda a, b, q: (a - b) / q if b <= a else -np.inf": "a perfect step, ρ = -1",
            "lambda a, b, q: (a - b) if b <= a else -np.inf": "small perfect step",
            "lambda a, b, q: 1.0 if b <= a else -np.inf": "half of what",
            "lambda a, b, q: q / (b - a) if b <= a else -np.inf": "half of what",
            "lambda a, b, q: (b - a) / q if q < 0 else -np.inf": "not a number",
            "lambda a, b, q: -np.inf if b > a else (b - a) / q": "not a number",
            "lambda a, b, q: (b - a) / q if b <= a else np.inf": "f rose",
            "lambda a, b, q: abs((b - a) / q)": "f rose",
            "lambda a, b, q: -np.inf": "a perfect step",
            "lambda a, b, q: None": "should be a number, got None",
            "lambda a, b, q: [1.0]": "should be a number",
        },
        "check_3": {
            "lambda B, alpha: alpha * B": "times the right one: the step for α = 0.4",
            "lambda B, alpha: -B / alpha": "-1 times the right one",
            "lambda B, alpha: B": "2.5 times",
            "lambda B, alpha: 2 * B / alpha": "0.5 times",
            "lambda B, alpha: B + B / (2 * alpha)": "0.667 times",
            "lambda B, alpha: B + (1 / alpha - 1) * np.eye(6)": "off: the step for α = 0.4",
            "lambda B, alpha: np.diag(np.diag(B)) / alpha": "off",
            "lambda B, alpha: 1 / alpha": "shape should be (6, 6), got ()",
            "lambda B, alpha: None": "shape should be (6, 6), got ()",
        },
    },
    "09": {
        "check_1": {
            "lambda at, lam: at.gradient()": "uphill",
            "lambda at, lam: -at.gradient()": "the damped q is",
            "lambda at, lam: np.zeros(at.n)": "uphill",
            "lambda at, lam: -2 * update(at, lam)": "the damped q is",
            "lambda at, lam: -0.5 * update(at, lam)": "the damped q is",
            "lambda at, lam: by_cg(at, 0.0, -at.gradient()).x": "the damped q is",
            "lambda at, lam: by_cg(at, lam, -at.gradient())": "shape",
            "lambda at, lam: at.gradient() * np.nan": "uphill",
            "lambda at, lam: None": "got ()",
        },
        "check_2": {
            "step": "4 times",
            "lambda s, p: -step(s, p) / 4": "-1 times",
            "lambda s, p: weighed(p, s.cases, -p.cases * s.gradient())": "0.25 times",
            "lambda s, p: rop.hf.pcg(p.ggnvp, -p.gradient(), residual=1e-13).x": "direction",
            "lambda s, p: -s.gradient()": "direction",
            "lambda s, p: np.zeros(3)": "0 times",
            "lambda s, p: rop.hf.pcg(p.ggnvp, -s.gradient()).x[None]": "got (1, 3)",
            "lambda s, p: None": "got ()",
        },
        "check_3": {
            "0.0": "f = 25",
            "0.3": "f = 2",
            "-0.95": "f = 2",
            "None": "number, got None",
            "[0.95]": "number, got [0.95]",
        },
    },
    "10": {
        "check_1": {
            "lambda h, Rh: Rh**2 * (1 - h**2)": "and should be",
            "lambda h, Rh: Rh**2 / (1 - h**2) ** 2": "and should be",
            "lambda h, Rh: Rh / (1 - h**2)": "and should be",
            "lambda h, Rh: 2 * Rh**2 / (1 - h**2)": "and should be",
            "lambda h, Rh: Rh**2 / (1 - h)": "and should be",
            "lambda h, Rh: -(Rh**2) / (1 - h**2)": "and should be",
            "lambda h, Rh: np.sum(Rh**2 / (1 - h**2))": "got ()",
            "lambda h, Rh: None": "got ()",
        },
        "check_2": {
            "lambda at, v, lam, mu: lam * at.ggnvp(v, mu) + lam * v": "times what it was",
            "lambda at, v, lam, mu: at.ggnvp(v, lam) + lam * v": "Sv 30 times λμ",
            "lambda at, v, lam, mu: at.ggnvp(v, lam / 30) + lam * v": "for λ = 0.1, μ = 0.5",
            "lambda at, v, lam, mu: at.ggnvp(v, lam * mu)": "v has ",
            "lambda at, v, lam, mu: at.ggnvp(v) + lam * v": "times λμ",
            "lambda at, v, lam, mu: at.ggnvp(v, 2 * lam * mu) + lam * v": "Sv 2 times λμ",
            "lambda at, v, lam, mu: at.ggnvp(v, lam * mu) + lam * mu * v": "v has 0.0333 times λ",
            "lambda at, v, lam, mu: at.ggnvp(v, lam * mu) - lam * v": "v has -1 times λ",
            "lambda at, v, lam, mu: v": "times what it was",
            "lambda at, v, lam, mu: None": "shape",
        },
        "check_3": {
            "1": "of the memory",
            "50": "of the memory",
            "100": "of the memory",
            "0": "1 to 100 segments",
            "-10": "1 to 100 segments",
            "1000": "1 to 100 segments",
            "2.5": "1 to 100 segments",
            "None": "1 to 100 segments",
        },
    },
    "11": {
        "check_1": {
            "lambda n, t, b, s, L: 2 * alpha_hat(n, t, b, s, L)": "times equation 30",
            "hat(factor=1)": "0.25 times",
            "hat(sign=1)": "times",
            "hat(power=1)": "times",
            "hat(factor=-4)": "-1 times",
            "lambda n, t, b, s, L: 0.007442": "times",
            "lambda n, t, b, s, L: float('nan')": "nan times",
            "lambda n, t, b, s, L: None": "a number, got None",
        },
        "check_2": {
            "lambda e, s: e / (2 * e + s)": "ξ must exceed",
            "lambda e, s: e / s": "no ξ is large enough",
            "lambda e, s: e / (e + 3 * s)": "ξ must exceed",
            "lambda e, s: e / (2 * s)": "β1 = ",
            "lambda e, s: 0.1 / 4.1": "no ξ is large enough",
            "lambda e, s: 0.0": "ξ must exceed 0",
            "lambda e, s: -e / (e + 2 * s)": "ξ must exceed",
            "lambda e, s: float('nan')": "nan",
            "lambda e, s: None": "a number, got None",
        },
        "check_3": {
            "50.0, 100.0": "from the worst start",
            "1.0, 1.0": "no longer finite",
            "1.0, 1e5": "worst start",
        },
    },
    "12": {
        "check_1": {
            "[dy]": "got ['dy']",
            "[dy, dW, dW]": "two steps",
            "[dy[:-1], dW]": "seven entries",
            "[('dz', *dy[1:]), dW]": "for dy and dW",
            "[dy, ('dW', 'hz', *dW[2:])]": "dW has the shape (3, 2), W has (2, 3)",
            "[('dy', 'nh', 'dz', 'nz', 'W', 'hz', False), dW]": "two different extents",
            "[('dy', 'nh', 'y', 'nh', 'W', 'zh', False), dW]": "⟨dy, y⟩ is",
            "[('dy', 'nh', 'dy', 'nh', 'W', 'zh', False), dW]": "no 'dy'",
            "[dy, ('dW', 'zh', 'dz', 'nz', 'W', 'zh', False)]": "⟨dW, W⟩ is",
            "[(*dy[:-1], True), dW]": "no 'dy'",
        },
        "check_2": {
            "lambda z: 1 / (1 + np.exp(-z))": "float64",
            "lambda z: np.float32(0.5 + 0.5 * np.tanh(0.5 * z))": "computes in float64",
            "lambda z: f32(0.5) + f32(0.5) * f32(np.tanh(0.5 * z))": "computes in float64",
            "lambda z: f32(1) / (f32(1) + np.exp(z))": "at 0.3",
            "lambda z: f32(0.5) + f32(0.5) * np.tanh(z)": "at 0.3",
            "lambda z: f32(0.574442516811659)": "at -2.0",
            "lambda z: z": "at 0.3",
            "lambda z: None": "got None",
        },
        "check_3": {
            "nothing": "is 0.0, not 28.0",
            "known": "is 28.0, not 140.0",
            "last_writes": "race in phase 0 at t[0]",
            "tree(first=False)": "not 28.0",
            "tree(between=False)": "not 28.0",
            "tree(by=2)": "not 28.0",
            "in_x": "x is no longer",
        },
    },
}
