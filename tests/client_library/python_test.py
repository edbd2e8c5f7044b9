"""The Python module, its example and the documents' Python, over the real library: with `brainlock run` as the server, and with a miner and its ledger.

usage: python_test.py BRAINLOCK DOCTOR_TOOL LIBRARY SOURCES
"""
import array
import contextlib
import ctypes
import dataclasses
import importlib.util
import json
import math
import os
import pathlib
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
import unittest

BRAINLOCK, TOOL, LIBRARY = sys.argv[1:4]
SOURCES = pathlib.Path(sys.argv[4])
os.environ["BRAINLOCK_CLIENT_LIBRARY"] = LIBRARY
os.environ["PYTHONPATH"] = str(SOURCES / "python")
sys.path.insert(0, str(SOURCES / "python"))
sys.dont_write_bytecode = True
os.environ["PYTHONDONTWRITEBYTECODE"] = "1"

import brainlock_client as bl  # noqa: E402

SECONDS_UNTIL_THE_MINER_ANSWERS = 60


def run(*words, **options):
    return subprocess.run([BRAINLOCK, *map(str, words)], check=True, capture_output=True, text=True, **options).stdout


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def values_of(package):
    return [i % 5 / 10 for i in range(math.prod(package.info.input_shape))]


def difference(a, b):
    return max(abs(x - y) for x, y in zip(a, b))


class SlowLine:
    """Somebody between client and miner who passes a few megabytes a second on, so that there is time to cancel between two parts."""

    def __init__(self, target, bytes_per_second):
        host, port = target.split(":")
        self.target, self.pause = (host, int(port)), 65536 / bytes_per_second
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        with contextlib.suppress(OSError):
            while True:
                near, far = self.listener.accept()[0], socket.create_connection(self.target)
                threading.Thread(target=self.relay, args=(near, far, self.pause), daemon=True).start()
                threading.Thread(target=self.relay, args=(far, near, 0), daemon=True).start()

    @staticmethod
    def relay(source, sink, pause):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
                time.sleep(pause)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
                end.close()

    def __enter__(self):
        return self

    def __exit__(self, *_exception):
        self.listener.close()


class World:
    """Packages, keys, a ledger and a miner, made once."""

    def __init__(self, folder):
        self.folder = folder
        os.environ["BT_WALLET_PATH"] = str(folder / "wallets")
        for name, model in (("package", "test/mlp.onnx"), ("other", "tiny-cnn/tiny.onnx")):
            run("compile", SOURCES / "models" / model, "-o", folder / name, "--profile", "fast")
        self.package = bl.Package(folder / "package")
        self.keys = self.package.keys(folder / "keys", make=True)
        self.hotkeys = {}
        for name in ("Miner", "Validator", "Liar", "Client"):
            run("wallet", "regen-hotkey", "--wallet.name", "w", "--wallet.hotkey", name, input=f"//{name}\n")
            inspected = run("wallet", "inspect", "--wallet.name", "w", "--wallet.hotkey", name, "--json")
            self.hotkeys[name] = re.search(r'"ss58": "(\w+)"', inspected).group(1)
        subprocess.run([TOOL, "ledger", folder / "ledger.sqlite", self.hotkeys["Validator"], self.hotkeys["Miner"], self.hotkeys["Liar"]], check=True, stdout=subprocess.DEVNULL)
        self.processes = []
        self.miner = self.start("Miner", "other")
        self.liar = self.start("Liar", "package", "--misbehave", "replay")

    def start(self, name, second, *more):
        """A miner of two packages; its address."""
        port = free_port()
        served = sorted({"package", second})
        with open(self.folder / f"{name}.log", "w") as log:
            words = [BRAINLOCK, "miner", "--wallet.name", "w", "--wallet.hotkey", name, "--ledger", self.folder / "ledger.sqlite", "--state", self.folder / f"state-{name}",
                     "--listen", "127.0.0.1", "--port", port, "--external-ip", "127.0.0.1", "--open", "--threads", 2, *more]
            for package in served:
                words += ["--package", self.folder / package]
            self.processes.append(subprocess.Popen([str(word) for word in words], stdout=log, stderr=log))
        return f"127.0.0.1:{port}"

    def wait_for(self, address, name):
        """Until it takes connections."""
        host, port = address.split(":")
        deadline = time.monotonic() + SECONDS_UNTIL_THE_MINER_ANSWERS
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection((host, int(port)), timeout=1):
                return
            time.sleep(0.05)
        raise AssertionError((self.folder / f"{name}.log").read_text())

    def close(self):
        self.keys.close()
        self.package.close()
        for process in self.processes:
            process.send_signal(signal.SIGTERM)
        for process in self.processes:
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()


