"""Normalisation, activation and range penalty in one, by a little C (`fused.c`): on a CPU the passes over memory cost more than convolutions.

Compiled on first use with `cc` into a folder of its own below the system's temporary one. `available` says whether it can be
used; model.py has the same in PyTorch.
"""
import ctypes
import functools
import hashlib
import os
import pathlib
import subprocess
import tempfile

import torch

FLAGS = ["-O3", "-march=native", "-mprefer-vector-width=512", "-ffast-math", "-fno-finite-math-only", "-Wno-psabi", "-shared", "-fPIC"]


class Activation(ctypes.Structure):
    _fields_ = [(k, ctypes.c_void_p) for k in ("mean", "invstd", "a", "b", "c", "p", "q")] + [("limit", ctypes.c_float),
                                                                                             ("free", ctypes.c_float)]


@functools.lru_cache(None)
def library():
    source = pathlib.Path(__file__).with_name("fused.c")
    try:
        cpu = [line for line in open("/proc/cpuinfo") if line.startswith("flags")][:1]
        name = hashlib.sha256((source.read_text() + repr((FLAGS, cpu))).encode()).hexdigest()[:16]
        folder = pathlib.Path(tempfile.gettempdir()) / f"brainlock-training-{os.getuid()}"
        folder.mkdir(mode=0o700, exist_ok=True)
        if folder.stat().st_uid != os.getuid() or folder.stat().st_mode & 0o022:
            return None
        made = folder / f"fused-{name}.so"
        if not made.exists():
            fresh = folder / f"fused-{name}.{os.getpid()}.so"
            subprocess.run(["cc", *FLAGS, "-o", fresh, source], check=True, capture_output=True)
            fresh.rename(made)
        return ctypes.CDLL(str(made))
    except (OSError, subprocess.CalledProcessError):
        return None


def available(x):
    """Whether these values can be taken: on the CPU, channels in sixteens."""
    return (x.device.type == "cpu" and x.shape[1] % 16 == 0 and x.dtype in (torch.float32, torch.bfloat16) and library() is not None)


def _dense(x):
    return x.contiguous(memory_format=torch.channels_last)


def _at(t):
    return ctypes.c_void_p(t.data_ptr() if t is not None else None)


class NormActivation(torch.autograd.Function):
    """y = t (a (z^2 - 1) + b z) + (1 - t) (relu(gain z + shift) - offset), z = x + other normalised; and each image's mean square of |z| beyond `free`.

    `fixed`: the statistics are the running ones. With `limit`, z is held within it. `x` is changed where there is an `other`. Without quadratic (t = 0),
    `gain` and `shift` learn.
    """

    @staticmethod
    def forward(ctx, x, other, norm, a, b, gain, shift, offset, t, fixed, limit, free):
        x = _dense(x)
        n, c, h, w = x.shape
        half, rows = int(x.dtype == torch.bfloat16), h * w
        if other is not None:
            other = _dense(other.to(x.dtype))
        mean, var = norm.running_mean, norm.running_var
        if not fixed or other is not None:
            total, square = torch.empty(2, c, dtype=torch.float64)
            centre = mean.clone()
            library().fused_stats(_at(x), _at(other), ctypes.c_long(n * rows), ctypes.c_long(c), _at(centre), _at(total), _at(square), half)
        if not fixed:
            total, square = total / (n * rows), square / (n * rows)
            mean, var = (total + centre).float(), (square - total * total).float()
            norm.running_mean.lerp_(mean, norm.momentum)
            norm.running_var.lerp_(var * (n * rows / (n * rows - 1.0)), norm.momentum)
        invstd = torch.rsqrt(var + norm.eps)
        zero = torch.zeros(c)
        qa, qb = (t * a, t * b) if t else (zero, zero)
        qc = -qa
        p = q = None
        if t < 1:
            p, q = ((1 - t) * gain).contiguous(), ((1 - t) * shift).contiguous()
            if offset is not None:
                qc = qc - (1 - t) * offset
        ctx.kept = mean.clone(), invstd, qa, qb, qc, p, q
        ctx.f = Activation(*(k.data_ptr() if k is not None else None for k in ctx.kept), limit or 0.0, free)
        y = torch.empty_like(x)
        cost = torch.empty(n, dtype=torch.float64) if free else None
        library().fused_forward(_at(x), _at(y), ctypes.c_long(n), ctypes.c_long(rows), ctypes.c_long(c), ctypes.byref(ctx.f), _at(cost), half)
        ctx.save_for_backward(x)
        ctx.t, ctx.other, ctx.fixed = t, other is not None, fixed
        ctx.set_materialize_grads(False)
        return y, cost.float() if free else None

    @staticmethod
    def backward(ctx, g, h):
        (x,) = ctx.saved_tensors
        n, c = x.shape[:2]
        half, rows = int(x.dtype == torch.bfloat16), x.shape[2] * x.shape[3]
        g = _dense(torch.zeros_like(x) if g is None else g.to(x.dtype))
        if h is not None:
            h = h.float().contiguous()
        f, t = ctx.f, ctx.t
        sizes = ctypes.c_long(n), ctypes.c_long(rows), ctypes.c_long(c)
        d0, d1, ga, gb, gp, gq = sums = torch.empty(6, c, dtype=torch.float64)
        library().fused_sums(_at(x), _at(g), _at(h), *sizes, ctypes.byref(f), _at(sums), half)
        m0 = m1 = None
        if not ctx.fixed:
            m0, m1 = (d0 / (n * rows)).float(), (d1 / (n * rows)).float()
        dx = torch.empty_like(x)
        library().fused_backward(_at(x), _at(g), _at(h), _at(dx), *sizes, ctypes.byref(f), _at(m0), _at(m1), half)
        dx_other = dx if ctx.other else None
        if t:
            return dx, dx_other, None, (t * ga).float(), (t * gb).float(), *(None,) * 7
        return dx, dx_other, None, None, None, gp.float(), gq.float(), *(None,) * 5
