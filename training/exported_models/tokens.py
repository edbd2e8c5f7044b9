"""Tokens, attention and gates."""
import torch
import torch.nn.functional as F
from torch import nn

from .parts import Net, Square, case, parameter


@case(3, 4, 4, opset=13, batch=True)
def mixer():
    """Tokens of patches; layers along tokens and along features."""
    def run(m, x):
        x = m.patches(x).flatten(2).transpose(1, 2)
        x = x + m.tokens(x.transpose(1, 2)).transpose(1, 2)
        x = x + m.up(m.down(x) ** 2)
        return m.head(x.mean(1))
    return Net(run, patches=nn.Conv2d(3, 4, 2, 2), tokens=nn.Sequential(nn.Linear(4, 6), Square(), nn.Linear(6, 4)), down=nn.Linear(4, 6),
               up=nn.Linear(6, 4), head=nn.Linear(4, 3))


@case(3, 4, 4, opset=13, fold=False)
def attention():
    """One head, squares of the scores."""
    def run(m, x):
        t = m.patches(x).flatten(2).transpose(1, 2)
        q, k, v = m.q(t), m.k(t), m.v(t)
        scores = torch.bmm(q, k.transpose(1, 2)) * 4 ** -0.5
        return m.head(torch.bmm(scores ** 2, v).flatten(1))
    return Net(run, patches=nn.Conv2d(3, 4, 2, 2), q=nn.Linear(4, 4), k=nn.Linear(4, 4), v=nn.Linear(4, 4), head=nn.Linear(16, 3))


