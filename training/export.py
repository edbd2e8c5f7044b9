#!/usr/bin/env python3
"""Write a trained network as plain ONNX (opset 13) and check it against PyTorch.

    /usr/bin/python3 export.py --checkpoint RUN/final.pt --output model.onnx [--data DIR]

Input `image`: float NCHW, pixels in [0, 1] (byte / 255). Output `logits`. The pixel normalisation
is folded into the first convolution, exactly, since no layer pads; ResNets, which pad, have none. Forms:

    folded   batch normalisation folded into the linear layers, so that every pre-activation has
             about unit variance; activations are a x^2 + b x + c. This is what we ship.
    separate BatchNormalization nodes stay, activations as above.
    square   the square is completed: linear layers and x * x, nothing else.
"""
import argparse
import sys

import numpy as np
import onnx
import torch

import attention as att
import data as cifar
import model as nets
import onnx_tools


def export(net, form="folded"):
    """The ONNX model of `net` (a Vgg9 or TinyCnn with quadratic or ReLU activations)."""
    net.eval()
    f64 = lambda t: t.detach().double().cpu().numpy()
    relu = net.config["activation"] == "relu"
    g = onnx_tools.Graph()
    x, size = "image", {"vgg9": 32, "tiny": 16}[net.config["net"]]
    channels = net.linear[0].weight.shape[1]
    shape = [1, channels, size, size]
    flat = False
    # What the next linear layer has to put right: it gets (value - shift) * scale per channel.
    scale, shift = 1.0 / f64(net.std).ravel(), f64(net.mean).ravel()
    layers = list(zip(net.linear, net.act)) + [(net.head, None)]
    for i, (linear, act) in enumerate(layers):
        name = "logits" if act is None else f"layer{i + 1}"
        w = f64(linear.weight)
        bias = f64(linear.bias) if linear.bias is not None else np.zeros(len(w))
        bias = bias - np.einsum("oikl,i->o", w, scale * shift)
        w = w * scale.reshape(1, -1, 1, 1)
        scale, shift = np.ones(len(w)), np.zeros(len(w))
        if act is not None:
            norm = act.norm
            gain = 1.0 / np.sqrt(f64(norm.running_var) + norm.eps)
            offset = -f64(norm.running_mean) * gain
            if relu:
                gain, offset = gain * f64(norm.weight), offset * f64(norm.weight) + f64(norm.bias)
            else:
                a, b, c = f64(act.a), f64(act.b), -f64(act.a)
                if form == "square":   # a x^2 + b x + c = (r x + b / 2r)^2 - s with r^2 = a
                    r = np.sqrt(a)
                    gain, offset = r * gain, r * offset + b / (2 * r)
                    shift = b * b / (4 * a) - c
            if form != "separate":
                w, bias = w * gain.reshape(-1, 1, 1, 1), bias * gain + offset
        size = size - w.shape[2] + 1
        # Dense once the picture is one pixel and the kernel too.
        if size == 1 and w.shape[2] == 1:
            if not flat:
                x, flat = g.node("Flatten", [x], axis=1), True
            x = g.gemm(x, name, w[:, :, 0, 0], bias)
        else:
            x = g.conv(x, name, w, bias)
        if act is None:
            break
        if form == "separate":
            x = g.batch_norm(x, f"norm{i + 1}", gain, offset, np.zeros(len(w)),
                             np.ones(len(w)), 0.0)
        if relu:
            x = g.node("Relu", [x])
        elif form == "square":
            x = g.node("Mul", [x, x], f"square{i + 1}")
        else:
            x = g.quadratic(x, f"act{i + 1}", a, b, c, spatial=not flat)
        if i in net.pool_after:
            x = g.average_pool(x)
            size //= 2
    doc = "image: float NCHW, pixels in [0, 1] (byte / 255), channels red green blue; logits: 10 classes"
    return g.model(net.config["net"], shape, "logits", [1, 10], doc)


