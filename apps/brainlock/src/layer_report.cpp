#include "layer_report.hpp"

#include <cstdio>

#include "inference.hpp"
#include "ui.hpp"

namespace brainlock::app {
namespace {

struct Layer {
  std::string name;
  double seconds = 0;
  std::uint64_t key_switches = 0, hoisted = 0;
  std::uint32_t limbs = 0;
};

std::vector<Layer> layers_of(const runtime::RunProfile& profile) {
  std::vector<Layer> layers;
  for (const auto& entry : profile.entries) {
    auto it = layers.begin();
    while (it != layers.end() && it->name != entry.layer) ++it;
    if (it == layers.end()) it = layers.insert(it, {entry.layer, 0, 0, 0, entry.limbs});
    it->seconds += entry.seconds;
    it->key_switches += entry.key_switches;
    it->hoisted += entry.hoisted_rotations;
  }
  return layers;
}

}  // namespace

nlohmann::json layers_json(const runtime::RunProfile& profile) {
  nlohmann::json json = nlohmann::json::array();
  for (const Layer& layer : layers_of(profile))
    json.push_back({{"name", layer.name}, {"seconds", layer.seconds}, {"key_switches", layer.key_switches},
                    {"hoisted_rotations", layer.hoisted}, {"limbs", layer.limbs}, {"device", profile.device}});
  return json;
}

nlohmann::json security_json(const package::Package& package) {
  return {{"security_bits", package.parameters()->security_bits()},
          {"ring_degree", package.parameters()->ring_degree()},
          {"log_qp", package.parameters()->log_qp()},
          {"eval_key_bytes", uploaded_key_bytes(package)}};
}

void print_layers(const runtime::RunProfile& profile) {
  std::printf("  %-14s %6s %10s %9s %9s\n", "layer", "limbs", "time", "switches", "hoisted");
  for (const Layer& layer : layers_of(profile))
    std::printf("  %-14s %6u %10s %9llu %9llu\n", layer.name.c_str(), layer.limbs, human_seconds(layer.seconds).c_str(),
                static_cast<unsigned long long>(layer.key_switches), static_cast<unsigned long long>(layer.hoisted));
  std::printf("  all of it on %s\n", profile.device.c_str());
  std::printf("  linear layers: decompose %s, hoisted rotations and weights %s, giant steps %s, rescale %s; total %s\n",
              human_seconds(profile.decompose_seconds).c_str(), human_seconds(profile.core_seconds).c_str(),
              human_seconds(profile.giant_seconds).c_str(), human_seconds(profile.rescale_seconds).c_str(),
              human_seconds(profile.seconds).c_str());
}

}  // namespace brainlock::app
