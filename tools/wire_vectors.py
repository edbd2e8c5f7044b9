#!/usr/bin/env python3
"""Writes vectors/wire from docs/wire.md alone, with nothing of the C++ code: an independent reading of the format.

Usage: tools/wire_vectors.py [--check] [FOLDER]
--check compares with the files that are there instead of writing them.
"""
import argparse
import hashlib
import pathlib
import struct
import sys

N = 8
ALPHA = 1


def is_prime(n):
    if n < 2 or n % 2 == 0:
        return n == 2
    return all(n % d for d in range(3, int(n**0.5) + 1, 2))


def largest_prime(bits):
    n = (1 << bits) - 1
    while n % (2 * N) != 1 or not is_prime(n):
        n -= 1
    return n


Q = [largest_prime(28), largest_prime(29)]
P = [largest_prime(30)]


def u32(*values):
    return struct.pack(f"<{len(values)}I", *values)


def spec_words():
    return u32(N, len(Q), *Q, len(P), *P, ALPHA)


def blake(*parts):
    digest = hashlib.blake2b(digest_size=32)
    for part in parts:
        digest.update(part)
    return digest.digest()


PARAMETERS_ID = blake(b"brainlock ckks parameters 1", spec_words())


def header(kind, body_length, covered, version=1, identity=PARAMETERS_ID):
    front = b"BRLK" + struct.pack("<HH", kind, version) + identity + struct.pack("<Q", body_length)
    return front + blake(front, covered)


def pack(words, q):
    bits = (q - 1).bit_length()
    stream = 0
    for i, word in enumerate(words):
        stream |= word << (i * bits)
    return stream.to_bytes(len(words) * bits // 8, "little")


def words_of(salt, q):
    """The example's polynomials: any fixed rule will do."""
    return [(salt + 1) * 123456789 * (i + 1) % q for i in range(N)]


def seed_of(salt):
    return bytes((salt + i) % 256 for i in range(32))


def whole(kind, body):
    return header(kind, len(body), body) + body


def ciphertext_record(limbs, scale, seeded, salt):
    out = u32(limbs, 1 if seeded else 0) + struct.pack("<d", scale)
    if seeded:
        out += seed_of(salt)
    out += b"".join(pack(words_of(salt + l, Q[l]), Q[l]) for l in range(limbs))
    if not seeded:
        out += b"".join(pack(words_of(salt + 100 + l, Q[l]), Q[l]) for l in range(limbs))
    return out


def evaluation_keys():
    manifest = [(0, 2), (5, 1)]
    records = []
    for index, (element, limbs) in enumerate(manifest):
        moduli = Q[:limbs] + P
        digits = -(-limbs // ALPHA)
        record = u32(element, limbs) + seed_of(40 + index)
        for d in range(digits):
            for l, q in enumerate(moduli):
                record += pack(words_of(10 * index + d * len(moduli) + l, q), q)
        records.append(record)
    listing = u32(len(manifest)) + b"".join(u32(*entry) for entry in manifest)
    length = len(listing) + sum(len(r) + 32 for r in records)
    head = header(4, length, listing)
    checksum = head[48:80]
    return head + listing + b"".join(r + blake(checksum, u32(i), r) for i, r in enumerate(records))


def vectors():
    good = {
        "parameters-v1.bin": whole(1, spec_words()),
        "ciphertext-seeded-v1.bin": whole(2, u32(1) + ciphertext_record(1, 2.0**20, True, 0)),
        "ciphertexts-v1.bin": whole(2, u32(2) + ciphertext_record(2, 2.0**40, False, 1) + ciphertext_record(1, 3.5, True, 2)),
        "public-key-v1.bin": whole(3, seed_of(7) + b"".join(pack(words_of(l, q), q) for l, q in enumerate(Q))),
        "evaluation-keys-v1.bin": evaluation_keys(),
    }
    sample = good["ciphertext-seeded-v1.bin"]
    body = sample[80:]

    def flipped(data, at):
        return data[:at] + bytes([data[at] ^ 1]) + data[at + 1:]

    bad_word = body[:-4] + b"\xff\xff\xff\xff"
    bad_scale = body[:12] + struct.pack("<d", float("nan")) + body[20:]
    keys = good["evaluation-keys-v1.bin"]
    corrupted = {
        "empty.truncated.bin": b"",
        "half-header.truncated.bin": sample[:40],
        "one-byte-short.truncated.bin": sample[:-1],
        "one-byte-more.malformed.bin": sample + b"\0",
        "magic.malformed.bin": b"BRLX" + sample[4:],
        "version-2.unsupported.bin": header(2, len(body), body, version=2) + body,
        "kind-9.unsupported.bin": header(9, len(body), body) + body,
        "body-bit.corrupted.bin": flipped(sample, 150),
        "checksum-bit.corrupted.bin": flipped(sample, 60),
        "foreign.mismatch.bin": header(2, len(body), body, identity=bytes(32)) + body,
        "length-2-to-40.too_large.bin": header(2, 1 << 40, body) + body,
        "word-above-prime.malformed.bin": whole(2, bad_word),
        "nan-scale.malformed.bin": whole(2, bad_scale),
        "three-limbs.malformed.bin": whole(2, body[:4] + u32(3) + body[8:]),
        "count-2.malformed.bin": whole(2, u32(2) + body[4:]),
        "count-zero.malformed.bin": whole(2, u32(0)),
        "not-a-ciphertext.malformed.bin": keys,
    }
    return {**good, **{"corrupted/" + name: data for name, data in corrupted.items()}}


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--check", action="store_true")
    arguments.add_argument("folder", nargs="?", default=pathlib.Path(__file__).resolve().parent.parent / "vectors" / "wire")
    options = arguments.parse_args()
    folder = pathlib.Path(options.folder)
    wrong = 0
    for name, data in vectors().items():
        file = folder / name
        if options.check:
            if not file.exists() or file.read_bytes() != data:
                print(f"{file}: differs", file=sys.stderr)
                wrong += 1
        else:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
