// Private inference in a browser (or Node.js 18 and newer): keys, encryption, decryption, and questions to a miner that never sees an input.
//
// `brainlock_client.mjs` computes in the thread that calls, and `brainlock_remote.mjs` in a worker: there every method gives a promise of what
// stands here. Keys and ciphertexts are the files of `brainlock keygen`, `encrypt`, `run` and `decrypt`, byte by byte.
//
// Everything that fails throws BrainlockError, whose `code` is for programs and whose message says the cause in a line. Objects hold memory of the
// module until close(); a closed one is found out ("invalid_argument").

/** Codes of errors: those of the libraries, and `out_of_range` (the model has no room for this input: its encrypted answer would be wrong),
 * `wrong_answer` (not what the model says: another key's, an old one, or another model's). */
export type ErrorCode =
  | "invalid_argument" | "malformed" | "truncated" | "too_large" | "corrupted" | "mismatch" | "insecure" | "unsupported" | "not_found" | "io"
  | "denied" | "timeout" | "cancelled" | "unavailable" | "resource" | "internal" | "out_of_range" | "wrong_answer";

export class BrainlockError extends Error {
  readonly code: ErrorCode;
  /** Of a miner that refuses: the name in docs/protocol.md. */
  readonly refusal?: string;
}

export interface LoadOptions {
  /** Where brainlock_client.wasm is, its bytes, or the compiled module; beside this script if not given. A place is taken from this script on, by brainlock_remote.mjs from the page. */
  wasm?: string | URL | BufferSource | WebAssembly.Module;
  /** brainlock_remote.mjs only: where brainlock_worker.mjs is. */
  worker?: string | URL;
}
export function load(options?: LoadOptions): Promise<Brainlock>;

export interface Brainlock {
  /** Opens a package: the bytes of its plan.bin and model.onnx. Compare `info.hash` with the one that you were told: it is the package's name. */
  openPackage(plan: BufferSource, model: BufferSource): Package;
  /** Opens the client's half of a package alone: the bytes of a client.bin (`brainlock client-half`), which has neither weights nor model. VGG9: 260 KB, a fifth of
   * that on a line that compresses.
   * What needs the model fails as `unsupported`: checkInput(), runClear(), decryptAndCompare(), and encrypt() and ask() unless `range` is "unchecked". `info.hash` is
   * what the file says: whether it is of that package shows by `brainlock client-half PKG --check FILE` to those who have the package, and otherwise not. */
  openClientHalf(half: BufferSource): Package;
  /** Who asks a miner: a fresh key pair (sr25519), or one from the 32 bytes that `secret()` gave. */
  makeIdentity(): Identity;
  openIdentity(secret: BufferSource): Identity;
  /** `url`: http://HOST:PORT or https://HOST:PORT. `hotkey`: who must answer there, an address of the ledger (SS58). */
  openMiner(url: string, hotkey: string, identity: Identity): Miner;
  /** brainlock_remote.mjs only: ends the worker. */
  terminate?(): void;
}

export interface PackageInfo {
  readonly hash: string;
  /** False: the client's half alone (openClientHalf), which the model cannot be run with. */
  readonly whole: boolean;
  readonly model: string;
  readonly profile: string;
  /** Classical, at least 128. */
  readonly securityBits: number;
  readonly ringDegree: number;
  /** Channels, height, width; inputs are `inputCount` numbers in this order. */
  readonly inputShape: [number, number, number];
  readonly inputCount: number;
  readonly outputCount: number;
  /** Largest |value| of inputs that the package promises anything about; 0: not stated. */
  readonly inputBound: number;
  /** Promised largest |encrypted - clear| of an output; 0: not stated. `errorEstimate`: predicted root mean square of that. */
  readonly errorBound: number;
  readonly errorEstimate: number;
  readonly evaluationKeyCount: number;
  readonly evaluationKeyBytes: number;
  readonly questionBytes: number;
  readonly answerBytes: number;
}

export interface InputRange {
  /** All limits are kept, and the promised error holds. */
  readonly inside: boolean;
  /** The encrypted answer would be garbage. */
  readonly wraps: boolean;
  readonly wrap: number;
  readonly foretoldError: number;
  readonly errorBound: number;
  readonly worstLayer: { name: string; value: number; limit: number } | null;
}

