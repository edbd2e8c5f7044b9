"""CIFAR-10 in its standard binary layout, held in memory, with augmentation done in the process.

A record is 3,073 bytes: one label, then 32x32 red, green and blue planes. The shared fixture has
8,000 test records instead of 10,000, so sizes are taken from the files.
"""
import pathlib

import numpy as np
import torch

CLASSES = ("airplane", "automobile", "bird", "cat", "deer",
           "dog", "frog", "horse", "ship", "truck")
RECORD = 3073
VALIDATION = 2500  # the last images of the training set; they choose between models

# Channel means and standard deviations of the training pixels in [0, 1].
MEAN = (0.4914, 0.4822, 0.4465)
STD = (0.2470, 0.2435, 0.2616)


def records(path):
    """(uint8 NCHW images, int64 labels) of a file in this layout, as torch tensors."""
    raw = np.fromfile(path, dtype=np.uint8)
    if raw.size == 0 or raw.size % RECORD:
        raise SystemExit(f"{path}: {raw.size} bytes is not a multiple of {RECORD}")
    raw = raw.reshape(-1, RECORD)
    if raw[:, 0].max() > 9:
        raise SystemExit(f"{path}: a label above 9")
    return torch.from_numpy(raw[:, 1:].reshape(-1, 3, 32, 32)), torch.from_numpy(raw[:, 0].astype(np.int64))


def load(folder):
    """Dictionary of `train`, `val`, `test`: (uint8 NCHW images, int64 labels), as torch tensors."""
    folder = pathlib.Path(folder)
    if (folder / "cifar-10-batches-bin").is_dir():
        folder = folder / "cifar-10-batches-bin"
    parts = [records(folder / f"data_batch_{i}.bin") for i in range(1, 6)]
    images = torch.cat([p[0] for p in parts])
    labels = torch.cat([p[1] for p in parts])
    return {
        "train": (images[:-VALIDATION], labels[:-VALIDATION]),
        "val": (images[-VALIDATION:], labels[-VALIDATION:]),
        "test": records(folder / "test_batch.bin"),
    }


def to_float(images):
    """uint8 NCHW to float NCHW in [0, 1], the form that the ONNX file takes."""
    return images.to(torch.float32).div_(255.0).contiguous(memory_format=torch.channels_last)


class Augmenter:
    """Random horizontal flip, shift by up to `pad` pixels (reflected border), optional cutout
    and contrast jitter, and a share `tint` of the images in harsh colours.

    Images are kept as (N, H, W, C) bytes, so that one gather makes a channels-last batch. The flip
    of an image alternates from epoch to epoch (a fair coin decides the first one), which shows both
    mirror images equally often in a short training.
    """

    def __init__(self, images, pad=4, cutout=0, generator=None, jitter=0.0, tint=0.0):
        self.generator = generator
        self.pad, self.cutout, self.jitter, self.tint = pad, cutout, jitter, tint
        padded = torch.nn.functional.pad(images.float(), (pad,) * 4, mode="reflect") if pad else images
        self.count, self.channels, self.height, self.width = padded.shape
        self.size = images.shape[-1]
        self.pixels = padded.to(torch.uint8).permute(0, 2, 3, 1).reshape(-1, self.channels).contiguous()
        self.first_flip = torch.randint(0, 2, (self.count,), generator=generator)

    def tinted(self, count):
        """How many of a batch are in harsh colours: the last ones."""
        return max(1, int(self.tint * count)) if self.tint else 0

    def batch(self, index, epoch):
        b, size, g = len(index), self.size, self.generator
        dy = torch.randint(0, 2 * self.pad + 1, (b, 1, 1), generator=g)
        dx = torch.randint(0, 2 * self.pad + 1, (b, 1, 1), generator=g)
        ys = torch.arange(size).view(1, size, 1) + dy
        xs = torch.arange(size).view(1, 1, size)
        flip = ((self.first_flip[index] + epoch) % 2).view(b, 1, 1).bool()
        xs = torch.where(flip, size - 1 - xs, xs) + dx
        rows = (index.view(b, 1, 1) * self.height + ys) * self.width + xs
        x = self.pixels[rows.view(-1)].view(b, size, size, self.channels)
        x = x.to(torch.float32).div_(255.0).permute(0, 3, 1, 2)
        if self.jitter:
            # Contrast and brightness, clipped as a camera would: pre-activations of harsh images stay bounded too.
            contrast = 2.0 ** (self.jitter * (2 * torch.rand((b, 1, 1, 1), generator=g) - 1))
            offset = 0.25 * self.jitter * (2 * torch.rand((b, 1, 1, 1), generator=g) - 1)
            mean = x.mean((1, 2, 3), keepdim=True)
            x = (x - mean).mul_(contrast).add_(mean + offset).clamp_(0, 1)
        if self.tint:
            # Rare colours: the last few of the images, saturated and shifted, with harsh contrast.
            k = self.tinted(b)
            rand = lambda low, high, channels=1: low + (high - low) * torch.rand((k, channels, 1, 1), generator=g)
            some = x[b - k:]
            grey = some.mean(1, keepdim=True)
            some = (grey - 0.5) * 2.0 ** rand(-1, 1) + 0.5 + (some - grey) * rand(1, 4)
            x[b - k:] = (some + rand(-0.35, 0.35, self.channels)).clamp_(0, 1)
        if self.cutout:
            c = self.cutout
            top = torch.randint(-c // 2, size - c // 2, (b,), generator=g).tolist()
            left = torch.randint(-c // 2, size - c // 2, (b,), generator=g).tolist()
            fill = torch.tensor(MEAN[: self.channels]).view(-1, 1, 1)
            for i in range(b):
                x[i, :, max(0, top[i]):top[i] + c, max(0, left[i]):left[i] + c] = fill
        return x


def odd(x, generator):
    """Pictures at the edge of what a camera makes, from a batch of floats in [0, 1]: some sharpened, some of harsh contrast, some
    with noise or fine stripes over them. A network of squares has to be shown how to stay bounded on these."""
    b, size = len(x), x.shape[-1]
    rand = lambda low, high: low + (high - low) * torch.rand((b, 1, 1, 1), generator=generator)
    some = lambda share: (torch.rand((b, 1, 1, 1), generator=generator) < share).float()
    blurred = torch.nn.functional.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
    x = x + some(0.6) * rand(0.5, 4) * (x - blurred)
    mean = x.mean((1, 2, 3), keepdim=True)
    x = (x - mean) * (1 + some(0.5) * rand(0, 3)) + mean + some(0.3) * rand(-0.4, 0.4)
    x = x + some(0.4) * rand(0, 0.25) * torch.randn(x.shape, generator=generator)
    at = torch.arange(size)
    period = torch.randint(1, 5, (b, 1, 1, 1), generator=generator)
    rows, columns = some(0.5), some(0.5)
    stripes = ((rows * at.view(-1, 1) + columns * at).div(period, rounding_mode="floor") % 2) * 2 - 1
    tint = 2 * torch.rand((b, 3, 1, 1), generator=generator) - 1
    return (x + some(0.3) * rand(0.1, 0.5) * stripes * tint).clamp(0, 1)
