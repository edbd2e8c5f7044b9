#!/usr/bin/python3
"""Private inference from Python, in the two ways there are.

    client.py encrypt PACKAGE KEYS QUESTION      makes keys where there are none, encrypts an input into a file
                                                 (then, on any machine: brainlock run PACKAGE --keys KEYS/evaluation.keys --in QUESTION -o ANSWER)
    client.py decrypt PACKAGE KEYS ANSWER        decrypts what came back, and compares it with the clear answer
    client.py query PACKAGE KEYS ADDRESS HOTKEY  asks a miner of the network
"""
import math
import pathlib
import sys

from brainlock_client import BrainlockError, Identity, Miner, Package


def show(phase, done, total):
    if total:
        print(f"{phase.name.lower()}: {done} of {total}", file=sys.stderr)


def main(act, folder, key_folder, *rest):
    with Package(folder) as package, package.keys(key_folder, make=True, progress=show) as keys:
        info = package.info
        print(f"{info.model} ({info.hash}), {info.security_bits} bits, keys of {info.evaluation_key_bytes / 1e6:.1f} MB")
        # Some input. A real one comes from a file or a sensor, in the order channels, height, width.
        values = [i % 5 / 10 for i in range(math.prod(info.input_shape))]
        if act == "encrypt":
            pathlib.Path(rest[0]).write_bytes(keys.encrypt(values))
            return
        if act == "query":
            with Identity() as self, Miner(rest[0], rest[1], self) as miner:
                answer = miner.ask(keys, values, timeout_s=60, progress=show)
            print(f"answered in {answer.latency_s:.3f} s; off by {answer.max_error:.3g} of at most {answer.error_bound:.3g}")
            outputs = answer.outputs
        else:
            outputs = keys.decrypt(pathlib.Path(rest[0]).read_bytes())
        for name, output in zip(info.output_names, outputs):
            print(f"{name:12} {output:10.4f}")
        off = max(abs(a - b) for a, b in zip(outputs, package.run_clear(values)))
        print(f"largest difference to the clear answer: {off:.3g} of at most {info.error_bound:.3g}")
        if off > info.error_bound:
            sys.exit(1)


if __name__ == "__main__":
    if len(sys.argv) != (6 if sys.argv[1:2] == ["query"] else 5) or sys.argv[1] not in ("encrypt", "decrypt", "query"):
        sys.exit(__doc__)
    try:
        main(*sys.argv[1:])
    except BrainlockError as error:
        sys.exit(f"client.py: {error}")
