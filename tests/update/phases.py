"""A good release, with the updater killed in each of its phases: whatever is left runs, the next run ends what was begun, and a validator's history and everybody's
keys are as they were."""

import json
import os
import sqlite3
import threading
import time

from operator_world import BRAINLOCK, NEXT, SOURCE, World, main, until


def test(world: World):
    world.make_keys()
    world.install()
    world.set_up(answer_within_s=20, stay_healthy_s=1)
    # Rows that no validator of this test makes.
    store = sqlite3.connect(world.home / "validator/validator.sqlite", timeout=20)
    columns = [row[1:3] for row in store.execute("PRAGMA table_info(requests)") if row[5] == 0]
    for number in range(50):
        # Of now: what is old is pruned.
        values = [f"mark{number}" if name == "uuid" else "none" if name == "reason" else b"x" * 32 if kind == "BLOB" else int(time.time() * 1000) if name.endswith("_ms") else 1 for name, kind in columns]
        store.execute(f"INSERT INTO requests ({','.join(name for name, _ in columns)}) VALUES ({','.join('?' * len(values))})", values)
    store.commit()
    store.close()
    rows = world.rows()
    assert len(rows) == 50
    pids = {role: world.pid(role) for role in world.roles}

    # The new release waits at the test's will, when it is asked for its version.
    wrapper = world.script("wrapper", f"""#!/bin/sh
if [ -e {world.work}/hold-trial ] && [ "$1" = --version ]; then touch {world.work}/held; while [ -e {world.work}/hold-trial ]; do sleep 0.02; done; fi
exec "$(dirname "$(readlink -f "$0")")"/brainlock-program "$@"
""")
    manifest = world.publish("0.1.1", {"bin/brainlock": wrapper, "bin/brainlock-program": NEXT, "bin/brainlock-pairing": os.path.join(os.path.dirname(BRAINLOCK), "brainlock-pairing")})
    program = next(file for files in manifest["files"].values() for file in files if file["path"] == "bin/brainlock-program")
    held = world.work / "held"

    def untouched():
        assert {role: world.pid(role) for role in world.roles} == pids
        assert world.running() == "0.1.0" and world.running("validator") == "0.1.0"
        assert world.run("--version", program=str(world.home / "bin/brainlock"))[1] == "0.1.0\n"

    def begin_held(place, *words):
        """An updater that comes to that place and no further, until it is killed."""
        (world.work / f"hold-{place}").touch()
        return world.begin(*words)

    def let_go(place):
        (world.work / f"hold-{place}").unlink()
        held.unlink()

    # 1: in the middle of a file.
    body, half_sent, go_on = open(NEXT, "rb").read(), threading.Event(), threading.Event()

    def stall(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body[:len(body) // 2])
        half_sent.set()
        go_on.wait(60)

    world.site.rules = {program["sha256"]: stall}
    world.kill_at(world.begin("apply"), half_sent.is_set, "half of a file")
    go_on.set()
    world.site.rules = {}
    untouched()

    # 2: while the new program is tried.
    world.kill_at(begin_held("trial", "apply"), held.exists, "the trial")
    untouched()
    let_go("trial")

    # 3: switched, and the first restart has not happened. Meanwhile nobody else may. What was fetched is not fetched again.
    world.site.requests.clear()
    updater = begin_held("restart", "apply")
    until(lambda: held.exists() or updater.poll() is not None, "the restart")
    for words in (["apply"], ["check"], ["rollback"]):
        assert world.update(*words, code="unavailable")["found"].startswith("another"), words
    world.kill_at(updater, held.exists, "the restart")
    assert not [path for _, path, _ in world.site.requests if path.startswith("/files/")], "fetched again"
    assert world.run("--version", program=str(world.home / "bin/brainlock"))[1] == "0.1.1\n" and world.running() == "0.1.0"
    assert world.state()["work"]["phase"] == "checking"
    let_go("restart")
    assert os.readlink(world.home / "releases/confirmed") == "0.1.0"

    # 4: while it is watched, in the run that goes on with it.
    updater = world.begin("apply")
    world.kill_at(updater, lambda: "it answers; watching" in world.steps.read_text(), "the watching")
    assert world.running() == "0.1.1"

    # Then a run that is let alone finishes it.
    world.update("apply", code="finished")
    for role in world.roles:
        assert world.running(role) == "0.1.1", role
    assert os.readlink(world.home / "releases/confirmed") == "0.1.1" and "work" not in world.state()
    world.update("apply", code="nothing_new")
    status = json.loads(world.run("update", "status", "--json", check=0)[1])
    assert status["installed"] == "0.1.1" and [service["running"] for service in status["services"]] == ["0.1.1", "0.1.1"], status

    # setup.sh again, after a change of the settings: the update stays.
    _, out, _ = world.run("miner", program=f"{SOURCE}/deploy/setup.sh")
    assert "it stays" in out, out
    assert os.path.islink(world.home / "bin/brainlock")

    # 5: on the way back, which is finished, too.
    world.kill_at(begin_held("restart", "rollback"), held.exists, "the restart on the way back")
    let_go("restart")
    assert world.state()["work"]["phase"] == "undoing"
    world.update("apply", code="undone")
    for role in world.roles:
        assert world.running(role) == "0.1.0", role
    world.update("apply", code="failed_before")
    world.update("apply", "--again", code="updated")
    report = world.update("rollback", code="rolled_back", status=0)
    assert report["installed"] == "0.1.0" and world.running() == "0.1.0"

    # The history is what it was, and so are keys, wallets and packages.
    assert world.rows() == rows
    assert sqlite3.connect(world.home / "validator/validator.sqlite").execute("PRAGMA integrity_check").fetchone() == ("ok",)
    # A service that is not what is installed is seen.
    os.kill(world.pid("miner"), 9)
    assert world.run("update", "status")[0] == 1


main(test, validator=True)
