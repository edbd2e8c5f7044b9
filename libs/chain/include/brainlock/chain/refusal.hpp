// Why the chain said no, by name, and what to do next.
#pragma once

#include <optional>
#include <string>

#include "brainlock/chain/transport.hpp"
#include "brainlock/ledger/ledger.hpp"

namespace brainlock::chain {

/// A transaction that was refused, before inclusion (validity) or in its block (dispatch).
struct TransactionRefusal {
  std::string name;    ///< "BadProof", "Custom(10) HotKeyNotRegisteredInNetwork", "SubtensorModule.NeuronNoValidatorPermit"
  std::string advice;  ///< one sentence: what to do next
  std::string detail;  ///< the node's own words
  ledger::Refusal refusal = ledger::Refusal::kOther;
  bool may_retry = false;  ///< signing anew may succeed without anything else changing (stale nonce, outdated era)

  /// "name: advice (detail)".
  [[nodiscard]] std::string to_string() const;
};

/// A node's refusal to take a transaction. Understands codes, names and the forms without either; never fails.
[[nodiscard]] TransactionRefusal refusal_from_rpc(const RpcError& error);

/// A dispatch error by its name in the metadata.
[[nodiscard]] TransactionRefusal refusal_from_dispatch(const std::string& error_name);

}  // namespace brainlock::chain
