"""Private inference with Brainlock: keys, encryption, decryption, questions to a miner.

One module over the C library ``libbrainlock_client.so`` (see brainlock_client.h); needs nothing but Python's standard library. Inputs are
anything with the buffer protocol that holds floats (a numpy array of float32 or float64, ``array.array('f')``) or any sequence of numbers,
in the order channels, height, width.

    with Package("vgg9") as package, package.keys("keys", make=True) as keys:
        question = keys.encrypt(values)            # bytes for a server
        outputs = keys.decrypt(answer)             # the answer that came back

Objects may be used from many threads. ``close()``, or leaving ``with``, wipes secret keys from memory.
"""

from __future__ import annotations

import array
import ctypes
import ctypes.util
import enum
import os
import pathlib
import queue
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Optional, Union

__all__ = ["Answer", "BrainlockError", "Identity", "Keys", "Miner", "Package", "PackageInfo", "Phase", "Range", "RangePolicy", "Status", "abi_version", "version"]

ABI_MAJOR, ABI_MINOR = 1, 1

PathLike = Union[str, "os.PathLike[str]"]
Values = Union[Sequence[float], Iterable[float], Any]


class Status(enum.IntEnum):
    """Why a call failed; the numbers of brainlock_client.h."""

    OK = 0
    INVALID_ARGUMENT = 1
    MALFORMED = 2
    TRUNCATED = 3
    TOO_LARGE = 4
    CORRUPTED = 5
    MISMATCH = 6
    INSECURE = 7
    UNSUPPORTED = 8
    NOT_FOUND = 9
    IO = 10
    DENIED = 11
    TIMEOUT = 12
    CANCELLED = 13
    UNAVAILABLE = 14
    RESOURCE = 15
    INTERNAL = 16
    OUT_OF_RANGE = 17
    WRONG_ANSWER = 18

    @classmethod
    def _missing_(cls, value: object) -> Status:
        return cls.INTERNAL  # of a later library


class Phase(enum.IntEnum):
    """What is going on when a progress callback is called."""

    MAKING_KEYS = 1
    CHECKING = 2
    ENCRYPTING = 3
    CONNECTING = 4
    UPLOADING_KEYS = 5
    WAITING = 6
    DECRYPTING = 7


class RangePolicy(enum.IntEnum):
    """What happens to inputs that the model has no room for."""

    REFUSE = 0
    ALLOW = 1
    UNCHECKED = 2


class BrainlockError(Exception):
    """A call that failed: ``code`` for programs, the text (cause and next step) for people."""

    def __init__(self, code: Status, message: str) -> None:
        super().__init__(f"{code.name.lower()}: {message}")
        self.code = code
        self.message = message


Progress = Callable[[Phase, int, int], Optional[bool]]
"""Called with (phase, done, total), 0 of 0 where nobody knows; returning True, or raising, cancels."""


# --- The C interface -------------------------------------------------------------------------------------------------------------------------

_PROGRESS = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int32, ctypes.c_uint64, ctypes.c_uint64)
_u32, _u64, _f64 = ctypes.c_uint32, ctypes.c_uint64, ctypes.c_double


class _PackageInfo(ctypes.Structure):
    _fields_ = [
        ("struct_size", _u32), ("security_bits", _u32), ("ring_degree", _u32), ("input_channels", _u32), ("input_height", _u32), ("input_width", _u32),
        ("input_count", _u32), ("output_count", _u32), ("evaluation_key_count", _u32), ("is_client_half", _u32), ("input_bound", _f64), ("error_bound", _f64),
        ("error_estimate", _f64), ("evaluation_key_bytes", _u64), ("question_bytes", _u64), ("answer_bytes", _u64), ("hash", ctypes.c_char * 72),
        ("model", ctypes.c_char * 128), ("profile", ctypes.c_char * 32),
    ]


class _Range(ctypes.Structure):
    _fields_ = [
        ("struct_size", _u32), ("inside", _u32), ("wraps", _u32), ("reserved", _u32), ("wrap", _f64), ("foretold_error", _f64), ("error_bound", _f64),
        ("worst_value", _f64), ("worst_limit", _f64), ("worst_layer", ctypes.c_char * 64),
    ]


class _KeysOptions(ctypes.Structure):
    _fields_ = [("struct_size", _u32), ("threads", _u32), ("overwrite", _u32), ("reserved", _u32), ("progress", _PROGRESS), ("user", ctypes.c_void_p)]


class _EncryptOptions(ctypes.Structure):
    _fields_ = [("struct_size", _u32), ("range", _u32)]


class _MinerOptions(ctypes.Structure):
    _fields_ = [("struct_size", _u32), ("plain", _u32)]