export interface Package {
  readonly info: PackageInfo;
  /** Judges an input without encrypting it. VGG9: 0.2 s, and a second for the first one of a package. */
  checkInput(values: ArrayLike<number>): InputRange;
  /** What the package computes in the clear, with its weights as they are encoded: what honest answers scatter around. */
  runClear(values: ArrayLike<number>): Float64Array;
  /** A fresh secret key, or one from the bytes that `bytes()` gave. */
  makeKey(): Key;
  openKey(bytes: BufferSource): Key;
  close(): void;
}

export interface Progress {
  phase: "making_keys" | "uploading_keys" | "encrypting" | "waiting" | "decrypting";
  /** done of total, or 0 of 0 where nobody knows. */
  done: number;
  total: number;
  /** `waiting` only: what the miner says of the question. */
  state?: string;
  ahead?: number;
  layer?: string;
}
export interface LongWork {
  onProgress?: (progress: Progress) => void;
  signal?: AbortSignal;
}

/** Evaluation keys: the miner's half of a key. They decrypt nothing. */
export interface EvaluationKeys {
  /** Name for miners: BLAKE2b-256 of the bytes. */
  readonly id: string;
  readonly packageHash: string;
  readonly blob: Blob;
}

export interface Key {
  readonly packageInfo: PackageInfo;
  /** The secret key, 8 KB for N = 32,768: who has it reads everything. Keep it where only this user's code reads it, or nowhere. */
  bytes(): Uint8Array;
  /** Makes them, anew each time, one file at a time. VGG9: 168 MB, a second or two. */
  makeEvaluationKeys(options?: LongWork): Promise<EvaluationKeys>;
  /** A question for whoever runs the model (`brainlock run`, a miner). `range`: what happens to inputs that the model has no room for: they are refused, let
   * pass after a look, or not run in the clear to find out, which is much faster; then values beyond `inputBound` are still refused. */
  encrypt(values: ArrayLike<number>, options?: { range?: "refuse" | "allow" | "unchecked" }): Uint8Array;
  decrypt(answer: BufferSource): Float64Array;
  /** Decrypts, and compares with the model's own answer to the input that was asked: `wrong_answer` where they are further apart than promised. */
  decryptAndCompare(values: ArrayLike<number>, answer: BufferSource): ComparedOutputs;
  close(): void;
}

export interface ComparedOutputs {
  readonly outputs: Float64Array;
  readonly clear: Float64Array;
  readonly maxError: number;
  /** Whether the input kept its range, so that `maxError` is bound by the package's promise. */
  readonly inside: boolean;
}

export interface Identity {
  /** SS58. */
  readonly address: string;
  /** 32 bytes: who has them asks in this name. */
  secret(): Uint8Array;
  close(): void;
}

export interface Answer extends Partial<ComparedOutputs> {
  readonly outputs: Float64Array;
  readonly seconds: { encrypt: number; response: number; decrypt: number };
  readonly questionBytes: number;
  readonly answerBytes: number;
}

/** A miner, which must let this page's origin ask (`brainlock miner --browser-origin`). Its answers are signed, and checked here. */
export interface Miner {
  status(options?: { signal?: AbortSignal }): Promise<Record<string, unknown>>;
  /** Sends the keys, from where the miner has them. What breaks off is taken up again, unless that fails four times without progress. */
  uploadKeys(keys: EvaluationKeys, options?: LongWork): Promise<void>;
  /** `range` as for encrypt(): with "unchecked" the answer is not compared with the clear one either. `timeout` in seconds, 120 by default. `not_found`: the miner
   * has forgotten the keys; send them again. Of `keys` the names are enough. A miner that has no room is asked again until the time is up; an answer that breaks off is
   * an error, and not asked for again. */
  ask(key: Key, keys: Pick<EvaluationKeys, "id" | "packageHash">, values: ArrayLike<number>,
      options?: LongWork & { range?: "refuse" | "allow" | "unchecked"; timeout?: number }): Promise<Answer>;
}
