// What is going to run: the options of `miner` or `validator` as the doctor needs them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "brainlock/chain/wallet.hpp"
#include "brainlock/doctor/check.hpp"
#include "brainlock/doctor/machine.hpp"
#include "brainlock/net/address_networks.hpp"
#include "brainlock/store/store.hpp"

namespace brainlock::doctor {

enum class Role { kMachine, kMiner, kValidator };

struct Setup {
  Role role = Role::kMachine;
  std::string version;                       ///< of this program
  std::filesystem::path settings_file;       ///< that the options came from; empty: the command line

  std::string service_user;                  ///< that a unit names; empty: not known

  std::filesystem::path wallets;
  std::string wallet, hotkey;
  chain::PasswordSource password;            ///< empty: an encrypted hotkey cannot be opened

  std::string ledger_file;                   ///< an embedded ledger; else:
  std::string endpoints;
  int netuid = -1;
  std::filesystem::path commit_folder;
  bool hash_commits = false;

  std::vector<std::filesystem::path> packages;
  std::filesystem::path state;
  std::filesystem::path log_file;            ///< empty: standard error
  unsigned threads = 0;                      ///< 0: usable_processors()

  struct Miner {
    std::string listen = "0.0.0.0";
    std::uint16_t port = 0;
    std::string external_ip;                 ///< empty: none is announced
    std::uint16_t external_port = 0;         ///< 0: the port
    std::uint16_t metrics_port = 0;          ///< 0: none
    std::string devices = "cpu";
    unsigned in_flight = 1;
    double max_ram_gb = 0;                   ///< 0: no limit of its own
    net::AddressNetworks proxies;            ///< whose connections must begin with a PROXY header
  } miner;

  struct Validator {
    std::vector<std::string> approved;
    std::filesystem::path dataset;           ///< empty: synthetic images alone
    std::string listen = "127.0.0.1";
    int page_port = -1;                      ///< -1: none
    std::uint64_t version_key = 0;
    /// As store::store_address_from_environment() gives it, with its error.
    std::optional<Result<store::StoreAddress>> store;
  } validator;
};

/// The checks for a set-up, in the order in which they are best read. They share what they find out, which lives as long as they do.
std::vector<Check> make_checks(Setup setup, MachineFacts machine);

}  // namespace brainlock::doctor
