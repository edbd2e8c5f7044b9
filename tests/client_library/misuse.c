/* What callers get wrong, and what the world does to files and bytes: each ends with its status and words that say what
 * to do, none with a signal. */
#include <dirent.h>
#include <math.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include "checks.h"

static brainlock_package *package = NULL, *other = NULL;
static brainlock_package_info info;
static const char *brainlock_command, *package_folder, *work;
static float values[kMostValues];
static double outputs[kMostOutputs];

/* The sizes that programs were compiled with; what is appended later has a version of its own. */
_Static_assert(sizeof(brainlock_package_info) == 320, "brainlock_package_info");
_Static_assert(sizeof(brainlock_range) == 120, "brainlock_range");
_Static_assert(sizeof(brainlock_keys_options) == 32, "brainlock_keys_options");
_Static_assert(sizeof(brainlock_encrypt_options) == 8, "brainlock_encrypt_options");
_Static_assert(sizeof(brainlock_miner_options) == 8, "brainlock_miner_options");
_Static_assert(sizeof(brainlock_upload_options) == 24, "brainlock_upload_options");
_Static_assert(sizeof(brainlock_ask_options) == 32, "brainlock_ask_options");
_Static_assert(sizeof(brainlock_answer) == 112, "brainlock_answer");

static void* look_at_error(void* said) {
  *(int*)said = brainlock_last_error()[0] != '\0';
  return NULL;
}

static void versions_and_names(void) {
  EXPECT(brainlock_abi_version() == BRAINLOCK_ABI_VERSION);
  EXPECT(strlen(brainlock_version()) >= 5);
  for (brainlock_status status = BRAINLOCK_OK; status <= BRAINLOCK_WRONG_ANSWER; ++status)
    EXPECT(strcmp(brainlock_status_name(status), "unknown") != 0);
  EXPECT(strcmp(brainlock_status_name(BRAINLOCK_WRONG_ANSWER), "wrong_answer") == 0);
  EXPECT(strcmp(brainlock_status_name(-1), "unknown") == 0 && strcmp(brainlock_status_name(1000), "unknown") == 0);
  EXPECT_REFUSED(brainlock_package_open(NULL, &other));
  int said_elsewhere = 1;
  pthread_t thread;
  EXPECT(pthread_create(&thread, NULL, look_at_error, &said_elsewhere) == 0 && pthread_join(thread, NULL) == 0);
  EXPECT(brainlock_last_error()[0] != '\0' && !said_elsewhere);
}

