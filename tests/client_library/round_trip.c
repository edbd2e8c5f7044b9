/* Keys, question, the server's work, answer, once; everything is given back. Runs under a memory checker as well. */
#include "checks.h"

int main(int argc, char** argv) {
  if (argc != 5) return 2;
  char folder[1024], question[1024], answer[1024];
  FORMAT(folder, "%s/keys", argv[4]);
  FORMAT(question, "%s/question.ct", argv[4]);
  FORMAT(answer, "%s/answer.ct", argv[4]);

  brainlock_package* package = NULL;
  NEED(brainlock_package_open(argv[2], &package));
  brainlock_package_info info = {.struct_size = sizeof info};
  NEED(brainlock_package_get_info(package, &info));
  EXPECT(info.security_bits >= 128 && info.input_count <= kMostValues && info.output_count <= kMostOutputs);
  EXPECT(info.input_count == info.input_channels * info.input_height * info.input_width);
  EXPECT(strlen(info.hash) == 64 && strlen(info.model) > 0 && strlen(info.profile) > 0);
  float values[kMostValues];
  make_input(&info, values);

  const brainlock_keys_options options = {.struct_size = sizeof options, .threads = 1, .overwrite = 1};
  NEED(brainlock_keys_make(package, folder, &options));
  brainlock_keys* keys = NULL;
  NEED(brainlock_keys_open(package, folder, &keys));

  uint8_t* bytes = NULL;
  size_t size = 0;
  brainlock_range range = {.struct_size = sizeof range};
  NEED(brainlock_encrypt(keys, values, info.input_count, NULL, &bytes, &size, &range));
  EXPECT(size == info.question_bytes);
  EXPECT(range.inside == 1 && range.wraps == 0 && range.wrap < 1 && range.error_bound == info.error_bound);
  write_file(question, bytes, size);
  brainlock_free(bytes);

  run_server(argv[1], argv[2], folder, question, answer);
  bytes = read_file(answer, &size);
  EXPECT(size == info.answer_bytes);
  double outputs[kMostOutputs], clear[kMostOutputs];
  NEED(brainlock_decrypt(keys, bytes, size, outputs, info.output_count));
  free(bytes);
  NEED(brainlock_run_clear(package, values, info.input_count, clear, info.output_count));
  for (uint32_t i = 0; i < info.output_count; ++i) {
    const double error = outputs[i] - clear[i];
    EXPECT(error <= info.error_bound && -error <= info.error_bound);
  }

  brainlock_identity* identity = NULL;
  brainlock_miner* miner = NULL;
  NEED(brainlock_identity_generate(&identity));
  char address[64];
  NEED(brainlock_identity_address(identity, address, sizeof address));
  NEED(brainlock_miner_open("127.0.0.1:1", address, identity, NULL, &miner));
  EXPECT_STATUS(BRAINLOCK_UNAVAILABLE,
                brainlock_miner_ask(miner, keys, values, info.input_count, NULL, outputs, info.output_count, NULL));
  EXPECT_STATUS(BRAINLOCK_OK, brainlock_miner_close(miner));
  EXPECT_STATUS(BRAINLOCK_OK, brainlock_identity_close(identity));
  EXPECT_STATUS(BRAINLOCK_OK, brainlock_keys_close(keys));
  EXPECT_STATUS(BRAINLOCK_OK, brainlock_package_close(package));
  return failures != 0;
}
