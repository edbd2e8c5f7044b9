// One exchange class a route that takes a body; everything else is answered in begin().
#include "brainlock/miner/service.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <list>
#include <map>

#include "arrivals.hpp"
#include "brainlock/miner/browser_access.hpp"
#include "brainlock/net/peer.hpp"
#include "brainlock/net/rate_limiter.hpp"
#include "brainlock/protocol/nonce_memory.hpp"
#include "brainlock/protocol/tls_proof.hpp"
#include "loaded_key_cache.hpp"
#include "metrics.hpp"

namespace brainlock::miner {
namespace {

using protocol::Refusal;
using protocol::RouteKind;
using Clock = std::chrono::steady_clock;

constexpr double kAddressesOfANetwork = 8;   // a network may ask as often as so many addresses
constexpr std::string_view kJson = "application/json";
constexpr std::string_view kBinary = "application/octet-stream";

/// Of each kind of refusal so many are told of at once, and one more each second: strangers choose how often they are refused, and a log has an end.
constexpr double kToldPerS = 1, kToldAtOnce = 50;

std::string milliseconds(double seconds) { return std::to_string(static_cast<long long>(seconds * 1000)); }

class ServiceImpl final : public Service, public std::enable_shared_from_this<ServiceImpl> {
 public:
  ServiceImpl(ServiceParts parts, const ServiceOptions& options)
      : parts_(std::move(parts)),
        options_(options),
        address_rate_(options.requests_per_s_per_address, 2 * options.requests_per_s_per_address),
        network_rate_(kAddressesOfANetwork * options.requests_per_s_per_address, 2 * kAddressesOfANetwork * options.requests_per_s_per_address),
        offers_(parts_.engine->offers()),
        loaded_(options.loaded_key_sets, *parts_.engine),
        arrivals_(options.queue, options.first_in_slot),
        queue_(options.queue) {}

  std::variant<net::Response, std::unique_ptr<net::Exchange>> begin(const net::RequestHead& request) override;
  bool drain(std::int64_t timeout_ms) override {
    draining_ = true;
    const bool finished = queue_.drain(timeout_ms);
    if (parts_.fence) (void)parts_.fence->settle();  // a failure is logged, and costs the next start a moment
    return finished;
  }
  std::string metrics(const net::ServerCounters* server) const override {
    const auto [sets, bytes] = loaded_.held();
    Metrics::Snapshot now{queue_.load(), parts_.keys->totals(), sets, bytes, options_.version};
    for (const auto& device : parts_.engine->devices()) ++(device.lost ? now.lost_devices : now.working_devices);
    return metrics_.text(now, server);
  }

 private:
  /// What every exchange knows about its request.
  struct Context {
    std::shared_ptr<ServiceImpl> service;
    protocol::Route route;
    protocol::Head head;
    bool validator = false;
    std::optional<std::uint64_t> slot;
  };
  class BodyExchange;
  class InferExchange;
  class KeyPartExchange;
  class KeyStateExchange;

  struct Progress {
    std::atomic<FairQueue::Ticket> ticket{0};
    std::atomic<int> state{0};             // 0 queued, 1 running
    std::atomic<double> fraction{0};
    std::mutex mutex;
    std::string layer;
  };

