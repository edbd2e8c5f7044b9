"""What cannot be run encrypted, or is not covered."""
import torch
import torch.nn.functional as F
from torch import nn

from .parts import Net, Square, case, parameter


@case(3, 8, 8, opset=13, refused=("Relu", "MaxPool", "Softmax"))
def relu_network():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 4, 2), nn.ReLU(inplace=True),
                         nn.Flatten(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 4), nn.Softmax(dim=1))


@case(2, 4, 4, opset=16, batch=True, refused=("Sigmoid", "Tanh", "LeakyRelu", "PRelu", "Elu", "Selu", "Softplus", "Clip", "Erf", "HardSwish"))
def activations():
    """One after the other; the exporter writes some as several operators."""
    layers = []
    for act in (nn.SiLU(), nn.Tanh(), nn.LeakyReLU(0.1), nn.PReLU(2), nn.ELU(), nn.SELU(), nn.Mish(), nn.ReLU6(), nn.GELU(), nn.Hardswish()):
        layers += [nn.Conv2d(2, 2, 1), act]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(32, 2))


@case(4, 4, 6, opset=13, refused=("Sqrt", "Div"))
def layer_norm():
    """Before opset 17 written as means, squares, a root and a quotient."""
    return nn.Sequential(nn.Conv2d(4, 3, 1), nn.Flatten(2), nn.LayerNorm(24), nn.Flatten(), nn.Linear(72, 2))


@case(4, 4, 4, opset=13, refused=("InstanceNormalization",))
def group_norm():
    return nn.Sequential(nn.Conv2d(4, 4, 1), nn.GroupNorm(2, 4), Square(), nn.InstanceNorm2d(4), nn.Flatten(), nn.Linear(64, 2))


@case(5, 3, opset=13, refused=("LSTM", "GRU"))
def recurrent():
    def run(m, x):
        return m.fc(m.gru(m.lstm(x)[0])[0][:, -1])
    return Net(run, lstm=nn.LSTM(3, 4, batch_first=True), gru=nn.GRU(4, 2, batch_first=True), fc=nn.Linear(2, 2))


@case(4, 6, opset=13, refused=("Softmax",))
def softmax_attention():
    def run(m, x):
        return m.head(m.attention(x, x, x, need_weights=False)[0].mean(1))
    return Net(run, attention=nn.MultiheadAttention(6, 2, batch_first=True), head=nn.Linear(6, 2))


@case(3, 6, 6, opset=13, mode="training", refused=("BatchNormalization", "Dropout"))
def left_in_training():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), Square(), nn.Flatten(), nn.Dropout(0.5), nn.Linear(64, 2))


@case(2, 4, 4, opset=13, refused=("ConvTranspose", "Resize"))
def upsampled():
    return nn.Sequential(nn.Conv2d(2, 2, 3), nn.Upsample(scale_factor=2, mode="nearest"), Square(), nn.ConvTranspose2d(2, 2, 2, 2), nn.Flatten(),
                         nn.Linear(128, 2))


@case(2, 5, 5, opset=13, refused=("Pad",))
def reflected_padding():
    return nn.Sequential(nn.Conv2d(2, 3, 3, padding=1, padding_mode="reflect"), nn.ReplicationPad2d(1), nn.Conv2d(3, 2, 3), Square(), nn.Flatten(),
                         nn.Linear(50, 2))


@case(2, 4, 4, opset=13, refused=("ReduceMax", "Abs", "Exp", "Where", "Greater"))
def comparisons():
    """The quotient at the end is of something unknown by then, and is not named."""
    def run(m, x):
        x = m.conv(x)
        x = torch.where(x > 0, x, 0.1 * x)
        return m.fc(x.abs().exp().flatten(1) / x.amax((1, 2, 3)).unsqueeze(1))
    return Net(run, conv=nn.Conv2d(2, 2, 1), fc=nn.Linear(32, 2))


@case(2, 4, 4, opset=13, refused=("outputs",), outputs=("classes", "boxes"))
def two_outputs():
    def run(m, x):
        x = m.conv(x) ** 2
        return m.a(x.flatten(1)), m.b(x.flatten(1))
    return Net(run, conv=nn.Conv2d(2, 2, 3), a=nn.Linear(8, 2), b=nn.Linear(8, 4))


@case(2, 4, 4, 4, opset=13, refused=("input",))
def volumes():
    return nn.Sequential(nn.Conv3d(2, 2, 3), Square(), nn.Flatten(), nn.Linear(16, 2))


@case(3, 8, 8, opset=13, batch=True, refused=("AveragePool",))
def pooled_without_border():
    def run(m, x):
        x = F.avg_pool2d(m.conv(x), 3, stride=2, padding=1, count_include_pad=False) ** 2
        return m.fc(x.flatten(1))
    return Net(run, conv=nn.Conv2d(3, 3, 1), fc=nn.Linear(48, 2))


@case(2, 8, 8, opset=13, refused=("Pad",))
def cropped():
    """F.pad with negative widths cuts off."""
    def run(m, x):
        x = F.pad(m.conv(x), (-1, -1, -2, 0)) ** 2
        return m.fc(m.last(x).flatten(1))
    return Net(run, conv=nn.Conv2d(2, 3, 3), last=nn.Conv2d(3, 2, 3), fc=nn.Linear(8, 3))


@case(18, opset=13, refused=("Conv",))
def unflattened_vector():
    """A dense layer makes a map, as decoders do (of nn.Unflatten this exporter knows nothing)."""
    def run(m, x):
        return m.fc((m.conv(m.map(x).view(-1, 2, 3, 3)) ** 2).flatten(1))
    return Net(run, map=nn.Linear(18, 18), conv=nn.Conv2d(2, 3, 2), fc=nn.Linear(12, 2))


@case(3, 6, 6, opset=13, refused=("/after/Conv",))
def convolution_after_gate():
    """A gate of one number a channel leaves a row of numbers, which no convolution reads."""
    def run(m, x):
        x = m.conv(x)
        x = x * m.gate(F.adaptive_avg_pool2d(x, 1))
        return m.head(m.after(x).flatten(1))
    return Net(run, conv=nn.Conv2d(3, 4, 3), gate=nn.Conv2d(4, 4, 1), after=nn.Conv2d(4, 2, 3), head=nn.Linear(8, 3))


@case(3, 6, 6, opset=13, refused=("/1/ReduceMean_2",))
def batch_statistics():
    """Statistics of the batch in use, too, which the exporter writes as means."""
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, track_running_stats=False), Square(), nn.Flatten(), nn.Linear(64, 2))