static void null_pointers(brainlock_keys* keys) {
  uint8_t* bytes = NULL;
  size_t size = 0;
  char text[64];
  brainlock_package_info some_info = {.struct_size = sizeof some_info};
  brainlock_range range = {.struct_size = sizeof range};
  brainlock_identity* identity = NULL;
  brainlock_miner* miner = NULL;
  EXPECT_REFUSED(brainlock_package_open(package_folder, NULL));
  EXPECT_REFUSED(brainlock_client_half_open(package_folder, NULL));
  brainlock_package* half = NULL;
  EXPECT_REFUSED(brainlock_client_half_open(NULL, &half));
  EXPECT_REFUSED(brainlock_package_get_info(NULL, &some_info));
  EXPECT_REFUSED(brainlock_package_get_info(package, NULL));
  EXPECT_REFUSED(brainlock_package_output_name(NULL, 0, text, sizeof text, NULL));
  EXPECT_REFUSED(brainlock_package_output_name(package, 0, NULL, 5, NULL));
  EXPECT_REFUSED(brainlock_package_output_name(package, info.output_count, text, sizeof text, NULL));
  EXPECT_STATUS(BRAINLOCK_OK, brainlock_package_output_name(package, 0, NULL, 0, &size));
  EXPECT(size == 2);
  EXPECT_STATUS(BRAINLOCK_TOO_LARGE, brainlock_package_output_name(package, 0, text, 1, NULL));
  EXPECT_REFUSED(brainlock_check_input(package, NULL, info.input_count, &range));
  EXPECT_REFUSED(brainlock_check_input(package, values, info.input_count, NULL));
  EXPECT_REFUSED(brainlock_run_clear(package, NULL, info.input_count, outputs, info.output_count));
  EXPECT_REFUSED(brainlock_run_clear(package, values, info.input_count, NULL, info.output_count));
  EXPECT_REFUSED(brainlock_keys_make(NULL, work, NULL));
  EXPECT_REFUSED(brainlock_keys_make(package, NULL, NULL));
  EXPECT_REFUSED(brainlock_keys_make(package, "", NULL));
  EXPECT_REFUSED(brainlock_keys_open(package, NULL, &keys));
  EXPECT(keys == NULL);
  EXPECT_REFUSED(brainlock_keys_open(package, work, NULL));
  EXPECT_REFUSED(brainlock_encrypt(NULL, values, info.input_count, NULL, &bytes, &size, NULL));
  EXPECT_REFUSED(brainlock_encrypt(keys, values, info.input_count, NULL, NULL, &size, NULL));
  EXPECT_REFUSED(brainlock_encrypt(keys, values, info.input_count, NULL, &bytes, NULL, NULL));
  EXPECT_REFUSED(brainlock_decrypt(NULL, (const uint8_t*)"", 0, outputs, info.output_count));
  EXPECT_REFUSED(brainlock_identity_generate(NULL));
  EXPECT_REFUSED(brainlock_identity_from_secret(NULL, 32, &identity));
  EXPECT_REFUSED(brainlock_identity_from_secret((const uint8_t*)"short", 5, &identity));
  EXPECT_REFUSED(brainlock_identity_open(NULL, &identity));
  EXPECT_REFUSED(brainlock_identity_from_hotkey(NULL, NULL, &identity));
  EXPECT_REFUSED(brainlock_identity_address(NULL, text, sizeof text));
  EXPECT_REFUSED(brainlock_miner_open(NULL, NULL, NULL, NULL, &miner));
  EXPECT_REFUSED(brainlock_miner_upload_keys(NULL, NULL, NULL, NULL));
  EXPECT_REFUSED(brainlock_miner_ask(NULL, NULL, values, info.input_count, NULL, outputs, info.output_count, NULL));
  EXPECT_STATUS(BRAINLOCK_OK, brainlock_package_close(NULL));
  EXPECT_STATUS(BRAINLOCK_OK, brainlock_keys_close(NULL));
  EXPECT_STATUS(BRAINLOCK_OK, brainlock_identity_close(NULL));
  EXPECT_STATUS(BRAINLOCK_OK, brainlock_miner_close(NULL));
  brainlock_free(NULL);
}

static void closed_and_foreign_handles(brainlock_keys* keys) {
  brainlock_package_info some_info = {.struct_size = sizeof some_info};
  brainlock_package* second = NULL;
  NEED(brainlock_package_open(package_folder, &second));
  EXPECT_STATUS(BRAINLOCK_OK, brainlock_package_close(second));
  EXPECT_REFUSED(brainlock_package_close(second));
  EXPECT_SAYS("closed");
  EXPECT_REFUSED(brainlock_package_get_info(second, &some_info));
  brainlock_package* third = NULL;
  NEED(brainlock_package_open(package_folder, &third));
  EXPECT(third != second); /* or a stale handle would be another's */
  EXPECT_STATUS(BRAINLOCK_OK, brainlock_package_close(third));
  EXPECT_REFUSED(brainlock_package_get_info((brainlock_package*)(void*)keys, &some_info));
  EXPECT_REFUSED(brainlock_package_get_info((brainlock_package*)(void*)&some_info, &some_info));
  EXPECT_REFUSED(brainlock_keys_close((brainlock_keys*)(void*)package));
}

static void structure_sizes(brainlock_keys* keys) {
  brainlock_package_info some_info = {.struct_size = 0};
  EXPECT_REFUSED(brainlock_package_get_info(package, &some_info));
  EXPECT_SAYS("struct_size");
  some_info.struct_size = sizeof some_info - 1;
  EXPECT_REFUSED(brainlock_package_get_info(package, &some_info));
  some_info.struct_size = UINT32_MAX;
  EXPECT_REFUSED(brainlock_package_get_info(package, &some_info));
  /* A later version's, with members that this library does not know. */
  struct {
    brainlock_encrypt_options known;
    uint32_t more[4];
  } later = {{.struct_size = sizeof later}, {0}};
  uint8_t* bytes = NULL;
  size_t size = 0;
  EXPECT_STATUS(BRAINLOCK_OK, brainlock_encrypt(keys, values, info.input_count, &later.known, &bytes, &size, NULL));
  brainlock_free(bytes);
  later.more[2] = 1;
  EXPECT_STATUS(BRAINLOCK_UNSUPPORTED,
                brainlock_encrypt(keys, values, info.input_count, &later.known, &bytes, &size, NULL));
  EXPECT(bytes == NULL && size == 0);
  const brainlock_encrypt_options wrong = {.struct_size = sizeof wrong, .range = 9};
  EXPECT_REFUSED(brainlock_encrypt(keys, values, info.input_count, &wrong, &bytes, &size, NULL));
  const brainlock_keys_options many = {.struct_size = sizeof many, .threads = 4000000000U};
  EXPECT_REFUSED(brainlock_keys_make(package, work, &many));
}

