#!/usr/bin/env python3
"""Endless pictures nobody has seen: seeded 32x32 colour images with about CIFAR-10's statistics.

    /usr/bin/python3 synthetic.py --count 8000 --seed 1 --output synthetic.bin   # CIFAR records, label 0
    /usr/bin/python3 synthetic.py --count 64 --seed 1 --sheet sheet.png          # to look at

Image number i of seed s depends on (s, i) alone. Each is a background of value noise in four
octaves (brightness, and weaker colour), up to four soft shapes (ellipse, box, triangle; plain,
striped or noisy), a slope of light, sometimes a blur, and a brightness and contrast drawn like
those of photographs. No picture has a label: what counts is how a network answers it.
"""
import argparse

import numpy as np

MASK = (1 << 64) - 1


class Random:
    """SplitMix64: small enough to repeat in any language."""

    def __init__(self, seed, index):
        self.state = (seed * 0x9E3779B97F4A7C15 + index * 0xD1B54A32D192ED03 + 0x2545F4914F6CDD1D) & MASK
        for _ in range(2):
            self.state = self.integer()

    def integer(self):
        self.state = (self.state + 0x9E3779B97F4A7C15) & MASK
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        return z ^ (z >> 31)

    def uniform(self, low=0.0, high=1.0):
        return low + (high - low) * (self.integer() >> 11) / float(1 << 53)

    def below(self, n):
        return self.integer() % n

    def normal(self):
        """Irwin-Hall: the sum of 12 uniforms, less 6."""
        return sum(self.uniform() for _ in range(12)) - 6.0

    def grid(self, n):
        """n x n values in [-1, 1): one SplitMix64 stream, drawn in rows."""
        steps = (np.arange(1, n * n + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
                 + np.uint64(self.state))
        self.state = int(steps[-1])
        z = (steps ^ (steps >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
        return ((z >> np.uint64(11)).astype(np.float64) / float(1 << 53) * 2 - 1).reshape(n, n)


SIZE = 32
_Y, _X = np.mgrid[0:SIZE, 0:SIZE].astype(np.float64)


def _stretch(grid):
    """Bilinear interpolation of a small grid to the whole picture."""
    n = len(grid)
    at = (np.arange(SIZE) + 0.5) * (n - 1) / SIZE
    low = np.floor(at).astype(int)
    t = at - low
    high = np.minimum(low + 1, n - 1)
    rows = grid[low] * (1 - t)[:, None] + grid[high] * t[:, None]
    return rows[:, low] * (1 - t) + rows[:, high] * t


def _field(r, persistence):
    total, amplitude = 0.0, 1.0
    for n in (3, 5, 9, 17):
        total = total + amplitude * _stretch(r.grid(n))
        amplitude *= persistence
    return total


def _shape(r):
    """Coverage in [0, 1], with a soft edge."""
    kind = r.below(3)
    cx, cy = r.uniform(6, 26), r.uniform(6, 26)
    angle = r.uniform(0, 2 * np.pi)
    u = (_X - cx) * np.cos(angle) + (_Y - cy) * np.sin(angle)
    v = (_Y - cy) * np.cos(angle) - (_X - cx) * np.sin(angle)
    a, b = r.uniform(3, 14), r.uniform(3, 14)
    if kind == 0:
        inside = (1.0 - np.sqrt((u / a) ** 2 + (v / b) ** 2)) * min(a, b)
    elif kind == 1:
        inside = np.minimum(a - np.abs(u), b - np.abs(v))
    else:
        inside = np.minimum(np.minimum(v + b, a - u - 0.5 * v), a + u - 0.5 * v)
    return np.clip(inside / r.uniform(0.7, 2.5) + 0.5, 0, 1)


def image(seed, index):
    """uint8 array (3, 32, 32)."""
    r = Random(seed, index)
    light = _field(r, r.uniform(0.35, 1.25))
    tint = [_field(r, 0.5) * r.uniform(0.0, 0.40) + 0.45 * r.normal() * r.uniform() for _ in range(2)]
    planes = np.stack([light + tint[0], light - 0.3 * tint[0] - 0.3 * tint[1], light + tint[1]])
    for _ in range(r.below(5)):
        cover = _shape(r)
        base = 1.1 * r.normal() * 0.7
        colour = np.array([base + 0.35 * r.normal() for _ in range(3)]).reshape(3, 1, 1)
        texture = r.below(3)
        if texture == 1:
            angle, pitch = r.uniform(0, np.pi), r.uniform(2.5, 8.0)
            wave = np.sin(2 * np.pi * (_X * np.cos(angle) + _Y * np.sin(angle)) / pitch)
            colour = colour + r.uniform(0.1, 0.6) * wave
        elif texture == 2:
            colour = colour + r.uniform(0.1, 0.6) * _field(r, 0.9)
        cover = cover * r.uniform(0.6, 1.0)
        planes = planes * (1 - cover) + colour * cover
    slope, angle = r.uniform(0, 0.8), r.uniform(0, 2 * np.pi)
    planes = planes + slope * ((_X - 15.5) * np.cos(angle) + (_Y - 15.5) * np.sin(angle)) / 16
    if r.below(4) == 0:      # a little blur
        padded = np.pad(planes, ((0, 0), (1, 1), (1, 1)), mode="edge")
        planes = sum(padded[:, i:i + SIZE, j:j + SIZE] * w for i, j, w in
                     ((0, 1, .15), (1, 0, .15), (1, 2, .15), (2, 1, .15), (1, 1, .4)))
    else:                    # a little grain
        planes = planes + r.uniform(0.0, 0.20) * np.stack([r.grid(SIZE) for _ in range(3)])
    spread = planes.std() + 1e-6
    contrast = min(max(0.222 + 0.06 * r.normal(), 0.07), 0.36)
    middle = min(max(0.473 + 0.13 * r.normal(), 0.12), 0.85)
    warm = np.array([0.015, 0.005, -0.020]).reshape(3, 1, 1)
    planes = (planes - planes.mean()) / spread * contrast + middle + warm
    return np.clip(np.floor(planes * 255 + 0.5), 0, 255).astype(np.uint8)


def images(seed, first, count):
    return np.stack([image(seed, first + i) for i in range(count)])


def statistics(pixels):
    """Figures to compare two sets of uint8 (N, 3, 32, 32) images with."""
    x = pixels.astype(np.float64) / 255
    rows = np.abs(np.diff(x, axis=3)).mean((1, 2, 3))
    luma = x.mean(1)
    return {
        "channel means": x.mean((0, 2, 3)).round(3).tolist(),
        "channel deviations": x.std((0, 2, 3)).round(3).tolist(),
        "an image's mean: mean, deviation": [x.mean((1, 2, 3)).mean().round(3), x.mean((1, 2, 3)).std().round(3)],
        "an image's deviation: mean, deviation": [x.std((1, 2, 3)).mean().round(3), x.std((1, 2, 3)).std().round(3)],
        "step to the next pixel: mean, deviation": [rows.mean().round(3), rows.std().round(3)],
        "colour (deviation between channels)": x.std(1).mean().round(3),
        "pixels at 0 or 255": float(((pixels == 0) | (pixels == 255)).mean().round(4)),
        "brightness deviation": luma.std().round(3),
    }


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--count", type=int, default=64)
    p.add_argument("--first", type=int, default=0)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--output", help="CIFAR-10 binary records with label 0")
    p.add_argument("--sheet", help="a PNG with all images (needs python3-pil)")
    p.add_argument("--statistics", action="store_true")
    p.add_argument("--compare", help="a CIFAR-10 binary file whose statistics to print beside")
    args = p.parse_args()
    pixels = images(args.seed, args.first, args.count)
    if args.output:
        records = np.zeros((len(pixels), 3073), np.uint8)
        records[:, 1:] = pixels.reshape(len(pixels), -1)
        records.tofile(args.output)
    if args.sheet:
        from PIL import Image
        columns = int(np.ceil(np.sqrt(len(pixels))))
        lines = -(-len(pixels) // columns)
        sheet = np.zeros((lines * 33, columns * 33, 3), np.uint8)
        for i, picture in enumerate(pixels):
            y, x = divmod(i, columns)
            sheet[y * 33:y * 33 + 32, x * 33:x * 33 + 32] = picture.transpose(1, 2, 0)
        Image.fromarray(sheet).resize((sheet.shape[1] * 2, sheet.shape[0] * 2), 0).save(args.sheet)
    if args.statistics or args.compare:
        real = None
        if args.compare:
            raw = np.fromfile(args.compare, np.uint8).reshape(-1, 3073)[:args.count, 1:]
            real = statistics(raw.reshape(-1, 3, 32, 32))
        for key, value in statistics(pixels).items():
            print(f"{key}: synthetic {value}" + (f", file {real[key]}" if real else ""))


if __name__ == "__main__":
    main()
