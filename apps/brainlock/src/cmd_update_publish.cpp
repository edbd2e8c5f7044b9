// `brainlock update keygen | draft | sign | publish`: for whoever publishes releases.
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <memory>

#include "brainlock/store/inspect.hpp"
#include "brainlock/update/judge.hpp"
#include "brainlock/update/publish.hpp"
#include "brainlock/update/publisher_key.hpp"
#include "brainlock/update/signatures.hpp"
#include "commands.hpp"
#include "ui.hpp"
#include "wallet_options.hpp"

namespace brainlock::app {
namespace {

struct DraftFlags {
  std::string site, version, straight_from, glibc = update::running_glibc().text(), rollout = "100", notes;
  std::vector<std::string> files;
  double expires_days = 30;
  int oldest_schema = 1;
};

std::int64_t now_s() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

/// ARCHITECTURE:PATH=FILE
update::NewFile parse_file(const std::string& text) {
  const auto colon = text.find(':'), equals = text.find('=');
  if (colon == std::string::npos || equals == std::string::npos || colon > equals) {
    fail({ErrorCode::kInvalidArgument,
          "--file " + text +
              ": expected ARCHITECTURE:PATH=FILE, as in x86_64:bin/brainlock=build/release/bin/brainlock"});
  }
  return {text.substr(0, colon), text.substr(colon + 1, equals - colon - 1), text.substr(equals + 1)};
}

void draft(const DraftFlags& flags) {
  update::Release release;
  release.version = must(update::parse_version(flags.version));
  release.created_s = now_s();
  release.expires_s = release.created_s + static_cast<std::int64_t>(flags.expires_days * 24 * 3600);
  if (!flags.straight_from.empty()) release.straight_from = must(update::parse_version(flags.straight_from));
  release.glibc = must(update::parse_glibc_version(flags.glibc));
  release.store = {flags.oldest_schema, store::newest_store_schema()};
  release.rollout = must(update::parse_rollout(flags.rollout, release.created_s));
  release.notes = flags.notes;
  std::vector<update::NewFile> files;
  for (const auto& text : flags.files) files.push_back(parse_file(text));
  const auto made = must(update::draft_release(flags.site, release, files));
  const std::string place = flags.site + "/releases/" + made.version.text() + "/release.json";
  std::printf("wrote %s, which counts until %s\nnext: brainlock update sign %s --secret-key FILE\n", place.c_str(),
              update::time_text(made.expires_s).c_str(), place.c_str());
}

}  // namespace

void add_publisher_commands(CLI::App& group) {
  {
    struct Flags {
      std::string file;
      bool no_password = false, password_stdin = false;
    };
    auto flags = std::make_shared<Flags>();
    auto* command = group.add_subcommand(
        "keygen", "Publisher: make a key that signs releases; its public half is what operators pin");
    command->add_option("-o,--output", flags->file, "New file for the secret key, mode 0600")->required();
    auto* none = command->add_flag("--no-password", flags->no_password, "Do not encrypt it");
    command->add_flag("--password-stdin", flags->password_stdin, "Read its password from standard input")
        ->excludes(none);
    command->callback([flags] {
      const auto key = crypto::Ed25519KeyPair::generate();
      std::optional<std::string> password;
      if (!flags->no_password) password = must(new_password(flags->password_stdin));
      const Status stored = update::store_publisher_key(flags->file, key, password);
      if (password) crypto::wipe(*password);
      must(stored);
      std::printf("%s\n", crypto::hex_encode(key.public_key()).c_str());
    });
  }
  {
    auto flags = std::make_shared<DraftFlags>();
    auto* command = group.add_subcommand("draft", "Publisher: make a release of files, not signed yet");
    command->add_option("site", flags->site, "Folder that a web server will show")->required();
    command->add_option("--release", flags->version, "Its version: MAJOR.MINOR.PATCH")->required();
    command
        ->add_option("--file", flags->files,
                     "ARCHITECTURE:PATH=FILE, as in x86_64:bin/brainlock=build/release/bin/brainlock; may be given "
                     "several times")
        ->required();
    command
        ->add_option("--expires-days", flags->expires_days,
                     "Days for which the manifest counts; draft and sign it anew before")
        ->check(CLI::Range(0.0, 400.0))
        ->capture_default_str();
    command->add_option("--straight-from", flags->straight_from,
                        "Oldest version that may go straight to it; any otherwise");
    command->add_option("--glibc", flags->glibc, "Least glibc that it runs on")->capture_default_str();
    command
        ->add_option("--oldest-schema", flags->oldest_schema,
                     "Oldest schema of a validator's store that it takes over; the newest is this program's own")
        ->capture_default_str();
    command->add_option("--rollout", flags->rollout, "Shares of the operators in percent, with times: 10,50@2d,100@5d")
        ->capture_default_str();
    command->add_option("--notes", flags->notes, "For people: what is new");
    command->callback([flags] { draft(*flags); });
  }
  {
    struct Flags {
      std::string manifest, key;
      bool password_stdin = false;
    };
    auto flags = std::make_shared<Flags>();
    auto* command = group.add_subcommand("sign", "Publisher: add a signature to release.json.sig beside a manifest");
    command->add_option("manifest", flags->manifest, "release.json; look into it before")->required();
    command->add_option("--secret-key", flags->key, "File of `keygen`")->required();
    command->add_flag("--password-stdin", flags->password_stdin, "Read its password from standard input");
    command->callback([flags] {
      const auto ask = [from_stdin = flags->password_stdin](const std::filesystem::path& file) {
        return from_stdin ? read_secret_line() : prompt_secret("Password of " + file.string() + ": ");
      };
      const auto key = must(update::load_publisher_key(flags->key, ask));
      must(update::sign_release(flags->manifest, key));
      std::printf("signed by %s\n", crypto::hex_encode(key.public_key()).c_str());
    });
  }
  {
    struct Flags {
      std::string site, version;
      std::vector<std::string> keys;
      std::size_t threshold = 0;
    };
    auto flags = std::make_shared<Flags>();
    auto* command = group.add_subcommand(
        "publish", "Publisher: make a signed release the newest, if operators with these keys would take it");
    command->add_option("site", flags->site, "Folder that a web server will show")->required();
    command->add_option("--release", flags->version, "Its version")->required();
    command->add_option("--key", flags->keys, "Public keys that operators pin")->required();
    command->add_option("--threshold", flags->threshold, "So many of them must have signed")->required();
    command->callback([flags] {
      std::vector<crypto::Ed25519PublicKey> keys;
      for (const auto& text : flags->keys) keys.push_back(must(crypto::hex_decode_array<32>(text)));
      must(update::go_live(flags->site, must(update::parse_version(flags->version)), keys, flags->threshold));
      std::printf("%s is the newest release in %s\n", flags->version.c_str(), flags->site.c_str());
    });
  }
}

}  // namespace brainlock::app