static void inputs(brainlock_keys* keys) {
  uint8_t* bytes = NULL;
  size_t size = 0;
  float odd[kMostValues];
  brainlock_range range = {.struct_size = sizeof range};
  const brainlock_encrypt_options allow = {.struct_size = sizeof allow, .range = BRAINLOCK_RANGE_ALLOW},
                                  unchecked = {.struct_size = sizeof unchecked, .range = BRAINLOCK_RANGE_UNCHECKED};
  EXPECT_REFUSED(brainlock_encrypt(keys, values, info.input_count - 1, NULL, &bytes, &size, NULL));
  EXPECT_REFUSED(brainlock_encrypt(keys, values, 0, NULL, &bytes, &size, NULL));
  EXPECT_SAYS("values, got 0");
  EXPECT_REFUSED(brainlock_run_clear(package, values, info.input_count, outputs, info.output_count - 1));
  memcpy(odd, values, sizeof odd);
  odd[3] = (float)NAN;
  EXPECT_REFUSED(brainlock_encrypt(keys, odd, info.input_count, &unchecked, &bytes, &size, NULL));
  odd[3] = (float)INFINITY;
  EXPECT_REFUSED(brainlock_check_input(package, odd, info.input_count, &range));
  for (uint32_t i = 0; i < info.input_count; ++i) odd[i] = i % 2 == 0 ? 30.0f : -30.0f;
  EXPECT_STATUS(BRAINLOCK_OK, brainlock_check_input(package, odd, info.input_count, &range));
  EXPECT(range.inside == 0);
  EXPECT_STATUS(BRAINLOCK_OUT_OF_RANGE, brainlock_encrypt(keys, odd, info.input_count, NULL, &bytes, &size, &range));
  EXPECT_SAYS("BRAINLOCK_RANGE_ALLOW");
  EXPECT(bytes == NULL);
  EXPECT_STATUS(BRAINLOCK_OUT_OF_RANGE,
                brainlock_encrypt(keys, odd, info.input_count, &unchecked, &bytes, &size, NULL));
  EXPECT_STATUS(BRAINLOCK_OK, brainlock_encrypt(keys, odd, info.input_count, &allow, &bytes, &size, &range));
  EXPECT(size == info.question_bytes && range.inside == 0);
  brainlock_free(bytes);
  for (uint32_t i = 0; i < info.input_count; ++i) odd[i] = 3e38f;
  EXPECT(brainlock_encrypt(keys, odd, info.input_count, &allow, &bytes, &size, &range) != BRAINLOCK_OK);
  EXPECT_STATUS(BRAINLOCK_OK, brainlock_encrypt(keys, values, info.input_count, &unchecked, &bytes, &size, NULL));
  brainlock_free(bytes);
}

static int entries(const char* folder) {
  DIR* open_folder = opendir(folder);
  if (open_folder == NULL) return -1;
  int count = 0;
  for (const struct dirent* entry; (entry = readdir(open_folder)) != NULL;)
    count += entry->d_name[0] != '.' || strlen(entry->d_name) > 2;
  closedir(open_folder);
  return count;
}

static int cancel(void* calls, int32_t phase, uint64_t done, uint64_t total) {
  EXPECT(phase == BRAINLOCK_PHASE_MAKING_KEYS && done <= total);
  ++*(int*)calls;
  return 1;
}

static int count_keys(void* last, int32_t phase, uint64_t done, uint64_t total) {
  EXPECT(phase == BRAINLOCK_PHASE_MAKING_KEYS && total == info.evaluation_key_count);
  EXPECT(done >= *(uint64_t*)last);
  *(uint64_t*)last = done;
  return 0;
}

