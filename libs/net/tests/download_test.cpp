// Downloads: addresses, limits, who is believed over HTTPS, and what a request says.
#include "brainlock/net/download.hpp"

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "echo.hpp"

namespace brainlock::net {
namespace {

TEST(Url, WhatIsTaken) {
  EXPECT_EQ(parse_url("https://example.org/a/b").value(), (Url{true, "example.org", 443, "/a/b"}));
  EXPECT_EQ(parse_url("http://127.0.0.1:8080").value(), (Url{false, "127.0.0.1", 8080, "/"}));
  EXPECT_EQ(parse_url("http://[::1]:81/x").value(), (Url{false, "::1", 81, "/x"}));
  for (const char* text : {"https://example.org/a/b", "http://127.0.0.1:8080/", "http://[::1]:81/x"}) {
    EXPECT_EQ(url_text(parse_url(text).value()), text);
  }
}

TEST(Url, WhatIsRefused) {
  for (const char* text :
       {"", "example.org", "ftp://example.org/", "http://", "http:///x", "http://a:0/", "http://a:65536/",
        "http://a:b/", "http://me@example.org/", "http://a/x?y", "http://a/x#y", "http://a/x y", "http://a/\r\nHost: b",
        "http://[::1/", "http://[::1]x/", "http://[xyz]/", "http://a:/"}) {
    EXPECT_EQ(parse_url(text).error().code, ErrorCode::kInvalidArgument) << text;
  }
  EXPECT_EQ(parse_url("http://a/" + std::string(1000, 'x')).error().code, ErrorCode::kInvalidArgument);
}

/// Answers one connection with `begin`, then with `filler` for as long as somebody takes it and `for_ms` have not
/// passed.
class Speaker {
 public:
  explicit Speaker(std::string begin, std::string filler = {}, std::chrono::milliseconds between = 0ms) {
    thread_ = std::thread([this, begin = std::move(begin), filler = std::move(filler), between] {
      const int peer = ::accept(listener_.fd, nullptr, nullptr);
      char bytes[4096];
      const auto got = ::recv(peer, bytes, sizeof bytes, 0);
      if (got > 0) asked_.assign(bytes, static_cast<std::size_t>(got));
      bool open = ::send(peer, begin.data(), begin.size(), MSG_NOSIGNAL) > 0;
      while (open && !filler.empty() && said_ < (64U << 20)) {
        open = ::send(peer, filler.data(), filler.size(), MSG_NOSIGNAL) > 0;
        said_ += filler.size();
        if (between > 0ms) std::this_thread::sleep_for(between);
      }
      ::close(peer);
    });
  }
  ~Speaker() { end(); }
  void end() {
    if (thread_.joinable()) thread_.join();
  }
  [[nodiscard]] Url url(std::string path = "/file") const {
    return {false, "127.0.0.1", listener_.port, std::move(path)};
  }
  std::string asked_;
  std::size_t said_ = 0;

