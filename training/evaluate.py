#!/usr/bin/env python3
"""Measure an exported ONNX file: accuracy, ranges, and what an encrypted evaluation would lose.

    /usr/bin/python3 evaluate.py MODEL.onnx --data DIR accuracy [--set test] [--ranges]
    /usr/bin/python3 evaluate.py MODEL.onnx --data DIR ranges [--set test]
    /usr/bin/python3 evaluate.py MODEL.onnx --synthetic FILE ranges
    /usr/bin/python3 evaluate.py MODEL.onnx --data DIR simulate
    /usr/bin/python3 evaluate.py MODEL.onnx odd [--synthetic FILE --steps 60]
    /usr/bin/python3 evaluate.py MODEL.onnx --data DIR compare --logits FILE

The figures belong to the file, not to a checkpoint: the graph itself is run, with PyTorch doing the
arithmetic in single precision. `compare` reads logits that another interpreter wrote (a line of ten
per image, in order) and reports the largest difference and the equal answers.
"""
import argparse
import math

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper
from torch.nn import functional as F

import data as cifar

LINEAR = ("Conv", "Gemm", "BatchNormalization")


def wilson(right, count, z=1.96):
    p = right / count
    middle = (p + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * math.sqrt(p * (1 - p) / count + z * z / (4 * count * count))
    return middle - half, middle + half


class Runner:
    """Runs a graph of the plain operators; can disturb pre-activations and weights."""

    def __init__(self, path):
        self.model = onnx.load(path)
        graph = self.model.graph
        self.constants = {t.name: torch.from_numpy(numpy_helper.to_array(t).copy())
                          for t in graph.initializer}
        self.exact = dict(self.constants)
        self.weights = [n.input[1] for n in graph.node if n.op_type in ("Conv", "Gemm", "MatMul") and n.input[1] in self.constants]
        # A pre-activation is a linear result that a product of computed values or a Relu reads; the logits count too. So do, for attention,
        # results that are rearranged, and products of computed matrices.
        readers, made = {}, {n.output[0]: n for n in graph.node}
        for n in graph.node:
            for name in n.input:
                readers.setdefault(name, []).append(n)
        computed = lambda n: not any(k in self.constants for k in n.input)

        def linear(n):
            """Whether this ends a linear layer (which may be MatMul with Mul and Add of constants), or is a sum or a product of matrices."""
            if n.op_type in LINEAR or n.op_type == "MatMul" or n.op_type == "Add" and computed(n):
                return True
            before = [made[k] for k in n.input if k in made]
            return n.op_type in ("Mul", "Add") and len(before) == 1 and before[0].op_type in ("MatMul", "Mul") and linear(before[0])

        def counts(n):
            return (n.output[0] == graph.output[0].name or n.op_type == "MatMul" and computed(n)
                    or any(r.op_type in ("Relu", "Pow", "Transpose", "Reshape") or r.op_type in ("Mul", "MatMul") and computed(r)
                           for r in readers.get(n.output[0], [])))
        self.watched = [n.output[0] for n in graph.node if linear(n) and counts(n)]
        self.noise = {}   # name -> standard deviation

    def round_weights(self, bits, generator):
        """The error of a period-64 encoding at scale 2^bits, as measured: 3.3 2^-bits max|w|."""
        self.constants = dict(self.exact)
        if bits:
            for name in self.weights:
                w = self.exact[name]
                error = torch.randn(w.shape, generator=generator) * (3.3 * 2.0 ** -bits * w.abs().max())
                self.constants[name] = w + error

    def __call__(self, x, watch=None, generator=None):
        v = dict(self.constants)
        v[self.model.graph.input[0].name] = x
        for node in self.model.graph.node:
            at = {a.name: helper.get_attribute_value(a) for a in node.attribute}
            i = [v[name] for name in node.input]
            op = node.op_type
            if op == "Conv":
                pads = at.get("pads", [0] * 4)
                a = F.pad(i[0], (pads[1], pads[3], pads[0], pads[2])) if any(pads) else i[0]
                y = F.conv2d(a, i[1], i[2] if len(i) > 2 else None, stride=at.get("strides", [1, 1]))
            elif op == "Gemm":
                y = F.linear(i[0], i[1] if at.get("transB") else i[1].t(), i[2])
            elif op == "BatchNormalization":
                y = F.batch_norm(i[0], i[3], i[4], i[1], i[2], False, 0.0, at.get("epsilon", 1e-5))
            elif op == "AveragePool":
                y = F.avg_pool2d(i[0], at["kernel_shape"], at.get("strides"))
            elif op == "Flatten":
                y = i[0].flatten(1)
            elif op == "Reshape":
                y = i[0].reshape([i[0].shape[d] if k == 0 else k for d, k in enumerate(i[1].tolist())])
            elif op == "Transpose":
                y = i[0].permute(at["perm"])
            elif op == "Relu":
                y = F.relu(i[0])
            elif op == "Mul":
                y = i[0] * i[1]
            elif op == "Add":
                y = i[0] + i[1]
            elif op == "MatMul":
                y = i[0] @ i[1]
            elif op == "Pow":
                y = i[0] ** i[1]
            else:
                raise SystemExit(f"operator {op} is not known here")
            name = node.output[0]
            if name in self.noise:
                y = y + self.noise[name] * torch.randn(y.shape, generator=generator)
            if watch is not None and name in self.watched:
                watch(name, y)
            v[name] = y
            for used in node.input:  # free what nobody reads again: pictures are big
                if used in v and used not in self.constants and self._last(used) is node:
                    del v[used]
        return v[self.model.graph.output[0].name]

    def _last(self, name):
        if not hasattr(self, "last"):
            self.last = {}
            for node in self.model.graph.node:
                for used in node.input:
                    self.last[used] = node
        return self.last.get(name)

    def logits(self, images, watch=None, generator=None, batch=200):
        out = []
        with torch.no_grad():
            for k in range(0, len(images), batch):
                x = self.prepare(cifar.to_float(images[k:k + batch]))
                out.append(self(x, watch, generator))
        return torch.cat(out)

    def prepare(self, x):
        shape = [d.dim_value for d in self.model.graph.input[0].type.tensor_type.shape.dim]
        if shape[1] == 1:  # the tiny net: grey, mean of 2x2
            x = F.avg_pool2d(0.299 * x[:, 0:1] + 0.587 * x[:, 1:2] + 0.114 * x[:, 2:3], 2)
        return x


class Ranges:
    """Root mean square and largest magnitude of each watched value."""

    def __init__(self):
        self.sums = {}

    def __call__(self, name, y):
        s = self.sums.setdefault(name, [0, 0.0, 0.0, []])
        s[0] += y.numel()
        s[1] += y.double().square().sum().item()
        per_image = y.abs().flatten(1).max(1).values
        s[2] = max(s[2], per_image.max().item())
        s[3].append(per_image)

    def rms(self, name):
        return math.sqrt(self.sums[name][1] / self.sums[name][0])

    def rows(self):
        for name, (_, _, top, maxima) in self.sums.items():
            m = torch.cat(maxima).sort().values
            yield name, self.rms(name), m[len(m) // 2].item(), m[int(0.999 * (len(m) - 1))].item(), top

    def show(self, source):
        print(f"pre-activations on {source}")
        print("| value | rms | largest of an image: median | 99.9th percentile | largest of all |\n|---|---|---|---|---|")
        for name, rms, median, high, top in self.rows():
            print(f"| {name} | {rms:.3f} | {median:.2f} | {high:.2f} | {top:.2f} |", flush=True)


def odd_images():
    """Pictures that no camera makes, all inside the legal [0, 1]: name -> uint8 (3, 32, 32)."""
    y, x = np.mgrid[0:32, 0:32]
    rng = np.random.default_rng(5)
    grey = lambda v: np.broadcast_to(v, (3, 32, 32)) * 255
    return {k: np.ascontiguousarray(v).astype(np.uint8) for k, v in {
        "black": grey(0), "white": grey(1), "grey": grey(0.5),
        "red": np.stack([grey(1)[0], grey(0)[0], grey(0)[0]]),
        "blue": np.stack([grey(0)[0], grey(0)[0], grey(1)[0]]),
        "yellow": np.stack([grey(1)[0], grey(1)[0], grey(0)[0]]),
        "checks of 1": grey((x + y) % 2), "checks of 2": grey((x // 2 + y // 2) % 2),
        "checks of 4": grey((x // 4 + y // 4) % 2), "columns": grey(x % 2), "rows": grey(y % 2),
        "columns of 2": grey(x // 2 % 2), "edge": grey(x // 16),
        "black and white noise": grey(rng.integers(0, 2, (32, 32))),
        "noise of pure colours": rng.integers(0, 2, (3, 32, 32)) * 255,
        "uniform noise": rng.integers(0, 256, (3, 32, 32)),
    }.items()}


def climb(runner, start, target, steps):
    """Pixels in [0, 1] that make the largest |pre-activation| of `target` large (signed steps)."""
    x = start.clone()
    best = 0.0
    for k in range(steps):
        x.requires_grad_(True)
        caught = []
        runner(x, lambda name, y: caught.append(y) if name == target else None)
        top = caught[0].abs().flatten(1).max(1).values
        best = max(best, top.max().item())
        (g,) = torch.autograd.grad(top.sum(), x)
        x = (x.detach() + 0.05 * (1 - k / steps) * g.sign()).clamp(0, 1)
    return best


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("model")
    p.add_argument("what", choices=("accuracy", "ranges", "simulate", "odd", "compare"))
    p.add_argument("--data", help="folder with the CIFAR-10 binary files")
    p.add_argument("--synthetic", help="use the records of this file instead, as `brainlock synthetic` writes them; their labels say nothing")
    p.add_argument("--set", choices=("train", "val", "test"), default="test")
    p.add_argument("--count", type=int, default=0, help="only the first so many images")
    p.add_argument("--logits", help="logits to compare with, or with accuracy: where to write them")
    p.add_argument("--ranges", action="store_true", help="accuracy: print the ranges too, from the same pass")
    p.add_argument("--steps", type=int, default=40, help="odd: steps of the search for large values")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--threads", type=int, default=2)
    args = p.parse_args()
    torch.set_num_threads(args.threads)
    if args.what == "odd":
        names = odd_images()
        images, labels, source = torch.from_numpy(np.stack(list(names.values()))), None, "odd images"
    elif args.synthetic:
        images = cifar.records(args.synthetic)[0]
        images = images[:args.count or len(images)]
        labels, source = None, f"{len(images)} synthetic images of {args.synthetic}"
    elif args.data:
        images, labels = cifar.load(args.data)[args.set]
        if args.count:
            images, labels = images[:args.count], labels[:args.count]
        source = f"{len(images)} {args.set} images (pixels of the files in --data)"
    else:
        p.error("give --data or --synthetic")
    runner = Runner(args.model)
    generator = torch.Generator().manual_seed(args.seed)

    if args.what == "accuracy":
        ranges = Ranges() if args.ranges else None
        logits = runner.logits(images, ranges)
        if ranges:
            ranges.show(source)
        if args.logits:
            np.savetxt(args.logits, logits.numpy(), fmt="%.9g")
        print(f"{source}: logits rms {logits.square().mean().sqrt():.3f}, largest {logits.abs().max():.2f}, "
              f"deviation within an image {logits.std(1).mean():.3f}")
        top = logits.topk(2, 1).values
        print(f"lead of the first class over the second: median {(top[:, 0] - top[:, 1]).median():.3f}, "
              f"below 0.1 in {100 * ((top[:, 0] - top[:, 1]) < 0.1).float().mean():.1f} %")
        if labels is not None:
            right = (logits.argmax(1) == labels).sum().item()
            low, high = wilson(right, len(labels))
            print(f"accuracy {100 * right / len(labels):.2f} % ({right} of {len(labels)}), "
                  f"95 % interval {100 * low:.2f} to {100 * high:.2f}")
        else:
            shares = torch.bincount(logits.argmax(1), minlength=10).tolist()
            print(f"answers by class: {shares}")
    elif args.what == "ranges":
        ranges = Ranges()
        runner.logits(images, ranges)
        ranges.show(source)
    elif args.what == "odd":
        ranges = Ranges()
        runner.logits(images, ranges, batch=1)
        layers = list(ranges.sums)
        print("largest magnitudes on odd images\n| image | " + " | ".join(layers) + " |")
        print("|---" * (len(layers) + 1) + "|")
        for k, name in enumerate(names):
            print(f"| {name} | " + " | ".join(f"{ranges.sums[n][3][k].item():.1f}" for n in layers) + " |")
        if args.synthetic and args.steps:
            start = runner.prepare(cifar.records(args.synthetic)[0][:8].float() / 255)
            found = [f"{climb(runner, start, n, args.steps):.1f}" for n in layers]
            print(f"| found by {args.steps} signed gradient steps from {len(start)} synthetic images, for each layer alone | "
                  + " | ".join(found) + " |")
    elif args.what == "simulate":
        ranges = Ranges()
        clear = runner.logits(images, ranges)
        answers, scale = clear.argmax(1), clear.square().mean().sqrt()

        def report(kind, logits):
            same = (logits.argmax(1) == answers).sum().item()
            low, high = wilson(same, len(answers))
            accuracy = "" if labels is None else f"{100 * (logits.argmax(1) == labels).float().mean():.2f} %"
            error = (logits - clear).square().mean().sqrt() / scale
            print(f"| {kind} | {accuracy} | {100 * same / len(answers):.2f} % "
                  f"({100 * low:.2f} to {100 * high:.2f}) | {100 * error:.2f} % |", flush=True)
        print(f"disturbed at every linear layer, {source}, seed {args.seed}")
        print("| disturbance | accuracy | answers equal to clear | error of logits, rms |\n|---|---|---|---|")
        report("none", clear)
        for bits in (9, 11, 13, 15):
            runner.round_weights(bits, generator)
            report(f"weights, scale 2^{bits}", runner.logits(images))
        runner.round_weights(0, generator)
        for k in (4, 5, 6, 7, 8, 10):
            runner.noise = {name: 2.0 ** -k * ranges.rms(name) for name in ranges.sums}
            report(f"pre-activation noise 2^-{k} of rms", runner.logits(images, generator=generator))
        runner.round_weights(13, generator)
        runner.noise = {name: 2.0 ** -7 * ranges.rms(name) for name in ranges.sums}
        report("both: scale 2^13 and noise 2^-7 (as the fast profile)",
               runner.logits(images, generator=generator))
        runner.round_weights(18, generator)
        runner.noise = {name: 2.0 ** -11 * ranges.rms(name) for name in ranges.sums}
        report("both: scale 2^18 and noise 2^-11 (as the precise profile)",
               runner.logits(images, generator=generator))
    else:
        logits = runner.logits(images)
        other = torch.from_numpy(np.loadtxt(args.logits, ndmin=2)).float()
        n = min(len(logits), len(other))
        same = (logits[:n].argmax(1) == other[:n].argmax(1)).sum().item()
        print(f"{n} images: largest difference {(logits[:n] - other[:n]).abs().max():.2e}, "
              f"equal answers {same} of {n}")


if __name__ == "__main__":
    main()