class _UploadOptions(ctypes.Structure):
    _fields_ = [("struct_size", _u32), ("reserved", _u32), ("progress", _PROGRESS), ("user", ctypes.c_void_p)]


class _AskOptions(ctypes.Structure):
    _fields_ = [("struct_size", _u32), ("range", _u32), ("timeout_s", _f64), ("progress", _PROGRESS), ("user", ctypes.c_void_p)]


class _Answer(ctypes.Structure):
    _fields_ = [
        ("struct_size", _u32), ("verified", _u32), ("latency_s", _f64), ("network_s", _f64), ("max_error", _f64), ("error_bound", _f64), ("upload_s", _f64),
        ("uploaded_bytes", _u64), ("question_bytes", _u64), ("answer_bytes", _u64), ("request", ctypes.c_char * 40),
    ]


_handle, _out, _path = ctypes.c_void_p, ctypes.POINTER(ctypes.c_void_p), ctypes.c_char_p
_floats, _doubles = ctypes.POINTER(ctypes.c_float), ctypes.POINTER(ctypes.c_double)
_bytes, _size = ctypes.POINTER(ctypes.c_uint8), ctypes.c_size_t
_p = ctypes.POINTER

_FUNCTIONS: dict[str, list[Any]] = {
    "brainlock_package_open": [_path, _out],
    "brainlock_client_half_open": [_path, _out],
    "brainlock_package_close": [_handle],
    "brainlock_package_get_info": [_handle, _p(_PackageInfo)],
    "brainlock_package_output_name": [_handle, _u32, ctypes.c_char_p, _size, _p(_size)],
    "brainlock_check_input": [_handle, _floats, _size, _p(_Range)],
    "brainlock_run_clear": [_handle, _floats, _size, _doubles, _size],
    "brainlock_keys_make": [_handle, _path, _p(_KeysOptions)],
    "brainlock_keys_open": [_handle, _path, _out],
    "brainlock_keys_close": [_handle],
    "brainlock_encrypt": [_handle, _floats, _size, _p(_EncryptOptions), _p(_bytes), _p(_size), _p(_Range)],
    "brainlock_decrypt": [_handle, ctypes.c_char_p, _size, _doubles, _size],
    "brainlock_identity_generate": [_out],
    "brainlock_identity_from_secret": [ctypes.c_char_p, _size, _out],
    "brainlock_identity_open": [_path, _out],
    "brainlock_identity_from_hotkey": [_path, ctypes.c_char_p, _out],
    "brainlock_identity_address": [_handle, ctypes.c_char_p, _size],
    "brainlock_identity_close": [_handle],
    "brainlock_miner_open": [ctypes.c_char_p, ctypes.c_char_p, _handle, _p(_MinerOptions), _out],
    "brainlock_miner_close": [_handle],
    "brainlock_miner_upload_keys": [_handle, _handle, _p(_UploadOptions), _p(_u64)],
    "brainlock_miner_ask": [_handle, _handle, _floats, _size, _p(_AskOptions), _doubles, _size, _p(_Answer)],
}


def _load() -> ctypes.CDLL:
    """The library that BRAINLOCK_CLIENT_LIBRARY names, or the one beside this file, or the system's."""
    given = os.environ.get("BRAINLOCK_CLIENT_LIBRARY")
    name = f"libbrainlock_client.so.{ABI_MAJOR}"
    beside = pathlib.Path(__file__).resolve().parent / name
    tried = [given] if given else [str(beside)] if beside.exists() else [name, ctypes.util.find_library("brainlock_client") or name]
    for place in tried:
        try:
            library = ctypes.CDLL(place)
            break
        except OSError as error:
            problem = error
    else:
        raise ImportError(f"{problem}; install the library (cmake --install BUILD --component client_library), or name its file in BRAINLOCK_CLIENT_LIBRARY")
    library.brainlock_abi_version.restype = _u32
    there = library.brainlock_abi_version()
    if there >> 16 != ABI_MAJOR or there & 0xFFFF < ABI_MINOR:
        raise ImportError(f"{library._name} has ABI {there >> 16}.{there & 0xFFFF}, this module needs {ABI_MAJOR}.{ABI_MINOR}")
    for function, arguments in _FUNCTIONS.items():
        bound = getattr(library, function)
        bound.argtypes, bound.restype = arguments, ctypes.c_int32
    library.brainlock_version.restype = library.brainlock_last_error.restype = ctypes.c_char_p
    library.brainlock_free.argtypes, library.brainlock_free.restype = [ctypes.c_void_p], None
    return library


_library = _load()


