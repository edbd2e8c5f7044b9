"""Networks whose activations an encrypted engine evaluates with one multiplication each.

An activation is q(x) = a (x^2 - 1) + b x per channel, after a batch normalisation without its own
scale and shift, so x has unit variance and q(x) has about zero mean. The engine completes the
square, q(x) = a (x + b/2a)^2 - (a + b^2/4a), and evaluates nothing but the square. That only keeps
its precision when |b/2a| is small, so `project()` holds a >= A_MIN and |b/2a| <= SHIFT_MAX after
every step. The sign of a is free to be positive: the next linear layer can flip a channel.
"""
import functools
import math

import torch
from torch import nn
from torch.nn import functional as F

import fused
from data import MEAN, STD

A_MIN = 0.05
SHIFT_MAX = 3.0
FOLLOW = 0.05   # the share of a batch's statistics in fixed ones that follow


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


class NormBlend(torch.autograd.Function):
    """Batch normalisation, then t times the quadratic and 1 - t times relu(gain z + shift) - offset: a gradual replacement."""

    @staticmethod
    def forward(ctx, x, a, b, mean, var, momentum, eps, t, gain, shift, offset):
        per_channel = lambda v: v.view(-1, 1, 1)
        z, _, invstd = torch.native_batch_norm(x, None, None, mean, var, True, momentum, eps)
        gain, shift, offset = per_channel((1 - t) * gain), per_channel((1 - t) * shift), per_channel((1 - t) * offset)
        ctx.save_for_backward(z, a, b, invstd, gain, shift)
        ctx.t = t
        ctx.set_materialize_grads(False)
        a, b = per_channel(t * a), per_channel(t * b)
        y = torch.addcmul(b, a, z)
        y = torch.addcmul(-a - offset, z, y, out=y)
        return y.add_(torch.addcmul(shift, gain, z).clamp_(min=0)), z

    @staticmethod
    def backward(ctx, g, gz):
        z, a, b, invstd, gain, shift = ctx.saved_tensors
        per_channel = lambda v: v.view(-1, 1, 1)
        n = z.numel() // z.shape[1]
        p = g * z
        s0, s1 = g.sum((0, 2, 3)), p.sum((0, 2, 3))
        s2 = p.mul_(z).sum((0, 2, 3))
        on = torch.addcmul(shift, gain, z) > 0
        dz = torch.addcmul(per_channel(ctx.t * b), z, per_channel(2 * ctx.t * a), out=p).addcmul_(on, gain).mul_(g)
        if gz is not None:
            dz.add_(gz)
        m0, m1 = dz.sum((0, 2, 3)) / n, (dz * z).sum((0, 2, 3)) / n
        dx = dz.addcmul_(z, per_channel(-m1)).sub_(per_channel(m0)).mul_(per_channel(invstd))
        return (dx, ctx.t * (s2 - s0), ctx.t * s1) + (None,) * 8


_normals = None


def noise_like(x):
    """Standard normals in the shape and memory order of `x` (dense): a stretch of a fixed long row, from a random place on.

    Fresh ones for every value would cost as much as the convolutions.
    """
    global _normals
    count = x.numel()
    if _normals is None or len(_normals) < 2 * count or _normals.device != x.device:
        _normals = torch.randn(max(2 * count, 1 << 22), device=x.device)
    row = _normals     # another thread may put a longer one in its place
    at = int(torch.randint(0, len(row) - count, ()))
    return row.as_strided(x.shape, x.stride(), at)


