/* What the C tests share: expectations, and a package with its input. The arguments of each are BRAINLOCK PACKAGE
 * OTHER_PACKAGE WORK_FOLDER. */
#ifndef CHECKS_H
#define CHECKS_H

#include <brainlock/brainlock_client.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failures = 0;

#define EXPECT(condition)                                                      \
  do {                                                                         \
    if (!(condition)) {                                                        \
      fprintf(stderr, "%s:%d: expected %s\n", __FILE__, __LINE__, #condition); \
      ++failures;                                                              \
    }                                                                          \
  } while (0)

/* A call that ends so; what it says is in brainlock_last_error() then. */
#define EXPECT_STATUS(expected, call)                                                                                 \
  do {                                                                                                                \
    const brainlock_status status_ = (call);                                                                          \
    if (status_ != (expected)) {                                                                                      \
      fprintf(stderr, "%s:%d: %s: %s (%s), expected %s\n", __FILE__, __LINE__, #call, brainlock_status_name(status_), \
              status_ == BRAINLOCK_OK ? "" : brainlock_last_error(), brainlock_status_name(expected));                \
      ++failures;                                                                                                     \
    }                                                                                                                 \
  } while (0)

#define EXPECT_REFUSED(call) EXPECT_STATUS(BRAINLOCK_INVALID_ARGUMENT, call)
#define EXPECT_SAYS(words) EXPECT(strstr(brainlock_last_error(), words) != NULL)

/* The same, where the rest makes no sense otherwise. */
#define NEED(call)                                                                                       \
  do {                                                                                                   \
    const brainlock_status status_ = (call);                                                             \
    if (status_ != BRAINLOCK_OK) {                                                                       \
      fprintf(stderr, "%s:%d: %s: %s (%s)\n", __FILE__, __LINE__, #call, brainlock_status_name(status_), \
              brainlock_last_error());                                                                   \
      exit(1);                                                                                           \
    }                                                                                                    \
  } while (0)

/* Inputs of the test models have some hundred values and ten outputs. */
enum { kMostValues = 4096, kMostOutputs = 64 };

static inline void make_input(const brainlock_package_info* info, float* values) {
  for (uint32_t i = 0; i < info->input_count && i < kMostValues; ++i) values[i] = (float)(i % 5) / 10.0f;
}

/* printf into a new string; the tests' paths are not many. */
#define FORMAT(buffer, ...)                                                          \
  do {                                                                               \
    if (snprintf(buffer, sizeof buffer, __VA_ARGS__) >= (int)sizeof buffer) exit(2); \
  } while (0)

static inline uint8_t* read_file(const char* name, size_t* size) {
  FILE* in = fopen(name, "rb");
  if (in == NULL) {
    perror(name);
    exit(1);
  }
  fseek(in, 0, SEEK_END);
  *size = (size_t)ftell(in);
  rewind(in);
  uint8_t* bytes = malloc(*size + 1);
  if (bytes == NULL || fread(bytes, 1, *size, in) != *size) exit(1);
  fclose(in);
  return bytes;
}

static inline void write_file(const char* name, const uint8_t* bytes, size_t size) {
  FILE* out = fopen(name, "wb");
  if (out == NULL || fwrite(bytes, 1, size, out) != size || fclose(out) != 0) {
    perror(name);
    exit(1);
  }
}

/* The server's work, by the program that does it. */
static inline void run_server(const char* brainlock, const char* package, const char* keys, const char* in,
                              const char* out) {
  char command[4096];
  FORMAT(command, "'%s' run '%s' --keys '%s/evaluation.keys' --in '%s' -o '%s' --overwrite --threads 2 >/dev/null",
         brainlock, package, keys, in, out);
  if (system(command) != 0) {
    fprintf(stderr, "failed: %s\n", command);
    exit(1);
  }
}

#endif
