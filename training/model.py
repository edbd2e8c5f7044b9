"""Networks whose activations an encrypted engine evaluates with one multiplication each.

An activation is q(x) = a (x^2 - 1) + b x per channel, after a batch normalisation without its own
scale and shift, so x has unit variance and q(x) has about zero mean. The engine completes the
square, q(x) = a (x + b/2a)^2 - (a + b^2/4a), and evaluates nothing but the square. That only keeps
its precision when |b/2a| is small, so `project()` holds a >= A_MIN and |b/2a| <= SHIFT_MAX after
every step. The sign of a is free to be positive: the next linear layer can flip a channel.
"""
import torch
from torch import nn
from torch.nn import functional as F

from data import MEAN, STD

A_MIN = 0.05
SHIFT_MAX = 3.0


class NormQuadratic(torch.autograd.Function):
    """Batch normalisation and a (x^2 - 1) + b x in one, with few passes over memory.

    On a CPU the passes cost as much as the convolutions. With z the normalised input and g the
    gradient of the output, everything that the backward pass needs are the sums of g, g z, g z^2.
    """

    @staticmethod
    def forward(ctx, x, a, b, mean, var, momentum, eps):
        z, _, invstd = torch.native_batch_norm(x, None, None, mean, var, True, momentum, eps)
        ctx.save_for_backward(z, a, b, invstd)
        ctx.set_materialize_grads(False)
        a, b = a.view(-1, 1, 1), b.view(-1, 1, 1)
        y = torch.addcmul(b, a, z)
        return torch.addcmul(-a, z, y, out=y), z

    @staticmethod
    def backward(ctx, g, gz):
        z, a, b, invstd = ctx.saved_tensors
        n = z.numel() // z.shape[1]
        p = g * z
        s0, s1 = g.sum((0, 2, 3)), p.sum((0, 2, 3))
        s2 = p.mul_(z).sum((0, 2, 3))
        m0 = (2 * a * s1 + b * s0) / n   # means of dL/dz and of z dL/dz
        m1 = (2 * a * s2 + b * s1) / n
        if gz is not None:               # a penalty on z
            m0, m1 = m0 + gz.sum((0, 2, 3)) / n, m1 + (gz * z).sum((0, 2, 3)) / n
        per_channel = lambda v: v.view(-1, 1, 1)
        dx = torch.addcmul(per_channel(b * invstd), z, per_channel(2 * a * invstd), out=p).mul_(g)
        dx.addcmul_(z, per_channel(-m1 * invstd)).sub_(per_channel(m0 * invstd))
        if gz is not None:
            dx.addcmul_(gz, per_channel(invstd))
        return dx, s2 - s0, s1, None, None, None, None


class Quadratic(nn.Module):
    """Batch normalisation, then a (x^2 - 1) + b x per channel (or ReLU, or a blend of both)."""

    def __init__(self, channels, activation="quadratic"):
        super().__init__()
        self.activation = activation
        self.norm = nn.BatchNorm2d(channels, eps=1e-5, momentum=0.1, affine=activation == "relu")
        if activation == "quadratic":
            self.a = nn.Parameter(torch.full((channels,), 0.30))
            self.b = nn.Parameter(torch.full((channels,), 0.80))
        self.blend = 1.0        # 1: quadratic, 0: ReLU; raised in a gradual replacement
        self.noise = 0.0        # standard deviation added to x (x has unit variance)
        self.penalty_from = 0.0  # penalise |x| above this; 0: off
        self.penalty = None
        self.seen = None        # a list collects x in evaluation, detached
        self.tail_from = 0.0    # evaluation: `tail` says how far |x| of each image goes beyond this; 0: off
        self.tail = None

    def forward(self, x):
        if self.training and self.activation == "quadratic" and not self.noise and self.blend >= 1.0:
            n = self.norm
            y, z = NormQuadratic.apply(x, self.a, self.b, n.running_mean, n.running_var,
                                       n.momentum, n.eps)
            self._penalise(z)
            return y
        x = self.norm(x)
        if self.noise:
            x = x + self.noise * torch.randn_like(x)
        if self.seen is not None:
            self.seen.append(x.detach())
        self._penalise(x)
        if self.tail_from:
            beyond = x - x.clamp(-self.tail_from, self.tail_from)
            self.tail = torch.log1p(beyond.square().flatten(1).mean(1))
            x = x.clamp(-3 * self.tail_from, 3 * self.tail_from)   # the next layers' values stay finite
        if self.activation == "relu":
            return F.relu(x)
        a, b = self.a.view(-1, 1, 1), self.b.view(-1, 1, 1)
        y = torch.addcmul(-a, x, torch.addcmul(b, a, x))
        if self.blend < 1.0:
            # ReLU without its mean, doubled, has about the same size as the quadratic.
            y = self.blend * y + (1.0 - self.blend) * (1.6 * F.relu(x) - 0.64)
        return y

    def _penalise(self, x):
        if self.training and self.penalty_from:
            beyond = x - x.clamp(-self.penalty_from, self.penalty_from)
            self.penalty = beyond.square().mean()

    @torch.no_grad()
    def project(self):
        if self.activation == "quadratic":
            self.a.clamp_(min=A_MIN)
            limit = 2.0 * SHIFT_MAX * self.a
            self.b.copy_(torch.maximum(torch.minimum(self.b, limit), -limit))