def abi_version() -> tuple[int, int]:
    """(major, minor) of the library's ABI."""
    there = _library.brainlock_abi_version()
    return there >> 16, there & 0xFFFF


def version() -> str:
    """Version of the library's software."""
    return str(_library.brainlock_version().decode())


def _check(status: int) -> None:
    if status != Status.OK:
        raise BrainlockError(Status(status), _library.brainlock_last_error().decode(errors="replace"))


def _bytes_of(path: PathLike) -> bytes:
    name = os.fsencode(path)
    if b"\0" in name:
        raise ValueError("a path has no zero bytes")
    return name


def _as_floats(values: Values) -> tuple[Any, int]:
    """A C array of the values, and how many they are. Copies, but for contiguous float32."""
    try:
        view = memoryview(values)
    except TypeError:
        view = memoryview(array.array("f", values))
    if view.format not in ("f", "<f") or not view.c_contiguous:
        view = memoryview(array.array("f", _flat(view)))
    count = view.nbytes // 4
    if view.readonly or count == 0:
        return (ctypes.c_float * max(1, count)).from_buffer_copy(view.tobytes() or bytes(4)), count
    return (ctypes.c_float * count).from_buffer(view.cast("B") if view.ndim == 1 else view), count


def _flat(view: memoryview) -> Iterable[float]:
    """Numbers of a view in C order."""
    rows = view.tolist()
    depth = view.ndim
    while depth > 1:
        rows = [value for row in rows for value in row]
        depth -= 1
    return rows if isinstance(rows, list) else [rows]


def _run(progress: Optional[Progress], call: Callable[[Any], int]) -> None:
    """Makes a call that takes its time: ``call(callback)``, in a thread of its own. This one tells ``progress``, and notices Ctrl-C at once, which a thread
    inside of C would not; whatever is raised here cancels the call, and comes out when it has ended."""
    told: queue.SimpleQueue[Optional[tuple[int, int, int]]] = queue.SimpleQueue()
    cancelled = threading.Event()
    ended: list[tuple[int, str]] = []

    def tell(_user: Any, phase: int, done: int, total: int) -> int:
        told.put((phase, done, total))
        return int(cancelled.is_set())

    callback = _PROGRESS(tell)

    def work() -> None:
        try:
            status = call(callback)
            ended.append((status, _library.brainlock_last_error().decode(errors="replace")))  # which is this thread's
        finally:
            told.put(None)

    raised: Optional[BaseException] = None
    thread = threading.Thread(target=work, name="brainlock", daemon=True)
    thread.start()
    while True:
        try:
            event = told.get()
            if event is None:
                break
            if progress is not None and not cancelled.is_set() and progress(Phase(event[0]), event[1], event[2]):
                cancelled.set()
        except BaseException as error:
            raised = raised or error
            cancelled.set()
    thread.join()
    if raised is not None:
        raise raised
    status, message = ended[0]
    if status != Status.OK:
        raise BrainlockError(Status(status), message)


class _Handle:
    """Something that is open until close(), the end of ``with``, or its last use."""

    _close_function = ""

    def __init__(self, handle: Optional[int]) -> None:
        self._handle = handle

    def close(self) -> None:
        """Releases it, wiping what is secret. Again: nothing."""
        handle, self._handle = self._handle, None
        if handle is not None:
            _check(getattr(_library, self._close_function)(handle))

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_handle", None) is not None and _library is not None:
            self.close()


# --- Packages ----------------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PackageInfo:
    """What a package is."""

    hash: str
    model: str
    profile: str
    input_shape: tuple[int, int, int]
    """Channels, height, width."""
    output_names: tuple[str, ...]
    security_bits: int
    ring_degree: int
    evaluation_key_count: int
    evaluation_key_bytes: int
    question_bytes: int
    answer_bytes: int
    input_bound: float
    error_bound: float
    error_estimate: float
    whole: bool = True
    """False: the client's half alone, which the model cannot be run with."""


@dataclass(frozen=True)
class Range:
    """What running an input in the clear says about it."""

    inside: bool
    wraps: bool
    wrap: float
    foretold_error: float
    error_bound: float
    worst_layer: str
    worst_value: float
    worst_limit: float


def _range_of(report: _Range) -> Range:
    return Range(bool(report.inside), bool(report.wraps), report.wrap, report.foretold_error, report.error_bound, report.worst_layer.decode(errors="replace"),
                 report.worst_value, report.worst_limit)


