#include "brainlock/doctor/service_files.hpp"

#include <gmock/gmock.h>

#include <cstdlib>
#include <fstream>

namespace brainlock::doctor {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;

class ServiceFiles : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "brainlock-doctor-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
  }
  void TearDown() override {
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
  }
  fs::path write(const std::string& name, const std::string& text) {
    std::ofstream(folder_ / name) << text;
    return folder_ / name;
  }
  fs::path folder_;
};

TEST_F(ServiceFiles, AnEnvironmentFileIsReadAsSystemdReadsIt) {
  const auto variables = parse_environment_file("# comment\n; another\n\nA=1\n B = \"two words\" \nC='a \"b\" \\'\nD=a\\ b\nE=\nF=\"a \\\"b\\\"\"\nG=one\\\ntwo\n");
  ASSERT_TRUE(variables.ok()) << variables.error().to_string();
  EXPECT_THAT(*variables, ElementsAre(Pair("A", "1"), Pair("B", "two words"), Pair("C", "a \"b\" \\"), Pair("D", "a b"), Pair("E", ""), Pair("F", "a \"b\""), Pair("G", "one two")));
}

TEST_F(ServiceFiles, LinesThatAreNoneAreNamed) {
  for (const char* text : {"A=1\nnonsense\n", "A=1\n=2\n", "A=1\nB=\"open\n", "A=1\n2B=3\n"}) {
    const auto variables = parse_environment_file(text);
    ASSERT_FALSE(variables.ok()) << text;
    EXPECT_EQ(variables.error().code, ErrorCode::kMalformed);
    EXPECT_THAT(variables.error().message, HasSubstr("line 2"));
  }
}

TEST_F(ServiceFiles, WordsAreSplitAtSpacesOutsideOfQuotes) {
  EXPECT_THAT(*split_words("  a  \"b c\" d'e f'g\th\\ i "), ElementsAre("a", "b c", "de fg", "h i"));
  EXPECT_THAT(*split_words(""), IsEmpty());
  EXPECT_FALSE(split_words("a \"b").ok());
}

TEST_F(ServiceFiles, OptionsAreTheWordsOfAVariable) {
  const auto file = write("miner.env", "BRAINLOCK_MINER=\"--netuid 54 --port 5000\"\nBRAINLOCK_LOG_LEVEL=info\n");
  const auto service = read_environment_file(file, "BRAINLOCK_MINER");
  ASSERT_TRUE(service.ok()) << service.error().to_string();
  EXPECT_THAT(service->options, ElementsAre("--netuid", "54", "--port", "5000"));
  EXPECT_EQ(service->environment_file, file);
  EXPECT_EQ(read_environment_file(file, "BRAINLOCK_VALIDATOR").error().code, ErrorCode::kNotFound);
  EXPECT_EQ(read_environment_file(folder_ / "none", "BRAINLOCK_MINER").error().code, ErrorCode::kNotFound);
}

TEST_F(ServiceFiles, AUnitIsReadWithItsEnvironmentFile) {
  const auto settings = write("miner.env", "BRAINLOCK_MINER=\"--netuid 54 --port 5000\"\n");
  const auto unit = write("a.service", "[Unit]\nDescription=x\n[Service]\nUser=brainlock\nEnvironmentFile=" + settings.string() + "\nEnvironmentFile=-" + (folder_ / "none").string() +
                                           "\nEnvironment=HOME=/var/lib/x \"A=b c\"\nExecStart=/usr/local/bin/brainlock miner --state /s $BRAINLOCK_MINER $UNSET\nLimitNOFILE=4096\nLimitMEMLOCK=64M\n");
  const auto service = read_unit_file(unit, "miner");
  ASSERT_TRUE(service.ok()) << service.error().to_string();
  EXPECT_THAT(service->options, ElementsAre("--state", "/s", "--netuid", "54", "--port", "5000"));
  EXPECT_THAT(service->variables, ElementsAre(Pair("BRAINLOCK_MINER", "--netuid 54 --port 5000"), Pair("HOME", "/var/lib/x"), Pair("A", "b c")));
  EXPECT_EQ(service->user, "brainlock");
  EXPECT_EQ(service->open_files, 4096);
  EXPECT_EQ(service->locked_bytes, std::uint64_t{64} << 20);
  EXPECT_EQ(read_unit_file(unit, "validator").error().code, ErrorCode::kNotFound);
}

// What this project delivers is what its doctor reads.
TEST_F(ServiceFiles, TheDeliveredFilesAreRead) {
  const fs::path deploy = fs::path(BRAINLOCK_SOURCE_DIR) / "deploy";
  const auto miner = read_environment_file(deploy / "miner.env", "BRAINLOCK_MINER");
  ASSERT_TRUE(miner.ok()) << miner.error().to_string();
  EXPECT_THAT(miner->options, testing::Contains("--external-ip"));
  const auto validator = read_environment_file(deploy / "validator.env", "BRAINLOCK_VALIDATOR");
  ASSERT_TRUE(validator.ok()) << validator.error().to_string();
  EXPECT_THAT(validator->options, testing::Contains("--approve"));
  for (const std::string role : {"miner", "validator"}) {
    std::ifstream in(deploy / ("brainlock-" + role + ".service"));
    std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
    const std::string there = "/etc/brainlock/";
    text.replace(text.find(there), there.size(), deploy.string() + "/");
    const auto unit = read_unit_file(write(role + ".service", text), role);
    ASSERT_TRUE(unit.ok()) << unit.error().to_string();
    EXPECT_THAT(unit->options, testing::Contains("--state"));
    EXPECT_THAT(unit->options, testing::Contains("--netuid"));
    EXPECT_EQ(unit->user, "brainlock");
    EXPECT_EQ(unit->open_files, 4096);
  }
}

}  // namespace
}  // namespace brainlock::doctor