def export_resnet(net, form="folded"):
    """The ONNX model of a ResNet.

    Sums have unit variance too: a block's input gets the next sum's gain per channel, which the quadratic before it takes up, and the
    next convolution takes it away again. A ReLU takes up no negative gain, so there the shortcut is multiplied by it.
    """
    if form == "square":
        raise SystemExit("the constant of a completed square does not pass a padded convolution: --form folded")
    net.eval()
    f64 = lambda t: t.detach().double().cpu().numpy()
    relu = net.config["activation"] == "relu"
    g = onnx_tools.Graph()

    def norm(i):
        n = net.act[i].norm
        gain = 1.0 / np.sqrt(f64(n.running_var) + n.eps)
        offset = -f64(n.running_mean) * gain
        return (gain * f64(n.weight), offset * f64(n.weight) + f64(n.bias)) if relu else (gain, offset)

    def conv(x, i, w, gain, bias, name):
        stride = net.linear[i].stride
        if form == "separate":
            return g.conv(x, name, w, None, stride, (1,) * 4)
        return g.conv(x, name, w * gain.reshape(-1, 1, 1, 1), bias, stride, (1,) * 4)

    def activation(x, i, scale):
        """The activation of layer `i`, times `scale`."""
        if form == "separate":
            gain, offset = norm(i)
            x = g.batch_norm(x, f"norm{i + 1}", gain, offset, np.zeros(len(gain)), np.ones(len(gain)), 0.0)
        if relu:
            return g.node("Relu", [x])
        a, b = f64(net.act[i].a) * scale, f64(net.act[i].b) * scale
        return g.quadratic(x, f"act{i + 1}", a, b, -a)

    def input_scale(block):
        """The factor of a block's input."""
        plain = form == "separate" or relu or block >= len(net.linear) or block in net.strided
        return 1.0 if plain else norm(block + 1)[0]

    x = conv("image", 0, f64(net.linear[0].weight), *norm(0), "layer1")
    x = activation(x, 0, input_scale(1))
    for i in range(1, len(net.linear), 2):
        w = f64(net.linear[i].weight) / np.reshape(input_scale(i), (1, -1, 1, 1))
        y = activation(conv(x, i, w, *norm(i), f"layer{i + 1}"), i, 1.0)
        gain, offset = norm(i + 1)
        y = conv(y, i + 1, f64(net.second(i + 1)), gain, offset, f"branch{i + 2}")
        if i in net.strided:
            w = f64(net.shortcut[net.strided.index(i)].weight)
            x = g.conv(x, f"shortcut{i + 2}", w if form == "separate" else w * gain.reshape(-1, 1, 1, 1), None, (2, 2))
        elif relu and form != "separate":
            x = g.node("Mul", [x, g.constant(f"shortcut{i + 2}.gain", gain.reshape(1, -1, 1, 1))], f"shortcut{i + 2}")
        x = g.node("Add", [y, x], f"layer{i + 2}")
        x = activation(x, i + 1, input_scale(i + 2))
    x = g.node("Flatten", [g.average_pool(x, 8)], axis=1)
    g.gemm(x, "logits", f64(net.head.weight)[:, :, 0, 0], f64(net.head.bias))
    doc = "image: float NCHW, pixels in [0, 1] (byte / 255), channels red green blue; logits: 10 classes"
    return g.model(net.config["net"], [1, 3, 32, 32], "logits", [1, 10], doc)


