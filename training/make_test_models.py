#!/usr/bin/env python3
"""Small ONNX networks with seeded random weights, as fixtures for the importer and the compiler.

    /usr/bin/python3 make_test_models.py [--output ../models/test]

Each is calibrated on seeded noise so that every pre-activation has about unit variance, and comes
with NAME.expect.txt: images as bytes and the logits of this project's numpy evaluator in double
precision. The spellings differ on purpose (see README.md there). Numpy and onnx only.
"""
import argparse
import pathlib

import numpy as np
import onnx

import onnx_tools


class Maker:
    """Adds a layer, runs it on the calibration images, and normalises what comes out."""

    def __init__(self, seed, shape):
        self.rng = np.random.default_rng(seed)
        self.shape = list(shape)
        self.g = onnx_tools.Graph()
        self.x = "image"
        self.channels = shape[0]
        self.pixels = smooth_images(self.rng, 64, shape)
        self.layer = 0

    def value(self, name):
        """What `name` is on the calibration images."""
        seen = {"image": self.pixels}
        model = onnx.helper.make_model(onnx.helper.make_graph(
            self.g.nodes, "part",
            [onnx.helper.make_tensor_value_info("image", 1, [1] + self.shape)],
            [onnx.helper.make_tensor_value_info(name, 1, None)], self.g.constants))
        onnx_tools.run(model, self.pixels, watch=seen.__setitem__)
        return seen[name]

    def normalised(self, build, shape, separate):
        """`build(weight, bias)` adds the layer; afterwards its result has zero mean, unit variance."""
        self.layer += 1
        fan_in = int(np.prod(shape[1:]))
        weight = self.rng.normal(size=shape) / np.sqrt(fan_in)
        marks = len(self.g.nodes), len(self.g.constants)
        raw = self.value(build(weight, np.zeros(shape[0])))
        axes = (0, 2, 3) if raw.ndim == 4 else (0,)
        mean, var = raw.mean(axes), raw.var(axes) + 1e-3
        if separate:
            scale, bias = self.rng.uniform(0.7, 1.3, shape[0]), self.rng.normal(size=shape[0]) * 0.2
            self.x = self.g.batch_norm(self.g.nodes[-1].output[0], f"norm{self.layer}",
                                       scale, bias, mean, var)
        else:
            del self.g.nodes[marks[0]:], self.g.constants[marks[1]:]
            gain = 1.0 / np.sqrt(var)
            self.x = build(weight * gain.reshape((-1,) + (1,) * (len(shape) - 1)), -mean * gain)
        self.channels = shape[0]

    def conv(self, out, size, strides=(1, 1), pads=(0, 0, 0, 0), separate=False):
        x, name = self.x, f"conv{self.layer + 1}"
        self.normalised(lambda w, b: self.g.conv(x, name, w, b, strides, pads),
                        (out, self.channels, size, size), separate)

    def dense(self, out, matmul=False):
        x, name = self.x, f"dense{self.layer + 1}"
        width = self.value(x).shape[1]

        def build(w, b):
            if not matmul:
                return self.g.gemm(x, name, w, b)
            product = self.g.node("MatMul", [x, self.g.constant(f"{name}.weight", w.T)], f"{name}.product")
            return self.g.node("Add", [product, self.g.constant(f"{name}.bias", b)], name)
        self.normalised(build, (out, width), False)

    def quadratic(self, spelling):
        k, name, x = self.channels, f"act{self.layer}", self.x
        spatial = self.value(x).ndim == 4
        a, b = self.rng.uniform(0.2, 0.4, k), self.rng.uniform(0.5, 1.0, k)
        a = a * np.where(self.rng.random(k) < 0.25, -1.0, 1.0)
        if spelling == "general":
            self.x = self.g.quadratic(x, name, a, b, -a, spatial)
        elif spelling == "square":
            self.x = self.g.node("Mul", [x, x], name)
        elif spelling == "pow":      # 0.25 x^2 + 0.5 x, scalars
            two = self.g.constant(f"{name}.two", np.float32(2.0))
            high = self.g.node("Mul", [self.g.node("Pow", [x, two], f"{name}.square"),
                                       self.g.constant(f"{name}.a", np.float32(0.25))], f"{name}.high")
            low = self.g.node("Mul", [self.g.constant(f"{name}.b", np.float32(0.5)), x], f"{name}.low")
            self.x = self.g.node("Add", [low, high], name)
        else:                        # x (a x + b)
            shape = (1, k, 1, 1) if spatial else (1, k)
            line = self.g.node("Mul", [x, self.g.constant(f"{name}.a", a.reshape(shape))], f"{name}.ax")
            line = self.g.node("Add", [line, self.g.constant(f"{name}.b", b.reshape(shape))], f"{name}.line")
            self.x = self.g.node("Mul", [x, line], name)

    def quartic(self, spelling):
        """Degree 4 with coefficients that fall off, near the identity plus a bend."""
        k, name, x = self.channels, f"act{self.layer}", self.x
        c = [self.rng.normal(size=k) * 0.1, self.rng.uniform(0.5, 1.0, k), self.rng.uniform(0.2, 0.4, k),
             self.rng.uniform(-0.05, 0.05, k), self.rng.uniform(0.01, 0.03, k)]
        if spelling == "horner":     # (((c4 x + c3) x + c2) x + c1) x + c0, per channel
            shape = (1, k, 1, 1) if self.value(x).ndim == 4 else (1, k)
            const = [self.g.constant(f"{name}.c{i}", v.reshape(shape)) for i, v in enumerate(c)]
            y = self.g.node("Mul", [x, const[4]], f"{name}.x4")
            for i in (3, 2, 1):
                y = self.g.node("Add", [y, const[i]], f"{name}.s{i}")
                y = self.g.node("Mul", [y, x], f"{name}.x{i}")
            self.x = self.g.node("Add", [y, const[0]], name)
        else:                        # scalars times powers
            y = x
            for power, value in ((2, 0.3), (3, -0.04), (4, 0.02)):
                high = self.g.node("Pow", [x, self.g.constant(f"{name}.p{power}", np.float32(power))], f"{name}.pow{power}")
                high = self.g.node("Mul", [high, self.g.constant(f"{name}.c{power}", np.float32(value))], f"{name}.high{power}")
                y = self.g.node("Add", [y, high], name if power == 4 else f"{name}.sum{power}")
            self.x = y

    def block(self, out, stride, spelling):
        """act(conv(act(conv(x))) + x), or + a 1x1 convolution of x where the shape changes."""
        skip, width = self.x, self.channels
        self.conv(out, 3, strides=(stride, stride), pads=(1, 1, 1, 1) if stride == 1 else (0, 0, 1, 1))
        self.quadratic(spelling)
        self.conv(out, 3, pads=(1, 1, 1, 1), separate=True)
        branch = self.x
        if stride != 1 or out != width:
            self.x, self.channels = skip, width
            self.conv(out, 1, strides=(stride, stride))
            skip = self.x
        name = f"sum{self.layer}"
        self.x = self.g.node("Add", [branch, skip], name)
        self.quadratic(spelling)

    def pool(self):
        self.x = self.g.average_pool(self.x)

    def flatten(self, reshape=False):
        if reshape:
            width = int(np.prod(self.value(self.x).shape[1:]))
            shape = self.g.constant("flat_shape", [-1, width], np.int64)
            self.x = self.g.node("Reshape", [self.x, shape], "flat")
        else:
            self.x = self.g.node("Flatten", [self.x], "flat", axis=1)

    def finish(self, name):
        self.g.nodes[-1].output[0] = "logits"
        return self.g.model(name, [1] + self.shape, "logits", [1, 10],
                            "random weights; image: float NCHW in [0, 1]")


