#include "brainlock/update/source.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

namespace brainlock::update {
namespace {

constexpr std::size_t kPieceBytes = 256 * 1024;
constexpr std::int64_t kTextWithinS = 60;

class WebSource final : public Source {
 public:
  explicit WebSource(net::Url base) : base_(std::move(base)) {
    if (!base_.path.ends_with('/')) base_.path += '/';
  }
  Status fetch(const std::string& name, std::uint64_t max_bytes, std::int64_t within_s, const net::DownloadSink& sink,
               std::stop_token stop) override {
    net::Url url = base_;
    url.path += name;
    net::DownloadLimits limits;
    limits.max_bytes = max_bytes;
    limits.total_timeout_ms = within_s * 1000;
    return net::download(url, limits, sink, std::move(stop));
  }

 private:
  net::Url base_;
};

class FolderSource final : public Source {
 public:
  explicit FolderSource(std::string base) : base_(std::move(base)) {}
  Status fetch(const std::string& name, std::uint64_t max_bytes, std::int64_t, const net::DownloadSink& sink,
               std::stop_token stop) override {
    const std::string file = base_ + "/" + name;
    // O_NONBLOCK: a pipe would hang.
    const int descriptor = ::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0)
      return {errno == ENOENT ? ErrorCode::kNotFound : ErrorCode::kIo, file + ": " + std::strerror(errno)};
    const Status status = read(file, descriptor, max_bytes, sink, stop);
    ::close(descriptor);
    return status;
  }

 private:
  static Status read(const std::string& file, int descriptor, std::uint64_t max_bytes, const net::DownloadSink& sink,
                     const std::stop_token& stop) {
    struct stat status {};
    if (::fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode))
      return {ErrorCode::kIo, file + ": no regular file"};
    std::vector<std::uint8_t> piece(kPieceBytes);
    std::uint64_t done = 0;
    while (true) {
      if (stop.stop_requested()) return {ErrorCode::kCancelled, file + ": stopped"};
      const ssize_t got = ::read(descriptor, piece.data(), piece.size());
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return {ErrorCode::kIo, file + ": " + std::strerror(errno)};
      if (got == 0) return {};
      done += static_cast<std::uint64_t>(got);
      if (done > max_bytes) return {ErrorCode::kTooLarge, file + ": more than " + std::to_string(max_bytes) + " bytes"};
      BRAINLOCK_TRY(sink({piece.data(), static_cast<std::size_t>(got)}));
    }
  }
  std::string base_;
};

}  // namespace

Result<std::unique_ptr<Source>> open_source(const std::string& address) {
  if (address.starts_with('/')) return std::unique_ptr<Source>(std::make_unique<FolderSource>(address));
  BRAINLOCK_ASSIGN(auto url, net::parse_url(address));
  return std::unique_ptr<Source>(std::make_unique<WebSource>(std::move(url)));
}

Result<std::string> fetch_text(Source& source, const std::string& name, std::uint64_t max_bytes, std::stop_token stop) {
  std::string out;
  BRAINLOCK_TRY(source.fetch(
      name, max_bytes, kTextWithinS,
      [&](std::span<const std::uint8_t> piece) {
        out.append(reinterpret_cast<const char*>(piece.data()), piece.size());
        return Status();
      },
      std::move(stop)));
  return out;
}

}  // namespace brainlock::update