  net::Response signed_answer(const protocol::Route& route, const protocol::Head& head, int status, std::string_view type, Bytes body) {
    metrics_.request(protocol::route_name(route.kind), "ok");
    return sign(head, status, type, std::move(body));
  }
  net::Response sign(const protocol::Head& head, int status, std::string_view type, Bytes body) const {
    protocol::BodyHasher hasher;
    hasher.update(body);
    auto headers = protocol::sign_answer(parts_.self, head, status, hasher.finish(), parts_.wall_clock_ms());
    if (!headers.ok()) return {500, std::string(kJson), {}, net::text_bytes(protocol::refusal_body(Refusal::kInternal, "cannot sign"))};
    return {status, std::string(type), std::move(*headers), std::move(body)};
  }
  /// `head` null: the sender is not known, the refusal stays unsigned.
  net::Response refuse(std::string_view route, Refusal refusal, std::string_view message, const protocol::Head* head = nullptr) {
    metrics_.request(route, protocol::refusal_name(refusal));
    // A flood is counted, and told of only to who wants to know everything.
    const bool told = refusal != Refusal::kRateLimited && told_.allow(std::string(protocol::refusal_name(refusal)));
    net::log_event(parts_.log, told ? net::EventLevel::kInfo : net::EventLevel::kDebug, "refused", {{"route", std::string(route)},
                                          {"refusal", std::string(protocol::refusal_name(refusal))},
                                          {"message", std::string(message)},
                                          {"sender", head == nullptr ? std::string() : crypto::ss58_encode(head->sender)}});
    Bytes body = net::text_bytes(protocol::refusal_body(refusal, message));
    const int status = protocol::refusal_http_status(refusal);
    if (head != nullptr) return sign(*head, status, kJson, std::move(body));
    return {status, std::string(kJson), {}, std::move(body)};
  }
  net::Response refuse(const Context& context, Refusal refusal, std::string_view message) {
    return refuse(protocol::route_name(context.route.kind), refusal, message, &context.head);
  }

  /// Whether one more question of the slot's validator goes before others'; goes_first() takes the place.
  bool may_go_first(std::uint64_t slot) {
    const std::lock_guard lock(first_mutex_);
    return (first_slot_ == slot ? first_taken_ : 0) < options_.first_in_slot;
  }
  bool goes_first(std::uint64_t slot) {
    const std::lock_guard lock(first_mutex_);
    if (first_slot_ != slot) {
      first_slot_ = slot;
      first_taken_ = 0;
    }
    if (first_taken_ >= options_.first_in_slot) return false;
    ++first_taken_;
    return true;
  }

  struct Objection {
    Refusal refusal = Refusal::kNone;
    std::string message;
  };
  /// Whether the request was taken before, by this run or an earlier one; if not, it is noted.
  Objection judge_replay(const protocol::Head& head, bool validator, std::int64_t now_ms) {
    if (parts_.fence && head.timestamp_ms <= parts_.fence->earlier_ms(head.sender)) {
      const std::int64_t until_ms = parts_.fence->earlier_ms(head.sender), wait_ms = until_ms - now_ms;
      return {Refusal::kStarting, "signed at " + std::to_string(head.timestamp_ms) + "; what was signed up to " + std::to_string(until_ms) +
                                      " may have been taken before this server was started; sign it anew" +
                                      (wait_ms < 0 ? std::string() : " in " + std::to_string(wait_ms + 1) + " ms")};
    }
    switch (nonces_.remember(head.sender, head.uuid, head.timestamp_ms + options_.window_ms, now_ms, !validator)) {
      case protocol::NonceVerdict::kReplayed: return {Refusal::kReplayed, ""};
      case protocol::NonceVerdict::kFull: return {Refusal::kNonceMemoryFull, ""};
      case protocol::NonceVerdict::kFresh: break;
    }
    if (!parts_.fence) return {};
    const Status covered = parts_.fence->cover(head.sender, head.timestamp_ms, now_ms, validator);
    if (!covered.ok() && covered.error().code == ErrorCode::kDenied) return {Refusal::kFromTheFuture, covered.error().message};
    if (!covered.ok()) return {protocol::refusal_of(covered.error().code), "cannot write down that requests are taken"};
    return {};
  }

  [[nodiscard]] const protocol::TaskOffer* offer(const protocol::ContentId& package) const {
    const auto it = std::find_if(offers_.begin(), offers_.end(), [&](const auto& o) { return o.package == package; });
    return it == offers_.end() ? nullptr : &*it;
  }
  /// Ordinary users share one line.
  static protocol::AccountId line_of(const Context& context) { return context.validator ? context.head.sender : protocol::AccountId{}; }
  static KeyName key_name(const Context& context) { return {context.head.sender, context.route.package, context.route.key}; }

