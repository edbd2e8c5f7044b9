#include "brainlock/chain/commit_reveal.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "brainlock/chain/subnet.hpp"
#include "brainlock/chain/timelocked_vote.hpp"
#include "brainlock/chain/wallet.hpp"
#include "brainlock/crypto/random.hpp"
#include "brainlock/scale_codec/encoder.hpp"
#include "epoch_clock.hpp"

namespace brainlock::chain {
namespace {

namespace fs = std::filesystem;
using ledger::Outcome;
using ledger::Refusal;
using nlohmann::json;

constexpr const char* kPallet = "SubtensorModule";
constexpr std::size_t kSaltWords = 8;
constexpr std::size_t kMaxFileBytes = 4 * 1024 * 1024;
constexpr std::size_t kMaxWeights = 65536;
constexpr std::chrono::seconds kGivenUpAfter{3600};

// An unrevealed commit as the chain holds it. Where the chain counts the epochs itself the blocks are estimates.
struct Window {
  enum class State { kEarly, kOpen, kOver };
  crypto::Hash256 hash{};
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  State state = State::kOpen;  ///< for a reveal that is sent now and applied in the next block
  bool in_blocks = true;
};

Window window_of(const EpochClock& clock, std::uint64_t now, std::uint64_t commit_epoch) {
  Window out;
  out.in_blocks = false;
  const std::uint64_t due = saturating_add(commit_epoch, clock.reveal_period);
  if (clock.index < due) {
    out.state = Window::State::kEarly;
    out.first = clock.start_of(due);
    out.last = saturating_add(out.first, clock.tempo > 0 ? clock.tempo - 1 : 0);
  } else {
    out.state = clock.index == due ? Window::State::kOpen : Window::State::kOver;
    out.first = now;
    out.last = clock.next_start > 0 ? clock.next_start - 1 : 0;
  }
  return out;
}

Window window_of(std::uint64_t now, std::uint64_t committed, std::uint64_t first, std::uint64_t last) {
  Window out;
  out.first = first;
  out.last = last;
  // Numbers that are no window in blocks say nothing: then the chain is asked, which refuses by name.
  if (first < committed || last < first) return out;
  const std::uint64_t applied = now + 1;
  out.state = applied < first ? Window::State::kEarly : applied > last ? Window::State::kOver : Window::State::kOpen;
  return out;
}

// The hotkey's unrevealed commits, oldest first, as the chain keeps them.
Result<std::vector<Window>> read_windows(ChainClient& client, const BlockView& view, std::uint16_t netuid,
                                         const crypto::AccountId& hotkey) {
  std::vector<ChainClient::Item> items{{"WeightCommits", {Value::number(netuid), Value::bytes(hotkey)}}};
  for (auto& item : clock_items(netuid)) items.push_back(std::move(item));
  BRAINLOCK_ASSIGN(const auto found, client.read_items(view, kPallet, items));
  if (!found[0]) return Error{ErrorCode::kUnsupported, "this runtime keeps no commits of hashes; a newer release is needed"};
  BRAINLOCK_ASSIGN(const auto clock, clock_from(found.data() + 1, view.number));
  std::vector<Window> out;
  if (found[0]->is_none()) return out;
  for (const auto& item : found[0]->inner().items()) {
    if (item.items().size() != 4) {
      return Error{ErrorCode::kUnsupported, "this runtime keeps commits in an unknown shape; a newer release is needed"};
    }
    BRAINLOCK_ASSIGN(const auto hash, item.items()[0].as_account());
    std::uint64_t numbers[3] = {};
    for (std::size_t i = 0; i < 3; ++i) {
      BRAINLOCK_ASSIGN(numbers[i], item.items()[i + 1].as_u64());
    }
    // (hash, epoch, block, unused) where epochs are counted, else (hash, block, first and last block of the reveal).
    Window window = clock ? window_of(*clock, view.number, numbers[0]) : window_of(view.number, numbers[0], numbers[1], numbers[2]);
    window.hash = hash;
    out.push_back(window);
  }
  return out;
}

const Window* find_window(const std::vector<Window>& windows, const crypto::Hash256& hash) {
  const auto found = std::find_if(windows.begin(), windows.end(), [&](const auto& w) { return w.hash == hash; });
  return found == windows.end() ? nullptr : &*found;
}

void encode_numbers(scale_codec::Encoder& out, const std::vector<std::uint16_t>& numbers) {
  out.compact(numbers.size());
  for (auto number : numbers) out.u16(number);
}

Result<std::vector<std::uint16_t>> numbers_of(const json& document, const char* name) {
  const auto field = document.find(name);
  if (field == document.end() || !field->is_array() || field->size() > kMaxWeights) {
    return Error{ErrorCode::kMalformed, std::string("pending commit has no list ") + name};
  }
  std::vector<std::uint16_t> out;
  for (const auto& item : *field) {
    if (!item.is_number_unsigned() || item.get<std::uint64_t>() > 65535) {
      return Error{ErrorCode::kMalformed, std::string("pending commit: ") + name + " holds something else than 16-bit numbers"};
    }
    out.push_back(item.get<std::uint16_t>());
  }
  return out;
}

Result<std::string> text_of(const json& document, const char* name) {
  const auto field = document.find(name);
  if (field == document.end() || !field->is_string()) {
    return Error{ErrorCode::kMalformed, std::string("pending commit has no text ") + name};
  }
  return field->get<std::string>();
}

}  // namespace

crypto::Hash256 PendingCommit::hash() const {
  scale_codec::Encoder out;
  out.raw(hotkey).u16(netuid);
  encode_numbers(out, uids);
  encode_numbers(out, values);
  encode_numbers(out, salt);
  out.u64(version_key);
  return crypto::blake2b_256(out.data());
}

std::string CommitStore::to_text(const PendingCommit& commit) {
  return json{{"format", "brainlock pending commit 1"},
              {"genesis", crypto::hex_encode_0x(commit.genesis)},
              {"netuid", commit.netuid},
              {"hotkey", crypto::ss58_encode(commit.hotkey)},
              {"uids", commit.uids},
              {"values", commit.values},
              {"salt", commit.salt},
              {"version_key", std::to_string(commit.version_key)},
              {"hash", crypto::hex_encode_0x(commit.hash())}}
      .dump(1);
}

Result<PendingCommit> CommitStore::from_text(std::string_view text) {
  if (text.size() > kMaxFileBytes) return Error{ErrorCode::kTooLarge, "pending commit is larger than 4 MiB"};
  const json document = json::parse(text, nullptr, false);
  if (!document.is_object()) return Error{ErrorCode::kMalformed, "pending commit is not a JSON object"};
  PendingCommit out;
  BRAINLOCK_ASSIGN(const auto format, text_of(document, "format"));
  if (format != "brainlock pending commit 1") return Error{ErrorCode::kUnsupported, "unknown form of pending commit"};
  BRAINLOCK_ASSIGN(const auto genesis, text_of(document, "genesis"));
  BRAINLOCK_ASSIGN(out.genesis, crypto::hex_decode_array<32>(genesis));
  BRAINLOCK_ASSIGN(const auto hotkey, text_of(document, "hotkey"));
  BRAINLOCK_ASSIGN(out.hotkey, crypto::ss58_decode(hotkey));
  const auto netuid = document.find("netuid");
  if (netuid == document.end() || !netuid->is_number_unsigned() || netuid->get<std::uint64_t>() > 65535) {
    return Error{ErrorCode::kMalformed, "pending commit has no netuid"};
  }
  out.netuid = netuid->get<std::uint16_t>();
  BRAINLOCK_ASSIGN(out.uids, numbers_of(document, "uids"));
  BRAINLOCK_ASSIGN(out.values, numbers_of(document, "values"));
  BRAINLOCK_ASSIGN(out.salt, numbers_of(document, "salt"));
  BRAINLOCK_ASSIGN(const auto version_key, text_of(document, "version_key"));
  if (version_key.empty() || version_key.size() > 20 ||
      !std::all_of(version_key.begin(), version_key.end(), [](char c) { return c >= '0' && c <= '9'; })) {
    return Error{ErrorCode::kMalformed, "pending commit has no version_key"};
  }
  for (char c : version_key) out.version_key = out.version_key * 10 + static_cast<std::uint64_t>(c - '0');
  BRAINLOCK_ASSIGN(const auto hash, text_of(document, "hash"));
  if (hash != crypto::hex_encode_0x(out.hash())) {
    return Error{ErrorCode::kCorrupted, "pending commit does not have the hash that it states"};
  }
  return out;
}

fs::path CommitStore::file_of(const PendingCommit& commit) const {
  return folder_ / (std::to_string(commit.netuid) + "-" + crypto::hex_encode(commit.hash()) + ".json");
}

Status CommitStore::save(const PendingCommit& commit) const {
  return write_private_file(file_of(commit), crypto::as_bytes(to_text(commit)), /*overwrite=*/true);
}

Status CommitStore::remove(const PendingCommit& commit) const {
  std::error_code error;
  fs::remove(file_of(commit), error);
  if (error) return Error{ErrorCode::kIo, "cannot remove " + file_of(commit).string() + ": " + error.message()};
  return {};
}

std::chrono::seconds CommitStore::age(const PendingCommit& commit) const {
  std::error_code error;
  const auto written = fs::last_write_time(file_of(commit), error);
  if (error) return std::chrono::seconds{0};
  return std::chrono::duration_cast<std::chrono::seconds>(fs::file_time_type::clock::now() - written);
}

Result<std::vector<PendingCommit>> CommitStore::load(const BlockHash& genesis, std::uint16_t netuid,
                                                     const crypto::AccountId& hotkey) const {
  std::vector<PendingCommit> out;
  std::error_code error;
  if (!fs::is_directory(folder_, error)) return out;
  for (const auto& entry : fs::directory_iterator(folder_, error)) {
    if (entry.path().extension() != ".json") continue;
    BRAINLOCK_ASSIGN(const auto bytes, read_secret_file(entry.path(), kMaxFileBytes));
    auto commit = from_text({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
    if (!commit.ok()) return commit.error().in(entry.path().string());
    if (commit->genesis == genesis && commit->netuid == netuid && commit->hotkey == hotkey) out.push_back(std::move(*commit));
  }
  if (error) return Error{ErrorCode::kIo, "cannot list " + folder_.string() + ": " + error.message()};
  return out;
}

Result<VoteScheme> vote_scheme(ChainClient& client, const BlockView& view, std::uint16_t netuid, bool can_seal) {
  const auto enabled = client.read(view, kPallet, "CommitRevealWeightsEnabled", {Value::number(netuid)});
  if (!enabled.ok()) {
    if (enabled.error().code == ErrorCode::kNotFound) return VoteScheme::kPlain;
    return enabled.error();
  }
  BRAINLOCK_ASSIGN(const bool on, enabled->as_bool());
  if (!on) return VoteScheme::kPlain;
  if (can_seal) {
    BRAINLOCK_ASSIGN(const auto obstacle, why_not_timelocked(client, view));
    if (obstacle.empty()) return VoteScheme::kTimelocked;
  }
  const bool hashes = has_call(*view.metadata, kPallet, "commit_weights") && has_call(*view.metadata, kPallet, "reveal_weights");
  return hashes ? VoteScheme::kHashCommit : VoteScheme::kUnsupported;
}

Result<std::string> read_vote_notice(ChainClient& client, const BlockView& view, std::uint16_t netuid, bool can_seal) {
  BRAINLOCK_ASSIGN(const auto scheme, vote_scheme(client, view, netuid, can_seal));
  std::string out = vote_notice(scheme);
  if (scheme == VoteScheme::kPlain || scheme == VoteScheme::kTimelocked || !has_call(*view.metadata, kPallet, "commit_timelocked_weights")) return out;
  BRAINLOCK_ASSIGN(auto obstacle, why_not_timelocked(client, view));
  if (obstacle.empty()) obstacle = "brainlock-pairing is not beside this program, or they were not wanted";
  out += " Timelocked votes (version 4), which the chain opens by itself, are not used: " + obstacle + ".";
  return out;
}

std::string vote_notice(VoteScheme scheme) {
  switch (scheme) {
    case VoteScheme::kPlain: return "Weights are set in the clear on this subnet.";
    case VoteScheme::kHashCommit:
      return "This subnet takes commits: votes go out as hashes (commit-reveal version 2) and are revealed one reveal period "
             "later. Keep the validator running, or start it again, within the reveal epoch; its pending votes are on disk.";
    case VoteScheme::kTimelocked:
      return "This subnet takes sealed votes (commit-reveal version 4): the chain opens them one reveal period later, by itself.";
    case VoteScheme::kUnsupported:
      return "This subnet takes timelocked votes only, and none can be made here: build brainlock-pairing (Go and CIRCL, see the documents) and put it "
             "beside this program, ask the subnet's owner to switch commit-reveal off, or set weights with another tool.";
  }
  return {};
}

Result<Outcome> commit_weights(ChainClient& client, const ledger::Signer& hotkey, std::uint16_t netuid,
                               std::span<const ledger::Weight> weights, std::uint64_t version_key,
                               const CommitStore& store) {
  BRAINLOCK_ASSIGN(const auto view, client.best());
  BRAINLOCK_ASSIGN(const auto graph, read_metagraph(client, view, netuid, false));
  Outcome judged = judge_vote(graph, hotkey.account(), weights, version_key);
  if (!judged.accepted()) return judged;
  PendingCommit commit;
  BRAINLOCK_ASSIGN(commit.genesis, client.genesis());
  commit.netuid = netuid;
  commit.hotkey = hotkey.account();
  commit.version_key = version_key;
  for (const auto& weight : weights) {
    commit.uids.push_back(weight.uid);
    commit.values.push_back(weight.value);
  }
  std::array<std::uint8_t, 2 * kSaltWords> salt{};
  crypto::random_bytes(salt);
  for (std::size_t i = 0; i < kSaltWords; ++i) {
    commit.salt.push_back(static_cast<std::uint16_t>(salt[2 * i] | salt[2 * i + 1] << 8));
  }
  const auto hash = commit.hash();
  BRAINLOCK_TRY(store.save(commit));
  const auto sent = client.submit(hotkey, kPallet, "commit_weights",
                                  {{"netuid", Value::number(netuid)}, {"commit_hash", Value::bytes(hash)}});
  if (!sent.ok()) return sent.error();  // The file stays: the commit may have arrived.
  Outcome out = outcome_of(*sent);
  out.uid = judged.uid;
  if (!out.accepted()) {
    BRAINLOCK_TRY(store.remove(commit));
    return out;
  }
  BRAINLOCK_ASSIGN(const auto after, client.at(sent->block));
  BRAINLOCK_ASSIGN(const auto windows, read_windows(client, after, netuid, hotkey.account()));
  const auto* window = find_window(windows, hash);
  if (window == nullptr) {
    return Error{ErrorCode::kInternal, "the commit is in block " + std::to_string(sent->block_number) +
                                           " but the chain does not show it"};
  }
  out.revealed_at_block = window->first;
  out.message = std::string("committed; to be revealed in blocks ") + (window->in_blocks ? "" : "of about ") +
                std::to_string(window->first) + " to " + std::to_string(window->last);
  return out;
}

Result<RevealReport> reveal_due(ChainClient& client, const ledger::Signer& hotkey, std::uint16_t netuid,
                                const CommitStore& store) {
  RevealReport report;
  BRAINLOCK_ASSIGN(const auto genesis, client.genesis());
  BRAINLOCK_ASSIGN(auto pending, store.load(genesis, netuid, hotkey.account()));
  if (pending.empty()) return report;
  {
    // Oldest first: the last reveal is the vote that counts, and each takes the commits before it off the chain's list.
    BRAINLOCK_ASSIGN(const auto view, client.best());
    BRAINLOCK_ASSIGN(const auto windows, read_windows(client, view, netuid, hotkey.account()));
    const auto place = [&](const PendingCommit& commit) {
      return std::find_if(windows.begin(), windows.end(), [hash = commit.hash()](const auto& w) { return w.hash == hash; });
    };
    std::stable_sort(pending.begin(), pending.end(), [&](const auto& a, const auto& b) { return place(a) < place(b); });
  }
  for (const auto& commit : pending) {
    BRAINLOCK_ASSIGN(const auto view, client.best());
    BRAINLOCK_ASSIGN(const auto windows, read_windows(client, view, netuid, hotkey.account()));
    const std::string name = "commit " + crypto::hex_encode(commit.hash()).substr(0, 8);
    const auto* window = find_window(windows, commit.hash());
    // A commit that was sent but not seen in a block may still arrive until its era ends.
    if (window == nullptr && store.age(commit) < kGivenUpAfter) {
      ++report.waiting;
      continue;
    }
    if (window == nullptr || window->state == Window::State::kOver) {
      report.messages.push_back(name + (window == nullptr ? " is not on the chain; dropped" : " was not revealed in time; dropped"));
      ++report.dropped;
      BRAINLOCK_TRY(store.remove(commit));
      continue;
    }
    if (window->state == Window::State::kEarly) {
      ++report.waiting;
      report.next_reveal_block = std::min(report.next_reveal_block.value_or(window->first), window->first);
      continue;
    }
    const Arguments arguments{{"netuid", Value::number(netuid)},
                              {"uids", Value::numbers(commit.uids)},
                              {"values", Value::numbers(commit.values)},
                              {"salt", Value::numbers(commit.salt)},
                              {"version_key", Value::number(commit.version_key)}};
    BRAINLOCK_ASSIGN(const auto sent, client.submit(hotkey, kPallet, "reveal_weights", arguments));
    if (sent.succeeded()) {
      // The chain takes a revealed commit off its list.
      BRAINLOCK_ASSIGN(const auto after, client.at(sent.block));
      BRAINLOCK_ASSIGN(const auto left, read_windows(client, after, netuid, hotkey.account()));
      if (find_window(left, commit.hash()) != nullptr) {
        ++report.waiting;
        report.messages.push_back(name + " is in block " + std::to_string(sent.block_number) + " but the chain still waits for it");
        continue;
      }
      ++report.revealed;
      report.messages.push_back(name + " revealed in block " + std::to_string(sent.block_number));
      BRAINLOCK_TRY(store.remove(commit));
    } else if (sent.refusal && (sent.refusal->name.ends_with("ExpiredWeightCommit") ||
                                sent.refusal->name.ends_with("NoWeightsCommitFound"))) {
      ++report.dropped;
      report.messages.push_back(name + ": " + sent.refusal->to_string());
      BRAINLOCK_TRY(store.remove(commit));
    } else {
      ++report.waiting;
      report.messages.push_back(name + ": " + (sent.refusal ? sent.refusal->to_string() : "not included"));
    }
  }
  return report;
}

}  // namespace brainlock::chain
