"""Tensors cut, joined and turned."""
import torch
import torch.nn.functional as F
from torch import nn

from .parts import Net, Square, case


@case(4, 6, 6, opset=13, batch=True, plan=False)
def split_and_cat():
    def run(m, x):
        a, b = m.conv(x).chunk(2, dim=1)
        c, d = torch.split(a, [1, 2], dim=1)
        x = torch.cat([m.left(d) ** 2, m.right(b) ** 2, c[:, :, 1:-1, 1:-1] ** 2], dim=1)
        return m.fc(x.flatten(1))
    return Net(run, conv=nn.Conv2d(4, 6, 3), left=nn.Conv2d(2, 2, 3), right=nn.Conv2d(3, 2, 3), fc=nn.Linear(20, 3))


@case(3, 6, 6, opset=9)
def densenet():
    def run(m, x):
        x = m.stem(x)
        for layer in (m.one, m.two):
            x = torch.cat((x, layer(x) ** 2), 1)
        return m.fc(m.norm(x).mean([2, 3]))
    return Net(run, stem=nn.Conv2d(3, 3, 3), one=nn.Conv2d(3, 2, 3, padding=1), two=nn.Conv2d(5, 2, 3, padding=1), norm=nn.BatchNorm2d(7),
               fc=nn.Linear(7, 3))


@case(2, 8, 8, opset=11, batch=True)
def inception():
    def run(m, x):
        x = m.stem(x) ** 2
        return m.fc(torch.cat([m.a(x), m.b(x), F.avg_pool2d(x, 3, 1, 1)], 1).pow(2).mean((-2, -1)))
    return Net(run, stem=nn.Conv2d(2, 3, 3), a=nn.Conv2d(3, 2, 1), b=nn.Conv2d(3, 2, 3, padding=1), fc=nn.Linear(7, 3))


@case(2, 8, 8, opset=13, plan=False)
def slices():
    def run(m, x):
        x = m.conv(x)
        a = x[:, ::2, ::2, 1::2] ** 2
        b = x[:, 1:3, -3:, :3] ** 2
        y = torch.stack([a, b], dim=1)
        y = y[:, 0] - 0.5 * y[:, 1]
        return m.fc(torch.cat([y.flatten(1), x[:, 3, 0, :4], x[..., -1].flatten(1)[:, 2:9:3]], 1))
    return Net(run, conv=nn.Conv2d(2, 4, 3), fc=nn.Linear(25, 3))


@case(2, 6, 6, opset=11, fold=False, batch=True, plan=False)
def rolls_and_flips():
    def run(m, x):
        x = m.conv(x)
        y = torch.roll(x, shifts=(1, -2), dims=(2, 3)) + x.flip(-1)
        y = y ** 2
        return m.fc((y - torch.flip(y, [2, 3])).flatten(1)[:, :32].contiguous())
    return Net(run, conv=nn.Conv2d(2, 3, 3), fc=nn.Linear(32, 3))


@case(6, 5, 5, opset=13)
def selects():
    def run(m, x):
        x = m.conv(x[:, [2, 0, 5, 1]])
        a, b, c = x.unbind(1)
        y = torch.stack((a * a, b * b - c), 1)
        y = torch.index_select(y.flatten(2), 2, torch.tensor([8, 1, 3, 5]))
        return m.fc(y.narrow(2, 1, 3).reshape(-1, 6)) + x.select(1, 0)[:, 1, :2]
    return Net(run, conv=nn.Conv2d(4, 3, 3), fc=nn.Linear(6, 2))


@case(1, 8, 8, opset=13)
def pixel_unshuffle():
    return nn.Sequential(nn.PixelUnshuffle(2), nn.Conv2d(4, 4, 3), Square(), nn.Flatten(), nn.Linear(16, 3))


