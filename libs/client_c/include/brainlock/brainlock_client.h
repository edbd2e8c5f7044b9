/* Private inference from any language: keys, encryption, decryption, and questions to a miner.
 *
 * A package says which model is asked and how its inputs are encrypted. Its client makes a key pair (a folder with two
 * files, the same that `brainlock keygen` writes), encrypts an input, has somebody run the model on the ciphertext
 * (`brainlock run`, or a miner of the network) and decrypts the answer. Whoever runs the model sees neither input nor
 * answer.
 *
 * Return values. Every function that can fail returns a brainlock_status; what went wrong and what to do next is in
 * brainlock_last_error(), for the thread that called. On failure handles and pointers that were asked for are set to
 * NULL, other outputs are left as they are. No call throws, and none ends the process whatever its arguments are, but
 * for pointers that do not point to what they promise, and for memory that has run out while a secret is made.
 *
 * Handles (brainlock_package and so on) are numbers in the shape of pointers: never read through one. NULL and handles
 * that are closed, also by another thread in the middle of a call, are refused with BRAINLOCK_INVALID_ARGUMENT; a call
 * that runs keeps what it uses. Whoever opens a handle closes it. Closing NULL is no error. What was made from a handle
 * outlives it: a package may be closed before its keys.
 *
 * Threads. All functions may be called from many threads, also with the same handles. Calls on one brainlock_miner take
 * turns.
 *
 * Memory. Memory that the library gives is released with brainlock_free(); handles with their close function. Secret
 * keys are kept in locked memory and wiped when their handle is closed and its last call has ended. Inputs and outputs
 * are the caller's ordinary memory.
 *
 * Structures begin with struct_size, which the caller sets to sizeof the structure before each call. Later versions
 * append members: options that are not there are 0, results that the caller's structure has no room for are left out.
 *
 * What is promised about secrecy, and what is not (publishing decrypted numbers, for one): SECURITY.md.
 */
#ifndef BRAINLOCK_CLIENT_H
#define BRAINLOCK_CLIENT_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define BRAINLOCK_API __attribute__((visibility("default")))
#define BRAINLOCK_CHECK_RESULT __attribute__((warn_unused_result))
#else
#define BRAINLOCK_API
#define BRAINLOCK_CHECK_RESULT
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Versions and errors ---- */

/* Programs built for one ABI run with libraries of the same major number and of an equal or larger minor one. */
#define BRAINLOCK_ABI_MAJOR 1
#define BRAINLOCK_ABI_MINOR 1
#define BRAINLOCK_ABI_VERSION ((BRAINLOCK_ABI_MAJOR << 16) | BRAINLOCK_ABI_MINOR)

/* BRAINLOCK_ABI_VERSION of the library that is there at run time. */
BRAINLOCK_API uint32_t brainlock_abi_version(void);
/* Version of the software, "0.1.0". */
BRAINLOCK_API const char* brainlock_version(void);

/* Numbers keep their meaning; later versions may add some. */
typedef int32_t brainlock_status;
enum {
  BRAINLOCK_OK = 0,
  BRAINLOCK_INVALID_ARGUMENT = 1, /* null, closed, of another size, not finite, or out of the range that is stated */
  BRAINLOCK_MALFORMED = 2,        /* bytes are not of the expected form */
  BRAINLOCK_TRUNCATED = 3,        /* bytes or a file end early */
  BRAINLOCK_TOO_LARGE = 4,        /* beyond a limit */
  BRAINLOCK_CORRUPTED = 5,        /* a checksum does not match */
  BRAINLOCK_MISMATCH = 6,         /* of another package, key or owner */
  BRAINLOCK_INSECURE = 7,         /* below 128 bits, or a ciphertext that hides nothing */
  BRAINLOCK_UNSUPPORTED = 8,      /* of a later version; or it takes the model, and there is the client's half alone */
  BRAINLOCK_NOT_FOUND = 9,
  BRAINLOCK_IO = 10,
  BRAINLOCK_DENIED = 11, /* by permissions, because something is there already, or: the miner is not who it should be */
  BRAINLOCK_TIMEOUT = 12,
  BRAINLOCK_CANCELLED = 13,    /* by a progress callback */
  BRAINLOCK_UNAVAILABLE = 14,  /* the miner is not reached, or refuses */
  BRAINLOCK_RESOURCE = 15,     /* memory or threads have run out */
  BRAINLOCK_INTERNAL = 16,     /* a fault of the library's own */
  BRAINLOCK_OUT_OF_RANGE = 17, /* the model has no room for this input: its encrypted answer would be wrong */
  BRAINLOCK_WRONG_ANSWER = 18  /* not what the model says: another key's, an old one, or another model's */
};