class Package(_Handle):
    """A compiled model: a folder that ``brainlock compile`` wrote."""

    _close_function = "brainlock_package_close"

    def __init__(self, folder: PathLike) -> None:
        self._open(_library.brainlock_package_open, folder)

    @classmethod
    def from_client_half(cls, file: PathLike) -> Package:
        """The client's half of a package alone, a file of ``brainlock client-half``: keys, and with ``RangePolicy.UNCHECKED`` questions; UNSUPPORTED is what takes
        the model."""
        package = cls.__new__(cls)
        package._open(_library.brainlock_client_half_open, file)
        return package

    def _open(self, function: Any, place: PathLike) -> None:
        super().__init__(None)
        handle = ctypes.c_void_p()
        _check(function(_bytes_of(place), ctypes.byref(handle)))
        self._handle = handle.value
        report = _PackageInfo(struct_size=ctypes.sizeof(_PackageInfo))
        _check(_library.brainlock_package_get_info(self._handle, ctypes.byref(report)))
        self.info = PackageInfo(
            report.hash.decode(), report.model.decode(errors="replace"), report.profile.decode(errors="replace"),
            (report.input_channels, report.input_height, report.input_width), tuple(self._name(i) for i in range(report.output_count)), report.security_bits,
            report.ring_degree, report.evaluation_key_count, report.evaluation_key_bytes, report.question_bytes, report.answer_bytes, report.input_bound,
            report.error_bound, report.error_estimate, not report.is_client_half)

    def _name(self, output: int) -> str:
        needed = ctypes.c_size_t()
        _check(_library.brainlock_package_output_name(self._handle, output, None, 0, ctypes.byref(needed)))
        buffer = ctypes.create_string_buffer(needed.value)
        _check(_library.brainlock_package_output_name(self._handle, output, buffer, needed.value, None))
        return buffer.value.decode()

    def check(self, values: Values) -> Range:
        """Judges an input without encrypting it."""
        floats, count = _as_floats(values)
        report = _Range(struct_size=ctypes.sizeof(_Range))
        _check(_library.brainlock_check_input(self._handle, floats, count, ctypes.byref(report)))
        return _range_of(report)

    def run_clear(self, values: Values) -> list[float]:
        """What the package computes in the clear, which honest answers scatter around."""
        floats, count = _as_floats(values)
        outputs = (ctypes.c_double * len(self.info.output_names))()
        _check(_library.brainlock_run_clear(self._handle, floats, count, outputs, len(outputs)))
        return list(outputs)

    def make_keys(self, folder: PathLike, *, threads: int = 0, overwrite: bool = False, progress: Optional[Progress] = None) -> None:
        """Makes a key pair in a folder, as ``brainlock keygen`` does: seconds to minutes, and nothing half is left where it is cancelled."""
        place = _bytes_of(folder)

        def call(callback: Any) -> int:
            options = _KeysOptions(struct_size=ctypes.sizeof(_KeysOptions), threads=threads, overwrite=int(overwrite), progress=callback)
            return int(_library.brainlock_keys_make(self._handle, place, ctypes.byref(options)))

        _run(progress, call)

    def keys(self, folder: PathLike, *, make: bool = False, progress: Optional[Progress] = None) -> Keys:
        """Opens the key pair of a folder; with ``make``, makes it where there is none."""
        handle = ctypes.c_void_p()
        status = _library.brainlock_keys_open(self._handle, _bytes_of(folder), ctypes.byref(handle))
        if status == Status.NOT_FOUND and make:
            self.make_keys(folder, progress=progress)
            status = _library.brainlock_keys_open(self._handle, _bytes_of(folder), ctypes.byref(handle))
        _check(status)
        return Keys(self.info, handle.value)


class Keys(_Handle):
    """A key pair in memory. From Package.keys()."""

    _close_function = "brainlock_keys_close"

    def __init__(self, info: PackageInfo, handle: Optional[int]) -> None:
        super().__init__(handle)
        self._info = info

    def encrypt(self, values: Values, *, range_policy: RangePolicy = RangePolicy.REFUSE) -> bytes:
        """A question for a server: bytes that nobody without the secret key reads."""
        floats, count = _as_floats(values)
        options = _EncryptOptions(ctypes.sizeof(_EncryptOptions), range_policy)
        data, size = _bytes(), ctypes.c_size_t()
        _check(_library.brainlock_encrypt(self._handle, floats, count, ctypes.byref(options), ctypes.byref(data), ctypes.byref(size), None))
        try:
            return ctypes.string_at(data, size.value)
        finally:
            _library.brainlock_free(data)

    def decrypt(self, answer: Union[bytes, bytearray, memoryview]) -> list[float]:
        """The model's outputs. Tell no server what came of it (SECURITY.md)."""
        data = bytes(answer)
        outputs = (ctypes.c_double * len(self._info.output_names))()
        _check(_library.brainlock_decrypt(self._handle, data, len(data), outputs, len(outputs)))
        return list(outputs)


