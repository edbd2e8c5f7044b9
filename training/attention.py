"""A small network with one attention head whose every step is a polynomial, for encrypted inference.

A softmax needs an exponential and a division. Here the weight of one position for another is the square of its score instead: never
negative, large where query and key agree in sign and size, and one multiplication of ciphertexts.
"""
import torch
from torch import nn
from torch.nn import functional as F

from data import MEAN, STD
from model import Quadratic

SIDE = 4
TOKENS = SIDE * SIDE
# Normalised scores have mean 0 and deviation 1 over all pairs. With a factor that is learned, training takes it to nearly nothing and is
# left with weights that do not depend on the image.
SHARPNESS = 0.5
STEM = 4                                                     # so many convolutions
TOKEN, SCORE, MIXED, HIDDEN = 3, 4, 5, 6                     # places in `act`
QUERY, KEY, VALUE, OUT, UP, DOWN = 4, 5, 6, 7, 8, 9          # places in `linear`


class AttentionNet(nn.Module):
    """3x3 VALID convolutions 32 32 | pool | 64 | pool | 64: sixteen tokens X of 64 numbers, then

        S = scale Q K^T + bias, P = S * S, Y = X + norm(P V W_out), Z = Y + W_down q(norm(W_up Y)), logits = dense(Z)

    with Q, K, V dense layers of X, seven multiplications in a row. `bias` has a number for each pair of positions. Input: float NCHW
    pixels in [0, 1]. `heads` = 0 leaves the attention out (Y = X): the control that says what it brings.

    Products of two computed values have heavier tails than squares of one. Each of the three places where one could run away, tokens,
    scores and what the head gives, therefore has a normalisation, whose statistics are constants in use, and counts in the range penalty.
    """

    def __init__(self, activation="quadratic", width=1.0, heads=1, classes=10):
        super().__init__()
        c = [int(round(width * k)) for k in (32, 32, 64, 64)]
        dim, key, value, hidden = c[3], c[3] // 4, c[3] // 2, 2 * c[3]
        self.config = {"net": "attention", "activation": activation, "width": width, "heads": heads}
        self.heads = heads
        sizes = [3] + c
        self.linear = nn.ModuleList(nn.Conv2d(sizes[i], sizes[i + 1], 3, bias=False) for i in range(STEM))
        self.linear.extend(nn.Linear(dim, k) for k in (key, key, value))
        self.linear.extend(nn.Linear(i, o, bias=False) for i, o in ((value, dim), (dim, hidden), (hidden, dim)))
        kinds = [(k, activation) for k in c[:3]] + [(dim, "linear"), (1, "linear"), (dim, "linear"), (hidden, activation)]
        self.act = nn.ModuleList(Quadratic(k, kind) for k, kind in kinds)
        for k in (QUERY, KEY, VALUE):
            nn.init.zeros_(self.linear[k].bias)
        self.bias = nn.Parameter(torch.ones(TOKENS, TOKENS))   # weights begin as mild, and rise with the score
        self.out_gain = nn.Parameter(torch.ones(dim))
        self.down_gain = nn.Parameter(torch.full((dim,), 0.5))
        self.head = nn.Linear(TOKENS * dim, classes)
        self.pool_after = (1, 2)
        self.weight_noise = 0.0
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(STD).view(1, 3, 1, 1))

    def _weight(self, i):
        weight = self.linear[i].weight
        if self.weight_noise:
            weight = weight + self.weight_noise * weight.detach().abs().max() * torch.randn_like(weight)
        return weight

    def _dense(self, i, x):
        return F.linear(x, self._weight(i), self.linear[i].bias)

    def _activate(self, i, x):
        """Activation `i` of (images, tokens, features)."""
        return self.act[i](x.transpose(1, 2).unsqueeze(-1)).squeeze(-1).transpose(1, 2)

    def attention(self, x):
        q, k, v = (self._dense(i, x) for i in (QUERY, KEY, VALUE))
        with torch.autocast(x.device.type, enabled=False):   # small, and squared right away
            act = self.act[SCORE]
            s = act((q.float() @ k.float().transpose(1, 2)).unsqueeze(1)).squeeze(1)
            if self.training and act.hold:                   # fused.c, which has this built in, takes channels in sixteens
                s = s.clamp(-act.hold, act.hold)
            s = SHARPNESS * s + self.bias
            mixed = (s * s) @ v.float()
        return self.out_gain * self._activate(MIXED, self._dense(OUT, mixed))

    def forward(self, x):
        x = (x - self.mean) / self.std
        for i in range(STEM):
            x = self.act[i](F.conv2d(x, self._weight(i)))
            if i in self.pool_after:
                x = F.avg_pool2d(x, 2)
        x = x.flatten(2).transpose(1, 2)
        if self.heads:
            x = x + self.attention(x)
        x = x + self.down_gain * self._dense(DOWN, self._activate(HIDDEN, self._dense(UP, x)))
        return self.head(x.flatten(1))