class FrozenQuadratic(torch.autograd.Function):
    """The same with fixed statistics, as a trained net is used, on values clamped to `limit` deviations.

    A batch's own statistics hide an image that a net of squares blows up; fixed ones show it, and the clamp keeps that one image from
    drowning the others' gradients. `noise`, normal with this deviation, comes on top as an encrypted evaluation adds it. The second
    output is the unclamped z without it, for penalties.
    """

    @staticmethod
    def forward(ctx, x, a, b, mean, var, eps, limit, noise):
        per_channel = lambda v: v.view(-1, 1, 1)
        invstd = torch.rsqrt(var + eps)
        z = torch.addcmul(per_channel(-mean * invstd), x, per_channel(invstd))
        low, high = torch.aminmax(z)
        ctx.limit = limit if max(-low.item(), high.item()) > limit else None
        inside = z.clamp(-limit, limit) if ctx.limit else z
        if noise:
            inside = torch.add(inside, noise_like(inside), alpha=noise)
        ctx.save_for_backward(inside, a, b, invstd)
        ctx.set_materialize_grads(False)
        a, b = per_channel(a), per_channel(b)
        y = torch.addcmul(b, a, inside)
        return torch.addcmul(-a, inside, y, out=y), z

    @staticmethod
    def backward(ctx, g, gz):
        z, a, b, invstd = ctx.saved_tensors
        per_channel = lambda v: v.view(-1, 1, 1)
        p = g * z
        s0, s1 = g.sum((0, 2, 3)), p.sum((0, 2, 3))
        s2 = p.mul_(z).sum((0, 2, 3))
        dx = torch.addcmul(per_channel(b * invstd), z, per_channel(2 * a * invstd), out=p).mul_(g)
        if ctx.limit:
            dx.masked_fill_(z.abs() >= ctx.limit, 0.0)
        if gz is not None:
            dx.addcmul_(gz, per_channel(invstd))
        return dx, s2 - s0, s1, None, None, None, None, None