/* "invalid_argument" and so on; "unknown" for other numbers. Static. */
BRAINLOCK_API const char* brainlock_status_name(brainlock_status status);
/* Cause and next step of the last failure in this thread, one line of UTF-8; "" before the first. Holds no secret.
 * Valid until the next call of the library in this thread, and overwritten by failures only. */
BRAINLOCK_API const char* brainlock_last_error(void);
/* Releases memory that a function of this library gave. NULL is no error. */
BRAINLOCK_API void brainlock_free(void* memory);

/* ---- Progress and cancelling ---- */

enum {
  BRAINLOCK_PHASE_MAKING_KEYS = 1, /* done and total are keys */
  BRAINLOCK_PHASE_CHECKING = 2,    /* the input's range; cannot be cancelled in the middle */
  BRAINLOCK_PHASE_ENCRYPTING = 3,
  BRAINLOCK_PHASE_CONNECTING = 4,
  BRAINLOCK_PHASE_UPLOADING_KEYS = 5, /* done and total are bytes */
  BRAINLOCK_PHASE_WAITING = 6,        /* for the miner's answer */
  BRAINLOCK_PHASE_DECRYPTING = 7
};

/* Called some times a second while a function works, from the thread that called it, and always with the latest state:
 * done of total, or 0 of 0 where nobody knows. Another value than 0 cancels: the function ends at the next step with
 * BRAINLOCK_CANCELLED and takes away what is half done. May call other functions of the library. Must not throw or jump
 * out. */
typedef int (*brainlock_progress)(void* user, int32_t phase, uint64_t done, uint64_t total);

/* ---- Packages ---- */

typedef struct brainlock_package brainlock_package;

/* Reads and checks a package folder, as `brainlock compile -o FOLDER` writes one. Takes milliseconds; the model's
 * weights stay in memory. */
BRAINLOCK_API BRAINLOCK_CHECK_RESULT brainlock_status brainlock_package_open(const char* folder,
                                                                             brainlock_package** package);
/* Opens the client's half of a package alone: a file that `brainlock client-half` wrote, without weights and model. For
 * keys, encryption, decryption and questions. What takes the model is BRAINLOCK_UNSUPPORTED: brainlock_check_input(),
 * brainlock_run_clear(), and brainlock_encrypt() and brainlock_miner_ask() unless `range` is BRAINLOCK_RANGE_UNCHECKED.
 * The file is believed: whether it is of the package that it names shows by `brainlock client-half PACKAGE --check
 * FILE` to those who have the package. Since ABI 1.1. */
BRAINLOCK_API BRAINLOCK_CHECK_RESULT brainlock_status brainlock_client_half_open(const char* file,
                                                                                 brainlock_package** package);
BRAINLOCK_API brainlock_status brainlock_package_close(brainlock_package* package);

typedef struct brainlock_package_info {
  uint32_t struct_size;
  uint32_t security_bits; /* classical, at least 128 */
  uint32_t ring_degree;
  uint32_t input_channels, input_height, input_width; /* inputs are channels * height * width floats in this order */
  uint32_t input_count;                               /* that product */
  uint32_t output_count;
  uint32_t evaluation_key_count;
  uint32_t is_client_half;       /* 1: opened from the client's half alone; 0 before ABI 1.1 */
  double input_bound;            /* largest |value| of inputs that the package promises anything about; 0: not stated */
  double error_bound;            /* promised largest |encrypted - clear| of an output; 0: not stated */
  double error_estimate;         /* predicted root mean square of that */
  uint64_t evaluation_key_bytes; /* to be uploaded once */
  uint64_t question_bytes;       /* an encrypted input */
  uint64_t answer_bytes;         /* an encrypted output */
  char hash[72];                 /* the package's name: 64 hexadecimal digits */
  char model[128];               /* for people, cut to fit */
  char profile[32];
} brainlock_package_info;

BRAINLOCK_API BRAINLOCK_CHECK_RESULT brainlock_status brainlock_package_get_info(brainlock_package* package,
                                                                                 brainlock_package_info* info);
/* Name of an output for people: its number, since packages have no names; CIFAR-10's classes for pictures of 3 x 32 x
 * 32 in ten classes. Writes at most `size` bytes with the ending zero; `needed` (may be NULL) gets the size that takes
 * it whole. BRAINLOCK_TOO_LARGE: it does not fit. `buffer` may be NULL with size 0. */
BRAINLOCK_API brainlock_status brainlock_package_output_name(brainlock_package* package, uint32_t output, char* buffer,
                                                             size_t size, size_t* needed);

