"""Ops as users write them, one of each family; `one_case` is the same in NumPy or JAX."""

import numpy as np

import rop


class CumulativeSum(rop.ops.Linear):
    """a_i = z_0 + ... + z_i along the last axis."""

    def A(self, z):
        return np.cumsum(z, axis=-1)

    def AT(self, da):
        return np.cumsum(da[..., ::-1], axis=-1)[..., ::-1]

    @staticmethod
    def one_case(numpy, z):
        return numpy.cumsum(z, axis=-1)


class Convolution(rop.ops.Bilinear):
    """a_i = Σ_j x_j y_(i-j), circular, along the last axis of two arrays of one shape."""

    def B(self, x, y):
        return (y[..., self._shifts()] * x[..., None, :]).sum(-1)

    def B1(self, da, y):
        return (y[..., self._shifts()] * da[..., :, None]).sum(-2)

    def B2(self, x, da):
        return (x[..., self._shifts()] * da[..., :, None]).sum(-2)

    def _shifts(self):
        i = np.arange(self.shape[-1])
        return (i[:, None] - i) % len(i)

    @staticmethod
    def one_case(numpy, x, y):
        terms = [x[..., j : j + 1] * numpy.roll(y, j, axis=-1) for j in range(x.shape[-1])]
        return sum(terms)


class Arctan(rop.ops.Elementwise):
    """a = arctan z:  s' = 1/(1 + z²),  s'' = -2 z s'²."""

    @staticmethod
    def s(z):
        return np.arctan(z)

    @staticmethod
    def ds(z):
        return 1.0 / (1.0 + z * z)

    @staticmethod
    def d2s(z, ds):
        return -2.0 * z * ds * ds

    @staticmethod
    def one_case(numpy, z):
        return numpy.arctan(z)


class Swirl(rop.ops.General):
    """a = x sin(r),  r = Σ x y over the last axis, of two arrays of one shape."""

    def s(self, x, y):
        return x * np.sin(self._r(x, y))

    def Rs(self, z, Rz):
        (x, y), (Rx, Ry) = z, Rz
        r, Rr = self._r(x, y), self._r(Rx, y) + self._r(x, Ry)
        return Rx * np.sin(r) + x * np.cos(r) * Rr

    def sT(self, z, da):
        x, y = z
        r = self._r(x, y)
        dr = self._r(da, x) * np.cos(r)
        return da * np.sin(r) + dr * y, dr * x

    def RsT(self, z, Rz, da):
        (x, y), (Rx, Ry) = z, Rz
        r, Rr = self._r(x, y), self._r(Rx, y) + self._r(x, Ry)
        dr = self._r(da, x) * np.cos(r)
        Rdr = self._r(da, Rx) * np.cos(r) - self._r(da, x) * np.sin(r) * Rr
        return da * np.cos(r) * Rr + Rdr * y + dr * Ry, Rdr * x + dr * Rx

    @staticmethod
    def _r(x, y):
        return np.sum(x * y, axis=-1, keepdims=True)

    @staticmethod
    def one_case(numpy, x, y):
        return x * numpy.sin(numpy.sum(x * y, axis=-1, keepdims=True))


OWN_OPS = (CumulativeSum, Convolution, Arctan, Swirl)
