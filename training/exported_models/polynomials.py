"""Polynomials, normalisations and constants in many spellings."""
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import spectral_norm, weight_norm

from .parts import Net, Quadratic, Square, case, parameter


@case(20, opset=7)
def mlp():
    return nn.Sequential(nn.Linear(20, 16), Square(), nn.Linear(16, 8, bias=False), nn.BatchNorm1d(8), Square(), nn.Linear(8, 4))


@case(2, 6, 6, opset=13, mode="preserve")
def polynomials():
    def run(m, x):
        x = m.conv1(x)
        x = ((m.c3 * x + m.c2) * x + m.c1) * x + m.c0
        x = m.conv2(x)
        x = torch.addcmul(x, x, x, value=0.3) - x.pow(3) * 0.05 + 0.01 * x.square().square()
        x = m.fc1(x.flatten(1))
        x = -(1 - x) * (x + 2) / 3
        return m.fc2(x)
    c = lambda scale: nn.Parameter(scale * torch.randn(3, 1, 1))
    return Net(run, conv1=nn.Conv2d(2, 3, 3), c3=c(0.02), c2=c(0.2), c1=c(0.6), c0=c(0.1), conv2=nn.Conv2d(3, 2, 2), fc1=nn.Linear(18, 6),
               fc2=nn.Linear(6, 2))


@case(3, 6, 6, opset=11, batch=True, fold=False)
def standardised_input():
    """Pixels are standardised by buffers in the network itself, before a convolution without padding."""
    def run(m, x):
        x = (x - m.mean) / m.std
        return m.fc(torch.flatten(m.act(m.conv(x)), start_dim=1))
    return Net(run, mean=torch.tensor([0.49, 0.48, 0.45]).view(1, 3, 1, 1), std=torch.tensor([0.2, 0.25, 0.3])[None, :, None, None],
               conv=nn.Conv2d(3, 4, 3, stride=2), act=Quadratic(4), fc=nn.Linear(16, 3))


@case(3, 6, 6, opset=13, mode="preserve")
def norm_before_padding():
    """Statistics of the input, then padding, which a folded shift does not pass."""
    return nn.Sequential(nn.BatchNorm2d(3, affine=False), nn.Conv2d(3, 4, 3, padding=1), Square(), nn.Flatten(), nn.BatchNorm1d(144),
                         nn.Linear(144, 3))


@case(3, 6, 6, opset=13, fold=False)
def weight_normed():
    return nn.Sequential(weight_norm(nn.Conv2d(3, 4, 3)), Square(), nn.Flatten(), weight_norm(nn.Linear(64, 6), dim=0), Square(),
                         spectral_norm(nn.Linear(6, 3)))


@case(3, 6, 6, opset=16, batch=True)
def weight_normed_folded():
    return weight_normed()


@case(3, 6, 6, opset=13, double=True)
def double_weights():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), Quadratic(4), nn.Flatten(), nn.Linear(64, 3))


@case(12, opset=13, fold=False)
def half_weights():
    """Weights kept in half precision and widened where they are used."""
    def run(m, x):
        x = F.linear(x, m.w1.float(), m.b1.float()) ** 2
        return torch.addmm(m.b2.float(), x, m.w2.float())
    half = lambda *s: torch.randn(*s).div(s[-1] ** 0.5).half()
    return Net(run, w1=half(8, 12), b1=half(8), w2=half(8, 3), b2=half(3))


@case(2, 6, 6, opset=13, mode="preserve")
def identities():
    """Layers that do nothing outside training."""
    return nn.Sequential(nn.Identity(), nn.Dropout2d(0.2), nn.Conv2d(2, 3, 3), Square(), nn.AlphaDropout(0.1), nn.Flatten(2), nn.Identity(),
                         nn.Flatten(1), nn.Linear(48, 3), nn.Dropout(0.5))


@case(3, 6, 6, opset=13, fold=False)
def constant_arithmetic():
    """Weights that the forward pass computes: masks, averages of two kernels, a sum and a mean of weights."""
    def run(m, x):
        w = (m.w * m.mask + m.v.transpose(2, 3)) / 2
        w = w - w.mean((1, 2, 3), keepdim=True)
        x = F.conv2d(x, w, m.bias * m.gain.sum()) ** 2
        return F.linear(x.flatten(1), torch.cat([m.head, m.head.flip(0)], 0) @ m.mix)
    return Net(run, w=parameter(4, 3, 3, 3), v=parameter(4, 3, 3, 3), mask=(torch.rand(1, 1, 3, 3) > 0.3).float(), bias=parameter(4),
               gain=parameter(3), head=parameter(2, 16), mix=parameter(16, 64))


@case(2, 6, 6, opset=13, fold=False)
def coefficients_of_functions():
    """Coefficients that the network keeps positive, or in bounds, when it runs."""
    def run(m, x):
        x = m.conv(x)
        x = F.softplus(m.a) * x * x + m.b.clamp(0.5, 1) * x + torch.tanh(m.c)
        x = m.fc(x.flatten(1))
        return m.last(x * x * torch.sigmoid(m.gain) + x * m.table.exp().sum(0).sqrt() + F.relu(m.gain))
    return Net(run, conv=nn.Conv2d(2, 3, 3), a=parameter(3, 1, 1), b=parameter(3, 1, 1), c=parameter(1, 3, 1, 1), fc=nn.Linear(48, 5),
               gain=parameter(5), table=parameter(2, 5), last=nn.Linear(5, 2))
