#include "brainlock/chain/refusal.hpp"

#include <algorithm>
#include <cctype>
#include <string_view>

namespace brainlock::chain {
namespace {

using ledger::Refusal;

constexpr const char* kNoAdvice = "see the chain's documentation of this error";

// Validity errors that the runtime numbers (InvalidTransaction::Custom).
struct CustomError {
  int code;
  const char* name;
  Refusal refusal;
  const char* advice;
};
constexpr CustomError kCustom[] = {
    {0, "ColdkeyInSwapSchedule", Refusal::kOther, "the coldkey is being swapped; wait until the swap is done"},
    {1, "StakeAmountTooLow", Refusal::kStakeTooLow, "add stake to the hotkey: it is below the subnet's threshold"},
    {2, "BalanceTooLow", Refusal::kNotEnoughBalance, "add funds to the coldkey"},
    {3, "SubnetNotExists", Refusal::kSubnetUnknown, "check --netuid: the network has no such subnet"},
    {4, "HotkeyAccountDoesntExist", Refusal::kNotRegistered, "register the hotkey first"},
    {5, "NotEnoughStakeToWithdraw", Refusal::kStakeTooLow, "withdraw less"},
    {6, "RateLimitExceeded", Refusal::kTooSoon,
     "wait: votes have the weights rate limit, registrations the target of their interval"},
    {7, "InsufficientLiquidity", Refusal::kOther, "the pool is too small for this amount"},
    {8, "SlippageTooHigh", Refusal::kOther, "raise the price limit or send less"},
    {9, "TransferDisallowed", Refusal::kOther, "the subnet does not allow transfers"},
    {10, "HotKeyNotRegisteredInNetwork", Refusal::kNotRegistered, "register the hotkey on this subnet first"},
    {11, "InvalidIpAddress", Refusal::kBadAddress, "announce a public address: loopback and broadcast are refused"},
    {12, "ServingRateLimitExceeded", Refusal::kTooSoon, "wait for the serving rate limit (usually 50 blocks)"},
    {13, "InvalidPort", Refusal::kBadPort, "announce a port from 1 to 65535"},
    {14, "ZeroMaxAmount", Refusal::kOther, "the amount is zero"},
    {15, "InvalidRevealRound", Refusal::kOther, "the timelock round lies in the past"},
    {16, "CommitNotFound", Refusal::kOther, "no such commit: weights, salt, version key or hotkey differ from the commit"},
    {17, "CommitBlockNotInRevealRange", Refusal::kTooSoon, "reveal within the reveal epoch of the commit"},
    {18, "InputLengthsUnequal", Refusal::kOther, "uids and weights differ in number"},
    {19, "UidNotFound", Refusal::kNotRegistered, "register the hotkey on this subnet first: it has no uid there"},
    {20, "EvmKeyAssociateRateLimitExceeded", Refusal::kTooSoon, "wait for the rate limit"},
    {21, "ColdkeySwapDisputed", Refusal::kOther, "the coldkey's swap is disputed; its calls are blocked"},
    {22, "InvalidRealAccount", Refusal::kOther, "the proxied account is not valid"},
    {23, "FailedShieldedTxParsing", Refusal::kOther, "the shielded transaction cannot be read"},
    {24, "InvalidShieldedKeyHash", Refusal::kOther, "the shield key has changed; sign again"},
    {25, "NonAssociatedColdkey", Refusal::kOther, "the hotkey belongs to another coldkey"},
    {26, "DelegateTakeTooLow", Refusal::kOther, "the take is too low"},
    {27, "DelegateTakeTooHigh", Refusal::kOther, "the take is too high"},
    {255, "BadRequest", Refusal::kBadAddress, "an argument is out of its range (for an axon: the ip type is 4 or 6)"},
};

// Validity errors that the framework names; `words` are how nodes put them, in lower case.
struct NamedError {
  const char* name;
  const char* words;
  const char* other_words;
  bool may_retry;
  const char* advice;
};
constexpr NamedError kNamed[] = {
    {"BadProof", "badproof", "bad signature", false,
     "the signature does not fit: wrong network (genesis), changed runtime or wrong key; reconnect and try again"},
    {"Stale", "stale", "transaction is outdated", true, "the nonce was used already; read it again and sign anew"},
    {"AncientBirthBlock", "ancientbirthblock", "ancient birth block", true, "the era has passed; sign anew"},
    {"Future", "\"future\"", "valid in the future", false, "an earlier transaction of this account is missing"},
    {"Payment", "payment", "inability to pay some fees", false, "the account cannot pay the fee: add funds"},
    {"ExhaustsResources", "exhaustsresources", "exhaust the block limits", true, "the block is full; try again later"},
    {"BadMandatory", "badmandatory", "mandatory dispatch", false, kNoAdvice},
    {"CallNotExpected", "\"call\"", "call is not expected", false, "a filter of the chain (safe mode?) blocks this call"},
    {"BadSigner", "badsigner", "invalid signing address", false, "this account may not sign transactions"},
    {"CannotLookup", "cannotlookup", "could not look up", false, "the node lacks information to judge it"},
    {"NoUnsignedValidator", "nounsignedvalidator", "unsigned validator", false, kNoAdvice},
};

struct DispatchAdvice {
  std::string_view name;  ///< without the pallet
  Refusal refusal;
  const char* advice;
};
constexpr DispatchAdvice kDispatch[] = {
    {"HotKeyNotRegisteredInSubNet", Refusal::kNotRegistered, "register the hotkey on this subnet first"},
    {"HotKeyNotRegisteredInNetwork", Refusal::kNotRegistered, "register the hotkey on this subnet first"},
    {"HotKeyAccountNotExists", Refusal::kNotRegistered, "register the hotkey first"},
    {"HotKeyAlreadyRegisteredInSubNet", Refusal::kAlreadyRegistered, "nothing to do: the hotkey has a uid here"},
    {"SubNetworkDoesNotExist", Refusal::kSubnetUnknown, "check --netuid: the network has no such subnet"},
    {"SubnetNotExists", Refusal::kSubnetUnknown, "check --netuid: the network has no such subnet"},
    {"MechanismDoesNotExist", Refusal::kSubnetUnknown, "check --netuid: the network has no such subnet"},
    {"SubNetRegistrationDisabled", Refusal::kRegistrationClosed, "the owner has closed registration; ask or wait"},
    {"RegistrationNotPermittedOnRootSubnet", Refusal::kRegistrationClosed, "the root network has its own registration"},
    {"TooManyRegistrationsThisBlock", Refusal::kTooSoon, "try again in the next block"},
    {"TooManyRegistrationsThisInterval", Refusal::kTooSoon, "try again in the next registration interval"},
    {"SubtokenDisabled", Refusal::kRegistrationClosed, "the subnet has not been started yet; its owner calls start_call"},
    {"NetworkTxRateLimitExceeded", Refusal::kTooSoon, "wait for the rate limit"},
    {"NoNeuronIdAvailable", Refusal::kSubnetFull, "every uid is immune; try again later"},
    {"NotEnoughBalanceToStake", Refusal::kNotEnoughBalance, "add funds to the coldkey: registration costs more"},
    {"NotEnoughBalanceToPaySwapHotKey", Refusal::kNotEnoughBalance, "add funds to the coldkey"},
    {"RegistrationPriceLimitExceeded", Refusal::kOther, "the price rose above --limit-price; raise it or wait"},
    {"NonAssociatedColdKey", Refusal::kOther, "the hotkey belongs to another coldkey"},
    {"CannotUseSystemAccount", Refusal::kOther, "this account belongs to the chain itself; use a hotkey of your own"},
    {"InsufficientLiquidity", Refusal::kOther, "the subnet's pool is too small to pay through; wait until it has grown"},
    {"ReservesTooLow", Refusal::kOther, "the subnet's pool is too small to pay through; wait until it has grown"},
    {"NotEnoughStakeToSetWeights", Refusal::kStakeTooLow, "add stake to the hotkey: it is below the subnet's threshold"},
    {"SettingWeightsTooFast", Refusal::kTooSoon, "wait for the weights rate limit"},
    {"CommittingWeightsTooFast", Refusal::kTooSoon, "wait for the weights rate limit"},
    {"NeuronNoValidatorPermit", Refusal::kNoPermit,
     "only the permitted validators (most stake) may set weights for others; add stake and wait for the next epoch"},
    {"IncorrectWeightVersionKey", Refusal::kVersionTooOld, "update: the subnet wants a newer version key"},
    {"CanNotSetRootNetworkWeights", Refusal::kSubnetUnknown, "check --netuid: the root network takes no votes"},
    {"WeightVecNotEqualSize", Refusal::kOther, "uids and weights differ in number"},
    {"InputLengthsUnequal", Refusal::kOther, "uids and weights differ in number"},
    {"AdminActionProhibitedDuringWeightsWindow", Refusal::kTooSoon, "wait until the epoch is over"},
    {"WeightVecLengthIsLow", Refusal::kTooFewWeights, "give weights to more neurons"},
    {"MaxWeightExceeded", Refusal::kWeightTooLarge, "no single weight may be above the subnet's limit"},
    {"DuplicateUids", Refusal::kDuplicateUid, "each uid may appear once"},
    {"UidVecContainInvalidOne", Refusal::kUnknownUid, "read the metagraph again: a uid does not exist"},
    {"UidsLengthExceedUidsInSubNet", Refusal::kUnknownUid, "there are more weights than neurons"},
    {"InvalidIpAddress", Refusal::kBadAddress, "announce a public address: loopback and broadcast are refused"},
    {"InvalidIpType", Refusal::kBadAddress, "the ip type is 4 or 6"},
    {"InvalidPort", Refusal::kBadPort, "announce a port from 1 to 65535"},
    {"ServingRateLimitExceeded", Refusal::kTooSoon, "wait for the serving rate limit (usually 50 blocks)"},
    {"CommitRevealEnabled", Refusal::kCommitRevealOnly, "this subnet takes commits only; let the program commit and reveal"},
    {"CommitRevealDisabled", Refusal::kOther, "this subnet takes plain weights"},
    {"NoWeightsCommitFound", Refusal::kOther, "there is no commit to reveal: it expired or was revealed"},
    {"InvalidRevealCommitHashNotMatch", Refusal::kOther, "the reveal differs from the commit"},
    {"InvalidRevealRound", Refusal::kOther, "the timelock round lies in the past"},
    {"IncorrectCommitRevealVersion", Refusal::kOther, "the chain wants sealed votes of another version; update"},
    {"ExpiredWeightCommit", Refusal::kOther, "the reveal epoch has passed; commit again"},
    {"RevealTooEarly", Refusal::kTooSoon, "reveal in the next epoch"},
    {"TooManyUnrevealedCommits", Refusal::kTooSoon, "reveal earlier commits first"},
    {"TxRateLimitExceeded", Refusal::kTooSoon, "wait for the rate limit"},
    {"BadOrigin", Refusal::kOther, "this account may not make this call"},
    {"FundsUnavailable", Refusal::kNotEnoughBalance, "add funds to the account"},
    {"InsufficientBalance", Refusal::kNotEnoughBalance, "add funds to the account"},
};

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

// The number after "custom" in "Custom error: 11" or {"invalid":{"custom":11}}.
std::optional<int> custom_code(const std::string& text) {
  const auto at = text.find("custom");
  if (at == std::string::npos) return {};
  const auto digit = text.find_first_of("0123456789", at);
  if (digit == std::string::npos || digit > at + 24) return {};
  int code = 0;
  for (auto i = digit; i < text.size() && text[i] >= '0' && text[i] <= '9' && code < 1000; ++i) {
    code = code * 10 + (text[i] - '0');
  }
  return code;
}

}  // namespace

std::string TransactionRefusal::to_string() const {
  return name + ": " + advice + (detail.empty() ? "" : " (" + detail + ")");
}

TransactionRefusal refusal_from_rpc(const RpcError& error) {
  TransactionRefusal out;
  out.detail = error.message + (error.data.empty() ? "" : ": " + error.data);
  const std::string text = lower(out.detail);
  if (const auto code = custom_code(text)) {
    const auto known = std::find_if(std::begin(kCustom), std::end(kCustom), [&](const auto& c) { return c.code == *code; });
    out.name = "Custom(" + std::to_string(*code) + ")";
    out.advice = kNoAdvice;
    if (known != std::end(kCustom)) {
      out.name += std::string(" ") + known->name;
      out.advice = known->advice;
      out.refusal = known->refusal;
    }
    return out;
  }
  for (const auto& named : kNamed) {
    if (text.find(named.words) == std::string::npos && text.find(named.other_words) == std::string::npos) continue;
    out.name = named.name;
    out.advice = named.advice;
    out.may_retry = named.may_retry;
    if (out.name == "Payment") out.refusal = Refusal::kNotEnoughBalance;
    return out;
  }
  if (error.code == 1012 || text.find("temporarily banned") != std::string::npos) {
    out.name = "Banned";
    out.advice = "the node has seen this transaction fail; wait some minutes or use another node";
  } else if (error.code == 1013 || text.find("already imported") != std::string::npos) {
    out.name = "AlreadyImported";
    out.advice = "the same transaction is in the pool already: wait for it";
  } else if (error.code == 1014 || text.find("priority is too low") != std::string::npos) {
    out.name = "PriorityTooLow";
    out.advice = "a transaction with the same nonce is in the pool; wait for it or add a tip";
  } else {
    out.name = "InvalidTransaction";
    out.advice = kNoAdvice;
  }
  return out;
}

TransactionRefusal refusal_from_dispatch(const std::string& error_name) {
  TransactionRefusal out;
  out.name = error_name;
  out.advice = kNoAdvice;
  const auto dot = error_name.rfind('.');
  const std::string_view bare = std::string_view(error_name).substr(dot == std::string::npos ? 0 : dot + 1);
  for (const auto& known : kDispatch) {
    if (known.name != bare) continue;
    out.advice = known.advice;
    out.refusal = known.refusal;
    break;
  }
  return out;
}

}  // namespace brainlock::chain
