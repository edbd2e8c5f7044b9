"""Releases that are signed and do not work, with the times that are set unless an operator changes them: each is undone within a minute, and not tried again."""

import threading
import time

from operator_world import NEXT, World, main


def test(world: World):
    # Two operators side by side: the first has the times as they are, which takes its while.
    patient = World()
    failures = []

    def run_patient():
        try:
            broken_releases(patient, patient=True)
        except BaseException as failure:
            failures.append(failure)
        finally:
            patient.end()

    thread = threading.Thread(target=run_patient)
    thread.start()
    try:
        broken_releases(world, patient=False)
    finally:
        thread.join()
    if failures:
        raise failures[0]


def broken_releases(world, patient):
    world.make_keys(2)
    world.install()
    world.set_up()
    data = world.data()

    def broken(version, what_the_miner_does):
        """It passes every trial before the switch; then it serves."""
        return {"bin/brainlock": world.script(f"broken-{version}", f"""#!/bin/sh
if [ "$1" = --version ]; then echo {version}; exit; fi
if [ "$1" = miner ]; then {what_the_miner_does}; fi
exec "$(dirname "$(readlink -f "$0")")"/brainlock-program "$@"
"""), "bin/brainlock-program": NEXT}

    def is_undone(version):
        begun = time.monotonic()
        report = world.update("apply", code="rolled_back")
        took = time.monotonic() - begun
        assert took < 60, f"{version} was undone after {took:.1f} s"
        print(f"{version}: {report['found'][:200]} ({took:.1f} s)")
        assert world.running() == "0.1.0"
        assert world.run("--version", program=str(world.home / "bin/brainlock"))[1] == "0.1.0\n"
        pid = world.pid()
        world.update("apply", code="failed_before")
        assert world.pid() == pid
        return report

    if patient:
        world.publish("0.1.2", broken("0.1.2", "exit 1"))
        is_undone("0.1.2")
        assert world.data() == data
        return
    # With less patience: one that listens and answers nonsense, one that serves for a while and ends, and one whose restart command fails.
    world.set_up(answer_within_s=4, stay_healthy_s=4)
    sick = f"exec python3 -c 'import http.server as h; s = h.HTTPServer((\"127.0.0.1\", {world.port}), type(\"H\", (h.BaseHTTPRequestHandler,), dict(do_GET=lambda r: r.send_error(503)))); s.serve_forever()'"
    world.publish("0.1.3", broken("0.1.3", sick))
    assert "503" in is_undone("0.1.3")["found"]
    falls = (f"exec python3 -c 'import http.server as h, os, threading; threading.Timer(2.5, lambda: os._exit(1)).start(); "
             f"s = h.HTTPServer((\"127.0.0.1\", {world.port}), type(\"H\", (h.BaseHTTPRequestHandler,), dict(do_GET=lambda r: (r.send_response(200), r.end_headers(), r.wfile.write(b\"{{\\\"version\\\": \\\"0.1.4\\\"}}\"))))); s.serve_forever()'")
    world.publish("0.1.4", broken("0.1.4", falls))
    assert "did not stay" in is_undone("0.1.4")["found"]
    # One that runs, and is not what it said.
    world.publish("0.1.5", broken("0.1.5", "true"), signers=(0, 1))
    world.update("apply", code="rolled_back")
    failed = {entry["version"] for entry in world.state()["failed"]}
    assert failed == {"0.1.3", "0.1.4", "0.1.5"}, failed
    assert world.data() == data
    # And a good one is still taken.
    world.publish("0.2.0", {"bin/brainlock": NEXT})
    world.update("apply", code="not_fit")   # this build is 0.1.1


main(test)
