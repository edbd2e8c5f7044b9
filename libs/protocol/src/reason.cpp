#include "brainlock/protocol/reason.hpp"

#include <array>

namespace brainlock::protocol {
namespace {

struct Entry {
  std::string_view name, sentence;
};

constexpr std::array<Entry, kReasonCount> kEntries{{
    {"ok", "The answer came in time and is right."},
    {"no_address", "The ledger holds no public address for this miner: it has not served its axon, or serves one of a private network."},
    {"unreachable", "No connection could be made, or it broke before the answer was whole."},
    {"timeout", "The whole answer did not come within the time allowed."},
    {"refused", "The miner refused the request."},
    {"wrong_task", "The miner does not serve the package."},
    {"key_upload", "The miner did not take the evaluation key."},
    {"unsigned_answer", "The answer is not signed by the miner's hotkey for this request."},
    {"answer_too_large", "The answer is larger than the package's outputs can be."},
    {"malformed_answer", "The answer is not a list of ciphertexts of the package's parameters."},
    {"trivial_answer", "The answer is not encrypted under the key: it was made without computing on the question."},
    {"repeated_answer", "The miner sent bytes that it had sent before for another question."},
    {"wrong_output", "The decrypted answer differs from the model's by more than the package allows."},
    {"validator_error", "The validator itself failed; this does not count against the miner."},
}};

}  // namespace

std::string_view reason_name(Reason reason) { return kEntries[static_cast<std::size_t>(reason)].name; }
std::string_view reason_sentence(Reason reason) { return kEntries[static_cast<std::size_t>(reason)].sentence; }

Reason reason_from_name(std::string_view name) {
  for (std::size_t i = 0; i < kEntries.size(); ++i) {
    if (kEntries[i].name == name) return static_cast<Reason>(i);
  }
  return Reason::kValidatorError;
}

bool counts_against_miner(Reason reason) { return reason != Reason::kOk && reason != Reason::kValidatorError; }

}  // namespace brainlock::protocol
