#include "metrics.hpp"

#include <algorithm>
#include <cstdio>

#include "brainlock/miner/service.hpp"

namespace brainlock::miner {
namespace {

/// A number as Prometheus reads it, without trailing zeros.
std::string number(double value) {
  char text[40];
  std::snprintf(text, sizeof text, "%.10g", value);
  return text;
}

void head(std::string& out, const char* name, const char* kind, const char* help) {
  out.append("# HELP ").append(name).append(" ").append(help).append("\n# TYPE ").append(name).append(" ").append(kind).append("\n");
}

void single(std::string& out, const char* name, const char* kind, const char* help, double value) {
  head(out, name, kind, help);
  out.append(name).append(" ").append(number(value)).append("\n");
}

class MetricsApplication final : public net::Application {
 public:
  explicit MetricsApplication(std::function<std::string()> text) : text_(std::move(text)) {}
  std::variant<net::Response, std::unique_ptr<net::Exchange>> begin(const net::RequestHead& request) override {
    if (request.target != "/metrics") return net::Response{404, "text/plain", {}, net::text_bytes("GET /metrics\n")};
    if (request.method != "GET") return net::Response{405, "text/plain", {}, {}};
    return net::Response{200, "text/plain; version=0.0.4; charset=utf-8", {}, net::text_bytes(text_())};
  }

 private:
  std::function<std::string()> text_;
};

}  // namespace

void Metrics::request(std::string_view route, std::string_view outcome) {
  const std::lock_guard lock(mutex_);
  ++requests_[{std::string(route), std::string(outcome)}];
}

void Metrics::computed(double wait_s, double compute_s) {
  const std::lock_guard lock(mutex_);
  const auto bucket = std::lower_bound(kBuckets.begin(), kBuckets.end(), compute_s) - kBuckets.begin();
  ++histogram_[static_cast<std::size_t>(bucket)];
  compute_s_ += compute_s;
  wait_s_ += wait_s;
  ++computed_;
}

std::string Metrics::text(const Snapshot& now, const net::ServerCounters* server) const {
  const std::lock_guard lock(mutex_);
  std::string out;
  head(out, "brainlock_build_info", "gauge", "Version of the running program.");
  out += "brainlock_build_info{version=\"" + now.version + "\"} 1\n";
  head(out, "brainlock_miner_requests_total", "counter", "Requests by route and outcome (ok, or the refusal).");
  for (const auto& [key, count] : requests_) {
    out += "brainlock_miner_requests_total{route=\"" + key.first + "\",outcome=\"" + key.second + "\"} " + std::to_string(count) + "\n";
  }
  head(out, "brainlock_miner_compute_seconds", "histogram", "Time of the engine for one answer.");
  std::uint64_t below = 0;
  for (std::size_t i = 0; i < kBuckets.size(); ++i) {
    below += histogram_[i];
    out += "brainlock_miner_compute_seconds_bucket{le=\"" + number(kBuckets[i]) + "\"} " + std::to_string(below) + "\n";
  }
  out += "brainlock_miner_compute_seconds_bucket{le=\"+Inf\"} " + std::to_string(computed_) + "\n";
  out += "brainlock_miner_compute_seconds_sum " + number(compute_s_) + "\n";
  out += "brainlock_miner_compute_seconds_count " + std::to_string(computed_) + "\n";
  single(out, "brainlock_miner_queue_wait_seconds_total", "counter", "Time that answered requests spent waiting.", wait_s_);
  single(out, "brainlock_miner_running_requests", "gauge", "Requests being computed.", static_cast<double>(now.load.running));
  single(out, "brainlock_miner_queued_requests", "gauge", "Requests waiting.", static_cast<double>(now.load.queued));
  single(out, "brainlock_miner_keys", "gauge", "Evaluation keys on disk.", static_cast<double>(now.keys.keys));
  single(out, "brainlock_miner_arriving_keys", "gauge", "Evaluation keys that are being uploaded.", static_cast<double>(now.keys.arriving));
  single(out, "brainlock_miner_key_disk_bytes", "gauge", "Announced size of all keys.", static_cast<double>(now.keys.bytes));
  single(out, "brainlock_miner_evicted_keys_total", "counter", "Keys removed for room or age.", static_cast<double>(now.keys.evicted));
  single(out, "brainlock_miner_loaded_key_sets", "gauge", "Key sets in memory.", static_cast<double>(now.loaded_key_sets));
  single(out, "brainlock_miner_loaded_key_bytes", "gauge", "Memory of those.", static_cast<double>(now.loaded_key_bytes));
  head(out, "brainlock_miner_devices", "gauge", "Devices that compute, by state.");
  out += "brainlock_miner_devices{state=\"working\"} " + std::to_string(now.working_devices) + "\n";
  out += "brainlock_miner_devices{state=\"lost\"} " + std::to_string(now.lost_devices) + "\n";
  if (server != nullptr) {
    single(out, "brainlock_http_connections", "gauge", "Open connections.", static_cast<double>(server->connections));
    single(out, "brainlock_http_accepted_connections_total", "counter", "Connections taken.", static_cast<double>(server->accepted));
    single(out, "brainlock_http_refused_connections_total", "counter", "Connections over a limit.", static_cast<double>(server->refused_connections));
    single(out, "brainlock_http_bad_requests_total", "counter", "Bytes that were not HTTP.", static_cast<double>(server->bad_requests));
    single(out, "brainlock_http_bad_proxy_headers_total", "counter", "Connections of proxies that did not begin with a header.", static_cast<double>(server->bad_proxy_headers));
    single(out, "brainlock_http_timeouts_total", "counter", "Peers that were too slow.", static_cast<double>(server->timeouts));
    single(out, "brainlock_http_cancelled_requests_total", "counter", "Peers that did not wait.", static_cast<double>(server->cancelled));
    single(out, "brainlock_http_received_body_bytes_total", "counter", "Bytes of request bodies.", static_cast<double>(server->bytes_in));
    single(out, "brainlock_http_sent_body_bytes_total", "counter", "Bytes of answers.", static_cast<double>(server->bytes_out));
  }
  return out;
}

std::shared_ptr<net::Application> make_metrics_application(std::function<std::string()> text) {
  return std::make_shared<MetricsApplication>(std::move(text));
}

}  // namespace brainlock::miner
