/* Private inference from C, in the two ways there are:
 *
 *   client encrypt PACKAGE KEYS QUESTION      makes keys where there are none, encrypts an input into a file
 *                                             (then, on any machine: brainlock run PACKAGE --keys KEYS/evaluation.keys
 * --in QUESTION -o ANSWER) client decrypt PACKAGE KEYS ANSWER        decrypts what came back, and compares it with the
 * clear answer client query PACKAGE KEYS ADDRESS HOTKEY  asks a miner of the network
 *
 *   cc client.c $(pkg-config --cflags --libs brainlock-client) -o client
 */
#include <brainlock/brainlock_client.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void check(brainlock_status status, const char* what) {
  if (status == BRAINLOCK_OK) return;
  fprintf(stderr, "%s: %s: %s\n", what, brainlock_status_name(status), brainlock_last_error());
  exit(1);
}

/* Shown while keys are made and sent. Another value than 0 would cancel. */
static int show(void* user, int32_t phase, uint64_t done, uint64_t total) {
  (void)user;
  if (total > 0)
    fprintf(stderr, "phase %d: %llu of %llu\n", (int)phase, (unsigned long long)done, (unsigned long long)total);
  return 0;
}

/* Some input. A real one comes from a file or a sensor, in the order channels, height, width. */
static float* make_input(const brainlock_package_info* info) {
  float* values = malloc(info->input_count * sizeof *values);
  if (values == NULL) exit(1);
  for (uint32_t i = 0; i < info->input_count; ++i) values[i] = (float)(i % 5) / 10.0f;
  return values;
}

static void print_outputs(brainlock_package* package, const brainlock_package_info* info, const double* outputs) {
  for (uint32_t i = 0; i < info->output_count; ++i) {
    char name[64];
    check(brainlock_package_output_name(package, i, name, sizeof name, NULL), "name");
    printf("%-12s %10.4f\n", name, outputs[i]);
  }
}

/* Opens the keys of a folder; makes them first where there are none. */
static brainlock_keys* open_keys(brainlock_package* package, const char* folder) {
  brainlock_keys* keys = NULL;
  brainlock_status status = brainlock_keys_open(package, folder, &keys);
  if (status == BRAINLOCK_NOT_FOUND) {
    brainlock_keys_options options = {.struct_size = sizeof options, .progress = show};
    check(brainlock_keys_make(package, folder, &options), "making keys");
    status = brainlock_keys_open(package, folder, &keys);
  }
  check(status, "keys");
  return keys;
}

static void encrypt_to_file(brainlock_keys* keys, const float* values, size_t count, const char* file) {
  uint8_t* bytes = NULL;
  size_t size = 0;
  check(brainlock_encrypt(keys, values, count, NULL, &bytes, &size, NULL), "encrypting");
  FILE* out = fopen(file, "wb");
  if (out == NULL || fwrite(bytes, 1, size, out) != size || fclose(out) != 0) {
    perror(file);
    exit(1);
  }
  brainlock_free(bytes);
  printf("%s: %zu bytes\n", file, size);
}

static void decrypt_file(brainlock_keys* keys, const brainlock_package_info* info, const char* file, double* outputs) {
  /* One byte more than an answer has: what is longer is none. */
  const size_t room = (size_t)info->answer_bytes + 1;
  uint8_t* bytes = malloc(room);
  FILE* in = fopen(file, "rb");
  if (bytes == NULL || in == NULL) {
    perror(file);
    exit(1);
  }
  const size_t size = fread(bytes, 1, room, in);
  fclose(in);
  check(brainlock_decrypt(keys, bytes, size, outputs, info->output_count), "decrypting");
  free(bytes);
}

static void query(brainlock_keys* keys, const brainlock_package_info* info, const float* values, const char* address,
                  const char* hotkey, double* outputs) {
  brainlock_identity* self = NULL;
  brainlock_miner* miner = NULL;
  check(brainlock_identity_generate(&self), "identity");
  check(brainlock_miner_open(address, hotkey, self, NULL, &miner), "miner");
  brainlock_ask_options options = {.struct_size = sizeof options, .timeout_s = 60, .progress = show};
  brainlock_answer answer = {.struct_size = sizeof answer};
  check(brainlock_miner_ask(miner, keys, values, info->input_count, &options, outputs, info->output_count, &answer),
        "asking");
  printf("answered in %.3f s; off by %.3g of at most %.3g\n", answer.latency_s, answer.max_error, answer.error_bound);
  brainlock_miner_close(miner);
  brainlock_identity_close(self);
}

int main(int argc, char** argv) {
  const int with_miner = argc == 6 && strcmp(argv[1], "query") == 0;
  if (!with_miner && !(argc == 5 && (strcmp(argv[1], "encrypt") == 0 || strcmp(argv[1], "decrypt") == 0))) {
    fprintf(stderr,
            "usage: client encrypt|decrypt PACKAGE KEYS FILE\n       client query PACKAGE KEYS ADDRESS:PORT HOTKEY\n");
    return 2;
  }
  brainlock_package* package = NULL;
  check(brainlock_package_open(argv[2], &package), "package");
  brainlock_package_info info = {.struct_size = sizeof info};
  check(brainlock_package_get_info(package, &info), "package");
  printf("%s (%s), %u bits, keys of %.1f MB\n", info.model, info.hash, info.security_bits,
         (double)info.evaluation_key_bytes * 1e-6);

  brainlock_keys* keys = open_keys(package, argv[3]);
  float* values = make_input(&info);
  double *outputs = calloc(info.output_count, sizeof *outputs), *clear = calloc(info.output_count, sizeof *clear);
  if (outputs == NULL || clear == NULL) return 1;
  if (strcmp(argv[1], "encrypt") == 0) {
    encrypt_to_file(keys, values, info.input_count, argv[4]);
  } else {
    if (with_miner)
      query(keys, &info, values, argv[4], argv[5], outputs);
    else
      decrypt_file(keys, &info, argv[4], outputs);
    print_outputs(package, &info, outputs);
    check(brainlock_run_clear(package, values, info.input_count, clear, info.output_count), "clear run");
    double off = 0;
    for (uint32_t i = 0; i < info.output_count; ++i) {
      const double error = outputs[i] > clear[i] ? outputs[i] - clear[i] : clear[i] - outputs[i];
      if (!(error <= off)) off = error;
    }
    printf("largest difference to the clear answer: %.3g of at most %.3g\n", off, info.error_bound);
    if (!(off <= info.error_bound)) return 1;
  }
  free(values);
  free(outputs);
  free(clear);
  brainlock_keys_close(keys);
  brainlock_package_close(package);
  return 0;
}