  net::Response answer_status(const protocol::Head* head) {
    const auto load = queue_.load();
    protocol::MinerStatus status;
    status.version = options_.version;
    status.hotkey = crypto::ss58_encode(parts_.self.account);
    status.time_ms = parts_.wall_clock_ms();
    status.running = static_cast<std::uint32_t>(load.running);
    status.queued = static_cast<std::uint32_t>(load.queued);
    status.queue_limit = static_cast<std::uint32_t>(options_.queue.total);
    status.key_part_bytes = options_.key_part_bytes;
    status.tasks = offers_;
    Bytes body = net::text_bytes(protocol::status_json(status));
    if (head != nullptr) return signed_answer({}, *head, 200, kJson, std::move(body));
    metrics_.request("status", "ok");
    return {200, std::string(kJson), {}, std::move(body)};
  }
  net::Response answer_progress(const Context& context);
  void answer_key_state(const Context& context, net::Respond respond);
  net::Response run(const Context& context, const Bytes& question, Progress& progress, Clock::time_point queued_at, const std::stop_token& stop);

  ServiceParts parts_;
  const ServiceOptions options_;
  Metrics metrics_;
  net::RateLimiter address_rate_, network_rate_, told_{kToldPerS, kToldAtOnce};
  const std::vector<protocol::TaskOffer> offers_;
  LoadedKeyCache loaded_;
  Arrivals arrivals_;
  protocol::NonceMemory nonces_;
  std::atomic<bool> draining_{false};
  std::mutex first_mutex_;
  std::uint64_t first_slot_ = 0;
  unsigned first_taken_ = 0;   ///< in that slot
  std::mutex progress_mutex_;
  std::map<std::pair<protocol::AccountId, std::string>, std::weak_ptr<Progress>> progress_;
  // Last: their threads use all of the above.
  FairQueue finisher_{{.total = 16, .per_asker = 2, .workers = 1}};
  FairQueue queue_;
};

/// Takes a body, hashes it, and compares the hash with the signed one before anything is done with it.
class ServiceImpl::BodyExchange : public net::Exchange {
 public:
  explicit BodyExchange(Context context) : context_(std::move(context)) {}
  std::optional<net::Response> body(std::span<const std::uint8_t> bytes) override {
    hasher_.update(bytes);
    const Status taken = take(bytes);
    if (taken.ok()) return std::nullopt;
    return context_.service->refuse(context_, protocol::refusal_of(taken.error().code), taken.error().message);
  }
  void complete(net::Respond respond) override {
    if (hasher_.finish() != context_.head.body) return respond(context_.service->refuse(context_, Refusal::kBodyMismatch, ""));
    proved(std::move(respond));
  }
  bool ordinary() const override { return !context_.validator; }

 protected:
  virtual Status take(std::span<const std::uint8_t> bytes) = 0;
  virtual void proved(net::Respond respond) = 0;
  Context context_;

 private:
  protocol::BodyHasher hasher_;
};

class ServiceImpl::InferExchange final : public BodyExchange {
 public:
  InferExchange(Context context, std::uint64_t size, Arrivals::Place place) : BodyExchange(std::move(context)), place_(std::move(place)) { question_->reserve(size); }

  void cancelled() override {
    gone_ = true;
    if (const auto ticket = progress_->ticket.load(); ticket != 0) context_.service->queue_.cancel(ticket);
  }

 private:
  Status take(std::span<const std::uint8_t> bytes) override {
    question_->insert(question_->end(), bytes.begin(), bytes.end());
    return {};
  }