@case(2, 8, 8, opset=11, batch=True)
def space_to_depth():
    """The same by hand, behind a convolution, as focus layers do."""
    def run(m, x):
        x = m.conv(x) ** 2
        n, c, h, w = x.shape
        x = x.view(n, c, h // 2, 2, w // 2, 2).permute(0, 3, 5, 1, 2, 4).reshape(n, 4 * c, h // 2, w // 2)
        return m.fc(m.last(x).flatten(1))
    return Net(run, conv=nn.Conv2d(2, 2, 3, padding=1), last=nn.Conv2d(8, 2, 1), fc=nn.Linear(32, 3))


@case(2, 4, 12, opset=16)
def unshuffled_with_border():
    """Blocks that are no squares, and a convolution of them with padding, strides, groups and dilations."""
    def run(m, x):
        x = m.stem(x)
        n, c, h, w = x.shape
        x = x.reshape(n, c, h, w // 3, 3).permute(0, 4, 1, 2, 3).reshape(n, 3 * c, h, w // 3)
        return m.fc((m.conv(x) ** 2).flatten(1))
    return Net(run, stem=nn.Conv2d(2, 2, 1), conv=nn.Conv2d(6, 4, (3, 2), stride=(2, 1), padding=(1, 2), dilation=(1, 2), groups=2),
               fc=nn.Linear(48, 2))


@case(4, 6, 6, opset=13)
def channel_shuffle():
    """Grouped convolutions with channels mixed between them (ShuffleNet)."""
    def run(m, x):
        x = m.one(x) ** 2
        n, c, h, w = x.shape
        x = x.view(n, 2, c // 2, h, w).transpose(1, 2).contiguous().view(n, c, h, w)
        return m.fc(m.two(x).flatten(1))
    return Net(run, one=nn.Conv2d(4, 6, 3, groups=2), two=nn.Conv2d(6, 4, 3, groups=2, padding=1), fc=nn.Linear(64, 3))


@case(4, 6, 6, opset=11, batch=True, fold=False, plan=False)
def shuffle_units():
    """Half of the channels go past a branch, and all are mixed between two such units (ShuffleNet V2)."""
    def mix(x):
        n, c, h, w = x.size()
        return x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, -1, h, w)

    def run(m, x):
        x = m.stem(x)
        for unit in (m.one, m.two):
            a, b = x.chunk(2, dim=1)
            x = mix(torch.cat((a, unit(b) ** 2), dim=1))
        return m.fc(m.last(x).mean([2, 3]))
    return Net(run, stem=nn.Conv2d(4, 4, 3), one=nn.Conv2d(2, 2, 3, padding=1), two=nn.Conv2d(2, 2, 1), last=nn.Conv2d(4, 3, 1),
               fc=nn.Linear(3, 2))


@case(2, 8, 8, opset=13)
def focus():
    """Every second pixel of four kinds, joined as channels (YOLO), behind a convolution."""
    def run(m, x):
        x = m.stem(x)
        x = torch.cat((x[..., ::2, ::2], x[..., 1::2, ::2], x[..., ::2, 1::2], x[..., 1::2, 1::2]), dim=1)
        return m.fc((m.conv(x) ** 2).flatten(1))
    return Net(run, stem=nn.Conv2d(2, 2, 1), conv=nn.Conv2d(8, 3, 3), fc=nn.Linear(12, 2))


@case(3, 6, 8, opset=16, batch=True)
def focus_of_image():
    """The same of the image itself, which one convolution alone may read."""
    def run(m, x):
        x = torch.cat([x[:, :, ::2, ::2], x[:, :, 1::2, ::2], x[:, :, ::2, 1::2], x[:, :, 1::2, 1::2]], 1)
        return m.fc((m.conv(x) ** 2).flatten(1))
    return Net(run, conv=nn.Conv2d(12, 3, 3, padding=1), fc=nn.Linear(36, 2))


@case(3, 6, 6, opset=13, batch=True, last=True)
def channels_last_input():
    def run(m, x):
        x = m.conv(x.permute(0, 3, 1, 2)) ** 2
        return m.fc(x.permute(0, 2, 3, 1).flatten(1))
    return Net(run, conv=nn.Conv2d(3, 4, 3), fc=nn.Linear(64, 3))


@case(2, 4, 6, opset=16, batch=True)
def means():
    def run(m, x):
        x = m.conv(x) ** 2
        rows, columns = x.mean(2), x.mean(dim=3)
        return m.fc(torch.cat([rows.flatten(1), columns.flatten(1), x.mean((2, 3)), x.mean(1).flatten(1)], 1))
    return Net(run, conv=nn.Conv2d(2, 3, 1), fc=nn.Linear(57, 3))


@case(2, 5, 5, opset=13)
def centred_maps():
    """Each map without its mean, which is linear."""
    def run(m, x):
        x = m.conv(x)
        x = x - x.mean((2, 3), keepdim=True)
        return m.fc((x * x).flatten(1))
    return Net(run, conv=nn.Conv2d(2, 3, 3), fc=nn.Linear(27, 2))


@case(4, 3, 3, opset=13)
def sums():
    def run(m, x):
        x = m.conv(x)
        return m.fc(x.sum((2, 3)) ** 2)
    return Net(run, conv=nn.Conv2d(4, 3, 1), fc=nn.Linear(3, 2))


@case(3, 4, 4, opset=13)
def tiled():
    def run(m, x):
        return m.fc((m.conv(x.mean((2, 3), keepdim=True)) ** 2).repeat(1, 1, 2, 2).flatten(1))
    return Net(run, conv=nn.Conv2d(3, 2, 1), fc=nn.Linear(8, 2))


@case(8, 3, 3, opset=13)
def pixel_shuffle():
    return nn.Sequential(nn.Conv2d(8, 8, 1), Square(), nn.PixelShuffle(2), nn.Flatten(), nn.Linear(72, 2))