class Quadratic(nn.Module):
    """Batch normalisation, then a (x^2 - 1) + b x per channel (or ReLU, or a blend of both; or nothing, "linear", for the limits alone)."""

    def __init__(self, channels, activation="quadratic", bend=0.30):
        super().__init__()
        self.activation = activation
        self.norm = nn.BatchNorm2d(channels, eps=1e-5, momentum=0.1, affine=activation == "relu")
        if activation == "quadratic":
            self.a = nn.Parameter(torch.full((channels,), bend))
            self.b = nn.Parameter(torch.full((channels,), 0.80))
        elif activation == "linear":
            self.register_buffer("a", torch.zeros(channels), persistent=False)
            self.register_buffer("b", torch.ones(channels), persistent=False)
        self.blend = 1.0        # 1: quadratic, 0: ReLU; raised in a gradual replacement
        self.gradual = True     # takes part in one
        # The ReLU to replace, of x: relu(gain x + shift) - offset. As given here, of about a fresh quadratic's size.
        self.relu = tuple(torch.full((channels,), v) for v in (1.6, 0.0, 0.64))
        self.noise = 0.0        # standard deviation added to x (x has unit variance)
        self.penalty_from = 0.0  # penalise |x| above this; 0: off
        self.penalty = None
        self.frozen = 0.0       # training: fixed statistics, and x clamped to this; 0: the batch's own
        self.hold = 0.0         # training with the batch's own statistics: x clamped to this, by the fused function only; 0: not
        self.follow = 0         # with fixed statistics: let them follow slowly, by so many first images of the batch
        self.keep = False       # `normalised` holds x of the last batch, with its gradient
        self.normalised = None
        self.seen = None        # a list collects x in evaluation, detached
        self.tail_from = 0.0    # evaluation: `tail` says how far |x| of each image goes beyond this; 0: off
        self.tail = None

    def forward(self, x, other=None):
        """The activation of x, or of the sum of both."""
        if self.training and not self.noise and not self.keep and fused.available(x):
            if self.frozen and self.follow:
                self._follow((x if other is None else x + other).detach()[:self.follow])
            n, relu = self.norm, self.activation == "relu"
            a, b = (None, None) if relu else (self.a, self.b)
            y, cost = fused.NormActivation.apply(x, other, n, a, b, *((n.weight, n.bias, None) if relu else self.relu),
                                                 0.0 if relu else self.blend, bool(self.frozen), self.frozen or self.hold,
                                                 self.penalty_from)
            if cost is not None:
                # With fixed statistics one image can blow up; the logarithm keeps it from drowning the others.
                self.penalty = torch.log1p(cost).mean() if self.frozen or self.hold else cost.mean()
            return y
        if other is not None:
            x = x + other
        if self.training and self.activation != "relu" and (self.frozen or not self.noise):
            n = self.norm
            if self.blend < 1.0:
                y, z = NormBlend.apply(x, self.a, self.b, n.running_mean, n.running_var, n.momentum, n.eps, self.blend,
                                       *(v.to(x.device) for v in self.relu))
            elif self.frozen:
                if self.follow:
                    self._follow(x.detach()[:self.follow])
                y, z = FrozenQuadratic.apply(x, self.a, self.b, n.running_mean, n.running_var, n.eps, self.frozen, self.noise)
            else:
                y, z = NormQuadratic.apply(x, self.a, self.b, n.running_mean, n.running_var,
                                           n.momentum, n.eps)
            self._penalise(z)
            self.normalised = z if self.keep else None
            return y
        x = self.norm(x)
        if self.noise:
            x = x + self.noise * torch.randn_like(x)
        if self.seen is not None:
            self.seen.append(x.detach())
        self._penalise(x)
        self.normalised = x if self.keep else None
        if self.tail_from:
            beyond = x - x.clamp(-self.tail_from, self.tail_from)
            self.tail = torch.log1p(beyond.square().flatten(1).mean(1))
            x = x.clamp(-3 * self.tail_from, 3 * self.tail_from)   # the next layers' values stay finite
        if self.activation == "relu":
            return F.relu(x)
        a, b = self.a.view(-1, 1, 1), self.b.view(-1, 1, 1)
        y = torch.addcmul(-a, x, torch.addcmul(b, a, x))
        if self.blend < 1.0:
            gain, shift, offset = (v.to(x.device).view(-1, 1, 1) for v in self.relu)
            y = self.blend * y + (1.0 - self.blend) * (F.relu(gain * x + shift) - offset)
        return y

    @torch.no_grad()
    def _follow(self, x):
        var, mean = torch.var_mean(x.float(), (0, 2, 3))
        self.norm.running_mean.lerp_(mean, FOLLOW)
        self.norm.running_var.lerp_(var, FOLLOW)

    def _penalise(self, x):
        if self.training and self.penalty_from:
            beyond = (x - x.clamp(-self.penalty_from, self.penalty_from)).square()
            self.penalty = torch.log1p(beyond.flatten(1).mean(1)).mean() if self.frozen else beyond.mean()

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