/* What running an input in the clear says about it. */
typedef struct brainlock_range {
  uint32_t struct_size;
  uint32_t inside; /* 1: all limits are kept, the promised error holds */
  uint32_t wraps;  /* 1: the encrypted answer would be garbage */
  uint32_t reserved;
  double wrap;                     /* how much of the room the answer takes; 1 and above wraps */
  double foretold_error;           /* of an encrypted answer, by a simulated run */
  double error_bound;              /* the package's */
  double worst_value, worst_limit; /* of the layer nearest to its limit or furthest beyond; 0, 0: no limit is stated */
  char worst_layer[64];
} brainlock_range;

/* Judges an input without encrypting it. Takes three runs in the clear (0.3 s for VGG9), the first call on a package a
 * second besides. BRAINLOCK_INVALID_ARGUMENT: another number of values, or one that is not finite. What is out of range
 * is BRAINLOCK_OK here: read `range`. */
BRAINLOCK_API BRAINLOCK_CHECK_RESULT brainlock_status brainlock_check_input(brainlock_package* package,
                                                                            const float* values, size_t count,
                                                                            brainlock_range* range);
/* What the package computes in the clear, with its weights as they are encoded and without the scheme's errors: what
 * honest answers scatter around. It is off from the ONNX model by the rounding of weights, a part of the error bound.
 * `output_count` must be the package's. */
BRAINLOCK_API BRAINLOCK_CHECK_RESULT brainlock_status brainlock_run_clear(brainlock_package* package,
                                                                          const float* values, size_t count,
                                                                          double* outputs, size_t output_count);

/* ---- Keys, encryption, decryption ---- */

typedef struct brainlock_keys brainlock_keys;

typedef struct brainlock_keys_options {
  uint32_t struct_size;
  uint32_t threads;   /* 0: as many as the process may use; at most 1024 */
  uint32_t overwrite; /* 1: replace keys that are there; what they encrypted is lost */
  uint32_t reserved;
  brainlock_progress progress; /* or NULL */
  void* user;                  /* handed to it */
} brainlock_keys_options;

/* Makes a key pair in `folder` (made if it is missing): secret.key, mode 0600, which stays; evaluation.keys, which
 * servers need. `brainlock` reads both, and reads and writes the same. They appear when all are made: cancelling leaves
 * no half file, and an old pair whole. `options` may be NULL. BRAINLOCK_DENIED: keys are there. */
BRAINLOCK_API BRAINLOCK_CHECK_RESULT brainlock_status brainlock_keys_make(brainlock_package* package,
                                                                          const char* folder,
                                                                          const brainlock_keys_options* options);
/* Opens a pair. Without evaluation.keys in the folder it encrypts and decrypts, and cannot be used to ask a miner.
 * BRAINLOCK_MISMATCH: another package's. */
BRAINLOCK_API BRAINLOCK_CHECK_RESULT brainlock_status brainlock_keys_open(brainlock_package* package,
                                                                          const char* folder, brainlock_keys** keys);
BRAINLOCK_API brainlock_status brainlock_keys_close(brainlock_keys* keys);

/* What happens to inputs that the model has no room for. */
enum {
  BRAINLOCK_RANGE_REFUSE = 0,   /* they are refused with BRAINLOCK_OUT_OF_RANGE */
  BRAINLOCK_RANGE_ALLOW = 1,    /* looked at and let pass: the answer may be wrong */
  BRAINLOCK_RANGE_UNCHECKED = 2 /* not looked at, which is much faster: for inputs that were checked before. Answers are
                                   not compared with the clear ones */
};

typedef struct brainlock_encrypt_options {
  uint32_t struct_size;
  uint32_t range; /* BRAINLOCK_RANGE_... */
} brainlock_encrypt_options;

/* Encrypts an input; `*bytes` is released with brainlock_free(). The same as a file of `brainlock encrypt`. `options`
 * may be NULL. `range` (may be NULL) gets what checking said, also when the input is refused. Two encryptions of the
 * same input have nothing in common that a server could see. */
BRAINLOCK_API BRAINLOCK_CHECK_RESULT brainlock_status brainlock_encrypt(brainlock_keys* keys, const float* values,
                                                                        size_t count,
                                                                        const brainlock_encrypt_options* options,
                                                                        uint8_t** bytes, size_t* size,
                                                                        brainlock_range* range);
/* Decrypts an answer. BRAINLOCK_MISMATCH: not of this package; BRAINLOCK_WRONG_ANSWER: numbers that only another key's
 * answer, or an input far out of range, gives. Tell no server what came of it: a server that learns whether decryption
 * worked, or what came out, learns about the key. */
BRAINLOCK_API BRAINLOCK_CHECK_RESULT brainlock_status brainlock_decrypt(brainlock_keys* keys, const uint8_t* bytes,
                                                                        size_t size, double* outputs,
                                                                        size_t output_count);

/* ---- Asking a miner ---- */

/* Who asks. Miners count and limit requests by it; it has nothing to do with the keys above. */
typedef struct brainlock_identity brainlock_identity;

