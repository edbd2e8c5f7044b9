#!/usr/bin/env python3
"""Small PyTorch networks through PyTorch's own exporter, with PyTorch's answers, as fixtures for the importer.

    /usr/bin/python3 make_exported_models.py [--output ../vectors/onnx-pytorch] [--only NAME]

Each (exported_models/) is written as people write them, and exported with another choice of opset, constant folding,
dynamic batch and mode. What cannot run encrypted is there too, with the nodes that a refusal has to name. The README of
the output has the form of answers.txt. Needs torch with torch.onnx.export (Debian's 1.13), numpy and onnx.
"""
import argparse
import pathlib
import warnings
import zlib

import numpy as np
import onnx
import torch
from torch import nn

from exported_models import CASES

MODES = {"eval": torch.onnx.TrainingMode.EVAL, "preserve": torch.onnx.TrainingMode.PRESERVE,
         "training": torch.onnx.TrainingMode.TRAINING}
SAMPLES = 2


def sample_input(shape, number):
    """The numbers in [0, 1) that answers.txt has answers for: state' = 1103515245 state + 12345 mod 2^31, from `number` on."""
    count, state, values = int(np.prod(shape)), number, []
    for _ in range(count):
        state = (1103515245 * state + 12345) % 2**31
        values.append((state >> 16) % 256 / 256)
    return torch.tensor(values, dtype=torch.float64).reshape(1, *shape)


def settle(net):
    """Statistics as if there had been training, and no module in training mode."""
    for module in net.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.track_running_stats:
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 1.5)
            if module.affine:
                nn.init.uniform_(module.weight, 0.7, 1.3)
                nn.init.normal_(module.bias, 0, 0.2)
    return net.eval()


def export(name, one, path):
    torch.manual_seed(zlib.crc32(name.encode()))
    net = settle(one.make())
    x = sample_input(one.shape, 1)
    if one.double:
        net = net.double()
    else:
        x = x.float()
    if one.mode == "training":
        net.train()
    if one.last:
        x = x.permute(0, 2, 3, 1)
    names = {} if one.bare else {"input_names": ["input"], "output_names": list(one.outputs)}
    if one.batch:
        names["dynamic_axes"] = {key: {0: "batch"} for key in ("input",) + one.outputs}
    torch.onnx.export(torch.jit.script(net) if one.scripted else net, x, str(path), opset_version=one.opset, do_constant_folding=one.fold,
                      training=MODES[one.mode], keep_initializers_as_inputs=one.bare, **names)
    return net


def answers(net, one):
    """In double precision, except where the network itself narrows its numbers."""
    wide = not any(p.dtype == torch.float16 for p in net.buffers())
    rows = []
    for k in range(1, SAMPLES + 1):
        x = sample_input(one.shape, k)
        if one.last:
            x = x.permute(0, 2, 3, 1)
        y = net.double()(x) if wide else net(x.float())
        rows.append(y.detach().flatten().tolist())
    return rows


def main():
    here = pathlib.Path(__file__).resolve().parent
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--output", default=here.parent / "vectors" / "onnx-pytorch", type=pathlib.Path)
    p.add_argument("--only", help="one network alone; answers.txt is then left as it is")
    args = p.parse_args()
    args.output.mkdir(parents=True, exist_ok=True)
    warnings.simplefilter("ignore")
    if args.only is None:
        for old in args.output.glob("*.onnx"):
            old.unlink()
    lines = []
    for name, one in CASES.items():
        if args.only not in (None, name):
            continue
        path = args.output / f"{name}.onnx"
        net = export(name, one, path)
        nodes = onnx.load(path).graph.node
        print(f"{name}: opset {one.opset}, {path.stat().st_size} bytes, {','.join(sorted({n.op_type for n in nodes}))}")
        if one.refused:
            bad = [(n.op_type, n.name) for n in nodes if n.op_type in one.refused or n.name in one.refused]
            bad += [("graph", part) for part in one.refused if part in ("input", "outputs")]
            missing = set(one.refused) - {op for op, _ in bad} - {part for _, part in bad}
            if missing:
                raise SystemExit(f"{name}: no such operators or nodes: {sorted(missing)}")
            lines.append(f"refused {name} {len(bad)}")
            lines += [f"{op} {node}" for op, node in bad]
            continue
        rows = answers(net, one)
        lines.append(f"{'plan' if one.plan else 'graph'} {name} {len(rows[0])} {len(rows)}")
        lines += [" ".join(f"{v:.7g}" for v in row) for row in rows]
    if args.only is None:
        (args.output / "answers.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