static mode_t mode_of(const char* file) {
  struct stat status;
  return stat(file, &status) == 0 ? status.st_mode & 07777U : 0;
}

static void key_files(const char* folder) {
  char path[1024], secret[1024], evaluation[1024];
  int calls = 0;
  brainlock_keys* keys = NULL;
  FORMAT(path, "%s/cancelled", work);
  const brainlock_keys_options cancelled = {
      .struct_size = sizeof cancelled, .threads = 1, .progress = cancel, .user = &calls};
  EXPECT_STATUS(BRAINLOCK_CANCELLED, brainlock_keys_make(package, path, &cancelled));
  EXPECT(calls == 1 && entries(path) == 0);
  EXPECT_STATUS(BRAINLOCK_NOT_FOUND, brainlock_keys_open(package, path, &keys));
  EXPECT_SAYS("brainlock_keys_make");
  /* An old pair stays whole. */
  uint64_t last = 0;
  const brainlock_keys_options counted = {.struct_size = sizeof counted, .progress = count_keys, .user = &last};
  NEED(brainlock_keys_make(package, path, &counted));
  EXPECT(last == info.evaluation_key_count && entries(path) == 2);
  FORMAT(secret, "%s/secret.key", path);
  FORMAT(evaluation, "%s/evaluation.keys", path);
  EXPECT(mode_of(secret) == 0600);
  size_t size = 0, size_after = 0, evaluation_size = 0;
  uint8_t* before = read_file(secret, &size);
  brainlock_keys_options replaced = cancelled;
  replaced.overwrite = 1;
  last = 0;
  EXPECT_STATUS(BRAINLOCK_DENIED, brainlock_keys_make(package, path, &counted));
  EXPECT_SAYS("overwrite");
  EXPECT_STATUS(BRAINLOCK_CANCELLED, brainlock_keys_make(package, path, &replaced));
  uint8_t* after = read_file(secret, &size_after);
  EXPECT(size == size_after && memcmp(before, after, size) == 0 && entries(path) == 2);
  free(after);
  EXPECT_STATUS(BRAINLOCK_IO, brainlock_keys_make(package, "/proc/nowhere/keys", NULL));

  /* Damage. */
  uint8_t* server_keys = read_file(evaluation, &evaluation_size);
  EXPECT(evaluation_size == info.evaluation_key_bytes);
  write_file(evaluation, server_keys, evaluation_size / 2);
  EXPECT_STATUS(BRAINLOCK_TRUNCATED, brainlock_keys_open(package, path, &keys));
  write_file(evaluation, server_keys, 30);
  EXPECT_STATUS(BRAINLOCK_TRUNCATED, brainlock_keys_open(package, path, &keys));
  EXPECT(unlink(evaluation) == 0);
  EXPECT_STATUS(BRAINLOCK_OK, brainlock_keys_open(package, path, &keys));
  EXPECT_STATUS(BRAINLOCK_OK, brainlock_keys_close(keys));
  for (size_t length = 0; length < size; length += 97) {
    write_file(secret, before, length);
    EXPECT_STATUS(BRAINLOCK_TRUNCATED, brainlock_keys_open(package, path, &keys));
    EXPECT(keys == NULL);
  }
  before[size / 2] ^= 4;
  write_file(secret, before, size);
  EXPECT_STATUS(BRAINLOCK_CORRUPTED, brainlock_keys_open(package, path, &keys));
  before[size / 2] ^= 4;
  write_file(secret, before, size);
  EXPECT(chmod(secret, 0644) == 0);
  EXPECT_STATUS(BRAINLOCK_DENIED, brainlock_keys_open(package, path, &keys));
  EXPECT_SAYS("chmod 600");
  EXPECT_STATUS(BRAINLOCK_MISMATCH, brainlock_keys_open(other, folder, &keys));
  EXPECT_SAYS("made for this one");
  free(before);
  free(server_keys);
}

