// client.bin: any bytes, and the same bytes with a right head and checksum so that the parser behind them is reached.
// What is accepted must have one encoding, and a key holder must be able to work with it.
#include <algorithm>
#include <cstdlib>

#include "brainlock/crypto/hash.hpp"
#include "brainlock/package/client_codec.hpp"
#include "brainlock/package/client_half.hpp"
#include "brainlock/plan/slot_interpreter.hpp"

using namespace brainlock;

namespace {

void decode(std::span<const std::uint8_t> bytes) {
  const auto client = package::decode_client(bytes);
  if (!client.ok()) return;
  const auto again = package::encode_client(client->hash, client->fields);
  if (!again.ok() || !std::equal(again->begin(), again->end(), bytes.begin(), bytes.end())) std::abort();
  const plan::TensorMap &input = client->fields.input, &output = client->fields.output;
  const std::uint32_t slots = client->fields.parameters.ring_degree / 2;
  const std::size_t size = std::size_t{input.channels} * input.height * input.width;
  if (size < (1U << 16) && std::uint64_t{input.ciphertexts} * slots < (1U << 20)) {
    const std::vector<float> tensor(size, 0.5F);
    (void)plan::pack(input, slots, tensor);
  }
  if (std::uint64_t{output.ciphertexts} * slots < (1U << 20))
    (void)plan::unpack(output, std::vector<std::vector<std::complex<double>>>(
                                   output.ciphertexts, std::vector<std::complex<double>>(slots)));
  const auto half = package::ClientHalf::from_bytes(bytes);
  if (!half.ok()) return;
  (void)(*half)->key_requests();
  if ((*half)->client_bytes().value() != *again) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  decode({data, size});
  std::vector<std::uint8_t> sealed{'B', 'L', 'C', 'L', 'N', 'T', 0, package::kClientVersion};
  // A seed that is a client.bin keeps its meaning: its own head and checksum are put aside.
  const bool whole = size >= 72 && std::equal(sealed.begin(), sealed.end(), data);
  sealed.insert(sealed.end(), data + (whole ? 8 : 0), data + size - (whole ? 32 : 0));
  const crypto::Hash256 checksum = crypto::blake2b_256(sealed);
  sealed.insert(sealed.end(), checksum.begin(), checksum.end());
  decode(sealed);
  return 0;
}
