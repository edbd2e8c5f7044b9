/* Many threads with the same handles, while others open, close and fail. */
#include <pthread.h>
#include <stdatomic.h>

#include "checks.h"

enum { kThreads = 8, kRounds = 4 };

static brainlock_package* package = NULL;
static brainlock_keys *keys = NULL, *closed_soon = NULL;
static brainlock_package_info info;
static const char *package_folder, *key_folder;
static float values[kMostValues];
static uint8_t* answer = NULL;
static size_t answer_size = 0;
static double expected[kMostOutputs];
static atomic_int wrong = 0;

#define WANT(condition)                                                                                     \
  do {                                                                                                      \
    if (!(condition)) {                                                                                     \
      fprintf(stderr, "%s:%d: expected %s (%s)\n", __FILE__, __LINE__, #condition, brainlock_last_error()); \
      atomic_fetch_add(&wrong, 1);                                                                          \
    }                                                                                                       \
  } while (0)

static void* use(void* number) {
  const int self = (int)(intptr_t)number;
  for (int round = 0; round < kRounds; ++round) {
    uint8_t* bytes = NULL;
    size_t size = 0;
    double outputs[kMostOutputs];
    WANT(brainlock_encrypt(keys, values, info.input_count, NULL, &bytes, &size, NULL) == BRAINLOCK_OK &&
         size == info.question_bytes);
    brainlock_free(bytes);
    WANT(brainlock_decrypt(keys, answer, answer_size, outputs, info.output_count) == BRAINLOCK_OK);
    WANT(memcmp(outputs, expected, info.output_count * sizeof *outputs) == 0);
    WANT(brainlock_run_clear(package, values, info.input_count, outputs, info.output_count) == BRAINLOCK_OK);
    /* Everybody's error is their own. */
    char name[64], words[80];
    WANT(brainlock_package_output_name(package, 1000U + (uint32_t)self, name, sizeof name, NULL) ==
         BRAINLOCK_INVALID_ARGUMENT);
    FORMAT(words, "output %d of", 1000 + self);
    WANT(strstr(brainlock_last_error(), words) != NULL);
    brainlock_keys* own = NULL;
    WANT(brainlock_keys_open(package, key_folder, &own) == BRAINLOCK_OK && brainlock_keys_close(own) == BRAINLOCK_OK);
    /* One of the threads closes it while the others are in the middle of their calls. */
    const brainlock_encrypt_options unchecked = {.struct_size = sizeof unchecked, .range = BRAINLOCK_RANGE_UNCHECKED};
    const brainlock_status status =
        brainlock_encrypt(closed_soon, values, info.input_count, &unchecked, &bytes, &size, NULL);
    WANT(status == BRAINLOCK_OK || status == BRAINLOCK_INVALID_ARGUMENT);
    brainlock_free(bytes);
    if (self == 0 && round == 1) WANT(brainlock_keys_close(closed_soon) == BRAINLOCK_OK);
  }
  return NULL;
}

int main(int argc, char** argv) {
  if (argc != 5) return 2;
  char folder[1024], question_file[1024], answer_file[1024];
  FORMAT(folder, "%s/keys", argv[4]);
  FORMAT(question_file, "%s/question.ct", argv[4]);
  FORMAT(answer_file, "%s/answer.ct", argv[4]);
  package_folder = argv[2];
  key_folder = folder;
  NEED(brainlock_package_open(package_folder, &package));
  info.struct_size = sizeof info;
  NEED(brainlock_package_get_info(package, &info));
  make_input(&info, values);
  NEED(brainlock_keys_make(package, folder, NULL));
  NEED(brainlock_keys_open(package, folder, &keys));
  NEED(brainlock_keys_open(package, folder, &closed_soon));
  uint8_t* bytes = NULL;
  size_t size = 0;
  const brainlock_encrypt_options unchecked = {.struct_size = sizeof unchecked, .range = BRAINLOCK_RANGE_UNCHECKED};
  NEED(brainlock_encrypt(keys, values, info.input_count, &unchecked, &bytes, &size,
                         NULL)); /* the checker is made by the threads */
  write_file(question_file, bytes, size);
  brainlock_free(bytes);
  run_server(argv[1], argv[2], folder, question_file, answer_file);
  answer = read_file(answer_file, &answer_size);
  NEED(brainlock_decrypt(keys, answer, answer_size, expected, info.output_count));

  pthread_t threads[kThreads];
  for (int i = 0; i < kThreads; ++i) {
    if (pthread_create(&threads[i], NULL, use, (void*)(intptr_t)i) != 0) return 1;
  }
  for (int i = 0; i < kThreads; ++i) pthread_join(threads[i], NULL);
  EXPECT(wrong == 0);
  free(answer);
  EXPECT_STATUS(BRAINLOCK_OK, brainlock_keys_close(keys));
  EXPECT_STATUS(BRAINLOCK_OK, brainlock_package_close(package));
  return failures != 0;
}
