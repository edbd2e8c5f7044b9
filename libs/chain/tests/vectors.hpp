// The chain's known answers and genuine metadata.
#pragma once

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>

#include "brainlock/crypto/bytes.hpp"

namespace brainlock::chain {

inline const nlohmann::json& known_answers() {
  static const nlohmann::json answers = [] {
    std::ifstream in(BRAINLOCK_SOURCE_DIR "/vectors/chain/known-answers.json");
    return nlohmann::json::parse(in);
  }();
  return answers;
}

inline crypto::Bytes unhex(const nlohmann::json& text) {
  auto bytes = crypto::hex_decode(text.get<std::string>());
  EXPECT_TRUE(bytes.ok());
  return bytes.ok() ? *bytes : crypto::Bytes{};
}

inline crypto::Bytes read_vector_file(const std::string& name) {
  std::ifstream in(BRAINLOCK_SOURCE_DIR "/vectors/chain/" + name, std::ios::binary);
  EXPECT_TRUE(in.good()) << name;
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

}  // namespace brainlock::chain
