// Arbitrary text as the file of a pending vote: what is accepted is written again as a file that reads the same.
#include <cstdlib>

#include "brainlock/chain/commit_reveal.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using brainlock::chain::CommitStore;
  const auto commit = CommitStore::from_text({reinterpret_cast<const char*>(data), size});
  if (!commit.ok()) return 0;
  const auto again = CommitStore::from_text(CommitStore::to_text(*commit));
  if (!again.ok() || !(*again == *commit)) std::abort();
  return 0;
}
