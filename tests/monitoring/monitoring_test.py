"""The alerts and dashboards of deploy/monitoring, on a real Prometheus that scrapes a real subnet: monitoring_test.py BRAINLOCK SOURCES.

No panel is empty, no expression fails, every metric has its unit in its name, no alert comes for a healthy subnet, and each metric that a panel or an
alert names is there. Exit code 77: Prometheus is not installed.
"""
import contextlib
import json
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

SECONDS_UNTIL_ALL_IS_THERE = 150
UNITS = ("_total", "_seconds", "_bytes", "_ratio", "_info", "_requests", "_keys", "_sets", "_devices", "_connections", "_score", "_confidence", "_sent", "_ledger", "_block",
         "_bucket", "_sum", "_count")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def get(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read().decode()


class Prometheus:
    def __init__(self, folder, monitoring, ports):
        self.port = free_port()
        config = (monitoring / "prometheus.yml").read_text().replace("15s", "1s").replace("127.0.0.1:9100", f"127.0.0.1:{ports['miner']}")
        config = config.replace("127.0.0.1:6971", f"127.0.0.1:{ports['validator']}").replace("alerts.yml", str(monitoring / "alerts.yml"))
        (folder / "prometheus.yml").write_text(config)
        self.log = open(folder / "prometheus.log", "w")
        self.process = subprocess.Popen(["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
                                         f"--web.listen-address=127.0.0.1:{self.port}"], stdout=self.log, stderr=self.log)

    def api(self, path, **parameters):
        answer = json.loads(get(f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"))
        assert answer["status"] == "success", answer
        return answer["data"]

    def values(self, expression):
        """Numbers that the expression has now, without those that are none."""
        found = self.api("query", query=expression)["result"]
        return [float(r["value"][1]) for r in found if r["value"][1] not in ("NaN", "+Inf", "-Inf")]


def expressions_of(dashboard):
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"].replace("$__rate_interval", "1m")


def metrics_in(expression):
    return set(re.findall(r"\b(?:brainlock_\w+)", expression))


def check_files(monitoring, scratch):
    for command in (["check", "config", "prometheus.yml"], ["check", "rules", "alerts.yml"], ["test", "rules", "alerts_test.yml"]):
        done = subprocess.run(["promtool", *command], cwd=monitoring, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    subprocess.run([sys.executable, monitoring / "make_dashboards.py", scratch], check=True)
    for name in ("grafana-miner.json", "grafana-validator.json"):
        assert (scratch / name).read_text() == (monitoring / name).read_text(), f"{name} is not what make_dashboards.py writes"
    # Tests are of alerts that exist; most alerts have one.
    alerts = set(re.findall(r"alert: (\w+)", (monitoring / "alerts.yml").read_text()))
    tested = set(re.findall(r"alertname: (\w+)", (monitoring / "alerts_test.yml").read_text()))
    assert tested <= alerts and len(tested) >= 8, tested - alerts


def main():
    brainlock, sources = sys.argv[1], pathlib.Path(sys.argv[2])
    monitoring = sources / "deploy" / "monitoring"
    if shutil.which("prometheus") is None or shutil.which("promtool") is None:
        print("skipped: Prometheus is not installed (Debian package prometheus; ./dev setup test)")
        sys.exit(77)
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        check_files(monitoring, folder)
        ports = {"miner": free_port(), "validator": free_port()}
        with open(folder / "devnet.log", "w") as log:
            devnet = subprocess.Popen([brainlock, "devnet", "up", "--dir", str(folder / "net"), "--page-port", str(ports["validator"]), "--metrics-port", str(ports["miner"]),
                                       "--threads", "1", "--pause", "0.5"], cwd=sources, stdout=log, stderr=log)

        def end(process):
            process.send_signal(signal.SIGINT)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()

        stack.callback(end, devnet)
        prometheus = Prometheus(folder, monitoring, ports)
        stack.callback(end, prometheus.process)
        dashboards = [json.loads((monitoring / f"grafana-{name}.json").read_text()) for name in ports]
        wanted = [pair for dashboard in dashboards for pair in expressions_of(dashboard)]
        assert len(wanted) > 25

        deadline, empty = time.monotonic() + SECONDS_UNTIL_ALL_IS_THERE, wanted
        while empty and time.monotonic() < deadline:
            assert devnet.poll() is None, (folder / "devnet.log").read_text()
            assert prometheus.process.poll() is None, (folder / "prometheus.log").read_text()
            time.sleep(2)
            with contextlib.suppress(OSError):
                empty = [(title, expression) for title, expression in empty if not prometheus.values(expression)]
        assert not empty, f"panels without a value: {empty}"

        known = set(prometheus.api("label/__name__/values"))
        rules = [rule for group in prometheus.api("rules")["groups"] for rule in group["rules"]]
        for title, expression in wanted + [(rule["name"], rule["query"]) for rule in rules]:
            missing = metrics_in(expression) - known
            assert not missing, f"{title} names {missing}, which nobody has"
        for name in known:
            if name.startswith("brainlock_"):
                assert name.endswith(UNITS) or name in ("brainlock_validator_requests",), f"{name}: of what unit?"
        for rule in rules:
            assert rule["health"] == "ok" and not rule.get("lastError"), rule
            assert rule["state"] != "firing", f"{rule['name']} came for a healthy subnet"
        print(f"{len(wanted)} expressions of {sum(len(d['panels']) for d in dashboards)} panels have values, {len(rules)} alerts are silent")


if __name__ == "__main__":
    main()
