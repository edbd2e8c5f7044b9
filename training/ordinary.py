#!/usr/bin/env python3
"""Train an ordinary network, as nobody would write it for encryption, and export it with PyTorch's own exporter.

    /usr/bin/python3 ordinary.py --data DIR --out RUN --minutes 30              # RUN/final.pt and RUN/model.onnx
    /usr/bin/python3 ordinary.py --data DIR --out RUN --export model.onnx       # again from RUN/final.pt

Three padded convolutions with ReLU make sixteen tokens of 32 numbers, an `nn.TransformerEncoderLayer` as it comes (four heads with a softmax, layer
normalisations, GELU) mixes them, their mean goes into a dense layer. `brainlock approximate` puts polynomials in place of all of that. Input `image`: float
NCHW pixels in [0, 1].
"""
import argparse
import math
import pathlib
import time

import torch
from torch import nn
from torch.nn import functional as F

import data as cifar


class Net(nn.Module):
    def __init__(self, dim=32, classes=10):
        super().__init__()
        self.register_buffer("mean", torch.tensor(cifar.MEAN).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(cifar.STD).view(1, 3, 1, 1))
        widths = (3, 32, 64, dim)
        layers = []
        for i in range(3):
            layers += [nn.Conv2d(widths[i], widths[i + 1], 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(widths[i + 1])]
            if i < 2:
                layers.append(nn.ReLU())
        self.stem = nn.Sequential(*layers)
        self.position = nn.Parameter(0.02 * torch.randn(1, 16, dim))
        self.encoder = nn.TransformerEncoderLayer(dim, 4, 2 * dim, dropout=0.0, activation="gelu", batch_first=True)
        self.head = nn.Linear(dim, classes)

    def forward(self, x):
        x = self.stem((x - self.mean) / self.std)
        x = self.encoder(x.flatten(2).transpose(1, 2) + self.position)
        return self.head(x.mean(1))


def accuracy(net, images, labels):
    net.eval()
    with torch.no_grad():
        hits = sum(int((net(cifar.to_float(images[i:i + 500])).argmax(1) == labels[i:i + 500]).sum()) for i in range(0, len(images), 500))
    return hits / len(images)


def export(net, path):
    net.eval()
    torch.onnx.export(net, torch.zeros(1, 3, 32, 32), str(path), opset_version=14, input_names=["image"], output_names=["logits"])


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--data", required=True, help="folder with the CIFAR-10 binary files")
    p.add_argument("--out", required=True, help="folder for the checkpoint and the model")
    p.add_argument("--minutes", type=float, default=30, help="the learning rate follows the clock")
    p.add_argument("--batch", type=int, default=128)
    p.add_argument("--lr", type=float, default=3e-3)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--export", help="no training: write the model of RUN/final.pt there")
    args = p.parse_args()
    out = pathlib.Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    net = Net()
    if args.export:
        net.load_state_dict(torch.load(out / "final.pt", map_location="cpu"))
        return export(net, args.export)

    sets = cifar.load(args.data)
    images, labels = sets["train"]
    generator = torch.Generator().manual_seed(args.seed)
    batches = cifar.Augmenter(images, generator=generator)
    decayed = [q for q in net.parameters() if q.ndim > 1]
    others = [q for q in net.parameters() if q.ndim <= 1]
    optimiser = torch.optim.AdamW([{"params": decayed, "weight_decay": 0.02}, {"params": others, "weight_decay": 0.0}], lr=args.lr)
    start, epoch, done = time.monotonic(), 0, 0.0
    while done < 1:
        net.train()
        total = seen = 0
        for index in torch.randperm(len(images), generator=generator).split(args.batch):
            done = (time.monotonic() - start) / (60 * args.minutes)
            if done >= 1:
                break
            rate = args.lr * min(1.0, done / 0.1) * 0.5 * (1 + math.cos(math.pi * done))
            for group in optimiser.param_groups:
                group["lr"] = rate
            loss = F.cross_entropy(net(batches.batch(index, epoch)), labels[index], label_smoothing=0.05)
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimiser.step()
            total, seen = total + loss.item() * len(index), seen + len(index)
        epoch += 1
        print(f"epoch {epoch}: loss {total / max(1, seen):.4f}, validation {accuracy(net, *sets['val']):.4f}, {100 * min(done, 1):.0f} % of the time", flush=True)
    torch.save(net.state_dict(), out / "final.pt")
    export(net, out / "model.onnx")
    print(f"test {accuracy(net, *sets['test']):.4f}")


if __name__ == "__main__":
    main()
