#include "brainlock/client_page/page.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

#include "brainlock/crypto/bytes.hpp"
#include "brainlock/crypto/random.hpp"
#include "brainlock/net/server.hpp"
#include "desk.hpp"
#include "page_text.hpp"

namespace brainlock::client_page {
namespace {

using nlohmann::json;

constexpr std::string_view kTokenHeader = "x-brainlock-token", kProofHeader = "X-Brainlock-Proof", kAnswers = "/api/answers/", kSynthetic = "/api/synthetic/";

std::string make_token() {
  std::uint8_t bytes[16];
  crypto::random_bytes(bytes);
  return crypto::hex_encode(bytes);
}

/// Of the one header of this name; empty where there is none, or more than one.
std::string_view only_header(const net::RequestHead& head, std::string_view name) {
  std::string_view found;
  int count = 0;
  for (const auto& [key, value] : head.headers) {
    if (!std::equal(key.begin(), key.end(), name.begin(), name.end(), [](char a, char b) { return (a | 0x20) == (b | 0x20); })) continue;
    found = value;
    ++count;
  }
  return count == 1 ? found : std::string_view();
}

std::optional<std::uint64_t> number_after(std::string_view target, std::string_view prefix) {
  if (!target.starts_with(prefix)) return std::nullopt;
  const std::string_view digits = target.substr(prefix.size());
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return value;
}

net::Response json_response(const json& body, int status = 200) {
  return {status, "application/json", {{"Cache-Control", "no-store"}, {"X-Content-Type-Options", "nosniff"}}, net::text_bytes(body.dump(-1, ' ', false, json::error_handler_t::replace))};
}
net::Response refusal(int status, const std::string& why) { return json_response({{"error", why}}, status); }

/// Numbers that JSON has: others are null.
json numbers(const std::vector<double>& values) {
  json out = json::array();
  for (const double value : values) out.push_back(std::isfinite(value) ? json(value) : json());
  return out;
}

class Application final : public net::Application {
 public:
  Application(const PageOptions& options, Desk& desk) : options_(options), desk_(desk), token_(make_token()), proof_(make_token()) {}

  void set_port(std::uint16_t port) {
    hosts_ = {"127.0.0.1:" + std::to_string(port), "localhost:" + std::to_string(port)};
    port_.store(port, std::memory_order_release);
  }
  /// What the page knows from its address: the token that it shows us, and the one that we show it.
  std::string fragment() const { return token_ + proof_; }

  std::variant<net::Response, std::unique_ptr<net::Exchange>> begin(const net::RequestHead& head) override {
    // Before the server has said its port nobody can know it.
    if (port_.load(std::memory_order_acquire) == 0) return refusal(503, "not ready");
    const std::string_view host = only_header(head, "host");
    // A name of another site that leads here (DNS rebinding) is not ours.
    if (host != hosts_[0] && host != hosts_[1]) return refusal(403, "this page is at " + hosts_[0]);
    if (head.target == "/") {
      if (head.method != "GET" || head.content_length != 0) return refusal(405, "GET only");
      return net::Response{200, "text/html; charset=utf-8",
                           {{"Content-Security-Policy", "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'; img-src data: blob:; frame-ancestors 'none'"},
                            {"X-Content-Type-Options", "nosniff"}, {"Referrer-Policy", "no-referrer"}, {"Cache-Control", "no-store"}},
                           net::text_bytes(page_text())};
    }
    const std::string_view given = only_header(head, kTokenHeader);
    if (!crypto::equal_constant_time(crypto::as_bytes(given), crypto::as_bytes(token_))) return refusal(403, "the token is missing or wrong: open the address that the terminal shows");
    auto result = judge(head);
    if (auto* response = std::get_if<net::Response>(&result)) return proved(std::move(*response));
    return result;
  }

 private:
  /// A program of another user that took the port after this one ended could tell an open page what it likes, and be sent pictures.
  net::Response proved(net::Response response) const {
    response.headers.emplace_back(std::string(kProofHeader), proof_);
    return response;
  }

  /// Of somebody who has the token.
  std::variant<net::Response, std::unique_ptr<net::Exchange>> judge(const net::RequestHead& head) {
    if (head.target == "/api/ask") return ask(head);
    if (head.target == "/api/retry") {
      if (head.method != "POST" || head.content_length != 0) return refusal(405, "POST without a body");
      desk_.retry();
      return json_response(json::object());
    }
    if (head.method != "GET" || head.content_length != 0) return refusal(405, "GET only");
    if (head.target == "/api/state") return json_response(state());
    if (const auto id = number_after(head.target, kAnswers)) return answer(*id);
    if (const auto seed = number_after(head.target, kSynthetic)) return synthetic(*seed);
    return refusal(404, "not here");
  }

