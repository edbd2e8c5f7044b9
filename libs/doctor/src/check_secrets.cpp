// hotkey: is it there, and does it open? secrets: may others read what they must not?
#include <sys/stat.h>

#include <cstdlib>

#include "patient.hpp"

namespace brainlock::doctor {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kShown = 5;
constexpr std::size_t kMostFolders = 256;   // of keys, one a package

Finding hotkey_of(const PatientPtr& shared) {
  const Patient& patient = *shared;
  const Setup& setup = patient.setup;
  const chain::WalletStore wallets(setup.wallets);
  const std::string options = "--wallet.path " + setup.wallets.string() + " --wallet.name " + setup.wallet + " --wallet.hotkey " + setup.hotkey;
  const auto key = wallets.load_hotkey(setup.wallet, setup.hotkey, setup.password);
  if (!key.ok()) {
    const Error& error = key.error();
    std::string next = "restore it from its mnemonic: `brainlock wallet regen-hotkey " + options + " --overwrite`";
    if (error.code == ErrorCode::kNotFound) next = "correct --wallet.path, --wallet.name and --wallet.hotkey (`brainlock wallet list` shows what is there), or `brainlock wallet new-hotkey " + options + "`";
    if (error.code == ErrorCode::kIo) next = "let user " + patient.machine.user + " read it: owner or group, mode 640";
    if (error.code == ErrorCode::kDenied) next = "a service cannot type a password: its hotkey file is plain (`brainlock wallet regen-hotkey`); where you start it by hand: --password-stdin";
    if (error.code == ErrorCode::kInvalidArgument) next = "correct --wallet.name and --wallet.hotkey";
    return failure(error.message, next);
  }
  if (!key->has_private_key()) return failure(wallets.hotkey_path(setup.wallet, setup.hotkey).string() + " holds the public half only", "restore it from its mnemonic: `brainlock wallet regen-hotkey " + options + " --overwrite`");
  Finding finding = ok(key->ss58() + " (wallet " + setup.wallet + ", hotkey " + setup.hotkey + ")");
  finding.learn = [shared, account = key->account()] { shared->account = account; };
  return finding;
}

/// Whether an account that neither owns the file nor is of its group can read or change it: every folder on the way must let it through.
bool open_to_others(const fs::path& file) {
  struct stat info {};
  if (::stat(file.c_str(), &info) != 0 || (info.st_mode & (S_IROTH | S_IWOTH)) == 0) return false;
  std::error_code error;
  for (fs::path folder = fs::absolute(file, error).parent_path();; folder = folder.parent_path()) {
    if (error || ::stat(folder.c_str(), &info) != 0 || (info.st_mode & S_IXOTH) == 0) return false;
    if (folder == folder.root_path()) return true;
  }
}

std::vector<fs::path> secret_files(const Setup& setup) {
  std::vector<fs::path> out;
  const chain::WalletStore wallets(setup.wallets);
  if (chain::check_wallet_name(setup.wallet).ok() && chain::check_wallet_name(setup.hotkey).ok()) out.push_back(wallets.hotkey_path(setup.wallet, setup.hotkey));
  if (setup.role != Role::kValidator) return out;
  std::error_code error;
  for (fs::directory_iterator at(setup.state / "keys", error), end; !error && at != end && out.size() < kMostFolders; at.increment(error)) out.push_back(at->path() / "secret.key");
  out.push_back(setup.state / "validator.sqlite");
  const char* password = std::getenv("POSTGRES_PASSWORD");
  if (password != nullptr && *password != '\0' && !setup.settings_file.empty()) out.push_back(setup.settings_file);
  for (fs::directory_iterator at(setup.commit_folder, error), end; !error && at != end && out.size() < 2 * kMostFolders; at.increment(error)) out.push_back(at->path());
  return out;
}

Finding secrets_of(const Patient& patient) {
  std::string open, command = "`chmod o-rwx";
  std::size_t count = 0;
  const auto files = secret_files(patient.setup);
  for (const auto& file : files) {
    if (!open_to_others(file) || ++count > kShown) continue;
    if (!open.empty()) open += ", ";
    open += file.string();
    command.append(" ").append(file.string());
  }
  if (count == 0) return ok("no other user can read the hotkey" + std::string(patient.setup.role == Role::kValidator ? ", the keys or the history" : ""));
  return failure("every user of this machine can read " + open + (count > kShown ? " and " + std::to_string(count - kShown) + " more" : ""), command + "`; who has read it keeps it");
}

}  // namespace

void add_secret_checks(std::vector<Check>& checks, const PatientPtr& patient) {
  Check hotkey{"hotkey", [patient] { return hotkey_of(patient); }};
  hotkey.limit = std::chrono::seconds(120);   // an old format of key files takes ten million rounds of a hash
  hotkey.late = failure("the hotkey did not open", "`brainlock wallet inspect` shows its format");
  checks.push_back(std::move(hotkey));
  checks.push_back({"secrets", [patient] { return secrets_of(*patient); }});
}

}  // namespace brainlock::doctor
