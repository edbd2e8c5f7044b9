// The TLS settings of every outgoing connection.
#pragma once

#include <boost/asio/ip/address.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <string>

namespace brainlock::chain {

/// TLS 1.2 or newer; the peer's certificate is checked against the system's store.
inline boost::asio::ssl::context make_tls_context() {
  boost::asio::ssl::context context(boost::asio::ssl::context::tls_client);
  SSL_CTX_set_min_proto_version(context.native_handle(), TLS1_2_VERSION);
  boost::system::error_code ignored;
  context.set_default_verify_paths(ignored);
  context.set_verify_mode(boost::asio::ssl::verify_peer, ignored);
  return context;
}

/// Names the host to the server (SNI) and requires its certificate to be for that name.
template <typename Stream>
void expect_host(Stream& stream, const std::string& host) {
  boost::system::error_code ignored, no_address;
  (void)boost::asio::ip::make_address(host, no_address);
  if (no_address) SSL_set_tlsext_host_name(stream.native_handle(), host.c_str());  // SNI takes names, not addresses.
  stream.set_verify_callback(boost::asio::ssl::host_name_verification(host), ignored);
}

}  // namespace brainlock::chain