 private:
  Listener listener_{1};
  std::thread thread_;
};

struct Got {
  Status status;
  std::string text;
};
Got get(const Url& url, DownloadLimits limits = {}, std::stop_token stop = {}) {
  Got out;
  out.status = download(
      url, limits,
      [&](std::span<const std::uint8_t> piece) {
        out.text.append(reinterpret_cast<const char*>(piece.data()), piece.size());
        return Status();
      },
      std::move(stop));
  return out;
}
std::string answer(const std::string& body, const std::string& head = "") {
  return "HTTP/1.1 200 OK\r\n" + head + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

TEST(Download, ARequestSaysNothingOfTheAsker) {
  Speaker server(answer("hello"));
  const auto got = get(server.url("/a/b"));
  server.end();
  EXPECT_TRUE(got.status.ok());
  EXPECT_EQ(got.text, "hello");
  EXPECT_EQ(server.asked_, "GET /a/b HTTP/1.1\r\nHost: 127.0.0.1:" + std::to_string(server.url().port) +
                               "\r\nConnection: close\r\n\r\n");
}

TEST(Download, LongBodiesComeInPieces) {
  std::string body(1'000'000, 'x');
  for (std::size_t i = 0; i < body.size(); i += 997) body[i] = static_cast<char>('a' + i % 23);
  Speaker server(answer(""), "");
  Speaker long_one(answer(body));
  EXPECT_EQ(get(server.url()).text, "");
  EXPECT_EQ(get(long_one.url(), {.max_bytes = 1'000'000}).text, body);
}

TEST(Download, WhatIsTooLargeIsLeft) {
  Speaker announced(answer(std::string(1001, 'x')));
  EXPECT_EQ(get(announced.url(), {.max_bytes = 1000}).status.error().code, ErrorCode::kTooLarge);
  Speaker endless("HTTP/1.1 200 OK\r\n\r\n", std::string(1000, 'x'));
  const auto got = get(endless.url(), {.max_bytes = 100'000});
  EXPECT_EQ(got.status.error().code, ErrorCode::kTooLarge);
  EXPECT_LE(got.text.size(), 100'000U);
  endless.end();
  EXPECT_LT(endless.said_, 32U << 20);
  Speaker chunks("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "10\r\n0123456789abcdef\r\n");
  EXPECT_EQ(get(chunks.url(), {.max_bytes = 1000}).status.error().code, ErrorCode::kTooLarge);
  Speaker extension("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10;", std::string(1000, 'x'));
  EXPECT_EQ(get(extension.url(), {.max_bytes = 1000}).status.error().code, ErrorCode::kTooLarge);
  Speaker header("HTTP/1.1 200 OK\r\nX: ", std::string(1000, 'x'));
  EXPECT_EQ(get(header.url()).status.error().code, ErrorCode::kTooLarge);
}

TEST(Download, WhatTakesTooLongIsLeft) {
  Speaker silent("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nx", "", 0ms);
  EXPECT_EQ(get(silent.url()).status.error().code, ErrorCode::kUnavailable);  // ended early
  const auto begun = std::chrono::steady_clock::now();
  Speaker drip("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", "x", 20ms);
  EXPECT_EQ(get(drip.url(), {.idle_timeout_ms = 5'000, .total_timeout_ms = 300}).status.error().code,
            ErrorCode::kTimeout);
  Listener deaf{1};  // takes the connection, and says nothing
  EXPECT_EQ(get({false, "127.0.0.1", deaf.port, "/"}, {.idle_timeout_ms = 100}).status.error().code,
            ErrorCode::kTimeout);
  EXPECT_LT(std::chrono::steady_clock::now() - begun, 10s);
}

TEST(Download, OtherAnswers) {
  const auto code_of = [](const std::string& text) {
    Speaker server(text);
    return get(server.url()).status.error().code;
  };
  EXPECT_EQ(code_of("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"), ErrorCode::kNotFound);
  EXPECT_EQ(code_of("HTTP/1.1 302 Found\r\nLocation: http://elsewhere/\r\nContent-Length: 0\r\n\r\n"),
            ErrorCode::kUnsupported);
  EXPECT_EQ(code_of("HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"), ErrorCode::kUnavailable);
  EXPECT_EQ(code_of("SSH-2.0-OpenSSH_9.2\r\n\r\n"), ErrorCode::kMalformed);
  std::uint16_t free_port = 0;
  {
    Listener listener{1};
    free_port = listener.port;
  }
  EXPECT_EQ(get({false, "127.0.0.1", free_port, "/"}).status.error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(get({false, "no-such-host.invalid", 80, "/"}).status.error().code, ErrorCode::kUnavailable);
}

TEST(Download, ASinkAndAStopEndIt) {
  Speaker server(answer("hello"));
  const auto refused = download(server.url(), {}, [](auto) { return Status(ErrorCode::kCorrupted, "not this"); });
  EXPECT_EQ(refused.error().code, ErrorCode::kCorrupted);
  Listener deaf{1};
  std::stop_source stop;
  std::jthread stopper([&] { stop.request_stop(); });
  EXPECT_EQ(get({false, "127.0.0.1", deaf.port, "/"}, {}, stop.get_token()).status.error().code, ErrorCode::kCancelled);
}

/// A certificate for `name` that is its own authority.
TlsIdentity certificate_for(const std::string& name) {
  EVP_PKEY* key = ::EVP_EC_gen("P-256");
  X509* x = ::X509_new();
  ::X509_set_version(x, 2);
  ::ASN1_INTEGER_set(::X509_get_serialNumber(x), 1);
  ::X509_gmtime_adj(::X509_getm_notBefore(x), -3600);
  ::X509_gmtime_adj(::X509_getm_notAfter(x), 3600);
  ::X509_set_pubkey(x, key);
  ::X509_NAME_add_entry_by_txt(::X509_get_subject_name(x), "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>("a test"), -1, -1, 0);
  ::X509_set_issuer_name(x, ::X509_get_subject_name(x));
  X509_EXTENSION* names = ::X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, ("DNS:" + name).c_str());
  ::X509_add_ext(x, names, -1);
  ::X509_EXTENSION_free(names);
  ::X509_sign(x, key, ::EVP_sha256());
  const auto text = [](auto write) {
    BIO* bio = ::BIO_new(::BIO_s_mem());
    write(bio);
    char* data = nullptr;
    const long size = BIO_get_mem_data(bio, &data);
    std::string out(data, static_cast<std::size_t>(size));
    ::BIO_free(bio);
    return out;
  };
  TlsIdentity out{text([&](BIO* bio) { ::PEM_write_bio_X509(bio, x); }),
                  text([&](BIO* bio) { ::PEM_write_bio_PrivateKey(bio, key, nullptr, nullptr, 0, nullptr, nullptr); })};
  ::X509_free(x);
  ::EVP_PKEY_free(key);
  return out;
}

struct Hello final : Application {
  std::variant<Response, std::unique_ptr<Exchange>> begin(const RequestHead&) override {
    return Response{200, "text/plain", {}, text_bytes("hello")};
  }
};

TEST(Download, HttpsBelievesAuthoritiesAndNames) {
  const auto folder = std::filesystem::temp_directory_path() / ("brainlock_download_" + std::to_string(::getpid()));
  std::filesystem::create_directories(folder);
  const auto serve = [](const TlsIdentity& identity) {
    return Server::start({.address = "127.0.0.1", .port = 0, .tls = identity}, std::make_shared<Hello>()).value();
  };
  const auto right = certificate_for("localhost"), other = certificate_for("example.org");
  const auto trust = [&](const TlsIdentity& identity) {
    std::ofstream(folder / "authority.pem") << identity.certificate_pem;
    ::setenv("SSL_CERT_FILE", (folder / "authority.pem").c_str(), 1);
  };
  const auto server = serve(right), misnamed = serve(other);
  trust(right);
  const auto got = get({true, "localhost", server->port(), "/"});
  EXPECT_TRUE(got.status.ok()) << (got.status.ok() ? "" : got.status.error().to_string());
  EXPECT_EQ(got.text, "hello");
  EXPECT_EQ(get({true, "127.0.0.1", server->port(), "/"}).status.error().code, ErrorCode::kDenied);  // another name
  EXPECT_EQ(get({true, "localhost", misnamed->port(), "/"}).status.error().code,
            ErrorCode::kDenied);  // another authority
  trust(other);
  EXPECT_EQ(get({true, "localhost", misnamed->port(), "/"}).status.error().code,
            ErrorCode::kDenied);  // trusted, of another name
  EXPECT_EQ(get({true, "localhost", server->port(), "/"}).status.error().code, ErrorCode::kDenied);
  ::unsetenv("SSL_CERT_FILE");
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace brainlock::net