  /// Takes the input's bytes.
  class Question final : public net::Exchange {
   public:
    Question(const Application& page, std::size_t size) : page_(page), size_(size) { bytes_.reserve(size); }
    std::optional<net::Response> body(std::span<const std::uint8_t> bytes) override {
      if (bytes.size() > size_ - bytes_.size()) return page_.proved(refusal(413, "too many bytes"));
      bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
      return std::nullopt;
    }
    void complete(net::Respond respond) override {
      if (bytes_.size() != size_) return respond(page_.proved(refusal(400, "too few bytes")));
      auto id = page_.desk_.ask(std::move(bytes_));
      respond(page_.proved(id ? json_response({{"id", *id}}, 202) : refusal(409, id.error().message)));
    }

   private:
    const Application& page_;
    const std::size_t size_;
    std::vector<std::uint8_t> bytes_;
  };

  std::size_t input_size() const { return std::size_t{options_.channels} * options_.height * options_.width; }

  std::variant<net::Response, std::unique_ptr<net::Exchange>> ask(const net::RequestHead& head) {
    if (head.method != "POST") return refusal(405, "POST only");
    if (head.content_length != input_size()) return refusal(400, "an input has " + std::to_string(input_size()) + " bytes");
    return std::make_unique<Question>(*this, input_size());
  }

  json state() const {
    const DeskState now = desk_.state();
    return {{"model", {{"name", options_.model}, {"package", options_.package}, {"profile", options_.profile}, {"error_bound", options_.error_bound},
                       {"input", {{"channels", options_.channels}, {"height", options_.height}, {"width", options_.width}}}, {"classes", options_.classes}}},
            {"miner", options_.miner}, {"phase", phase_name(now.phase)}, {"phase_s", now.phase_s}, {"done", now.done}, {"total", now.total},
            {"error", now.error}, {"asking", now.asking}, {"asked", now.asked}};
  }

  net::Response answer(std::uint64_t id) const {
    const auto asked = desk_.asked(id);
    if (!asked) return refusal(404, "no such answer");
    json out = {{"id", id}, {"input", crypto::hex_encode(asked->input)}};
    if (asked->error) {
      out["error"] = asked->error->message;
      return json_response(out);
    }
    const Answer& a = asked->answer;
    out.update({{"outputs", numbers(a.outputs)}, {"clear", numbers(a.clear)}, {"question_bytes", a.question_bytes}, {"answer_bytes", a.answer_bytes},
                {"sample", crypto::hex_encode(a.question_sample)},
                {"seconds", {{"check", a.check_s}, {"encrypt", a.encrypt_s}, {"response", a.response_s}, {"network", a.network_s}, {"decrypt", a.decrypt_s}}}});
    return json_response(out);
  }

  net::Response synthetic(std::uint64_t seed) const {
    if (options_.synthetic == nullptr) return refusal(404, "no examples");
    std::vector<std::uint8_t> bytes;
    for (const float value : options_.synthetic(seed)) bytes.push_back(static_cast<std::uint8_t>(std::lround(std::clamp(value, 0.0f, 1.0f) * 255)));
    return {200, "application/octet-stream", {{"Cache-Control", "no-store"}}, std::move(bytes)};
  }

  const PageOptions& options_;
  Desk& desk_;
  const std::string token_, proof_;
  std::array<std::string, 2> hosts_;
  std::atomic<std::uint16_t> port_{0};
};

class RunningPage final : public Page {
 public:
  RunningPage(PageOptions options, std::unique_ptr<Inference> inference)
      : options_(std::move(options)), desk_(std::move(inference)), application_(std::make_shared<Application>(options_, desk_)) {}
  ~RunningPage() override {
    if (server_ != nullptr) server_->stop(0);
  }
  Status listen() {
    net::ServerOptions server;
    server.address = "127.0.0.1";
    server.port = options_.port;
    server.max_connections = 64;
    BRAINLOCK_ASSIGN(server_, net::Server::start(server, application_));
    application_->set_port(server_->port());
    return {};
  }
  std::string url() const override { return "http://127.0.0.1:" + std::to_string(server_->port()) + "/#" + application_->fragment(); }
  std::string summary() const override {
    const DeskState now = desk_.state();
    std::string out = phase_name(now.phase);
    if (now.total != 0) out += " " + std::to_string(100 * now.done / now.total) + "%";
    if (!now.error.empty()) out += ": " + now.error;
    return out;
  }

 private:
  const PageOptions options_;
  Desk desk_;
  std::shared_ptr<Application> application_;
  std::unique_ptr<net::Server> server_;   ///< ends first
};

}  // namespace

Result<std::unique_ptr<Page>> Page::start(PageOptions options, std::unique_ptr<Inference> inference) {
  auto page = std::make_unique<RunningPage>(std::move(options), std::move(inference));
  BRAINLOCK_TRY(page->listen());
  return std::unique_ptr<Page>(std::move(page));
}

}  // namespace brainlock::client_page
