"""What a source may do to an operator: every manifest and every file that is not as it should be leaves the running miner alone, and says why by a code."""

import json
import shutil
import ssl
import subprocess
import time

from operator_world import NEXT, Site, World, main, until


def test(world: World):
    world.make_keys()
    world.install()
    # Not set up: nothing is asked for.
    status, _, err = world.run("update", "check", check=1)
    assert "not set up" in err, err
    assert not world.site.requests
    # The words of a restart, as operators name it.
    common = ["update", "setup", "--source", "https://releases.example.org/x", "--key", world.keys[0], "--threshold", "1", "--role", "miner"]
    for words, restart in ((["--pm2", "default"], ["pm2", "restart", "brainlock-miner"]), (["--user-unit", "a"], ["systemctl", "--user", "restart", "a"]),
                           (["--unit", "default"], ["systemctl", "restart", "brainlock-miner"]), ([], [])):
        world.run(*common, *words, "--overwrite", check=0)
        settings = json.loads((world.home / "update/settings.json").read_text())
        assert settings["services"] == [{"role": "miner", "environment": str(world.home / "miner.env"), "restart": restart, "health": f"http://127.0.0.1:{world.port}/v1/status"}], settings
    world.run(*common, check=1)                                    # there are settings
    world.run(*common, "--overwrite", "--key", world.keys[0], check=1)
    world.run(*["2" if word == "1" else word for word in common], "--overwrite", check=1)   # two of one
    assert (world.work / "0.key").stat().st_mode & 0o777 == 0o600
    world.run("update", "keygen", "-o", world.work / "0.key", "--no-password", check=1)
    assert world.run("update", "sign", world.work / ".env", "--secret-key", world.work / "1.key")[0] == 1
    assert not world.site.requests
    world.set_up(download_within_s=2)
    assert world.update("check", code="not_found")["found"]
    pid, data = world.pid(), world.data()
    release = {"bin/brainlock": NEXT}
    manifest = world.publish("0.1.1", release, live=False)
    pinned = [word for key in world.keys for word in ("--key", key)]
    world.run("update", "publish", world.site_folder, "--release", "0.1.1", *pinned, "--threshold", "3", check=1)
    world.run("update", "publish", world.site_folder, "--release", "0.1.1", *pinned, "--threshold", "2", check=0)
    program = "/files/" + next(iter(manifest["files"].values()))[0]["sha256"]

    # What a request says: what is wanted, and of whom. Nothing of who asks.
    world.site.requests.clear()
    report = world.update("check", code="ready")
    assert report["offered"] == "0.1.1" and report["installed"] == "0.1.0", report
    assert [(method, path) for method, path, _ in world.site.requests] == [("GET", "/release.json"), ("GET", "/release.json.sig")]
    for _, _, headers in world.site.requests:
        assert headers == {"Host": f"127.0.0.1:{world.site.port}", "Connection": "close"}, headers

    good, lines = (world.site_folder / "release.json").read_bytes(), (world.site_folder / "release.json.sig").read_bytes()

    def with_manifest(text, code, signatures=lines):
        (world.site_folder / "release.json").write_bytes(text)
        (world.site_folder / "release.json.sig").write_bytes(signatures)
        report = world.update("apply", code=code)
        (world.site_folder / "release.json").write_bytes(good)
        (world.site_folder / "release.json.sig").write_bytes(lines)
        assert report["found"], report
        return report

    with_manifest(good.replace(b"0.1.1", b"0.9.1"), "denied")
    with_manifest(good + b" ", "denied")
    with_manifest(good, "denied", signatures=b"".join(lines.splitlines(True)[:1]))                      # one of two
    with_manifest(good, "denied", signatures=b"".join(lines.splitlines(True)[:1] * 3))                  # one of two, thrice
    with_manifest(good, "malformed", signatures=b"\x00\xff" * 100)
    world.run("update", "keygen", "-o", world.work / "9.key", "--no-password", check=0)
    world.publish("0.1.1", release, signers=(9, 1))
    world.update("apply", code="denied")                                                              # a key that is not pinned
    manifest = world.publish("0.1.1", release)
    good, lines = (world.site_folder / "release.json").read_bytes(), (world.site_folder / "release.json.sig").read_bytes()

    # The files: tampered with, endless, stalled, too slow, gone.
    body = open(NEXT, "rb").read()

    def answer(text, announced=None):
        def rule(handler):
            handler.send_response(200)
            if announced is not None:
                handler.send_header("Content-Length", str(announced))
            handler.end_headers()
            handler.wfile.write(text)
        return rule

    def endless(handler):
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(body)
        while True:   # until nobody takes it any more
            handler.wfile.write(b"x" * 65536)

    def slow(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        while True:
            handler.wfile.write(b"x")
            time.sleep(0.05)

    def redirect(handler):
        handler.send_response(302)
        handler.send_header("Location", f"http://127.0.0.1:{world.site.port}/release.json")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    changed = bytearray(body)
    changed[len(body) // 2] ^= 1
    for rule, code in ((answer(bytes(changed), len(body)), "corrupted"), (answer(body + b"x", len(body) + 1), "too_large"), (answer(body[:-1], len(body) - 1), "corrupted"),
                       (answer(body[:1000], len(body)), "unavailable"), (endless, "too_large"), (redirect, "unsupported")):
        world.site.rules = {program: rule}
        world.update("apply", code=code)
    world.site.rules = {program: slow}
    begun = time.monotonic()
    world.update("apply", code="timeout")
    assert time.monotonic() - begun < 20
    world.site.rules = {"release.json": endless}
    world.update("check", code="too_large")
    world.site.rules = {}

    # Time and order.
    short = world.publish("0.1.1", release, "--expires-days", str(1.5 / 86400))   # a second
    until(lambda: time.time() > short["expires_s"], "the manifest expires")
    world.update("apply", code="expired")
    world.publish("0.0.9", release)
    world.update("apply", code="downgrade")
    world.publish("0.2.0", release, "--straight-from", "0.1.5")
    world.update("apply", code="step_missing")
    (world.site_folder / "release.json").write_bytes(good)
    (world.site_folder / "release.json.sig").write_bytes(lines)
    world.update("apply", code="replayed")        # signed and good, and of before 0.2.0 was seen
    world.publish("0.2.1", release, "--glibc", "9.99")
    world.update("apply", code="glibc")
    world.publish("0.2.1", release, "--rollout", "0,100@2d")
    report = world.update("apply", code="waits")
    assert abs(report["expected_s"] - time.time() - 2 * 24 * 3600) < 600, report
    # It is one version, and calls itself another.
    world.update("apply", "--now", code="not_fit")
    world.publish("0.2.2", {"bin/brainlock": world.script("broken", "#!/bin/sh\nexit 3\n")})
    world.update("apply", code="not_fit")
    world.update("apply", code="failed_before")

    # Settings that somebody else may write are not heeded.
    settings = world.home / "update/settings.json"
    settings.chmod(0o666)
    world.update("apply", code=None)
    assert "another user may write it" in world.run("update", "apply")[2]
    settings.chmod(0o600)

    # Through all of this the miner ran, and nothing of it was touched.
    assert world.pid() == pid and world.running() == "0.1.0"
    assert world.data() == data, sorted(set(world.data().items()) ^ set(data.items()))[:3]
    status = json.loads(world.run("update", "status", "--json", check=0)[1])
    assert status["services"] == [{"role": "miner", "running": "0.1.0"}], status

    # The same over HTTPS, with an authority of this test's own, and from a folder.
    if shutil.which("openssl"):
        for name in ("localhost", "elsewhere.example"):
            subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", world.work / f"{name}.key", "-out", world.work / f"{name}.pem", "-days", "2",
                            "-subj", "/CN=a test", "-addext", f"subjectAltName=DNS:{name}"], check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(world.work / "localhost.pem", world.work / "localhost.key")
        secure = Site(world.site_folder, tls=context)
        world.set_up(source=f"https://localhost:{secure.port}/")
        world.update("check", code="denied")                                       # nobody trusts it here
        world.environment["SSL_CERT_FILE"] = str(world.work / "elsewhere.example.pem")
        world.update("check", code="denied")
        world.environment["SSL_CERT_FILE"] = str(world.work / "localhost.pem")
        world.update("check", code="failed_before")
    world.set_up(source=str(world.site_folder))
    world.update("check", code="failed_before")


main(test)