def smooth_images(rng, count, shape):
    """Random pictures with more energy in low frequencies, bytes / 255."""
    c, h, w = shape
    fy, fx = np.fft.fftfreq(h)[:, None], np.fft.rfftfreq(w)[None, :]
    amplitude = 1.0 / np.maximum(np.hypot(fy, fx), 1.0 / max(h, w))
    noise = np.fft.rfft2(rng.normal(size=(count, c, h, w))) * amplitude
    pictures = np.fft.irfft2(noise, s=(h, w))
    pictures = (pictures - pictures.mean((2, 3), keepdims=True)) / pictures.std((2, 3), keepdims=True)
    middle = rng.uniform(0.3, 0.7, size=(count, 1, 1, 1))
    return np.clip(np.round(255 * (middle + 0.22 * pictures)), 0, 255) / 255


def lenet():
    m = Maker(11, (1, 28, 28))
    m.conv(8, 5)
    m.quadratic("general")
    m.pool()
    m.conv(16, 5)
    m.quadratic("square")
    m.pool()
    m.flatten()
    m.dense(64)
    m.quadratic("general")
    m.dense(10)
    return m.finish("lenet")


def mlp():
    m = Maker(12, (1, 16, 16))
    m.flatten(reshape=False)
    m.dense(96, matmul=True)
    m.quadratic("pow")
    m.dense(64)
    m.quadratic("factored")
    m.dense(10)
    return m.finish("mlp")


