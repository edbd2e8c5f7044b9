"""The network whose answers another one learns (`--teacher`), made fast: normalisation is part of its weights."""
import torch
from torch.nn import functional as F

import model as nets

# The layers before hold large pictures, whose every pixel a student need not repeat.
HINTS_FROM = 4


class Teacher:
    """A trained network's logits, and with `hints` its normalised pre-activations from layer HINTS_FROM on.

    Normalisation is folded into the convolutions, and scale and shift too where no hint is taken: fewer passes over memory. A ResNet
    has no hints to give. With `half`, values are bfloat16.
    """

    def __init__(self, path, device, half=False, hints=False):
        loaded = torch.load(path, map_location=device)
        self.config = loaded["config"]
        if self.config["net"] == "attention":
            raise SystemExit("a --teacher is a net of convolutions alone")
        self.net = nets.build(self.config).to(device)
        self.net.load_state_dict(loaded["model"])
        self.net.eval()
        self.folded = []
        if isinstance(self.net, nets.ResNet):
            self._fold_resnet(torch.bfloat16 if half else torch.float32)
            return
        self.hints_from = HINTS_FROM if hints else len(self.net.act)
        kind = torch.bfloat16 if half else torch.float32
        with torch.no_grad():
            for i, (linear, act) in enumerate(zip(self.net.linear, self.net.act)):
                norm = act.norm
                gain = 1.0 / torch.sqrt(norm.running_var + norm.eps)
                bias = -norm.running_mean * gain
                if act.activation == "relu" and i < self.hints_from:
                    gain, bias = gain * norm.weight, bias * norm.weight + norm.bias
                weight = (linear.weight * gain.view(-1, 1, 1, 1)).to(kind).contiguous(memory_format=torch.channels_last)
                self.folded.append((weight, bias.to(kind)))

    @torch.no_grad()
    def _fold_resnet(self, kind):
        for i, (linear, act) in enumerate(zip(self.net.linear, self.net.act)):
            norm = act.norm
            gain = torch.rsqrt(norm.running_var + norm.eps)
            bias = -norm.running_mean * gain
            if act.activation == "relu":
                gain, bias = gain * norm.weight, bias * norm.weight + norm.bias
            gain = gain.view(-1, 1, 1, 1)
            weight = (self.net.second(i) if i and i % 2 == 0 else linear.weight) * gain
            wide = i - 1 in self.net.strided
            short = self.net.shortcut[self.net.strided.index(i - 1)].weight * gain if wide else gain.view(-1, 1, 1)
            self.folded.append([v.to(kind).contiguous(memory_format=torch.channels_last) if v.dim() == 4 else v.to(kind)
                                for v in (weight, bias, short)])

    def _resnet(self, x):
        for i, ((weight, bias, short), linear, act) in enumerate(zip(self.folded, self.net.linear, self.net.act)):
            if i % 2:
                before = x
            x = F.conv2d(x.to(weight.dtype), weight, bias, linear.stride, linear.padding)
            if i - 1 in self.net.strided:
                x = x + F.conv2d(before, short, None, 2)
            elif i and i % 2 == 0:
                x = torch.addcmul(x, short, before)
            if act.activation == "relu":
                x = F.relu_(x)
            else:
                a, b = (v.view(-1, 1, 1).to(x.dtype) for v in (act.a, act.b))
                x = x * (a * x + b) - a
        return self.net.head(x.float().mean((2, 3), keepdim=True)).flatten(1)

    @torch.no_grad()
    def __call__(self, x):
        net, features = self.net, {}
        if isinstance(net, nets.ResNet):
            return self._resnet(x), {}
        x = (x - net.mean) / net.std
        for i, ((weight, bias), act) in enumerate(zip(self.folded, net.act)):
            x = F.conv2d(x.to(weight.dtype), weight, bias)
            if i >= self.hints_from:
                features[i] = x
            if act.activation == "relu":
                if i >= self.hints_from:
                    x = x * act.norm.weight.view(-1, 1, 1) + act.norm.bias.view(-1, 1, 1)
                x = F.relu_(x)
            else:
                a, b = (v.view(-1, 1, 1).to(x.dtype) for v in (act.a, act.b))
                x = x * (a * x + b) - a
            if i in net.pool_after:
                x = F.avg_pool2d(x, 2)
        return net.head(x.float()).flatten(1), features
