// What the checks share while they look, and where each group of them adds itself.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "brainlock/chain/client.hpp"
#include "brainlock/doctor/setup.hpp"
#include "brainlock/package/package.hpp"
#include "brainlock/store/inspect.hpp"
#include "judge.hpp"

namespace brainlock::doctor {

/// Each field is filled by the one check that is named (by Finding::learn), and read by those that come after it: no lock is needed. Where the check failed or was late
/// the field stays empty.
struct Patient {
  Setup setup;
  MachineFacts machine;
  std::optional<ledger::AccountId> account;                           // hotkey
  std::vector<std::shared_ptr<const package::Package>> packages;      // package, package_2, ...: a place each
  std::optional<chain::BlockView> view;                               // chain
  std::shared_ptr<chain::ChainClient> client;                         // chain
  std::optional<ledger::Metagraph> graph;                             // chain; with votes where they cost nothing
  std::optional<store::StoreHealth> health;                           // database
  bool running = false;                                               // port, or page: this very service answers
  bool bound = false;                                                 // certificate: and proves who it is

  [[nodiscard]] bool on_chain() const { return setup.ledger_file.empty(); }
  [[nodiscard]] const ledger::Neuron* neuron() const { return graph && account ? graph->find(*account) : nullptr; }
  /// Of the largest key file; 0 where no package could be read.
  [[nodiscard]] std::uint64_t key_bytes() const;
  /// The packages that could be read.
  [[nodiscard]] std::vector<std::shared_ptr<const package::Package>> loaded() const;
};
using PatientPtr = std::shared_ptr<Patient>;

std::vector<std::string> package_check_names(const Setup& setup);

// In the order in which they are read. Each looks at the role itself.
void add_machine_checks(std::vector<Check>& checks, const PatientPtr& patient);    // version, user, processor, cores, limits, gpu
void add_secret_checks(std::vector<Check>& checks, const PatientPtr& patient);     // hotkey, secrets
void add_package_checks(std::vector<Check>& checks, const PatientPtr& patient);    // package..., memory
void add_disk_checks(std::vector<Check>& checks, const PatientPtr& patient);       // state, disk, log
void add_database_checks(std::vector<Check>& checks, const PatientPtr& patient);   // database, dataset
void add_network_checks(std::vector<Check>& checks, const PatientPtr& patient);    // address, port, certificate, reach, metrics_port, page
void add_chain_checks(std::vector<Check>& checks, const PatientPtr& patient);      // chain, clock, registration, permit, axon, votes

}  // namespace brainlock::doctor
