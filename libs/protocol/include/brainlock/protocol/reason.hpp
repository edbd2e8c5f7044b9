// How a measured request ended, as the one who measured it judges it.
#pragma once

#include <string_view>

namespace brainlock::protocol {

/// Closed list; the names stand in the store, on the page and in metrics.
enum class Reason {
  kOk,
  kNoAddress,         ///< the ledger holds no address for the miner
  kUnreachable,       ///< no connection, or it broke
  kTimeout,           ///< no whole answer within the time allowed
  kRefused,           ///< the miner said no
  kWrongTask,         ///< the miner does not serve the package
  kKeyUpload,         ///< the miner did not take the evaluation key
  kUnsignedAnswer,    ///< the answer's headers or signature do not prove the miner
  kAnswerTooLarge,
  kMalformedAnswer,   ///< not a ciphertext of the package's parameters
  kTrivialAnswer,     ///< a ciphertext that hides nothing: it was not computed under the key
  kRepeatedAnswer,    ///< bytes seen before
  kWrongOutput,       ///< decrypts to something outside the package's bound
  kValidatorError,    ///< our own fault: not counted against the miner
};
inline constexpr int kReasonCount = static_cast<int>(Reason::kValidatorError) + 1;

std::string_view reason_name(Reason reason);
/// kValidatorError for an unknown name.
Reason reason_from_name(std::string_view name);
/// One sentence for people.
std::string_view reason_sentence(Reason reason);
/// Whether it is a failure of the miner's (its score suffers).
bool counts_against_miner(Reason reason);

}  // namespace brainlock::protocol