def strided():
    m = Maker(13, (3, 16, 16))
    m.conv(16, 3, pads=(1, 1, 1, 1), separate=True)
    m.quadratic("factored")
    m.conv(24, 3, strides=(2, 2), pads=(1, 1, 1, 1), separate=True)
    m.quadratic("general")
    m.conv(32, 3, strides=(2, 2), pads=(0, 0, 1, 1))
    m.quadratic("square")
    m.pool()
    m.flatten(reshape=True)
    m.dense(10)
    return m.finish("strided")


def deep():
    """The shape of VGG9 in small: eight quadratics, the spellings of the shipped file."""
    m = Maker(14, (3, 32, 32))
    for i, out in enumerate((8, 8, 16, 16, 24, 24)):
        m.conv(out, 3)
        m.quadratic("general")
        if i in (1, 3):
            m.pool()
    m.flatten()
    for out in (48, 48):
        m.dense(out)
        m.quadratic("general")
    m.dense(10)
    return m.finish("deep")


def residual():
    """A block with an identity shortcut and one with a strided 1x1 convolution."""
    m = Maker(15, (3, 16, 16))
    m.conv(8, 3, pads=(1, 1, 1, 1))
    m.quadratic("factored")
    m.block(8, 1, "general")
    m.block(16, 2, "factored")
    m.pool()
    m.flatten()
    m.dense(10)
    return m.finish("residual")


def quartic():
    m = Maker(16, (1, 16, 16))
    m.conv(8, 3)
    m.quartic("horner")
    m.pool()
    m.conv(12, 3)
    m.quartic("powers")
    m.flatten()
    m.dense(10)
    return m.finish("quartic")


def write_expectations(path, model, pixels):
    """Images as bytes and logits: `count C H W`, a line of bytes an image, a line of logits each."""
    bytes_ = np.round(np.asarray(pixels) * 255).astype(np.int64)
    logits = onnx_tools.run(model, bytes_ / 255.0)
    with open(path, "w") as f:
        f.write(" ".join(str(k) for k in bytes_.shape) + "\n")
        for row in bytes_.reshape(len(bytes_), -1):
            f.write(" ".join(map(str, row)) + "\n")
        for row in logits:
            f.write(" ".join(f"{v:.9g}" for v in row) + "\n")
    return logits


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    here = pathlib.Path(__file__).resolve().parent
    p.add_argument("--output", default=here.parent / "models" / "test", type=pathlib.Path)
    args = p.parse_args()
    args.output.mkdir(parents=True, exist_ok=True)
    for seed, make in enumerate((lenet, mlp, strided, deep, residual, quartic)):
        model = make()
        name = model.graph.name
        onnx.save(model, args.output / f"{name}.onnx")
        shape = [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim][1:]
        pixels = smooth_images(np.random.default_rng(100 + seed), 4, shape)
        logits = write_expectations(args.output / f"{name}.expect.txt", model, pixels)
        print(f"{name}: {model.ByteSize()} bytes, input {shape}, nodes "
              f"{','.join(sorted({n.op_type for n in model.graph.node}))}, "
              f"logits {logits.min():.2f}..{logits.max():.2f}")


if __name__ == "__main__":
    main()
