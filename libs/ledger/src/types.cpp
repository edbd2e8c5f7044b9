#include "brainlock/ledger/types.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

namespace brainlock::ledger {

const Neuron* Metagraph::find(const AccountId& hotkey) const {
  const auto found = std::find_if(neurons.begin(), neurons.end(), [&](const Neuron& n) { return n.hotkey == hotkey; });
  return found == neurons.end() ? nullptr : &*found;
}

std::vector<Uid> Metagraph::validators_by_rank() const {
  std::vector<Uid> uids;
  for (const Neuron& neuron : neurons) {
    if (neuron.validator_permit) uids.push_back(neuron.uid);
  }
  std::stable_sort(uids.begin(), uids.end(), [&](Uid a, Uid b) { return neurons[a].stake_rao > neurons[b].stake_rao; });
  return uids;
}

std::uint64_t Metagraph::blocks_until_weights_allowed(Uid uid) const {
  if (uid >= neurons.size() || neurons[uid].last_update == 0) return 0;
  const BlockNumber allowed = neurons[uid].last_update + parameters.weights_rate_limit;
  return allowed > block ? allowed - block : 0;
}

namespace {

bool parse_v4(const std::string& text, std::uint32_t& host_order) {
  in_addr address{};
  if (inet_pton(AF_INET, text.c_str(), &address) != 1) return false;
  host_order = ntohl(address.s_addr);
  return true;
}

bool in_range(std::uint32_t address, std::uint32_t network, int prefix) {
  const std::uint32_t mask = ~std::uint32_t{0} << (32 - prefix);
  return (address & mask) == (network & mask);
}

bool is_non_public_v4(std::uint32_t a) {
  // The special-purpose registry of RFC 6890, with multicast and the reserved top.
  static constexpr struct {
    std::uint32_t network;
    int prefix;
  } kRanges[] = {
      {0x00000000, 8},  {0x0a000000, 8},  {0x64400000, 10}, {0x7f000000, 8},  {0xa9fe0000, 16},
      {0xac100000, 12}, {0xc0000000, 24}, {0xc0000200, 24}, {0xc0a80000, 16}, {0xc6120000, 15},
      {0xc6336400, 24}, {0xcb007100, 24}, {0xe0000000, 4},  {0xf0000000, 4},
  };
  return std::any_of(std::begin(kRanges), std::end(kRanges),
                     [a](const auto& range) { return in_range(a, range.network, range.prefix); });
}

}  // namespace

Result<std::string> canonical_ip(std::string_view text) {
  const std::string copy(text.substr(0, INET6_ADDRSTRLEN));
  char out[INET6_ADDRSTRLEN] = {};
  in_addr v4{};
  in6_addr v6{};
  if (text.size() < INET6_ADDRSTRLEN && copy.find('\0') == std::string::npos) {
    if (inet_pton(AF_INET, copy.c_str(), &v4) == 1 && inet_ntop(AF_INET, &v4, out, sizeof out) != nullptr) {
      return std::string(out);
    }
    if (inet_pton(AF_INET6, copy.c_str(), &v6) == 1 && inet_ntop(AF_INET6, &v6, out, sizeof out) != nullptr) {
      return std::string(out);
    }
  }
  return Error{ErrorCode::kInvalidArgument, "expected an IPv4 or IPv6 address, got \"" + copy + "\""};
}

bool is_non_public_ip(std::string_view text) {
  const auto canonical = canonical_ip(text);
  if (!canonical.ok()) return true;
  std::uint32_t v4 = 0;
  if (parse_v4(*canonical, v4)) return is_non_public_v4(v4);
  in6_addr address{};
  if (inet_pton(AF_INET6, canonical->c_str(), &address) != 1) return true;
  const std::uint8_t* b = address.s6_addr;
  static constexpr std::uint8_t kZeros[12] = {};
  static constexpr std::uint8_t kMapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  static constexpr std::uint8_t kNat64[12] = {0, 0x64, 0xff, 0x9b};
  // Forms that carry an IPv4 address are as public as that address.
  if (std::memcmp(b, kMapped, 12) == 0 || std::memcmp(b, kNat64, 12) == 0) {
    return is_non_public_v4((static_cast<std::uint32_t>(b[12]) << 24) | (static_cast<std::uint32_t>(b[13]) << 16) |
                            (static_cast<std::uint32_t>(b[14]) << 8) | b[15]);
  }
  if (b[0] == 0x20 && b[1] == 0x02) {  // 6to4
    return is_non_public_v4((static_cast<std::uint32_t>(b[2]) << 24) | (static_cast<std::uint32_t>(b[3]) << 16) |
                            (static_cast<std::uint32_t>(b[4]) << 8) | b[5]);
  }
  if (std::memcmp(b, kZeros, 12) == 0) return true;                               // ::, ::1, old v4-compatible
  if ((b[0] & 0xe0) != 0x20) return true;                                         // only 2000::/3 is global unicast
  if (b[0] == 0x20 && b[1] == 0x01 && (b[2] & 0xfe) == 0) return true;            // 2001::/23 protocol assignments
  if (b[0] == 0x20 && b[1] == 0x01 && b[2] == 0x0d && b[3] == 0xb8) return true;  // documentation
  return false;
}

Result<std::vector<Weight>> quantise_weights(std::span<const double> scores) {
  if (scores.size() > 65536) {
    return Error{ErrorCode::kInvalidArgument, "expected at most 65536 scores, got " + std::to_string(scores.size())};
  }
  double largest = 0.0;
  for (std::size_t i = 0; i < scores.size(); ++i) {
    if (!std::isfinite(scores[i]) || scores[i] < 0.0) {
      return Error{ErrorCode::kInvalidArgument, "score of uid " + std::to_string(i) +
                                                    ": expected a finite number of at least 0, got " +
                                                    std::to_string(scores[i])};
    }
    largest = std::max(largest, scores[i]);
  }
  std::vector<Weight> weights;
  if (largest == 0.0) return weights;
  for (std::size_t i = 0; i < scores.size(); ++i) {
    const double value = std::nearbyint(scores[i] / largest * 65535.0);  // half to even in the default mode
    if (value > 0.0) weights.push_back({static_cast<Uid>(i), static_cast<std::uint16_t>(value)});
  }
  return weights;
}

namespace {

/// Cuts the largest to a common value c that is at most `limit` of the sum of all.
void cut_to_limit(std::vector<Weight>& weights, double limit) {
  std::vector<double> sorted;
  for (const Weight& weight : weights) sorted.push_back(weight.value);
  std::sort(sorted.rbegin(), sorted.rend());
  double rest = std::accumulate(sorted.begin(), sorted.end(), 0.0);
  if (sorted[0] <= limit * rest || static_cast<double>(sorted.size()) * limit < 1) return;
  // With the k largest cut: c = limit (k c + rest).
  double cut = sorted[0];
  for (std::size_t k = 1; k <= sorted.size(); ++k) {
    rest -= sorted[k - 1];
    cut = static_cast<double>(k) * limit < 1 ? limit * rest / (1 - static_cast<double>(k) * limit) : sorted[k - 1];
    if (k == sorted.size() || sorted[k] <= cut) break;
  }
  // Rounded up, so that no share grows.
  for (Weight& weight : weights) weight.value = static_cast<std::uint16_t>(std::min(65535.0, std::ceil(weight.value / cut * 65535)));
}

}  // namespace

std::vector<Weight> fit_vote(std::vector<Weight> weights, const Metagraph& metagraph, Uid self) {
  if (weights.empty()) return weights;
  const std::size_t least = std::min<std::size_t>(metagraph.parameters.min_allowed_weights, metagraph.neurons.size());
  std::vector<bool> named(metagraph.neurons.size());
  for (const Weight& weight : weights) {
    if (weight.uid < named.size()) named[weight.uid] = true;
  }
  for (const bool serving : {true, false}) {
    for (const Neuron& neuron : metagraph.neurons) {
      if (weights.size() >= least) break;
      if (neuron.uid == self || named[neuron.uid] || neuron.axon.has_value() != serving) continue;
      weights.push_back({neuron.uid, 1});
    }
  }
  std::sort(weights.begin(), weights.end(), [](const Weight& a, const Weight& b) { return a.uid < b.uid; });
  if (metagraph.parameters.max_weights_limit < 65535) cut_to_limit(weights, metagraph.parameters.max_weights_limit / 65535.0);
  return weights;
}

}  // namespace brainlock::ledger