/* A new one, which is in memory alone. */
BRAINLOCK_API BRAINLOCK_CHECK_RESULT brainlock_status brainlock_identity_generate(brainlock_identity** identity);
/* From a 32-byte mini secret; the caller wipes its own copy. */
BRAINLOCK_API BRAINLOCK_CHECK_RESULT brainlock_status brainlock_identity_from_secret(const uint8_t* secret, size_t size,
                                                                                     brainlock_identity** identity);
/* From a file of 32 bytes, which is made (0600) if it is missing: `user.seed` of `brainlock query`. */
BRAINLOCK_API BRAINLOCK_CHECK_RESULT brainlock_status brainlock_identity_open(const char* file,
                                                                              brainlock_identity** identity);
/* From a hotkey file of a Bittensor wallet. `password` is NULL where the file is not encrypted. */
BRAINLOCK_API BRAINLOCK_CHECK_RESULT brainlock_status brainlock_identity_from_hotkey(const char* file,
                                                                                     const char* password,
                                                                                     brainlock_identity** identity);
/* Its SS58 address, at most 63 characters, into a buffer of `size` bytes. BRAINLOCK_TOO_LARGE: it does not fit. */
BRAINLOCK_API BRAINLOCK_CHECK_RESULT brainlock_status brainlock_identity_address(brainlock_identity* identity,
                                                                                 char* buffer, size_t size);
BRAINLOCK_API brainlock_status brainlock_identity_close(brainlock_identity* identity);

typedef struct brainlock_miner brainlock_miner;

typedef struct brainlock_miner_options {
  uint32_t struct_size;
  uint32_t plain; /* 1: plain HTTP; otherwise TLS bound to the miner's hotkey */
} brainlock_miner_options;

/* A miner at ADDRESS:PORT (IPv6 in brackets) whose answers must be signed by `hotkey` (SS58). Says nothing to it yet.
 * `options` may be NULL. */
BRAINLOCK_API BRAINLOCK_CHECK_RESULT brainlock_status brainlock_miner_open(const char* address, const char* hotkey,
                                                                           brainlock_identity* identity,
                                                                           const brainlock_miner_options* options,
                                                                           brainlock_miner** miner);
BRAINLOCK_API brainlock_status brainlock_miner_close(brainlock_miner* miner);

typedef struct brainlock_upload_options {
  uint32_t struct_size;
  uint32_t reserved;
  brainlock_progress progress; /* or NULL */
  void* user;
} brainlock_upload_options;

/* Makes sure that the miner has the evaluation keys. Goes on where an upload was cancelled or broken off, also by
 * another process. `uploaded_bytes` (may be NULL): what was sent now. brainlock_miner_ask() does the same where it is
 * needed; this is for programs that want it done before. `options` may be NULL. */
BRAINLOCK_API BRAINLOCK_CHECK_RESULT brainlock_status brainlock_miner_upload_keys(
    brainlock_miner* miner, brainlock_keys* keys, const brainlock_upload_options* options, uint64_t* uploaded_bytes);

typedef struct brainlock_ask_options {
  uint32_t struct_size;
  uint32_t range;              /* BRAINLOCK_RANGE_... */
  double timeout_s;            /* of the answer, 0.001 to 1000000; 0: 300 */
  brainlock_progress progress; /* or NULL */
  void* user;
} brainlock_ask_options;

typedef struct brainlock_answer {
  uint32_t struct_size;
  uint32_t verified; /* 1: within the package's error bound of the clear answer. 0: it was not compared, or the input
                        was out of range and the answer is off */
  double latency_s;  /* first byte of the question sent -> last byte of the answer received */
  double network_s;  /* the network's part of it, by estimate; the rest is the miner's */
  double max_error;  /* largest |answer - clear answer|; -1: not compared */
  double error_bound;
  double upload_s; /* keys that had to be sent before; not in latency_s */
  uint64_t uploaded_bytes;
  uint64_t question_bytes;
  uint64_t answer_bytes;
  char request[40]; /* the request's UUID, for the miner's operator */
} brainlock_answer;

/* Encrypts, asks, decrypts, and compares with the clear answer: BRAINLOCK_WRONG_ANSWER where it is further off than the
 * package promises; ask another miner then, for one that learns that its answer was refused learns about the key.
 * `options` and `answer` may be NULL. */
BRAINLOCK_API BRAINLOCK_CHECK_RESULT brainlock_status brainlock_miner_ask(brainlock_miner* miner, brainlock_keys* keys,
                                                                          const float* values, size_t count,
                                                                          const brainlock_ask_options* options,
                                                                          double* outputs, size_t output_count,
                                                                          brainlock_answer* answer);

#ifdef __cplusplus
}
#endif

#endif
