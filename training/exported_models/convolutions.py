"""Convolutional networks."""
import torch
import torch.nn.functional as F
from torch import nn

from .parts import Block, Net, Quadratic, Square, case


@case(3, 8, 8, opset=9)
def vgg():
    return nn.Sequential(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), Square(), nn.AvgPool2d(2), nn.Conv2d(6, 8, 2), nn.BatchNorm2d(8),
                         Quadratic(8), nn.Flatten(), nn.Dropout(0.5), nn.Linear(32, 10))


@case(3, 8, 8, opset=11, fold=False, batch=True, mode="preserve")
def vgg_unfolded():
    return vgg()


@case(3, 8, 8, opset=16, batch=True)
def lenet_functional():
    def run(m, x):
        x = F.avg_pool2d(torch.square(m.conv1(x)), 2)
        x = m.conv2(x).pow(2)
        x = x.view(x.size(0), -1)
        x = m.fc1(x)
        return m.fc2(0.5 * x + x ** 2 / 4)
    return Net(run, conv1=nn.Conv2d(3, 4, 3, padding=1), conv2=nn.Conv2d(4, 8, 3), fc1=nn.Linear(32, 16), fc2=nn.Linear(16, 5))


@case(3, 8, 8, opset=13, batch=True, fold=False)
def resnet():
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), Square(), Block(4, 4), Block(4, 6, 2),
                         nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 10))


@case(3, 8, 8, opset=16, mode="preserve")
def preactivation():
    def run(m, x):
        x = m.stem(x)
        y = m.conv1(m.act1(m.bn1(x)))
        x = m.conv2(m.act2(m.bn2(y))) + x
        return m.fc(F.adaptive_avg_pool2d(m.act3(m.bn3(x)), (1, 1)).squeeze(-1).squeeze(-1))
    return Net(run, stem=nn.Conv2d(3, 4, 3, 2, 1), bn1=nn.BatchNorm2d(4), act1=Square(), conv1=nn.Conv2d(4, 4, 3, padding=1, bias=False),
               bn2=nn.BatchNorm2d(4), act2=Square(), conv2=nn.Conv2d(4, 4, 3, padding=1, bias=False), bn3=nn.BatchNorm2d(4), act3=Square(),
               fc=nn.Linear(4, 3))


@case(3, 8, 8, opset=13)
def mobile_block():
    """Inverted residual: expansion, depthwise, projection."""
    def run(m, x):
        x = m.stem(x)
        return m.head(m.body(x) + x)
    return Net(run, stem=nn.Conv2d(3, 4, 3, 2, 1),
               body=nn.Sequential(nn.Conv2d(4, 8, 1, bias=False), nn.BatchNorm2d(8), Square(), nn.Conv2d(8, 8, 3, 1, 1, groups=8, bias=False),
                                  nn.BatchNorm2d(8), Square(), nn.Conv2d(8, 4, 1, bias=False), nn.BatchNorm2d(4)),
               head=nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(1), nn.Linear(4, 3)))


@case(4, 10, 10, opset=11)
def grouped_dilated():
    return nn.Sequential(nn.Conv2d(4, 8, 3, groups=2, dilation=2), Square(), nn.Conv2d(8, 4, (3, 1), stride=(2, 1), groups=4, padding=(1, 0)),
                         nn.AdaptiveAvgPool2d((1, 2)), nn.Flatten(), nn.Linear(8, 3))


@case(2, 7, 7, opset=13, fold=False)
def paddings():
    """ZeroPad2d and F.pad, of which some sides alone, before a convolution and before a padded pool."""
    def run(m, x):
        x = m.even(F.pad(x, (1, 2, 0, 1))) ** 2
        x = m.conv(m.zero(x)) ** 2
        x = m.pool(F.pad(x, (0, 1, 1, 0)))
        return m.fc(torch.flatten(x, 1))
    return Net(run, even=nn.Conv2d(2, 3, (2, 4)), zero=nn.ZeroPad2d((1, 0, 2, 1)), conv=nn.Conv2d(3, 3, 3, stride=2),
               pool=nn.AvgPool2d(2, padding=1), fc=nn.Linear(27, 4))


@case(2, 6, 6, opset=13, plan=False)
def circular_padding():
    """By hand: what this exporter writes for padding_mode="circular" takes the last row but one."""
    def run(m, x):
        x = torch.cat([x[:, :, -1:], x, x[:, :, :1]], 2)
        x = torch.cat([x[..., -1:], x, x[..., :1]], 3)
        return m.fc(F.avg_pool2d(m.conv(x) ** 2, 3).flatten(1))
    return Net(run, conv=nn.Conv2d(2, 3, 3), fc=nn.Linear(12, 3))


@case(2, 16, opset=13, batch=True)
def conv1d():
    def run(m, x):
        x = m.bn1(m.conv1(x)) ** 2
        x = F.avg_pool1d(x, 2)
        x = m.conv2(x) ** 2
        return m.fc(x.mean(-1))
    return Net(run, conv1=nn.Conv1d(2, 4, 3), bn1=nn.BatchNorm1d(4), conv2=nn.Conv1d(4, 6, 3, padding=1, dilation=1), fc=nn.Linear(6, 3))


@case(1, 6, 6, opset=9, fold=False)
def pools():
    """Pools whose strides are no kernels, and ceil_mode that adds no window (before opset 10 it is written as padding)."""
    def run(m, x):
        x = F.avg_pool2d(m.conv(x), 3, stride=1, padding=1, count_include_pad=True) ** 2
        x = F.avg_pool2d(x, (2, 3), stride=(2, 3), ceil_mode=True)
        return m.fc(x.reshape(x.shape[0], -1))
    return Net(run, conv=nn.Conv2d(1, 3, 1), fc=nn.Linear(18, 2))


@case(3, 8, 8, opset=13, scripted=True)
def scripted():
    """Compiled by torch.jit.script before it is exported."""
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), Square(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))


@case(3, 8, 8, opset=8, bare=True)
def weights_among_inputs():
    return nn.Sequential(nn.Conv2d(3, 4, 3, 2), nn.BatchNorm2d(4), Square(), nn.Flatten(), nn.Linear(36, 3))