static void answers(brainlock_keys* keys, const char* folder) {
  char question[1024], answer[1024], strangers[1024], wrong[1024];
  FORMAT(question, "%s/q.ct", work);
  FORMAT(answer, "%s/a.ct", work);
  FORMAT(wrong, "%s/wrong.ct", work);
  FORMAT(strangers, "%s/strangers", work);
  uint8_t* bytes = NULL;
  size_t size = 0;
  NEED(brainlock_encrypt(keys, values, info.input_count, NULL, &bytes, &size, NULL));
  write_file(question, bytes, size);
  EXPECT_STATUS(BRAINLOCK_MISMATCH,
                brainlock_decrypt(keys, bytes, size, outputs, info.output_count)); /* a question is no answer */
  brainlock_free(bytes);
  run_server(brainlock_command, package_folder, folder, question, answer);

  bytes = read_file(answer, &size);
  EXPECT_STATUS(BRAINLOCK_OK, brainlock_decrypt(keys, bytes, size, outputs, info.output_count));
  EXPECT_REFUSED(brainlock_decrypt(keys, bytes, size, outputs, info.output_count + 1));
  const double kept = outputs[0];
  for (size_t length = 0; length < size; length += size / 61)
    EXPECT(brainlock_decrypt(keys, bytes, length, outputs, info.output_count) != BRAINLOCK_OK);
  for (size_t at = 0; at < size; at += size / 211) {
    bytes[at] ^= (uint8_t)(1U << at % 8);
    EXPECT(brainlock_decrypt(keys, bytes, size, outputs, info.output_count) != BRAINLOCK_OK);
    bytes[at] ^= (uint8_t)(1U << at % 8);
  }
  EXPECT(outputs[0] == kept); /* nothing is written unless it is an answer */

  /* Another person's keys of the same package: to decrypt with, and to compute with. */
  brainlock_keys* stranger = NULL;
  NEED(brainlock_keys_make(package, strangers, NULL));
  NEED(brainlock_keys_open(package, strangers, &stranger));
  EXPECT_STATUS(BRAINLOCK_WRONG_ANSWER, brainlock_decrypt(stranger, bytes, size, outputs, info.output_count));
  EXPECT_SAYS("keys that encrypted the question");
  free(bytes);
  run_server(brainlock_command, package_folder, strangers, question, wrong);
  bytes = read_file(wrong, &size);
  EXPECT_STATUS(BRAINLOCK_WRONG_ANSWER, brainlock_decrypt(keys, bytes, size, outputs, info.output_count));
  free(bytes);
  EXPECT_STATUS(BRAINLOCK_OK, brainlock_keys_close(stranger));
  EXPECT_REFUSED(brainlock_decrypt(stranger, (const uint8_t*)"", 0, outputs, info.output_count));
}

static int cancel_at_once(void* user, int32_t phase, uint64_t done, uint64_t total) {
  (void)user, (void)phase, (void)done, (void)total;
  return 1;
}

static void identities_and_miners(brainlock_keys* keys) {
  char file[1024], first[64], second[64];
  brainlock_identity *identity = NULL, *again = NULL;
  brainlock_miner* miner = NULL;
  FORMAT(file, "%s/home/user.seed", work);
  NEED(brainlock_identity_open(file, &identity));
  EXPECT(mode_of(file) == 0600);
  NEED(brainlock_identity_open(file, &again));
  NEED(brainlock_identity_address(identity, first, sizeof first));
  NEED(brainlock_identity_address(again, second, sizeof second));
  EXPECT(strcmp(first, second) == 0 && strlen(first) == 48);
  EXPECT_STATUS(BRAINLOCK_TOO_LARGE, brainlock_identity_address(again, second, 48));
  EXPECT_STATUS(BRAINLOCK_OK, brainlock_identity_close(again));
  EXPECT_STATUS(BRAINLOCK_NOT_FOUND, brainlock_identity_from_hotkey("/nowhere/hotkey", NULL, &again));
  write_file(file, (const uint8_t*)"not 32 bytes", 12);
  EXPECT(brainlock_identity_open(file, &again) != BRAINLOCK_OK);

  EXPECT_REFUSED(brainlock_miner_open("127.0.0.1", first, identity, NULL, &miner));
  EXPECT_SAYS("ADDRESS:PORT");
  EXPECT_REFUSED(brainlock_miner_open("127.0.0.1:99999", first, identity, NULL, &miner));
  EXPECT_REFUSED(brainlock_miner_open("127.0.0.1:1", first, again, NULL, &miner));
  EXPECT(brainlock_miner_open("127.0.0.1:1", "no address", identity, NULL, &miner) != BRAINLOCK_OK);
  NEED(brainlock_miner_open("127.0.0.1:1", first, identity, NULL, &miner));
  EXPECT_STATUS(BRAINLOCK_OK, brainlock_identity_close(identity)); /* the miner keeps what it needs */
  EXPECT_STATUS(BRAINLOCK_UNAVAILABLE, brainlock_miner_upload_keys(miner, keys, NULL, NULL));
  EXPECT_SAYS("another miner");
  brainlock_ask_options ask = {.struct_size = sizeof ask, .timeout_s = NAN};
  brainlock_answer answer = {.struct_size = sizeof answer};
  EXPECT_REFUSED(brainlock_miner_ask(miner, keys, values, info.input_count, &ask, outputs, info.output_count, &answer));
  ask.timeout_s = 5;
  answer.struct_size = 4;
  EXPECT_REFUSED(brainlock_miner_ask(miner, keys, values, info.input_count, &ask, outputs, info.output_count, &answer));
  ask.progress = cancel_at_once;
  EXPECT_STATUS(BRAINLOCK_CANCELLED,
                brainlock_miner_ask(miner, keys, values, info.input_count, &ask, outputs, info.output_count, NULL));
  EXPECT_STATUS(BRAINLOCK_OK, brainlock_miner_close(miner));
  EXPECT_REFUSED(brainlock_miner_ask(miner, keys, values, info.input_count, &ask, outputs, info.output_count, NULL));
}

