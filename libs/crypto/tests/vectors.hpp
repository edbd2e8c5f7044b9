// The chain's known answers, shared by the tests of keys, addresses and mnemonics.
#pragma once

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "brainlock/crypto/bytes.hpp"

namespace brainlock::crypto {

inline const nlohmann::json& known_answers() {
  static const nlohmann::json answers = [] {
    std::ifstream in(BRAINLOCK_SOURCE_DIR "/vectors/chain/known-answers.json");
    return nlohmann::json::parse(in);
  }();
  return answers;
}

inline Bytes unhex(const nlohmann::json& text) {
  auto bytes = hex_decode(text.get<std::string>());
  EXPECT_TRUE(bytes.ok());
  return bytes.ok() ? *bytes : Bytes{};
}

}  // namespace brainlock::crypto
