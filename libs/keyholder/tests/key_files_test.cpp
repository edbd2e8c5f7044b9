#include "brainlock/keyholder/key_files.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sample.hpp"

namespace brainlock::keyholder {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

std::size_t files_in(const fs::path& folder) {
  return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

unsigned mode_of(const fs::path& file) { return static_cast<unsigned>(fs::status(file).permissions()); }

TEST(KeyFiles, APairIsMadeWithItsModesAndNotReplacedUnasked) {
  const test::Folder folder;
  const auto package = test::sample();
  std::size_t last = 0;
  const auto files =
      make_key_files(*package, folder.path() / "a" / "b", {.threads = 2}, [&](std::size_t done, std::size_t total) {
        EXPECT_EQ(done, last + 1);
        EXPECT_EQ(total, package->key_requests().size());
        last = done;
      });
  ASSERT_TRUE(files.ok()) << files.error().to_string();
  EXPECT_EQ(last, files->keys);
  EXPECT_EQ(files_in(folder.path() / "a" / "b"), 2U);
  EXPECT_EQ(mode_of(files->secret), 0600U);
  EXPECT_EQ(fs::file_size(files->evaluation), files->evaluation_bytes);
  EXPECT_TRUE(ckks_client::SecretKey::load(files->secret, package->parameters()).ok());
  EXPECT_TRUE(check_evaluation_keys(files->evaluation, *package).ok());

  const auto before = read_file(files->secret, 1 << 20).value();
  const auto refused = make_key_files(*package, files->secret.parent_path(), {});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kDenied);
  EXPECT_EQ(read_file(files->secret, 1 << 20).value(), before);
  ASSERT_TRUE(make_key_files(*package, files->secret.parent_path(), {.overwrite = true}).ok());
  EXPECT_NE(read_file(files->secret, 1 << 20).value(), before);
}

TEST(KeyFiles, StoppedTheyLeaveNothingAndAnOldPairWhole) {
  const test::Folder folder;
  const auto package = test::sample();
  for (const std::size_t after : {0U, 1U}) {
    std::stop_source stop;
    if (after == 0) stop.request_stop();
    const auto files = make_key_files(
        *package, folder.path(), {}, [&](std::size_t, std::size_t) { stop.request_stop(); }, stop.get_token());
    ASSERT_FALSE(files.ok());
    EXPECT_EQ(files.error().code, ErrorCode::kCancelled);
    EXPECT_EQ(files_in(folder.path()), 0U) << after;
  }
  const auto files = make_key_files(*package, folder.path(), {});
  ASSERT_TRUE(files.ok());
  const auto secret = read_file(files->secret, 1 << 20).value(), keys = read_file(files->evaluation, 1 << 30).value();
  std::stop_source stop;
  const auto stopped = make_key_files(
      *package, folder.path(), {.overwrite = true}, [&](std::size_t, std::size_t) { stop.request_stop(); },
      stop.get_token());
  EXPECT_FALSE(stopped.ok());
  EXPECT_EQ(files_in(folder.path()), 2U);
  EXPECT_EQ(read_file(files->secret, 1 << 20).value(), secret);
  EXPECT_EQ(read_file(files->evaluation, 1 << 30).value(), keys);
}

TEST(KeyFiles, EvaluationKeysOfAnotherLengthOrPackageAreFoundOut) {
  const test::Folder folder;
  const auto package = test::sample();
  const auto files = make_key_files(*package, folder.path(), {});
  ASSERT_TRUE(files.ok());
  const auto code = [&](const package::Package& of) {
    const Status status = check_evaluation_keys(files->evaluation, of);
    if (status.ok()) return std::string("ok");
    EXPECT_THAT(status.error().message, HasSubstr(files->evaluation.string()));
    return std::string(error_code_name(status.error().code));
  };
  EXPECT_EQ(code(*package), "ok");
  EXPECT_EQ(code(*test::package_of(package::test::branched_program())), "mismatch") << "it needs one key more";
  auto other = package::test::sample_program();
  other.parameters.p.pop_back();
  other.parameters.digit_limbs = 1;
  EXPECT_EQ(code(*test::package_of(other)), "mismatch") << "of other parameters";
  fs::resize_file(files->evaluation, files->evaluation_bytes + 1);
  EXPECT_EQ(code(*package), "malformed");
  fs::resize_file(files->evaluation, files->evaluation_bytes - 1);
  EXPECT_EQ(code(*package), "truncated");
  fs::resize_file(files->evaluation, 10);
  EXPECT_EQ(code(*package), "truncated");
  fs::remove(files->evaluation);
  EXPECT_EQ(code(*package), "not_found");
}

}  // namespace
}  // namespace brainlock::keyholder
