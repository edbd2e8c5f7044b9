#include "validator_options.hpp"

namespace brainlock::app {

void ValidatorFlags::add_to(CLI::App& command) {
  wallet.add_to(command, true);
  ledger.add_to(command);
  command.add_option("--package", packages, "Package folder to ask about; may be given several times")->required();
  command.add_option("--approve", approved, "Hash of a package that may be asked about; may be given several times")->required();
  command.add_option("--state", state, "Folder for keys and the SQLite store (POSTGRES_* choose PostgreSQL)")->capture_default_str();
  command.add_option("--dataset", dataset, "CIFAR-10 folder or folder of PNG files; synthetic images alone without it");
  command.add_option("--synthetic-share", synthetic_share, "Part of synthetic images beside a dataset, 0 to 1")->check(CLI::Range(0.0, 1.0))->capture_default_str();
  command.add_option("--listen", listen, "Address of the page")->capture_default_str();
  command.add_option("--page-port", page_port, "Port of the page and /metrics; 0 takes a free one, -1 serves none")->check(CLI::Range(-1, 65'535))->capture_default_str();
  command.add_option("--parallel", parallel, "Miners asked at once")->capture_default_str();
  command.add_option("--threads", threads, "Threads for keys, encryption and judging")->capture_default_str();
  command.add_option("--slot-blocks", slot_blocks, "Blocks after which validators change miners; 0: this validator asks all")->capture_default_str();
  command.add_option("--vote-interval", vote_interval, "Blocks between votes, besides the ledger's own limit")->capture_default_str();
  command.add_option("--version-key", version_key, "Version key of the votes, where the subnet asks for one (weights_version)")->capture_default_str();
  command.add_option("--timeout", timeout_s, "Seconds a miner has for an answer")->capture_default_str()->check(CLI::Range(0.001, 86'400.0));
  command.add_option("--upload-timeout", upload_timeout_s, "Seconds a miner has to take the keys, --parallel miners at a time: more where this machine's line is slow")
      ->capture_default_str()->check(CLI::Range(1.0, 86'400.0));
  command.add_option("--pause", pause_s, "Longest pause between rounds, in seconds")->capture_default_str()->check(CLI::Range(0.0, 86'400.0));
  command.add_option("--keep-days", keep_days, "Days for which requests stay in the store; 0: for ever")->check(CLI::Range(0U, 36'500U))->capture_default_str();
  command.add_option("--key-days", key_days, "Days after which keys give way to new ones, which every miner is sent; 0: never")->check(CLI::Range(0.0, 3650.0))->capture_default_str();
  command.add_option("--rounds", rounds, "End after so many rounds and print the leaderboard");
  command.add_flag("--allow-private,--allow-private-addresses", private_addresses, "Ask miners at addresses that are not of the public internet");
  command.add_flag("--plain", plain, "Ask over plain HTTP; TLS bound to each miner's hotkey otherwise");
  log.add_to(command);
  command.add_flag("--json", json, "Leaderboard as JSON");
}

}  // namespace brainlock::app