  void proved(net::Respond respond) override {
    ServiceImpl& service = *context_.service;
    place_.reset();
    {
      const std::lock_guard lock(service.progress_mutex_);
      std::erase_if(service.progress_, [](const auto& entry) { return entry.second.expired(); });
      service.progress_[{context_.head.sender, context_.head.uuid}] = progress_;
    }
    // The job must outlive this exchange and must not keep the service alive beyond its queue: the queue is a member.
    auto job = [service = &service, context = Context{{}, context_.route, context_.head, context_.validator, context_.slot}, question = question_,
                progress = progress_, respond, queued_at = Clock::now()](const std::stop_token& stop) {
      respond(service->run(context, *question, *progress, queued_at, stop));
    };
    const auto ticket = context_.slot && service.goes_first(*context_.slot) ? service.queue_.push_first(std::move(job))
                                                                           : service.queue_.push(line_of(context_), std::move(job));
    if (!ticket) return respond(service.refuse(context_, service.draining_ ? Refusal::kShuttingDown : Refusal::kQueueFull, ""));
    progress_->ticket = *ticket;
    if (gone_) service.queue_.cancel(*ticket);
  }

  std::optional<Arrivals::Place> place_;
  std::shared_ptr<Bytes> question_ = std::make_shared<Bytes>();
  std::shared_ptr<Progress> progress_ = std::make_shared<Progress>();
  std::atomic<bool> gone_{false};
};

/// Writes one part of a key file; the last one has the whole file checked before it is answered.
class ServiceImpl::KeyPartExchange final : public BodyExchange {
 public:
  KeyPartExchange(Context context, std::unique_ptr<KeyRegistry::Part> part) : BodyExchange(std::move(context)), part_(std::move(part)) {}

 private:
  Status take(std::span<const std::uint8_t> bytes) override { return part_->write(bytes); }
  void proved(net::Respond respond) override {
    ServiceImpl& service = *context_.service;
    const auto state = part_->commit(service.parts_.wall_clock_ms());
    part_.reset();
    if (!state.ok()) return respond(service.refuse(context_, protocol::refusal_of(state.error().code), state.error().message));
    service.answer_key_state(context_, std::move(respond));
  }
  std::unique_ptr<KeyRegistry::Part> part_;
};

class ServiceImpl::KeyStateExchange final : public BodyExchange {
 public:
  using BodyExchange::BodyExchange;