static void packages(void) {
  brainlock_package* bad = NULL;
  char folder[1024], command[4096];
  EXPECT_STATUS(BRAINLOCK_NOT_FOUND, brainlock_package_open("/nowhere", &bad));
  EXPECT_SAYS("brainlock compile");
  EXPECT(bad == NULL);
  FORMAT(folder, "%s/damaged", work);
  FORMAT(command, "cp -r '%s' '%s' && printf x | dd of='%s/plan.bin' bs=1 seek=2000 conv=notrunc 2>/dev/null",
         package_folder, folder, folder);
  EXPECT(system(command) == 0);
  EXPECT_STATUS(BRAINLOCK_CORRUPTED, brainlock_package_open(folder, &bad));
  EXPECT_SAYS("from its maker");
  EXPECT_STATUS(BRAINLOCK_NOT_FOUND, brainlock_client_half_open("/nowhere", &bad));
  EXPECT_SAYS("brainlock client-half");
  EXPECT_REFUSED(brainlock_client_half_open(package_folder, &bad));
  FORMAT(folder, "%s/plan.bin", package_folder);
  EXPECT_STATUS(BRAINLOCK_MALFORMED, brainlock_client_half_open(folder, &bad));
  EXPECT(bad == NULL);
  setenv("BRAINLOCK_ISA", "sse9", 1);
  EXPECT_REFUSED(brainlock_package_open(package_folder, &bad));
  EXPECT_SAYS("BRAINLOCK_ISA=sse9");
  unsetenv("BRAINLOCK_ISA");
}

int main(int argc, char** argv) {
  if (argc != 5) return 2;
  brainlock_command = argv[1];
  package_folder = argv[2];
  work = argv[4];
  versions_and_names();
  packages();
  NEED(brainlock_package_open(package_folder, &package));
  NEED(brainlock_package_open(argv[3], &other));
  info.struct_size = sizeof info;
  NEED(brainlock_package_get_info(package, &info));
  make_input(&info, values);
  char folder[1024];
  FORMAT(folder, "%s/pair", work);
  NEED(brainlock_keys_make(package, folder, NULL));
  brainlock_keys* keys = NULL;
  NEED(brainlock_keys_open(package, folder, &keys));
  null_pointers(keys);
  closed_and_foreign_handles(keys);
  structure_sizes(keys);
  inputs(keys);
  key_files(folder);
  answers(keys, folder);
  identities_and_miners(keys);
  EXPECT_STATUS(BRAINLOCK_OK, brainlock_package_close(package));
  uint8_t* bytes = NULL; /* the keys outlive their package's handle */
  size_t size = 0;
  EXPECT_STATUS(BRAINLOCK_OK, brainlock_encrypt(keys, values, info.input_count, NULL, &bytes, &size, NULL));
  brainlock_free(bytes);
  EXPECT_STATUS(BRAINLOCK_OK, brainlock_keys_close(keys));
  EXPECT_STATUS(BRAINLOCK_OK, brainlock_package_close(other));
  if (failures == 0) puts("all misuse was refused with its reason");
  return failures != 0;
}
