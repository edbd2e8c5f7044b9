#!/usr/bin/env python3
"""What a metagraph of 256 neurons costs the command line: processor time and memory of the whole process, from its start over reading
the chain's metadata and the neurons from plain storage to printed JSON. $1 the command, $2 the chain in memory behind a socket."""
import json
import os
import subprocess
import sys

MOST_CPU_MS, MOST_MEMORY_MB = 200, 50

brainlock, node = sys.argv[1:3]
root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
chain = subprocess.Popen([node, os.path.join(root, "vectors/chain/metadata-spec224.scale"), "255"], stdout=subprocess.PIPE, text=True)
try:
    url = "ws://127.0.0.1:" + chain.stdout.readline().strip()
    best = None
    for _ in range(3):
        run = subprocess.Popen([brainlock, "subnet", "metagraph", "--network", url, "--netuid", "1", "--json"], stdout=subprocess.PIPE)
        graph = json.loads(run.stdout.read())
        _, status, usage = os.wait4(run.pid, 0)
        assert status == 0 and len(graph["neurons"]) == 256
        cost = ((usage.ru_utime + usage.ru_stime) * 1000, usage.ru_maxrss / 1024)
        best = min(best or cost, cost)
    print(f"metagraph of 256 neurons: {best[0]:.0f} ms of processor time, {best[1]:.1f} MB at most")
    sys.exit(0 if best[0] < MOST_CPU_MS and best[1] < MOST_MEMORY_MB else 1)
finally:
    chain.kill()
