"""What the networks are made of, and the list of them."""
import dataclasses

import torch
from torch import nn


@dataclasses.dataclass
class Case:
    make: object          # () -> Module
    shape: tuple          # of one sample
    opset: int = 13
    fold: bool = True     # do_constant_folding
    batch: bool = False   # dynamic_axes for the batch
    mode: str = "eval"
    plan: bool = True     # compiles with the profile "precise"
    double: bool = False  # double weights and input in the file
    last: bool = False    # PyTorch takes the sample, which is written as C, H, W, with channels last
    scripted: bool = False
    bare: bool = False    # without names for input and output, and with weights among the inputs, as old files have them
    refused: tuple = ()   # operators that a refusal has to name
    outputs: tuple = ("output",)


CASES = {}


def case(*shape, **options):
    def add(make):
        CASES[make.__name__.replace("_", "-")] = Case(make, shape, **options)
        return make
    return add


class Net(nn.Module):
    """Layers and parameters by name, and the forward function that uses them."""

    def __init__(self, run, **parts):
        super().__init__()
        self.run = run
        for name, part in parts.items():
            if isinstance(part, (nn.Module, nn.Parameter)):
                setattr(self, name, part)
            else:
                self.register_buffer(name, part)

    def forward(self, x, *more):
        return self.run(self, x, *more)


def parameter(*shape):
    return nn.Parameter(torch.randn(*shape) / max(1, shape[-1]) ** 0.5)


class Square(nn.Module):
    def forward(self, x):
        return x * x


class Quadratic(nn.Module):
    """a x^2 + b x + c, one of each per channel."""

    def __init__(self, channels, spatial=True):
        super().__init__()
        shape = (1, channels, 1, 1) if spatial else (channels,)
        self.a = nn.Parameter(0.1 + 0.2 * torch.rand(shape))
        self.b = nn.Parameter(0.5 + 0.5 * torch.rand(shape))
        self.c = nn.Parameter(0.1 * torch.randn(shape))

    def forward(self, x):
        return self.a * x ** 2 + self.b * x + self.c


class Block(nn.Module):
    """A basic block of a ResNet with squares."""

    def __init__(self, inputs, outputs, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.act1 = Quadratic(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.act2 = Square()
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        out = self.bn2(self.conv2(self.act1(self.bn1(self.conv1(x)))))
        out += self.shortcut(x)
        return self.act2(out)