# --- Asking a miner ----------------------------------------------------------------------------------------------------------------------------


class Identity(_Handle):
    """Who asks: a new one that is in memory alone, or one of the class methods'."""

    _close_function = "brainlock_identity_close"

    def __init__(self, _handle: Optional[int] = None) -> None:
        super().__init__(_handle)
        if _handle is None:
            handle = ctypes.c_void_p()
            _check(_library.brainlock_identity_generate(ctypes.byref(handle)))
            self._handle = handle.value

    @classmethod
    def from_secret(cls, secret: bytes) -> Identity:
        """From a 32-byte mini secret."""
        handle = ctypes.c_void_p()
        _check(_library.brainlock_identity_from_secret(bytes(secret), len(secret), ctypes.byref(handle)))
        return cls(handle.value)

    @classmethod
    def from_seed_file(cls, file: PathLike) -> Identity:
        """From a file of 32 bytes, which is made (0600) if it is missing."""
        handle = ctypes.c_void_p()
        _check(_library.brainlock_identity_open(_bytes_of(file), ctypes.byref(handle)))
        return cls(handle.value)

    @classmethod
    def from_hotkey(cls, file: PathLike, password: Optional[str] = None) -> Identity:
        """From a hotkey file of a Bittensor wallet."""
        handle = ctypes.c_void_p()
        _check(_library.brainlock_identity_from_hotkey(_bytes_of(file), None if password is None else password.encode(), ctypes.byref(handle)))
        return cls(handle.value)

    @property
    def address(self) -> str:
        """SS58 address."""
        buffer = ctypes.create_string_buffer(64)
        _check(_library.brainlock_identity_address(self._handle, buffer, len(buffer)))
        return buffer.value.decode()


@dataclass(frozen=True)
class Answer:
    """A miner's answer, decrypted and compared."""

    outputs: list[float]
    verified: bool
    """Within the package's error bound of the clear answer. False: not compared, or off for an input that is out of range."""
    max_error: Optional[float]
    """Largest difference from the clear answer; None: not compared."""
    error_bound: float
    latency_s: float
    network_s: float
    upload_s: float
    uploaded_bytes: int
    question_bytes: int
    answer_bytes: int
    request: str


class Miner(_Handle):
    """Somebody who runs encrypted models, at ``address`` (ADDRESS:PORT), whose answers must be signed by ``hotkey`` (SS58)."""

    _close_function = "brainlock_miner_close"

    def __init__(self, address: str, hotkey: str, identity: Identity, *, plain: bool = False) -> None:
        super().__init__(None)
        handle = ctypes.c_void_p()
        options = _MinerOptions(ctypes.sizeof(_MinerOptions), int(plain))
        _check(_library.brainlock_miner_open(address.encode(), hotkey.encode(), identity._handle, ctypes.byref(options), ctypes.byref(handle)))
        self._handle = handle.value

    def upload_keys(self, keys: Keys, *, progress: Optional[Progress] = None) -> int:
        """Makes sure that the miner has the evaluation keys; goes on where the last upload ended. Bytes that were sent now."""
        sent = ctypes.c_uint64()

        def call(callback: Any) -> int:
            options = _UploadOptions(struct_size=ctypes.sizeof(_UploadOptions), progress=callback)
            return int(_library.brainlock_miner_upload_keys(self._handle, keys._handle, ctypes.byref(options), ctypes.byref(sent)))

        _run(progress, call)
        return sent.value

    def ask(self, keys: Keys, values: Values, *, timeout_s: float = 300, range_policy: RangePolicy = RangePolicy.REFUSE, progress: Optional[Progress] = None) -> Answer:
        """Encrypts, asks, decrypts and compares with the clear answer. Ctrl-C ends the wait."""
        floats, count = _as_floats(values)
        outputs, report = (ctypes.c_double * len(keys._info.output_names))(), _Answer(struct_size=ctypes.sizeof(_Answer))

        def call(callback: Any) -> int:
            options = _AskOptions(struct_size=ctypes.sizeof(_AskOptions), range=range_policy, timeout_s=timeout_s, progress=callback)
            return int(_library.brainlock_miner_ask(self._handle, keys._handle, floats, count, ctypes.byref(options), outputs, len(outputs), ctypes.byref(report)))

        _run(progress, call)
        return Answer(list(outputs), bool(report.verified), None if report.max_error < 0 else report.max_error, report.error_bound, report.latency_s, report.network_s,
                      report.upload_s, report.uploaded_bytes, report.question_bytes, report.answer_bytes, report.request.decode())
