"""An operator's machine and a publisher's web server for the tests of `brainlock update`: the installation is what deploy/setup.sh makes, services are real processes
that are restarted by a script, and the server does what each test wants of it."""

import http.server
import json
import os
import pathlib
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import traceback

BRAINLOCK, NEXT, NODE, SOURCE = (os.path.realpath(word) for word in sys.argv[1:5])


def until(condition, what, seconds=30):
    """Waits for something that another process does; a test fails rather than hangs."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(0.02)


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Site:
    """A web server over a folder. `rules` name paths (by their end) that are answered otherwise: a function of the handler."""

    def __init__(self, folder, tls=None):
        self.folder, self.rules, self.requests = folder, {}, []
        site = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                site.requests.append((self.command, self.path, dict(self.headers)))
                for end, rule in site.rules.items():
                    if self.path.endswith(end):
                        try:
                            rule(self)
                        except (BrokenPipeError, ConnectionResetError):
                            pass
                        self.close_connection = True
                        return
                file = site.folder / self.path.lstrip("/")
                body = file.read_bytes() if file.is_file() else None
                self.send_response(200 if body is not None else 404)
                self.send_header("Content-Length", str(len(body or b"")))
                self.end_headers()
                if body:
                    try:
                        self.wfile.write(body)
                    except (BrokenPipeError, ConnectionResetError):
                        pass

            do_POST = do_HEAD = do_PUT = do_GET

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        if tls:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


class World:
    def __init__(self, validator=False):
        self.work = pathlib.Path(tempfile.mkdtemp(prefix="brainlock_update_"))
        self.own_home = self.work / "home"
        self.home = self.own_home / "brainlock"
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith(("POSTGRES_", "BRAINLOCK_", "BT_"))}
        self.environment.update(HOME=str(self.own_home), BRAINLOCK_BIN=BRAINLOCK)
        self.roles = ["miner"] + (["validator"] if validator else [])
        self.processes = []
        self.site_folder = self.work / "site"
        self.site = Site(self.site_folder)
        self.keys = []

    # --- the operator ------------------------------------------------------------------------------------------------------------------------------

    def run(self, *words, check=None, program=None, given=None):
        """A command and its end: (status, standard output, standard error)."""
        command = [program or BRAINLOCK, *map(str, words)]
        done = subprocess.run(command, env=self.environment, cwd=self.work, input=given, capture_output=True, text=True, timeout=120)
        if check is not None:
            assert done.returncode == check, f"{command} ended with {done.returncode}, not {check}:\n{done.stdout}\n{done.stderr}"
        return done.returncode, done.stdout, done.stderr

    def install(self):
        """deploy/setup.sh, with a chain of which //Bob is a member, and the services started."""
        node = subprocess.Popen([NODE, f"{SOURCE}/vectors/chain/metadata-spec224.scale", "--clock", "0"], stdout=subprocess.PIPE, text=True, env=self.environment)
        self.processes.append(node)
        chain = f"ws://127.0.0.1:{node.stdout.readline().strip()}"
        self.own_home.mkdir()
        self.run("wallet", "regen-hotkey", "--wallet.name", "w", "--wallet.hotkey", "h", check=0, given="//Bob\n")
        self.port, self.page = free_port(), free_port()
        (self.work / ".env").write_text(
            f"WALLET_NAME=w\nHOTKEY_NAME=h\nNETWORK={chain}\nNETUID=1\nEXTERNAL_PORT={self.port}\nEXTERNAL_IP=1.2.3.4\nPAGE_PORT={self.page}\n"
            f"FORCE_VALIDATOR_PERMIT=false\nMODEL={SOURCE}/models/test/mlp.onnx\nPROFILE=fast\n")
        for role in self.roles:
            self.run(role, check=0, program=f"{SOURCE}/deploy/setup.sh")
        # As a service manager would: ends the old process, starts the new one, and comes back; one restart of a service at a time, also when who asked for it is gone.
        # While a file "hold-restart" is there it waits, and says so.
        restart = self.work / "restart"
        restart.write_text(f"""#!/bin/bash
cd {self.work}
exec 9>$1.lock
flock 9
if [ -e hold-restart ]; then touch held; while [ -e hold-restart ]; do sleep 0.02; done; fi
pid=$(cat $1.pid 2>/dev/null)
if [ -n "$pid" ]; then kill $pid 2>/dev/null; while [ -e /proc/$pid ] && ! grep -q '^State:.Z' /proc/$pid/status; do sleep 0.02; done; fi
setsid {self.home}/bin/start-$1 >>$1.log 2>&1 9>&- &
echo $! >$1.pid
""")
        restart.chmod(0o755)
        for role in self.roles:
            subprocess.run([str(restart), role], check=True, env=self.environment)
        for role in self.roles:
            until(lambda role=role: self.running(role) == "0.1.0", f"the {role} starts; its log: {self.log(role)}")

    def log(self, role):
        file = self.work / f"{role}.log"
        return file.read_text()[-3000:] if file.exists() else ""

    def pid(self, role="miner"):
        return int((self.work / f"{role}.pid").read_text())

    def running(self, role="miner"):
        """The version that a service says it is; None without an answer."""
        import urllib.request
        address = f"http://127.0.0.1:{self.port}/v1/status" if role == "miner" else f"http://127.0.0.1:{self.page}/api/status"
        try:
            with urllib.request.urlopen(address, timeout=5) as answer:
                return json.load(answer)["version"]
        except (OSError, ValueError):
            return None

    def set_up(self, threshold=2, source=None, check=0, **settings):
        """`update setup`, then single settings by hand as an operator would change them."""
        self.run("update", "setup", "--source", source or f"http://127.0.0.1:{self.site.port}/", *[word for key in self.keys for word in ("--key", key)],
                 "--threshold", threshold, *[word for role in self.roles for word in ("--role", role)],
                 f"--restart-word={self.work}/restart", "--restart-word={role}", "--overwrite", check=check)
        file = self.home / "update" / "settings.json"
        body = json.loads(file.read_text())
        body.update(settings)
        file.write_text(json.dumps(body))

    def update(self, *words, code=None, status=None):
        """`brainlock update ...` by the program of the installation that has shown that it works, as the timer runs it."""
        program = self.home / "releases/confirmed/bin/brainlock"
        got, out, err = self.run("update", *words, "--json", program=str(program) if program.exists() else None)
        try:
            report = json.loads(out)
        except ValueError:
            report = {"code": f"no JSON, status {got}", "found": out + err}
        report["err"] = err
        if code is not None:
            assert report["code"] == code, f"update {words}: {report}"
            good = status if status is not None else (0 if code in ("updated", "finished", "nothing_new", "ready", "waits") else 1)
            assert got == good, f"update {words} ended with {got}: {report}"
        return report

    def begin(self, *words):
        """The same beside the test; standard error goes to a file, to be looked at while it runs."""
        program = self.home / "releases/confirmed/bin/brainlock"
        self.steps = self.work / "steps"
        with open(self.steps, "w") as steps:
            process = subprocess.Popen([str(program) if program.exists() else BRAINLOCK, "update", *words], env=self.environment, stdout=subprocess.DEVNULL, stderr=steps)
        self.processes.append(process)
        return process

    def kill_at(self, process, reached, what):
        until(lambda: reached() or process.poll() is not None, what)
        assert process.poll() is None, f"ended before {what}: {self.steps.read_text()}"
        process.send_signal(signal.SIGKILL)
        process.wait()

    def state(self):
        return json.loads((self.home / "update/state.json").read_text())

    def data(self):
        """Everything that is not the updater's: settings, keys, packages, stores, wallets. Rows of the store by their content, since a validator adds to them."""
        out = {}
        for path in sorted(self.own_home.rglob("*")):
            name = path.relative_to(self.own_home).as_posix()
            if name.startswith(("brainlock/bin", "brainlock/releases", "brainlock/update")) or not path.is_file() or "replay.fence" in name or "validator.sqlite" in name:
                continue
            out[name] = (path.stat().st_mode, path.read_bytes())
        return out

    def rows(self):
        database = sqlite3.connect(f"file:{self.home}/validator/validator.sqlite?mode=ro", uri=True)
        with database:
            return sorted(database.execute("SELECT uuid, reason FROM requests WHERE uuid LIKE 'mark%'").fetchall())

    # --- the publisher -----------------------------------------------------------------------------------------------------------------------------

    def make_keys(self, count=3):
        for number in range(count):
            # One of them under a password.
            words = ["--password-stdin"] if number == 0 else ["--no-password"]
            _, out, _ = self.run("update", "keygen", "-o", self.work / f"{number}.key", *words, check=0, given="a password\n")
            self.keys.append(out.strip())

    def script(self, name, text):
        file = self.work / name
        file.write_text(text)
        file.chmod(0o755)
        return file

    def publish(self, version, files, *words, signers=(0, 1), live=True, check=0):
        """`files`: path in the release -> file."""
        self.run("update", "draft", self.site_folder, "--release", version, *[word for path, file in files.items() for word in ("--file", f"{os.uname().machine}:{path}={file}")],
                 *words, check=0)
        manifest = self.site_folder / "releases" / version / "release.json"
        for number in signers:
            password = ["--password-stdin"] if number == 0 else []
            self.run("update", "sign", manifest, "--secret-key", self.work / f"{number}.key", *password, check=0, given="a password\n")
        if live:
            for name in ("release.json.sig", "release.json"):
                shutil.copy(manifest.parent / name, self.site_folder / name)
        return json.loads(manifest.read_text())

    # --- the end -----------------------------------------------------------------------------------------------------------------------------------

    def end(self):
        for hold in self.work.glob("hold-*"):
            hold.unlink()
        for role in self.roles:
            try:
                os.kill(self.pid(role), signal.SIGKILL)
            except (OSError, ValueError):
                pass
        for process in self.processes:
            process.kill()
            process.wait()
        shutil.rmtree(self.work, ignore_errors=True)


def main(test, **options):
    world = World(**options)
    try:
        begun = time.monotonic()
        test(world)
        print(f"all of it in {time.monotonic() - begun:.1f} s")
    except Exception:
        traceback.print_exc()
        for role in world.roles:
            print(f"--- log of the {role}\n{world.log(role)}")
        world.end()
        sys.exit(1)
    world.end()
