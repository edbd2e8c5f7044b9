#include "brainlock/client_page/inference.hpp"

namespace brainlock::client_page {

const char* phase_name(Phase phase) {
  switch (phase) {
    case Phase::kMakingKeys: return "making_keys";
    case Phase::kConnecting: return "connecting";
    case Phase::kUploadingKeys: return "uploading_keys";
    case Phase::kReady: return "ready";
    case Phase::kChecking: return "checking";
    case Phase::kEncrypting: return "encrypting";
    case Phase::kWaiting: return "waiting";
    case Phase::kDecrypting: return "decrypting";
    case Phase::kFailed: return "failed";
  }
  return "";
}

}  // namespace brainlock::client_page