@case(3, 4, 4, opset=16, batch=True)
def vision_transformer():
    """A class token, positions, heads from one projection, a block of squares."""
    def run(m, x):
        t = m.patches(x).flatten(2).transpose(1, 2)
        t = torch.cat([m.token.expand(x.shape[0], -1, -1), t], dim=1) + m.positions
        n, count, features = t.shape
        qkv = m.qkv(t).reshape(n, count, 3, 2, features // 2).permute(2, 0, 3, 1, 4)
        q, k, v = qkv[0], qkv[1], qkv[2]
        scores = (q @ k.transpose(-2, -1)) * 0.7 + m.bias
        t = t + m.out(((scores * scores) @ v).transpose(1, 2).reshape(n, count, features))
        t = t + m.up(m.down(t) ** 2)
        return m.head(t[:, 0])
    return Net(run, patches=nn.Conv2d(3, 4, 2, 2), token=parameter(1, 1, 4), positions=parameter(1, 5, 4), qkv=nn.Linear(4, 12),
               bias=parameter(1, 2, 5, 5), out=nn.Linear(4, 4), down=nn.Linear(4, 6), up=nn.Linear(6, 4), head=nn.Linear(4, 3))


@case(4, 6, opset=13, batch=True)
def multi_head_sequence_first():
    """nn.MultiheadAttention's own order of steps, tokens first, with squares in place of its softmax."""
    def run(m, x):
        x = x.transpose(0, 1)
        length, n, features = x.shape
        q, k, v = F.linear(x, m.in_proj, m.in_bias).chunk(3, dim=-1)
        q, k, v = (t.contiguous().view(length, n * 2, features // 2).transpose(0, 1) for t in (q, k, v))
        weights = torch.baddbmm(m.mask.expand(n * 2, -1, -1), q, k.transpose(-2, -1), alpha=3 ** -0.5) ** 2
        out = torch.bmm(weights, v).transpose(0, 1).contiguous().view(length * n, features)
        out = F.linear(out, m.out, m.out_bias).view(length, n, features)
        return m.head(out.mean(0))
    return Net(run, in_proj=parameter(18, 6), in_bias=parameter(18), out=parameter(6, 6), out_bias=parameter(6), mask=parameter(1, 4, 4),
               head=nn.Linear(6, 2))


@case(2, 4, 4, opset=13)
def linear_attention():
    """Keys with values first, and relative positions by a table of indices."""
    def run(m, x):
        t = m.patches(x).flatten(2).transpose(1, 2)
        q, k, v = m.qkv(t).split(4, dim=-1)
        linear = q @ (k.transpose(-2, -1) @ v) / t.shape[1]
        bias = m.table[m.index.view(-1)].view(4, 4)
        return m.head((linear + bias @ v).flatten(1))
    index = torch.arange(4)[:, None] - torch.arange(4)[None, :] + 3
    return Net(run, patches=nn.Conv2d(2, 4, 2, 2), qkv=nn.Linear(4, 12), table=parameter(7), index=index, head=nn.Linear(16, 3))


@case(2, 4, 4, opset=16, batch=True)
def repeated_token():
    """A class token by repeat() in place of expand()."""
    def run(m, x):
        t = m.patches(x).flatten(2).transpose(1, 2)
        t = torch.cat([m.token.repeat(x.size(0), 1, 1), t], dim=1)
        return m.head((m.mix(t) ** 2)[:, 0])
    return Net(run, patches=nn.Conv2d(2, 4, 2, 2), token=parameter(1, 1, 4), mix=nn.Linear(4, 5), head=nn.Linear(5, 3))


@case(3, 6, 6, opset=13, batch=True)
def squeeze_excite():
    def run(m, x):
        x = m.conv(x)
        gate = m.up(m.down(F.adaptive_avg_pool2d(x, 1)) ** 2)
        return m.head((x * (0.5 + 0.25 * gate)).mean((2, 3)))
    return Net(run, conv=nn.Conv2d(3, 4, 3), down=nn.Conv2d(4, 2, 1), up=nn.Conv2d(2, 4, 1), head=nn.Linear(4, 3))


@case(3, 6, 6, opset=11)
def squeeze_excite_vector():
    """The gate made by dense layers and viewed as [n, c, 1, 1]."""
    def run(m, x):
        x = m.conv(x)
        n, c, _, _ = x.size()
        gate = m.up(m.down(x.mean((2, 3))) ** 2).view(n, c, 1, 1)
        return m.head((x * gate.expand_as(x)).flatten(1))
    return Net(run, conv=nn.Conv2d(3, 4, 3), down=nn.Linear(4, 2), up=nn.Linear(2, 4), head=nn.Linear(64, 3))


@case(3, 6, 6, opset=13)
def bilinear_gate():
    def run(m, x):
        a, b = m.conv(x).chunk(2, 1)
        return m.head((a * b).flatten(1))
    return Net(run, conv=nn.Conv2d(3, 4, 3, stride=2), head=nn.Linear(8, 3))


@case(3, 5, 5, opset=13)
def matrix_products():
    """torch.matmul with constants on either side, einsum that becomes one, and outer forms of Linear."""
    def run(m, x):
        x = m.conv(x).flatten(2)
        y = m.left @ x @ m.right
        y = F.linear(y, m.rows, m.shift) ** 2
        return torch.matmul(y.reshape(x.size(0), -1), m.last) + m.end
    return Net(run, conv=nn.Conv2d(3, 4, 3), left=parameter(3, 4), right=parameter(9, 5), rows=parameter(4, 5), shift=parameter(4),
               last=parameter(12, 3), end=parameter(3))


@case(3, 4, 4, opset=9, batch=True)
def einsum_by_matmul():
    """Before opset 12 the exporter writes no Einsum; this is the usual way around."""
    def run(m, x):
        x = m.conv(x)
        n, c, h, w = x.shape
        y = torch.matmul(m.weight, x.view(n, c, h * w)).view(n, 3, h, w)
        return m.fc((y ** 2).flatten(1))
    return Net(run, conv=nn.Conv2d(3, 4, 1), weight=parameter(3, 4), fc=nn.Linear(48, 2))


@case(6, opset=13)
def factorisation_machine():
    """(sum)^2 - sum of squares, and a term that is linear."""
    def run(m, x):
        v = m.v
        return m.linear(x) + 0.5 * ((x @ v) ** 2 - (x ** 2) @ (v ** 2)).mean(1, keepdim=True)
    return Net(run, linear=nn.Linear(6, 1), v=parameter(6, 3))


@case(2, 5, 5, opset=13)
def unfolded_patches():
    """nn.Unfold and a matrix: a convolution by hand."""
    def run(m, x):
        p = F.unfold(x, 3)
        return m.fc(((m.w @ p) ** 2).flatten(1))
    return Net(run, w=parameter(3, 18), fc=nn.Linear(27, 2))


@case(4, 3, 3, opset=13)
def einsum():
    """From opset 12 on."""
    def run(m, x):
        x = m.conv(x).flatten(2)
        scores = torch.einsum("bci,bcj->bij", x, x)
        return m.fc(torch.einsum("bij,bcj,oc->bio", scores, x, m.mix).flatten(1))
    return Net(run, conv=nn.Conv2d(4, 2, 1), mix=parameter(3, 2), fc=nn.Linear(27, 2))


@case(3, 4, 4, opset=16, batch=True)
def attention_by_einsum():
    """Heads in the order in which the projection makes them."""
    def run(m, x):
        t = m.patches(x).flatten(2).transpose(1, 2)
        n, count, _ = t.shape
        q, k, v = (y.view(n, count, 2, 2) for y in m.qkv(t).chunk(3, dim=-1))
        scores = torch.einsum("bihd,bjhd->bhij", q, k)
        out = torch.einsum("bhij,bjhd->bihd", scores ** 2, v).reshape(n, count, 4)
        return m.head(torch.einsum("bnd,de->bne", out, m.mix).sum(1))
    return Net(run, patches=nn.Conv2d(3, 4, 2, 2), qkv=nn.Linear(4, 12), mix=parameter(4, 4), head=nn.Linear(4, 2))
