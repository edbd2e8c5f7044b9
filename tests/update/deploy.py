"""What deploy/ has for updates and for containers: units that systemd takes, and a compose file whose promises hold, whose command lines start real services and whose
health checks tell a service that works from one that does not."""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import urllib.request

from operator_world import BRAINLOCK, SOURCE, World, free_port, main, until

try:
    import yaml
except ImportError:
    print("skipped: python3-yaml is not here")
    sys.exit(77)

DEPLOY = pathlib.Path(SOURCE) / "deploy"


def check_units(world):
    if not shutil.which("systemd-analyze"):
        print("not looked at: the units, for want of systemd-analyze")
        return
    folder = world.work / "units"
    folder.mkdir()
    service = (DEPLOY / "brainlock-update.service").read_text()
    assert "%h/brainlock/releases/confirmed/bin/brainlock update apply" in service
    # A program that is there, as it is once updates are set up.
    (folder / "brainlock-update.service").write_text(service.replace("%h/brainlock/releases/confirmed/bin/brainlock", BRAINLOCK))
    shutil.copy(DEPLOY / "brainlock-update.timer", folder)
    environment = dict(world.environment, XDG_RUNTIME_DIR=str(world.work))
    done = subprocess.run(["systemd-analyze", "--user", "verify", folder / "brainlock-update.service", folder / "brainlock-update.timer"], capture_output=True, text=True, env=environment)
    said = [line for line in done.stderr.splitlines() if "brainlock-update" in line]
    assert done.returncode == 0 and not said, done.stderr


def check_promises(compose):
    services = compose["services"]
    assert set(services) == {"miner", "validator", "postgres", "prometheus", "grafana"}
    for name, service in services.items():
        assert service["profiles"], f"{name} starts unasked"
        assert service["read_only"] is True and service["cap_drop"] == ["ALL"] and service["security_opt"] == ["no-new-privileges:true"], name
        assert service["pids_limit"] and service["mem_limit"] and service["stop_grace_period"] and service["healthcheck"]["test"], name
        assert "network_mode" not in service and "privileged" not in service, name
        for port in service.get("ports", []):
            assert name == "miner" or port.startswith("127.0.0.1:"), f"{name} is shown to the world: {port}"
    assert services["miner"]["stop_grace_period"] == "150s"
    grafana = services["grafana"]["environment"]
    assert "GF_SECURITY_ADMIN_PASSWORD" not in grafana and grafana["GF_SECURITY_ADMIN_PASSWORD__FILE"].startswith("/run/secrets/")
    # Names as in setup.sh, and no variable that no document names.
    documents = (DEPLOY / "setup.sh").read_text() + (pathlib.Path(SOURCE) / "docs/operation.md").read_text() + (DEPLOY / "compose.yaml").read_text().split("\n\n")[0]
    for variable in set(re.findall(r"\$\{([A-Z_]+)", (DEPLOY / "compose.yaml").read_text())):
        assert variable in documents or variable.endswith(("_IMAGE", "_PORT")), variable


def check_by_docker_compose(world):
    program = shutil.which("docker-compose")
    if not program:
        print("not looked at: the compose file by docker-compose, which is not here")
        return
    # Version 1 does not know the name. It lies where relative paths lead to the right places.
    file = world.work / "compose.yaml"
    file.write_text(re.sub(r"(?m)^name:.*\n", "", (DEPLOY / "compose.yaml").read_text()))
    empty = world.work / "empty.env"
    empty.touch()
    for environment in (empty, world.work / ".env"):
        done = subprocess.run([program, "--env-file", environment, "-f", file, "--profile", "miner", "--profile", "validator", "--profile", "postgres", "--profile", "monitoring", "config"],
                              capture_output=True, text=True, env=world.environment, timeout=60)
        assert done.returncode == 0, done.stderr


def words_of(service, variables, places):
    """A service's command line, with the variables of an .env and the container's places moved into the test's folder."""
    out = []
    for word in service["command"]:
        word = re.sub(r"\$\{([A-Z_]+):-([^}]*)\}", lambda match: variables.get(match[1]) or match[2], word)
        for inside, outside in places.items():
            word = re.sub(f"(?<=[=]){re.escape(inside)}(?=$|/)", str(outside), word)
        out.append(word)
    return out


def check_services(world, compose):
    variables = dict(line.split("=", 1) for line in (world.work / ".env").read_text().splitlines())
    package = next(path for path in (world.home / "packages").iterdir() if path.is_dir())
    _, out, _ = world.run("inspect", package, "--json", check=0)
    variables.update(APPROVE=json.loads(out)["hash"], PACKAGE=package.name)
    os.kill(world.pid("miner"), signal.SIGKILL)
    for role in ("miner", "validator"):
        service = compose["services"][role]
        state = world.work / f"{role}-volume"
        state.mkdir(mode=0o700)
        ports = {"5000": str(free_port()), "9100": str(free_port()), "6971": str(free_port())}
        words = words_of(service, variables, {"/var/lib/brainlock": state, "/wallets": world.own_home / ".bittensor/wallets", "/packages": world.home / "packages", **ports})
        command = [BRAINLOCK, *words]
        log = open(world.work / f"compose-{role}.log", "w")
        process = subprocess.Popen(command, env=world.environment, stdout=log, stderr=log, cwd="/")
        world.processes.append(process)
        health = [word.replace("$$", "$") for word in service["healthcheck"]["test"]]
        assert health[0] == "CMD"
        for inside, outside in ports.items():
            health = [re.sub(rf"(?<=127\.0\.0\.1[:/]){inside}\b", outside, word) for word in health]
        health = [BRAINLOCK if word == "brainlock" else word for word in health[1:]]

        def is_healthy():
            return subprocess.run(health, capture_output=True, env=world.environment, timeout=30).returncode == 0

        until(lambda: is_healthy() or process.poll() is not None, f"the {role} of the compose file is healthy")
        assert process.poll() is None, (world.work / f"compose-{role}.log").read_text()
        if role == "miner":
            # Where Prometheus looks for it.
            with urllib.request.urlopen(f"http://127.0.0.1:{ports['9100']}/metrics", timeout=5) as answer:
                assert b"brainlock_build_info" in answer.read()
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)
        assert process.returncode == 0
        assert not is_healthy(), f"the {role} is gone, and healthy"


def test(world: World):
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    world.install()
    check_units(world)
    check_promises(compose)
    check_by_docker_compose(world)
    check_services(world, compose)
    for file in DEPLOY.glob("monitoring/**/*.yml"):
        assert yaml.safe_load(file.read_text()), file


main(test)
