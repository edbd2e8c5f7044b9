// libsodium for our module. It is a module of its own (npm's libsodium-sumo, by libsodium's makers) with a memory of its own, so each
// call copies its arguments there and the results back, and wipes what it left.
import make_sodium from "./libsodium.mjs";

const kChunk = 65536;                                  // whole blocks of every hash and stream
const kKey = 32, kNonce = 12;
const kBlakeState = 384, kShaState = 104;

/// The functions that our module imports. `memory()` gives its WebAssembly.Memory, once there is one.
export async function sodium_imports(memory) {
  const random = globalThis.crypto ?? (await import("node:crypto")).webcrypto;   // Node.js 18 has it there alone
  const sodium = await make_sodium({ getRandomValue: () => random.getRandomValues(new Uint32Array(1))[0] });
  if (sodium._sodium_init() < 0) throw new Error("libsodium could not be initialised");
  if (sodium._crypto_generichash_statebytes() !== kBlakeState || sodium._crypto_hash_sha256_statebytes() !== kShaState) {
    throw new Error("this libsodium has other hash states");
  }
  const small = [64, 64, 64].map(size => sodium._malloc(size));   // of calls with a few values
  const state = sodium._malloc(kBlakeState), key = sodium._malloc(kKey), nonce = sodium._malloc(kNonce), chunk = sodium._malloc(kChunk);
  if (![...small, state, key, nonce, chunk].every(place => place > 0)) throw new Error("no memory for libsodium");

  const ours = (at, size) => new Uint8Array(memory().buffer, at >>> 0, size);
  const put = (place, at, size) => sodium.HEAPU8.set(ours(at, size), place);
  const get = (at, place, size) => ours(at, size).set(sodium.HEAPU8.subarray(place, place + size));
  const wipe = (place, size) => sodium.HEAPU8.fill(0, place, place + size);
  /// Calls `step(offset, size)` for every chunk of `length` bytes.
  const in_chunks = (length, step) => {
    for (let offset = 0; offset < length; offset += kChunk) step(offset, Math.min(kChunk, length - offset));
  };

  /// A function whose first argument is a result of `out` bytes and whose others are values of the sizes `given`.
  const of_values = (name, out, ...given) => (at_out, ...at_given) => {
    given.forEach((size, i) => put(small[i + 1], at_given[i], size));
    const result = sodium["_" + name](small[0], ...given.map((_, i) => small[i + 1]));
    get(at_out, small[0], out);
    small.forEach(place => wipe(place, 64));
    return result;
  };
  /// Hashes `length` bytes of ours at `at` into the state that lies in libsodium's memory.
  const absorb = (update, at, length) => in_chunks(Number(length), (offset, size) => {
    put(chunk, at + offset, size);
    sodium[update](state, chunk, size, 0);
    wipe(chunk, size);
  });
  const with_state = (at_state, size, act) => {
    put(state, at_state, size);
    act();
    get(at_state, state, size);
    wipe(state, size);
    return 0;
  };
  const blake_init = (at_state, _key, key_length, out_length) => with_state(at_state, kBlakeState, () => {
    if (key_length !== 0) throw new Error("no keyed hash is expected");
    sodium._crypto_generichash_init(state, 0, 0, out_length);
  });
  const blake_update = (at_state, from, length) => with_state(at_state, kBlakeState, () => absorb("_crypto_generichash_update", from, length));
  const blake_final = (at_state, out, length) => with_state(at_state, kBlakeState, () => {
    sodium._crypto_generichash_final(state, small[0], length);
    get(out, small[0], length);
    wipe(small[0], 64);
  });
  /// XORs the keystream of (key, nonce) from `block` on to what `fill` puts into a chunk.
  const stream = (out, length, at_nonce, block, at_key, fill) => {
    put(key, at_key, kKey);
    put(nonce, at_nonce, kNonce);
    in_chunks(Number(length), (offset, size) => {
      fill(offset, size);
      sodium._crypto_stream_chacha20_ietf_xor_ic(chunk, chunk, size, 0, nonce, block + offset / 64, key);
      get(out + offset, chunk, size);
    });
    wipe(chunk, kChunk);
    wipe(key, kKey);
    return 0;
  };

  // Lengths are 64 bits there, and come as BigInt.
  return {
    crypto_generichash_init: blake_init,
    crypto_generichash_update: blake_update,
    crypto_generichash_final: blake_final,
    crypto_generichash_blake2b_init: blake_init,
    crypto_generichash_blake2b_update: blake_update,
    crypto_generichash_blake2b_final: blake_final,
    crypto_generichash_blake2b(out, out_length, from, length, _key, key_length) {
      if (key_length !== 0) throw new Error("no keyed hash is expected");
      sodium._crypto_generichash_init(state, 0, 0, out_length);
      absorb("_crypto_generichash_update", from, length);
      sodium._crypto_generichash_final(state, small[0], out_length);
      get(out, small[0], out_length);
      wipe(state, kBlakeState);
      wipe(small[0], 64);
      return 0;
    },
    crypto_hash_sha256_init: at_state => with_state(at_state, kShaState, () => sodium._crypto_hash_sha256_init(state)),
    crypto_hash_sha256_update: (at_state, from, length) => with_state(at_state, kShaState, () => absorb("_crypto_hash_sha256_update", from, length)),
    crypto_hash_sha256_final: (at_state, out) => with_state(at_state, kShaState, () => {
      sodium._crypto_hash_sha256_final(state, small[0]);
      get(out, small[0], 32);
      wipe(small[0], 64);
    }),
    crypto_hash_sha256(out, from, length) {
      sodium._crypto_hash_sha256_init(state);
      absorb("_crypto_hash_sha256_update", from, length);
      sodium._crypto_hash_sha256_final(state, small[0]);
      get(out, small[0], 32);
      wipe(small[0], 64);
      wipe(state, kShaState);
      return 0;
    },
    crypto_hash_sha512(out, from, length) {
      if (length > kChunk) throw new Error("only short texts are expected");
      put(chunk, from, Number(length));
      sodium._crypto_hash_sha512(small[0], chunk, Number(length), 0);
      get(out, small[0], 64);
      wipe(chunk, Number(length));
      wipe(small[0], 64);
      return 0;
    },
    crypto_stream_chacha20_ietf: (out, length, at_nonce, at_key) =>
      stream(out, length, at_nonce, 0, at_key, (_, size) => wipe(chunk, size)),
    crypto_stream_chacha20_ietf_xor_ic: (out, from, length, at_nonce, block, at_key) =>
      stream(out, length, at_nonce, block >>> 0, at_key, (offset, size) => put(chunk, from + offset, size)),
    crypto_core_ristretto255_scalar_reduce: of_values("crypto_core_ristretto255_scalar_reduce", 32, 64),
    crypto_core_ristretto255_scalar_mul: of_values("crypto_core_ristretto255_scalar_mul", 32, 32, 32),
    crypto_core_ristretto255_scalar_add: of_values("crypto_core_ristretto255_scalar_add", 32, 32, 32),
    crypto_core_ristretto255_sub: of_values("crypto_core_ristretto255_sub", 32, 32, 32),
    crypto_scalarmult_ristretto255: of_values("crypto_scalarmult_ristretto255", 32, 32, 32),
    crypto_scalarmult_ristretto255_base: of_values("crypto_scalarmult_ristretto255_base", 32, 32),
    crypto_core_ristretto255_is_valid_point(at) {
      put(small[0], at, 32);
      return sodium._crypto_core_ristretto255_is_valid_point(small[0]);
    },
    /// The browser's own generator, which gives at most 65,536 bytes at a time.
    randombytes_buf: (out, length) => in_chunks(length >>> 0, (offset, size) => random.getRandomValues(ours(out + offset, size))),
  };
}
