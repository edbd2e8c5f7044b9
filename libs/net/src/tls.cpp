#include "tls.hpp"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>

#include <memory>

namespace brainlock::net {
namespace {

constexpr const char* kProofOid = "2.25.142374608968135739878143745011093315376";
constexpr int kMaxProofBytes = 1024;

template <auto Free>
struct Freer {
  template <typename T>
  void operator()(T* pointer) const {
    Free(pointer);
  }
};
using Key = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Freer<X509_free>>;
using Object = std::unique_ptr<ASN1_OBJECT, Freer<ASN1_OBJECT_free>>;
using Octets = std::unique_ptr<ASN1_OCTET_STRING, Freer<ASN1_OCTET_STRING_free>>;
using Extension = std::unique_ptr<X509_EXTENSION, Freer<X509_EXTENSION_free>>;
using Bio = std::unique_ptr<BIO, Freer<BIO_free_all>>;

std::optional<TlsKeyHash> key_hash(X509* certificate) {
  unsigned char* der = nullptr;
  const int length = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der);
  if (length <= 0) return std::nullopt;
  TlsKeyHash out{};
  SHA256(der, static_cast<std::size_t>(length), out.data());
  OPENSSL_free(der);
  return out;
}

std::string text_of(BIO* bio) {
  char* data = nullptr;
  const long length = BIO_get_mem_data(bio, &data);
  return {data, static_cast<std::size_t>(length)};
}

}  // namespace

std::optional<TlsClaim> read_tls_claim(X509* certificate) {
  if (certificate == nullptr) return std::nullopt;
  const Object oid(OBJ_txt2obj(kProofOid, 1));
  const int place = oid ? X509_get_ext_by_OBJ(certificate, oid.get(), -1) : -1;
  if (place < 0) return std::nullopt;
  const ASN1_OCTET_STRING* value = X509_EXTENSION_get_data(X509_get_ext(certificate, place));
  const int length = value == nullptr ? 0 : ASN1_STRING_length(value);
  const auto hash = key_hash(certificate);
  if (length <= 0 || length > kMaxProofBytes || !hash) return std::nullopt;
  const unsigned char* data = ASN1_STRING_get0_data(value);
  return TlsClaim{*hash, {data, data + length}};
}

Result<TlsIdentity> make_tls_identity(const std::function<Result<std::vector<std::uint8_t>>(const TlsKeyHash&)>& prove) {
  const auto failed = [](const char* step) { return Error{ErrorCode::kInternal, std::string("making a certificate: ") + step}; };
  const Key key(EVP_EC_gen("P-256"));
  const Certificate certificate(X509_new());
  if (!key || !certificate) return failed("key");
  std::uint64_t serial = 0;
  RAND_bytes(reinterpret_cast<unsigned char*>(&serial), sizeof serial);
  X509* x = certificate.get();
  // The times say nothing: the proof is for the key, and the key lives as long as the process.
  constexpr long kDay = 24 * 3600, kYears = 3650 * kDay;
  bool good = X509_set_version(x, 2) == 1 && ASN1_INTEGER_set_uint64(X509_get_serialNumber(x), serial >> 1) == 1 &&
              X509_gmtime_adj(X509_getm_notBefore(x), -kDay) != nullptr && X509_gmtime_adj(X509_getm_notAfter(x), kYears) != nullptr &&
              X509_set_pubkey(x, key.get()) == 1;
  X509_NAME* name = X509_get_subject_name(x);
  good = good && X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>("brainlock"), -1, -1, 0) == 1 &&
         X509_set_issuer_name(x, name) == 1;
  const auto hash = good ? key_hash(x) : std::nullopt;
  if (!hash) return failed("fields");
  BRAINLOCK_ASSIGN(const auto proof, prove(*hash));
  const Object oid(OBJ_txt2obj(kProofOid, 1));
  const Octets octets(ASN1_OCTET_STRING_new());
  if (!oid || !octets || proof.empty() || proof.size() > kMaxProofBytes ||
      ASN1_OCTET_STRING_set(octets.get(), proof.data(), static_cast<int>(proof.size())) != 1) {
    return failed("proof");
  }
  const Extension extension(X509_EXTENSION_create_by_OBJ(nullptr, oid.get(), 0, octets.get()));
  if (!extension || X509_add_ext(x, extension.get(), -1) != 1 || X509_sign(x, key.get(), EVP_sha256()) == 0) return failed("signature");
  const Bio certificate_text(BIO_new(BIO_s_mem())), key_text(BIO_new(BIO_s_secmem()));
  if (!certificate_text || !key_text || PEM_write_bio_X509(certificate_text.get(), x) != 1 ||
      PEM_write_bio_PrivateKey(key_text.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) != 1) {
    return failed("text");
  }
  return TlsIdentity{text_of(certificate_text.get()), text_of(key_text.get())};
}

}  // namespace brainlock::net