def export_attention(net, form="folded"):
    """The ONNX model of an AttentionNet, in the operators that PyTorch writes for it."""
    if form != "folded":
        raise SystemExit("a net with attention is written with --form folded only")
    net.eval()
    f64 = lambda t: t.detach().double().cpu().numpy()
    g = onnx_tools.Graph()

    def norm(i):
        n = net.act[i].norm
        gain = 1.0 / np.sqrt(f64(n.running_var) + n.eps)
        return gain, -f64(n.running_mean) * gain

    def activation(x, i, name, spatial):
        a, b = f64(net.act[i].a), f64(net.act[i].b)
        return g.quadratic(x, name, a, b, -a, spatial)

    x, scale, shift = "image", 1.0 / f64(net.std).ravel(), f64(net.mean).ravel()
    for i in range(att.STEM):
        gain, offset = norm(i)
        w = f64(net.linear[i].weight) * gain.reshape(-1, 1, 1, 1)
        if i == 0:   # the pixel normalisation; nothing pads
            w = w * scale.reshape(1, -1, 1, 1)
            offset = offset - np.einsum("oikl,i->o", w, shift)
        x = g.conv(x, f"layer{i + 1}", w, offset)
        if i < att.TOKEN:
            x = activation(x, i, f"act{i + 1}", True)
        if i in net.pool_after:
            x = g.average_pool(x)
    tokens, dim = att.TOKENS, net.linear[att.UP].weight.shape[1]
    x = g.node("Reshape", [x, g.constant("columns.shape", [0, dim, tokens], np.int64)], "columns")
    x = g.node("Transpose", [x], "tokens", perm=[0, 2, 1])
    if net.heads:
        gain, offset = norm(att.MIXED)
        # P V sums over all tokens. Half of its size, as a logarithm, goes to the layer behind it, the rest evenly to P and V: so all three are near 1.
        size = np.exp(-0.5 * np.log(gain).mean())
        dense = lambda name, i, scale=1.0: g.dense(x, name, scale * f64(net.linear[i].weight), scale * f64(net.linear[i].bias))
        query, key, value = dense("query", att.QUERY), dense("key", att.KEY), dense("value", att.VALUE, size ** -0.5)
        key = g.node("Transpose", [key], "key.columns", perm=[0, 2, 1])
        scale, shift = (v * att.SHARPNESS * size ** -0.25 for v in norm(att.SCORE))
        s = g.node("MatMul", [query, key], "score.product")
        s = g.node("Mul", [s, g.constant("score.scale", scale)], "score.scaled")
        s = g.node("Add", [s, g.constant("score.bias", (f64(net.bias) * size ** -0.25 + shift)[None])], "score")
        weights = g.node("Mul", [s, s], "weights")
        mixed = g.node("MatMul", [weights, value], "mixed")
        gain, offset = gain * size * f64(net.out_gain), offset * f64(net.out_gain)
        out = g.dense(mixed, "out", f64(net.linear[att.OUT].weight) * gain.reshape(-1, 1), offset)
        x = g.node("Add", [x, out], "attended")
    gain, offset = norm(att.HIDDEN)
    y = g.dense(x, "up", f64(net.linear[att.UP].weight) * gain.reshape(-1, 1), offset)
    y = activation(y, att.HIDDEN, "hidden", False)
    y = g.dense(y, "down", f64(net.linear[att.DOWN].weight) * f64(net.down_gain).reshape(-1, 1), None)
    x = g.node("Flatten", [g.node("Add", [x, y], "answered")], axis=1)
    g.gemm(x, "logits", f64(net.head.weight), f64(net.head.bias))
    doc = "image: float NCHW, pixels in [0, 1] (byte / 255), channels red green blue; logits: 10 classes"
    return g.model(net.config["net"], [1, 3, 32, 32], "logits", [1, 10], doc)


def load(checkpoint):
    state = torch.load(checkpoint, map_location="cpu")
    net = nets.build(state["config"])
    net.load_state_dict(state["model"])
    return net.eval(), state


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--checkpoint", required=True)
    p.add_argument("--output", required=True)
    p.add_argument("--form", choices=("folded", "separate", "square"), default="folded")
    p.add_argument("--data", help="compare on validation images; without it on seeded noise")
    p.add_argument("--images", type=int, default=64)
    p.add_argument("--expect", help="write the first four images of --synthetic and their logits to this file")
    p.add_argument("--synthetic", help="records as `brainlock synthetic` writes them")
    args = p.parse_args()
    if args.expect and not args.synthetic:
        p.error("--expect needs the images of --synthetic")
    torch.set_num_threads(1)
    net, state = load(args.checkpoint)
    made = {"resnet20": export_resnet, "resnet32": export_resnet, "attention": export_attention}.get(net.config["net"], export)(net, args.form)
    onnx.save(made, args.output)

    if args.data:
        from train import prepare
        pixels = prepare(cifar.to_float(cifar.load(args.data)["val"][0][:args.images]), net)
    else:
        shape = [d.dim_value for d in made.graph.input[0].type.tensor_type.shape.dim]
        pixels = torch.rand([args.images] + shape[1:], generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = net(pixels).numpy()
    got = onnx_tools.run(onnx.load(args.output), pixels.numpy(), np.float64)
    worst = np.abs(got - expected).max()
    print(f"{args.output}: {args.form}, {sum(np.prod(t.dims) for t in made.graph.initializer)} values, "
          f"largest difference from PyTorch on {len(pixels)} images {worst:.2e}")
    if args.expect:
        from make_test_models import write_expectations
        from train import prepare
        pictures = prepare(cifar.to_float(cifar.records(args.synthetic)[0][:4]), net)
        write_expectations(args.expect, made, pictures.numpy())
    return 0 if worst < 1e-4 else 1


if __name__ == "__main__":
    sys.exit(main())