class Test(unittest.TestCase):
    world: World

    def fails(self, code, *words):
        """A block that ends with a BrainlockError of this code and these words."""
        test = self

        @contextlib.contextmanager
        def block():
            with test.assertRaises(bl.BrainlockError) as caught:
                yield
            test.assertEqual(caught.exception.code, code, caught.exception)
            for word in words:
                test.assertIn(word, str(caught.exception))

        return block()

    # --- This machine alone ----------------------------------------------------------------------------------------------------------------

    def test_versions_and_sizes(self):
        self.assertEqual(bl.abi_version(), (1, 1))
        self.assertRegex(bl.version(), r"^\d+\.\d+\.\d+$")
        sizes = {"_PackageInfo": 320, "_Range": 120, "_KeysOptions": 32, "_EncryptOptions": 8, "_MinerOptions": 8, "_UploadOptions": 24, "_AskOptions": 32, "_Answer": 112}
        for name, size in sizes.items():
            self.assertEqual(ctypes.sizeof(getattr(bl, name)), size, name)
        header = (SOURCES / "libs/client_c/include/brainlock/brainlock_client.h").read_text()
        for status in bl.Status:
            self.assertTrue(re.search(rf"\bBRAINLOCK_{status.name} = {status.value}\b", header), status)
        for phase in bl.Phase:
            self.assertTrue(re.search(rf"\bBRAINLOCK_PHASE_{phase.name} = {phase.value}\b", header), phase)
        declared = set(re.findall(r"\b(brainlock_\w+)\(", re.sub(r"/\*.*?\*/", "", header, flags=re.S)))
        self.assertEqual(declared, {line.split()[0] for line in (SOURCES / "tests/client_library/exported_symbols.txt").read_text().splitlines()})
        self.assertEqual(declared - set(bl._FUNCTIONS), {"brainlock_abi_version", "brainlock_version", "brainlock_status_name", "brainlock_last_error", "brainlock_free"})

    def test_package(self):
        info = self.world.package.info
        self.assertIn(f'"{info.hash}"', (self.world.folder / "package/manifest.json").read_text())
        self.assertGreaterEqual(info.security_bits, 128)
        self.assertEqual(info.output_names, tuple(str(i) for i in range(10)), "ten outputs are not CIFAR-10's because they are ten")
        self.assertEqual(info.evaluation_key_bytes, (self.world.folder / "keys/evaluation.keys").stat().st_size)
        with self.fails(bl.Status.NOT_FOUND, "brainlock compile"):
            bl.Package("/nowhere")
        with bl.Package(self.world.folder / "other") as other:
            self.assertEqual(other.info.model, "tiny")

    def test_round_trip_with_the_command(self):
        """The module's question, the command's run, and both decrypt; the other way round as well."""
        world, folder = self.world, self.world.folder
        values = values_of(world.package)
        (folder / "q.ct").write_bytes(world.keys.encrypt(values))
        run("run", folder / "package", "--keys", folder / "keys/evaluation.keys", "--in", folder / "q.ct", "-o", folder / "a.ct")
        outputs = world.keys.decrypt((folder / "a.ct").read_bytes())
        self.assertLessEqual(difference(outputs, world.package.run_clear(values)), world.package.info.error_bound)
        theirs = run("decrypt", folder / "package", "--keys", folder / "keys", "--in", folder / "a.ct", "--json")
        self.assertLess(difference(outputs, [float(x) for x in re.search(r'"logits": \[(.*?)\]', theirs, re.S).group(1).split(",")]), 1e-9)

        run("keygen", folder / "package", "-o", folder / "theirs")
        run("encrypt", folder / "package", "--keys", folder / "theirs", "--synthetic", "1", "-o", folder / "q2.ct")
        run("run", folder / "package", "--keys", folder / "theirs", "--in", folder / "q2.ct", "-o", folder / "a2.ct")
        with world.package.keys(folder / "theirs") as theirs:
            self.assertEqual(len(theirs.decrypt((folder / "a2.ct").read_bytes())), 10)
        for name in ("keys", "theirs"):
            modes = {entry.name: stat.S_IMODE(entry.stat().st_mode) for entry in (folder / name).iterdir()}
            self.assertEqual(modes, {"secret.key": 0o600, "evaluation.keys": 0o644}, "the same files, with the same modes")
        with self.fails(bl.Status.WRONG_ANSWER, "keys that encrypted the question"):
            world.keys.decrypt((folder / "a2.ct").read_bytes())

    def test_client_half_alone(self):
        """Keys, questions and answers as with the package; nothing that takes the model."""
        world, folder, unchecked = self.world, self.world.folder, bl.RangePolicy.UNCHECKED
        values = values_of(world.package)
        run("client-half", folder / "package", "-o", folder / "client.bin")
        with bl.Package.from_client_half(folder / "client.bin") as half, half.keys(folder / "half_keys", make=True) as keys:
            self.assertEqual(half.info, dataclasses.replace(world.package.info, whole=False))
            (folder / "q3.ct").write_bytes(keys.encrypt(values, range_policy=unchecked))
            run("run", folder / "package", "--keys", folder / "half_keys/evaluation.keys", "--in", folder / "q3.ct", "-o", folder / "a3.ct")
            outputs = keys.decrypt((folder / "a3.ct").read_bytes())
            self.assertLessEqual(difference(outputs, world.package.run_clear(values)), half.info.error_bound)
            with world.package.keys(folder / "half_keys") as same:
                self.assertEqual(same.decrypt((folder / "a3.ct").read_bytes()), outputs)
            for act in (lambda: half.check(values), lambda: half.run_clear(values), lambda: keys.encrypt(values), lambda: keys.encrypt(values, range_policy=bl.RangePolicy.ALLOW)):
                with self.fails(bl.Status.UNSUPPORTED, "client's half alone", "open the whole package", "BRAINLOCK_RANGE_UNCHECKED"):
                    act()
            with bl.Identity() as identity, self.miner(identity) as miner:
                with self.fails(bl.Status.UNSUPPORTED, "BRAINLOCK_RANGE_UNCHECKED"):
                    miner.ask(keys, values)
                answer = miner.ask(keys, values, range_policy=unchecked)
                self.assertLessEqual(difference(answer.outputs, world.package.run_clear(values)), half.info.error_bound)
                self.assertIsNone(answer.max_error)
            with self.fails(bl.Status.OUT_OF_RANGE):
                keys.encrypt([1e9] * len(values), range_policy=unchecked)
            with self.fails(bl.Status.WRONG_ANSWER), half.keys(folder / "other_keys", make=True) as strangers:
                strangers.decrypt((folder / "a3.ct").read_bytes())
        with self.fails(bl.Status.NOT_FOUND, "brainlock client-half"):
            bl.Package.from_client_half("/nowhere")
        with self.fails(bl.Status.MALFORMED, "get the file again"):
            bl.Package.from_client_half(folder / "package/plan.bin")
        (folder / "cut.bin").write_bytes((folder / "client.bin").read_bytes()[:-1])
        with self.fails(bl.Status.CORRUPTED, "cut.bin"):
            bl.Package.from_client_half(folder / "cut.bin")

    def test_clear_run_is_near_the_model(self):
        """Off from what the network itself says by the rounding of weights, which the error bound contains."""
        lines = (SOURCES / "models/test/mlp.expect.txt").read_text().splitlines()
        count = int(lines[0].split()[0])
        for image, logits in zip(lines[1:1 + count], lines[1 + count:]):
            outputs = self.world.package.run_clear([int(byte) / 255 for byte in image.split()])
            self.assertLess(difference(outputs, [float(x) for x in logits.split()]), self.world.package.info.error_bound)

    def test_inputs_of_all_kinds(self):
        world = self.world
        values = values_of(world.package)
        wanted = world.package.run_clear(values)
        kinds = [tuple(values), array.array("f", values), array.array("d", values), (value for value in values)]
        with contextlib.suppress(ImportError):
            import numpy

            shape = world.package.info.input_shape
            single = numpy.array(values, dtype=numpy.float32).reshape(shape)
            frozen = single.copy()
            frozen.setflags(write=False)
            strided = numpy.stack([single, single], axis=-1)[..., 0]
            kinds += [single, single.astype(numpy.float64), frozen, strided, numpy.asfortranarray(single)]
        for kind in kinds:
            self.assertEqual(world.package.run_clear(kind), wanted, type(kind))
        for wrong in (values[:-1], [], values + [0.0]):
            with self.fails(bl.Status.INVALID_ARGUMENT, "the model takes"):
                world.keys.encrypt(wrong)
        with self.fails(bl.Status.INVALID_ARGUMENT, "not finite"):
            world.keys.encrypt([math.nan] + values[1:])

    def test_inputs_out_of_range(self):
        world = self.world
        self.assertTrue(world.package.check(values_of(world.package)).inside)
        far = [30.0 * (-1) ** i for i in range(len(values_of(world.package)))]
        self.assertFalse(world.package.check(far).inside)
        with self.fails(bl.Status.OUT_OF_RANGE, "BRAINLOCK_RANGE_ALLOW"):
            world.keys.encrypt(far)
        self.assertEqual(len(world.keys.encrypt(far, range_policy=bl.RangePolicy.ALLOW)), world.package.info.question_bytes)

    def test_cancelled_and_raising_callbacks_leave_nothing(self):
        folder = self.world.folder / "cancelled"
        with self.fails(bl.Status.CANCELLED, "no half file"):
            self.world.package.make_keys(folder, threads=1, progress=lambda phase, done, total: True)
        self.assertEqual(list(folder.iterdir()), [])

        def interrupted(phase, done, total):
            raise KeyboardInterrupt

        with self.assertRaises(KeyboardInterrupt):
            self.world.package.make_keys(folder, threads=1, progress=interrupted)
        self.assertEqual(list(folder.iterdir()), [])
        with self.fails(bl.Status.NOT_FOUND):
            self.world.package.keys(folder)
        with self.fails(bl.Status.DENIED, "overwrite"):
            self.world.package.make_keys(self.world.folder / "keys")

    def test_closed_objects(self):
        package = bl.Package(self.world.folder / "package")
        keys = package.keys(self.world.folder / "keys")
        package.close()
        package.close()
        keys.encrypt(values_of(package))
        keys.close()
        for use in (lambda: keys.encrypt([0.0]), lambda: package.run_clear([0.0])):
            with self.fails(bl.Status.INVALID_ARGUMENT):
                use()
        with bl.Package(self.world.folder / "other") as other, self.fails(bl.Status.MISMATCH, "other parameters"):
            other.keys(self.world.folder / "keys")
        with self.fails(bl.Status.INVALID_ARGUMENT, "32"):
            bl.Identity.from_secret(b"short")

    def test_threads(self):
        values, failed = values_of(self.world.package), []

        def use():
            try:
                for _ in range(3):
                    self.world.keys.encrypt(values)
                    self.world.package.run_clear(values)
            except BaseException as error:
                failed.append(error)

        threads = [threading.Thread(target=use) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(failed, [])

    # --- A miner ---------------------------------------------------------------------------------------------------------------------------

    def miner(self, identity, name="Miner", address=None, hotkey=None):
        address = address or self.world.miner
        self.world.wait_for(address, name)
        return bl.Miner(address, hotkey or self.world.hotkeys[name], identity)

    def test_miner_answers(self):
        world, phases = self.world, []
        values = values_of(world.package)
        with bl.Identity() as identity, self.miner(identity) as miner:
            answer = miner.ask(world.keys, values, progress=lambda phase, done, total: phases.append(phase))
            self.assertTrue(answer.verified)
            self.assertLessEqual(answer.max_error, answer.error_bound)
            self.assertAlmostEqual(answer.max_error, difference(answer.outputs, world.package.run_clear(values)), places=9)
            self.assertEqual(answer.uploaded_bytes, world.package.info.evaluation_key_bytes)
            self.assertTrue(0 <= answer.network_s <= answer.latency_s < 60)
            self.assertEqual((answer.question_bytes, answer.answer_bytes), (world.package.info.question_bytes, world.package.info.answer_bytes))
            self.assertRegex(answer.request, r"^[0-9a-f-]{36}$")
            self.assertEqual(phases, sorted(phases, key=[2, 3, 4, 5, 6, 7].index), "in the order in which they come")
            again = miner.ask(world.keys, values)
            self.assertEqual(again.uploaded_bytes, 0)
            unchecked = miner.ask(world.keys, values, range_policy=bl.RangePolicy.UNCHECKED)
            self.assertIsNone(unchecked.max_error)
            self.assertFalse(unchecked.verified)
            with self.fails(bl.Status.TIMEOUT, "more time"):
                miner.ask(world.keys, values, timeout_s=0.001)
            with self.fails(bl.Status.INVALID_ARGUMENT, "timeout_s"):
                miner.ask(world.keys, values, timeout_s=-1)
            # Two at a time take turns.
            results = []
            threads = [threading.Thread(target=lambda: results.append(miner.ask(world.keys, values).verified)) for _ in range(2)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.assertEqual(results, [True, True])

    def test_upload_goes_on_where_it_was_cancelled(self):
        with bl.Package(self.world.folder / "other") as package, package.keys(self.world.folder / "other-keys", make=True) as keys:
            total = package.info.evaluation_key_bytes
            with bl.Identity.from_seed_file(self.world.folder / "home/user.seed") as identity:
                self.world.wait_for(self.world.miner, "Miner")
                with SlowLine(self.world.miner, 20e6) as line, self.miner(identity, address=line.address) as miner, self.fails(bl.Status.CANCELLED):
                    miner.upload_keys(keys, progress=lambda phase, done, _total: phase == bl.Phase.UPLOADING_KEYS and done > 0)
                with self.miner(identity) as miner:
                    # Bytes are no measure: of the part that was on its way some are sent again.
                    there = []
                    self.assertGreater(miner.upload_keys(keys, progress=lambda _phase, done, of: of == total and there.append(done)), 0)
                    self.assertGreaterEqual(min(there), 16 << 20, "the first part was there")
                    self.assertEqual(miner.upload_keys(keys), 0)
                    self.assertTrue(miner.ask(keys, [0.5] * math.prod(package.info.input_shape)).verified)

    def test_hotkey_of_a_wallet_and_wrong_hotkeys(self):
        world = self.world
        with bl.Identity.from_hotkey(world.folder / "wallets/w/hotkeys/Client") as identity:
            self.assertEqual(identity.address, world.hotkeys["Client"])
            with self.miner(identity) as miner:
                self.assertTrue(miner.ask(world.keys, values_of(world.package)).verified)
            with self.miner(identity, hotkey=world.hotkeys["Validator"]) as miner, self.fails(bl.Status.DENIED, "address and hotkey"):
                miner.ask(world.keys, values_of(world.package))
        # Of the encrypted forms the one that takes milliseconds.
        vector = json.loads((SOURCES / "vectors/chain/known-answers.json").read_text())["keyfile_legacy"]
        locked = world.folder / "locked"
        locked.write_text(vector["ansible_vault"])
        for password in (None, "wrong"):
            with self.fails(bl.Status.DENIED, "password"):
                bl.Identity.from_hotkey(locked, password)
        with bl.Identity.from_hotkey(locked, vector["password"]) as identity:
            self.assertEqual(len(identity.address), 48)

    def test_a_miner_that_lies(self):
        """Gives each first answer again: signed, of the right form, under the right key, and to another question."""
        world = self.world
        with bl.Identity() as identity, self.miner(identity, "Liar", world.liar) as liar:
            values = values_of(world.package)
            with self.fails(bl.Status.UNAVAILABLE, "another miner"):
                liar.ask(world.keys, values)  # it keeps the first answer for later
            with self.fails(bl.Status.WRONG_ANSWER, "not the model's", "another miner"):
                liar.ask(world.keys, values[::-1])

    def test_ctrl_c_ends_a_wait(self):
        """In a process of its own, whose main thread sits in the library."""
        program = (
            "import brainlock_client as bl, sys\n"
            "with bl.Package(sys.argv[1]) as p, p.keys(sys.argv[2]) as k, bl.Identity() as i, bl.Miner(sys.argv[3], i.address, i) as m:\n"
            "    print('begins', flush=True)\n"
            "    m.ask(k, [0.1] * len(bytes(p.info.input_shape[0] * p.info.input_shape[1] * p.info.input_shape[2])), timeout_s=1000)\n")
        with socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))
            silent.listen()
            process = subprocess.Popen([sys.executable, "-c", program, self.world.folder / "package", self.world.folder / "keys", f"127.0.0.1:{silent.getsockname()[1]}"],
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            self.assertEqual(process.stdout.readline(), "begins\n")
            time.sleep(0.5)
            process.send_signal(signal.SIGINT)
            began = time.monotonic()
            _, said = process.communicate(timeout=30)
            self.assertLess(time.monotonic() - began, 3)
            self.assertIn("KeyboardInterrupt", said)

    # --- Examples and documents ------------------------------------------------------------------------------------------------------------

    def example(self, *words):
        return subprocess.run([sys.executable, SOURCES / "examples/client.py", *map(str, words)], check=True, capture_output=True, text=True).stdout

    def test_example(self):
        folder = self.world.folder
        self.example("encrypt", folder / "package", folder / "example-keys", folder / "example.ct")
        run("run", folder / "package", "--keys", folder / "example-keys", "--in", folder / "example.ct", "-o", folder / "example-answer.ct")
        self.assertIn("largest difference", self.example("decrypt", folder / "package", folder / "example-keys", folder / "example-answer.ct"))
        self.world.wait_for(self.world.miner, "Miner")
        asked = self.example("query", folder / "package", folder / "example-keys", self.world.miner, self.world.hotkeys["Miner"])
        self.assertIn("answered in", asked)

    def test_documents(self):
        """Every Python and C block of the document, as it stands there; the folder has what it speaks of."""
        text = (SOURCES / "docs/client-library.md").read_text()
        blocks = re.findall(r"^```(\w+)\n(.*?)^```", text, re.S | re.M)
        self.assertEqual({language for language, _ in blocks} & {"c", "python"}, {"c", "python"})
        self.world.wait_for(self.world.miner, "Miner")
        replace = {"203.0.113.7:8091": self.world.miner, "5F...": self.world.hotkeys["Miner"]}
        include, library = SOURCES / "libs/client_c/include", pathlib.Path(LIBRARY).parent
        for language, code in blocks:
            for old, new in replace.items():
                code = code.replace(old, new)
            with tempfile.TemporaryDirectory() as place:
                folder = pathlib.Path(place)
                (folder / "package").symlink_to(self.world.folder / "package")
                if language == "python":
                    subprocess.run([sys.executable, "-c", code], cwd=folder, check=True, stdout=subprocess.DEVNULL)
                if language == "c":
                    (folder / "demo.c").write_text(code)
                    subprocess.run(["cc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-pedantic", "demo.c", f"-I{include}", f"-L{library}", "-lbrainlock_client", "-o", "demo"], cwd=folder, check=True)
                    said = subprocess.run(["./demo"], cwd=folder, check=True, capture_output=True, text=True, env={**os.environ, "LD_LIBRARY_PATH": str(library)}).stdout
                    self.assertIn("answered in", said)

    def test_wheel(self):
        """Debian's own packages make one without a network; it has the module, and the library's version."""
        self.assertIn(f'version = "{bl.version()}"', (SOURCES / "python/pyproject.toml").read_text())
        if not all(importlib.util.find_spec(name) for name in ("pip", "setuptools", "wheel")):
            self.skipTest("pip, setuptools or wheel is not installed (./dev setup test)")
        folder = self.world.folder / "wheel"
        folder.mkdir()
        for name in ("brainlock_client.py", "pyproject.toml"):
            shutil.copy(SOURCES / "python" / name, folder)
        subprocess.run([sys.executable, "-m", "pip", "wheel", "--no-index", "--no-build-isolation", "--no-deps", "-q", "-w", folder / "out", folder], check=True, capture_output=True)
        (wheel,) = (folder / "out").iterdir()
        self.assertEqual(wheel.name, f"brainlock_client-{bl.version()}-py3-none-any.whl")
        program = "import brainlock_client as bl; assert bl.__file__.startswith(__import__('sys').path[1]); print(bl.version())"
        said = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(wheel)}).stdout
        self.assertEqual(said.strip(), bl.version())

    def test_nothing_secret_is_said(self):
        """Neither logs of miners nor texts of errors have a piece of a secret key."""
        secret = (self.world.folder / "keys/secret.key").read_bytes()
        pieces = [secret[at:at + 16] for at in range(64, len(secret) - 16, 64)]
        texts = [path.read_bytes() for path in self.world.folder.glob("*.log")]
        for piece in pieces:
            for text in texts:
                self.assertNotIn(piece, text)
                self.assertNotIn(piece.hex().encode(), text)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        Test.world = World(pathlib.Path(place))
        try:
            result = unittest.main(argv=[sys.argv[0]], exit=False, verbosity=2).result
        finally:
            Test.world.close()
    sys.exit(not result.wasSuccessful())