class Vgg9(nn.Module):
    """CNV: 3x3 VALID convolutions 64 64 | pool | 128 128 | pool | 256 256, dense 512 512 10.

    Input: float NCHW pixels in [0, 1]. Dense layers are 1x1 convolutions on a 1x1 image here.
    `width` multiplies the channel counts (a wide ReLU net serves as teacher).
    """

    def __init__(self, activation="quadratic", width=1.0, classes=10):
        super().__init__()
        c = [int(round(width * k)) for k in (64, 64, 128, 128, 256, 256, 512, 512)]
        self.config = {"net": "vgg9", "activation": activation, "width": width}
        sizes = [3] + c
        self.linear = nn.ModuleList(
            nn.Conv2d(sizes[i], sizes[i + 1], 3 if i < 6 else 1, bias=False) for i in range(8))
        self.act = nn.ModuleList(Quadratic(k, activation) for k in c)
        self.head = nn.Conv2d(c[-1], classes, 1)
        self.pool_after = (1, 3)
        self.still = 0          # so many first layers learn nothing in this step
        self.weight_noise = 0.0
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(STD).view(1, 3, 1, 1))

    def _conv(self, layer, x):
        weight = layer.weight
        if self.weight_noise:
            # Encoded weights are rounded; the error is like noise of this share of the largest one.
            weight = weight + self.weight_noise * weight.detach().abs().max() * torch.randn_like(weight)
        return F.conv2d(x, weight, layer.bias)

    def forward(self, x):
        x = (x - self.mean) / self.std
        learn = torch.is_grad_enabled()
        for i, (linear, act) in enumerate(zip(self.linear, self.act)):
            with torch.set_grad_enabled(learn and i >= self.still):
                x = act(self._conv(linear, x))
                if i in self.pool_after:
                    x = F.avg_pool2d(x, 2)
        return self._conv(self.head, x).flatten(1)


class TinyCnn(nn.Module):
    """A LeNet-like net on 1x16x16 grey pixels in [0, 1]: trains in a minute on one core."""

    def __init__(self, activation="quadratic", classes=10):
        super().__init__()
        self.config = {"net": "tiny", "activation": activation}
        self.linear = nn.ModuleList([
            nn.Conv2d(1, 16, 3, bias=False), nn.Conv2d(16, 32, 3, bias=False),
            nn.Conv2d(32, 64, 5, bias=False)])
        self.act = nn.ModuleList(Quadratic(k, activation) for k in (16, 32, 64))
        self.head = nn.Conv2d(64, classes, 1)
        self.pool_after = (0,)
        self.still = 0
        self.weight_noise = 0.0
        self.register_buffer("mean", torch.tensor([0.479]).view(1, 1, 1, 1))
        self.register_buffer("std", torch.tensor([0.22]).view(1, 1, 1, 1))

    _conv = Vgg9._conv
    forward = Vgg9.forward


def build(config):
    config = dict(config)
    net = {"vgg9": Vgg9, "tiny": TinyCnn}[config.pop("net")]
    return net(**config)


def activations(model):
    return [m for m in model.modules() if isinstance(m, Quadratic)]


def project(model):
    for act in activations(model):
        act.project()