 private:
  Status take(std::span<const std::uint8_t>) override { return {ErrorCode::kTooLarge, "this path takes no body"}; }
  void proved(net::Respond respond) override { context_.service->answer_key_state(context_, std::move(respond)); }
};

void ServiceImpl::answer_key_state(const Context& context, net::Respond respond) {
  const KeyName name = key_name(context);
  const auto answer = [this, context_head = context.head, route = context.route](const protocol::KeyState& state) {
    return signed_answer(route, context_head, 200, kJson, net::text_bytes(protocol::key_state_json(state)));
  };
  const auto state = parts_.keys->state(name);
  const auto* task = offer(name.package);
  if (state.complete || task == nullptr || state.received_bytes < task->key_bytes) return respond(answer(state));
  // Everything is there but unchecked. The check reads hundreds of megabytes: not on the server's threads.
  Context plain = context;
  plain.service = nullptr;
  const auto pushed = finisher_.push(line_of(context), [this, name, plain, respond, answer](const std::stop_token&) {
    const auto check = [&](const std::filesystem::path& file) -> Status {
      const auto keys = loaded_.get(name, plain.validator, file);
      return keys.ok() ? Status{} : Status(keys.error());
    };
    const Status finished = parts_.keys->finish(name, check, parts_.wall_clock_ms());
    if (finished.ok()) {
      net::log_event(parts_.log, "key_complete", {{"owner", crypto::ss58_encode(name.owner)}, {"key", protocol::content_id_text(name.key)}});
      return respond(answer(parts_.keys->state(name)));
    }
    loaded_.drop(name);
    respond(refuse(plain, protocol::refusal_of(finished.error().code), finished.error().message));
  });
  if (!pushed) respond(refuse(context, Refusal::kQueueFull, "too many keys are being checked"));
}

/// On a worker of the queue.
net::Response ServiceImpl::run(const Context& context, const Bytes& question, Progress& progress, Clock::time_point queued_at,
                               const std::stop_token& stop) {
  const auto begun = Clock::now();
  progress.state = 1;
  const KeyName name = key_name(context);
  const auto file = parts_.keys->use(name, context.validator, parts_.wall_clock_ms());
  if (!file.ok()) return refuse(context, Refusal::kUnknownKey, "");
  const auto keys = loaded_.get(name, context.validator, *file);
  if (!keys.ok()) {
    if (!is_of_this_machine(keys.error().code)) parts_.keys->forget(name);
    return refuse(context, protocol::refusal_of(keys.error().code), keys.error().message);
  }
  JobControl control;
  control.stop = stop;
  control.progress = [&progress](double fraction, const std::string& layer) {
    progress.fraction = fraction;
    const std::lock_guard lock(progress.mutex);
    progress.layer = layer;
  };
  auto result = parts_.engine->infer(name.package, **keys, question, control);
  const double compute_s = std::chrono::duration<double>(Clock::now() - begun).count();
  if (!result.ok()) return refuse(context, protocol::refusal_of(result.error().code), result.error().message);
  const double wait_s = std::chrono::duration<double>(begun - queued_at).count();
  metrics_.computed(wait_s, compute_s);
  net::log_event(parts_.log, "answered", {{"sender", crypto::ss58_encode(context.head.sender)},
                                         {"uuid", context.head.uuid},
                                         {"wait_ms", milliseconds(wait_s)},
                                         {"compute_ms", milliseconds(compute_s)}});
  return signed_answer(context.route, context.head, 200, kBinary, std::move(*result));
}

net::Response ServiceImpl::answer_progress(const Context& context) {
  std::shared_ptr<Progress> progress;
  {
    const std::lock_guard lock(progress_mutex_);
    const auto it = progress_.find({context.head.sender, context.route.uuid});
    if (it != progress_.end()) progress = it->second.lock();
  }
  protocol::ProgressReport report;
  if (!progress) {
    report = {"done", 0, 1.0, ""};  // or never heard of: the asker knows which
  } else {
    const bool running = progress->state == 1;
    report.state = running ? "running" : "queued";
    report.ahead = running ? 0 : static_cast<std::uint32_t>(queue_.ahead(progress->ticket));
    report.fraction = std::clamp(progress->fraction.load(), 0.0, 1.0);
    const std::lock_guard lock(progress->mutex);
    report.layer = progress->layer.substr(0, 200);
  }
  return signed_answer(context.route, context.head, 200, kJson, net::text_bytes(protocol::progress_json(report)));
}

std::variant<net::Response, std::unique_ptr<net::Exchange>> ServiceImpl::begin(const net::RequestHead& request) {
  const net::Peer peer = net::peer_of(request.peer_ip);
  if (!address_rate_.allow(peer.address) || !network_rate_.allow(peer.network)) {
    net::Response enough = refuse("any", Refusal::kRateLimited, "");
    enough.close = true;   // on a kept connection it could go on as fast as the line carries
    return enough;
  }
  const auto route = protocol::parse_route(request.method, request.target);
  // Browsers ask before a page's request whether it may be sent: unsigned, and nothing is looked up for it.
  if (route.refusal == Refusal::kMethodNotAllowed) {
    if (auto preflight = request.content_length == 0 ? answer_preflight(request) : std::nullopt) {
      metrics_.request("preflight", "ok");
      return std::move(*preflight);
    }
  }
  if (route.refusal != Refusal::kNone) return refuse("unknown", route.refusal, "");
  const std::string_view name = protocol::route_name(route.route.kind);
  const std::int64_t now_ms = parts_.wall_clock_ms();

  // Anybody may read the status; who signs the question gets a signed answer.
  if (route.route.kind == RouteKind::kStatus) {
    if (request.content_length != 0) return refuse(name, Refusal::kTooLarge, "");
    int signatures = 0;
    protocol::header_value(request.headers, "Epistula-Request-Signature", &signatures);
    if (signatures == 0) return answer_status(nullptr);
  }
  const auto verdict = protocol::check_head({parts_.self.account, options_.window_ms, true}, request.headers, request.method, request.target, now_ms);
  if (verdict.refusal != Refusal::kNone) return refuse(name, verdict.refusal, verdict.message);
  const protocol::Head& head = verdict.head;
  if (route.route.kind == RouteKind::kStatus) return answer_status(&head);

  const Admission admission = parts_.access->admit(head.sender);
  if (admission.refusal != Refusal::kNone) return refuse(name, admission.refusal, "", &head);
  if (draining_) return refuse(name, Refusal::kShuttingDown, "", &head);
  if (const Objection objection = judge_replay(head, admission.validator, now_ms); objection.refusal != Refusal::kNone) {
    return refuse(name, objection.refusal, objection.message, &head);
  }

  Context context{shared_from_this(), route.route, head, admission.validator, admission.slot};
  if (route.route.kind == RouteKind::kProgress) {
    if (request.content_length != 0) return refuse(context, Refusal::kTooLarge, "");
    return answer_progress(context);
  }
  const protocol::TaskOffer* task = offer(route.route.package);
  if (task == nullptr) return refuse(context, Refusal::kUnknownPackage, "");
  switch (route.route.kind) {
    case RouteKind::kKeyState:
      if (request.content_length != 0) return refuse(context, Refusal::kTooLarge, "");
      return std::make_unique<KeyStateExchange>(std::move(context));
    case RouteKind::kKeyPart: {
      if (request.content_length == 0) return refuse(context, Refusal::kLengthRequired, "");
      if (request.content_length > options_.key_part_bytes) return refuse(context, Refusal::kTooLarge, "at most " + std::to_string(options_.key_part_bytes) + " bytes at a time");
      if (route.route.total != task->key_bytes) return refuse(context, Refusal::kMismatch, "a key of this package has " + std::to_string(task->key_bytes) + " bytes");
      if (route.route.offset > route.route.total) return refuse(context, Refusal::kMalformed, "");
      parts_.keys->expire(now_ms);
      KeyRegistry::Refused refused;
      auto part = parts_.keys->begin_part(key_name(context), context.validator, route.route.offset, request.content_length, route.route.total, now_ms, refused);
      if (!part) return refuse(context, refused.refusal, refused.message);
      return std::make_unique<KeyPartExchange>(std::move(context), std::move(part));
    }
    case RouteKind::kInfer: {
      if (request.content_length == 0) return refuse(context, Refusal::kLengthRequired, "");
      if (request.content_length > task->max_question_bytes) return refuse(context, Refusal::kTooLarge, "a question has at most " + std::to_string(task->max_question_bytes) + " bytes");
      if (!parts_.keys->state(key_name(context)).complete) return refuse(context, Refusal::kUnknownKey, "");
      const bool first = context.slot && may_go_first(*context.slot);
      if (!first && !queue_.has_room(line_of(context))) return refuse(context, Refusal::kQueueFull, "");
      auto place = arrivals_.enter(line_of(context), first);
      if (!place) return refuse(context, Refusal::kQueueFull, "too many questions are on their way");
      return std::make_unique<InferExchange>(std::move(context), request.content_length, std::move(*place));
    }
    default: return refuse(context, Refusal::kNoSuchRoute, "");
  }
}

}  // namespace

Result<net::TlsIdentity> make_server_tls(const protocol::Signer& self) {
  return net::make_tls_identity([&self](const net::TlsKeyHash& key) { return protocol::make_tls_proof(self, key); });
}

std::shared_ptr<Service> Service::make(ServiceParts parts, const ServiceOptions& options) {
  return std::make_shared<ServiceImpl>(std::move(parts), options);
}

}  // namespace brainlock::miner