class ResNet(nn.Module):
    """A ResNet of CIFAR-10 with an activation behind each sum: x = act(conv2(act(conv1(x))) + shortcut(x)).

    Three groups of so many `blocks`: 3 make the ResNet-20, 5 the ResNet-32. Input: float NCHW pixels in [0, 1], as they are: black is what
    the padding means, in training as in use. `linear` holds the 3x3 convolutions in the order of their activations; the second one of a block
    has a gain per output channel, since an update never changes a weight matrix's norm and the sum's normalisation takes none out.
    """

    def __init__(self, blocks, activation="quadratic", width=1.0, classes=10):
        super().__init__()
        c = [int(round(width * k)) for k in (16, 32, 64)]
        self.config = {"net": f"resnet{6 * blocks + 2}", "activation": activation, "width": width}
        self.blocks = blocks
        self.strided = (2 * blocks + 1, 4 * blocks + 1)   # the first layers of groups 2 and 3
        sizes = [3, c[0]] + [k for k in c for _ in range(2 * blocks)]
        self.linear = nn.ModuleList(
            nn.Conv2d(sizes[i], sizes[i + 1], 3, 2 if i in self.strided else 1, 1, bias=False) for i in range(6 * blocks + 1))
        # Nineteen squares in a row or more: milder ones to begin with.
        self.act = nn.ModuleList(Quadratic(k, activation, 0.10) for k in sizes[1:])
        self.shortcut = nn.ModuleList(nn.Conv2d(c[i], c[i + 1], 1, 2, bias=False) for i in range(2))
        self.gain = nn.ParameterList(nn.Parameter(torch.full((k,), 0.5)) for k in sizes[3::2])
        self.head = nn.Conv2d(c[-1], classes, 1)
        self.weight_noise = 0.0

    def second(self, i):
        """The weights of layer `i`, the second of its block, with their gain."""
        return self.linear[i].weight * self.gain[i // 2 - 1].view(-1, 1, 1, 1)

    def _conv(self, layer, x, weight=None):
        weight = layer.weight if weight is None else weight
        if self.weight_noise:
            weight = weight + self.weight_noise * weight.detach().abs().max() * torch.randn_like(weight)
        return F.conv2d(x, weight, layer.bias, layer.stride, layer.padding)

    def forward(self, x):
        x = self.act[0](self._conv(self.linear[0], x))
        for i in range(1, len(self.linear), 2):
            y = self.act[i](self._conv(self.linear[i], x))
            if i in self.strided:
                x = self._conv(self.shortcut[self.strided.index(i)], x)
            x = self.act[i + 1](self._conv(self.linear[i + 1], y, self.second(i + 1)), x)
        return self._conv(self.head, x.mean((2, 3), keepdim=True)).flatten(1)


def build(config):
    from attention import AttentionNet   # which needs this file

    config = dict(config)
    net = {"vgg9": Vgg9, "tiny": TinyCnn, "resnet20": functools.partial(ResNet, 3), "resnet32": functools.partial(ResNet, 5),
           "attention": AttentionNet}[config.pop("net")]
    return net(**config)


def activations(model):
    return [m for m in model.modules() if isinstance(m, Quadratic)]


def project(model):
    for act in activations(model):
        act.project()


@torch.no_grad()
def replace_relu(net, state):
    """Gives the quadratic `net` the weights of the ReLU network of `state`, and quadratics near its activations.

    For normal z, the quadratic nearest to relu(g z + h) in the mean square is its expansion in Hermite polynomials up to the second:
    g Phi(h/|g|) z + |g| phi(h/|g|) / 2 (z^2 - 1), and a mean, which the next batch normalisation takes away again (the head's bias
    takes the last one up). A ReLU loses 3 % of its variance by that. It adds up: eight at once leave little of the answers, so `blend`
    is best raised slowly from 0, where the net is still the ReLU network. A channel that is nearly straight is bent more, and a faint
    one is scaled up and the next layer's weights down, as far as the limits of `project()` ask for it.

    In a ResNet an activation's size counts, in the next sum, and its padding means 0: there the quadratic is only bent more where it
    must be, and the blend keeps the ReLU's mean; the head's bias learns to do without it.
    """
    made = {k: v.clone() for k, v in state.items() if not (k.startswith("act.") and k.endswith(("norm.weight", "norm.bias")))}
    for i, act in enumerate(net.act):
        g, h = state[f"act.{i}.norm.weight"], state[f"act.{i}.norm.bias"]
        size = g.abs().clamp_min(1e-6)
        t = h / size
        below = 0.5 * (1.0 + torch.erf(t / math.sqrt(2.0)))
        density = torch.exp(-0.5 * t * t) / math.sqrt(2.0 * math.pi)
        a, b, mean = 0.5 * size * density, g * below, h * below + size * density
        a = torch.maximum(a, b.abs() / (2.0 * SHIFT_MAX))
        if isinstance(net, ResNet):
            made[f"act.{i}.a"], made[f"act.{i}.b"] = a.clamp_min(A_MIN), b
            act.relu = (g, h, torch.zeros_like(mean))
            continue
        scale = (1.2 * A_MIN / a.clamp_min(1e-6)).clamp_min(1.6)   # 1.6: to the size of a fresh quadratic's output
        following = f"linear.{i + 1}.weight" if i + 1 < len(net.act) else "head.weight"
        weight = state[following]
        if i + 1 == len(net.act):
            made["head.bias"] = state["head.bias"] + weight.flatten(1) @ mean
        made[following] = weight / scale.view(1, -1, 1, 1)
        made[f"act.{i}.a"], made[f"act.{i}.b"] = a * scale, b * scale
        act.relu = (g * scale, h * scale, mean * scale)
    net.load_state_dict(made)


LINE = 20.0   # a ReLU's shift that leaves a straight line, in deviations


@torch.no_grad()
def deepen(net, shallow, pixels):
    """Gives the ResNet `net` the weights of a `shallow` one with fewer blocks, and more blocks at the end of each group that pass their
    input on (T. Chen and others, "Net2Net", 2016). Returns the median over `pixels` of an image's largest difference of a logit:
    where squares blow an image up, rounding alone moves its logits.

    The branch of a new block has gain 0 to begin with, and its activation takes the sum's normalisation back: by statistics of the values
    on `pixels`. Behind a ReLU, another one changes nothing. A new quadratic is the straightest that project() allows, reached from a
    straight line (`blend` 0). It turns the sign: outputs of a quadratic have a long tail above, which a parabola folds back at the third
    deviation; without the turn it would stretch it, from block to block. So new ones come in pairs.
    """
    new = net.blocks - shallow.blocks
    relu = net.config["activation"] == "relu"
    if new < 0 or new % 2 and not relu:
        raise SystemExit("so many blocks cannot be added: ReLU networks take any number, quadratic ones pairs")
    ends = {}
    for act in (shallow.act[2 * shallow.blocks * k] for k in (1, 2, 3)):
        act.register_forward_hook(lambda act, x, y: ends.update({act: y}))
    expected = shallow.eval()(pixels)
    for act in net.act:
        act.gradual = False

    def set_statistics(act, x):
        var, act.norm.running_mean[:] = torch.var_mean(x, (0, 2, 3))
        act.norm.running_var.copy_(var)
        return torch.sqrt(var + act.norm.eps)

    for mine, theirs in ((net.linear[0], shallow.linear[0]), (net.act[0], shallow.act[0]), (net.shortcut, shallow.shortcut),
                         (net.head, shallow.head)):
        mine.load_state_dict(theirs.state_dict())
    for group in range(3):
        first, there = 1 + 2 * net.blocks * group, 1 + 2 * shallow.blocks * group
        for i in range(2 * shallow.blocks):
            net.linear[first + i].load_state_dict(shallow.linear[there + i].state_dict())
            net.act[first + i].load_state_dict(shallow.act[there + i].state_dict())
        for i in range(shallow.blocks):
            net.gain[first // 2 + i].copy_(shallow.gain[there // 2 + i])
        x = ends[shallow.act[there + 2 * shallow.blocks - 1]]
        for i in range(first + 2 * shallow.blocks, first + 2 * net.blocks, 2):
            set_statistics(net.act[i], net._conv(net.linear[i], x))
            net.gain[i // 2].zero_()
            act = net.act[i + 1]
            size = set_statistics(act, x)
            mean = act.norm.running_mean.clone()
            if relu:
                act.norm.weight.copy_(size)
                act.norm.bias.copy_(mean)
                continue
            act.a.copy_((size / (2 * SHIFT_MAX)).clamp_min(A_MIN))
            act.b.copy_(-size)
            act.relu = (-size, LINE * size, LINE * size + mean)
            act.gradual, act.blend = True, 0.0
            x = -x
    return (net.eval()(pixels) - expected).abs().amax(1).median().item()
