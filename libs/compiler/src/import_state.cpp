#include "import_state.hpp"

#include <algorithm>
#include <cmath>

namespace brainlock::compiler {
namespace {

// A file may ask for a few times its own size (weights used twice, reordered), and a small one for a little.
constexpr std::size_t kFreeElements = std::size_t{1} << 26;
constexpr std::int64_t kMaxExtent = 1 << 20;
constexpr std::int64_t kMaxElements = 1 << 24;

const OnnxAttribute* find_attribute(const OnnxNode& node, const char* name, OnnxAttribute::Kind kind) {
  const auto found = node.attributes.find(name);
  return found != node.attributes.end() && found->second.kind == kind ? &found->second : nullptr;
}

// Per-channel floats of coefficient k; false if one of them is no finite float.
bool channel_floats(const ElementPolynomial& poly, int k, const TensorShape& shape, std::vector<float>& out) {
  const std::size_t plane = shape.size() / static_cast<std::size_t>(shape.channels);
  for (std::size_t c = 0; c < static_cast<std::size_t>(shape.channels); ++c) {
    out.push_back(static_cast<float>(poly.at(k, c * plane, shape)));
    if (!std::isfinite(out.back())) return false;
  }
  return true;
}

}  // namespace

std::string printable(const std::string& text) {
  std::string out = text.substr(0, 120);
  for (char& c : out) {
    if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) >= 0x7f) c = '?';
  }
  return out;
}

ImportState::ImportState(std::size_t file_bytes, const ImportOptions& options)
    : budget_(kFreeElements + file_bytes), max_degree_(std::clamp(options.max_polynomial_degree, 2, 1024)) {}

bool ImportState::has_input(const OnnxNode& node, std::size_t k) {
  return k < node.inputs.size() && !node.inputs[k].empty();
}

const Entry& ImportState::input(const OnnxNode& node, std::size_t k) const {
  static const Entry kNothing;
  if (!has_input(node, k)) return kNothing;
  const auto found = entries_.find(node.inputs[k]);
  return found == entries_.end() ? kNothing : found->second;
}

ConstTensorPtr ImportState::constant(const OnnxNode& node, std::size_t k) const {
  const auto* tensor = std::get_if<ConstTensorPtr>(&input(node, k));
  return tensor != nullptr ? *tensor : nullptr;
}

const Value* ImportState::value(const OnnxNode& node, std::size_t k) const {
  return std::get_if<Value>(&input(node, k));
}

bool ImportState::define(const std::string& name, Entry entry) {
  return entries_.emplace(name, std::move(entry)).second;
}

Outcome ImportState::finish(const OnnxNode& node, Entry entry, bool keep_origin) {
  if (auto* value = std::get_if<Value>(&entry)) {
    if (!keep_origin) value->origin = node.name;
    if (!budget_.charge(value->poly.width())) return too_large();
  }
  if (const auto* tensor = std::get_if<ConstTensorPtr>(&entry);
      tensor != nullptr && !budget_.charge((*tensor)->size())) {
    return too_large();
  }
  if (!define(node.outputs.at(0), std::move(entry)))
    return inconsistent("its output is already the output of another node");
  return {};
}

std::string ImportState::unique_name(const std::string& wanted) {
  // The counter per name keeps ten thousand nodes of one name from taking quadratic time.
  std::string name = wanted;
  for (int& uses = name_uses_[wanted]; !names_.insert(name).second;) name = wanted + "_" + std::to_string(++uses + 1);
  return name;
}

int ImportState::add_node(OpKind kind, const std::string& name, std::vector<int> inputs, TensorShape shape,
                          decltype(Node::params) params) {
  graph_.nodes.push_back({kind, unique_name(name), std::move(inputs), shape, std::move(params)});
  return static_cast<int>(graph_.nodes.size()) - 1;
}

Outcome ImportState::materialise(const Value& value, int& node) {
  node = value.base;
  if (value.poly.is_identity()) return {};
  const auto [first, last] = activations_.equal_range(value.base);
  for (auto it = first; it != last; ++it) {
    if (it->second.first == value.poly) {
      node = it->second.second;
      return {};
    }
  }
  const TensorShape in = shape(value.base);
  if (value.poly.width() > static_cast<std::size_t>(in.channels)) {
    return Refusal{"its coefficients differ between the positions of one channel (tensor " + to_string(in) + ")",
                   "use one coefficient per channel, or apply it before Flatten", false};
  }
  if (value.poly.degree() <= 2) {
    if (!budget_.charge(3 * static_cast<std::size_t>(in.channels))) return too_large();
    QuadraticParams params;
    if (!channel_floats(value.poly, 2, in, params.a) || !channel_floats(value.poly, 1, in, params.b) ||
        !channel_floats(value.poly, 0, in, params.c)) {
      return inconsistent("its coefficients are not finite");
    }
    node = add_node(OpKind::kQuadratic, value.origin, {value.base}, in, std::move(params));
  } else {
    PolynomialParams params{value.poly.coefficients()};
    std::size_t numbers = 0;
    for (const Coefficient& c : params.coefficients) {
      numbers += c.size();
      if (!std::all_of(c.begin(), c.end(), [](double v) { return std::isfinite(v); })) return inconsistent("its coefficients are not finite");
    }
    if (!budget_.charge(numbers)) return too_large();
    node = add_node(OpKind::kPolynomial, value.origin, {value.base}, in, std::move(params));
  }
  made_.emplace(node, activations_.emplace(value.base, std::pair(value.poly, node)));
  return {};
}

Outcome ImportState::rebase(Value& value) {
  int node = 0;
  if (auto refusal = materialise(value, node)) return refusal;
  value.base = node;
  value.poly = ElementPolynomial::identity();
  return {};
}

bool ImportState::substitute(Value& value) {
  const auto found = made_.find(value.base);
  if (found == made_.end()) return false;
  const auto& [base, made] = *found->second;
  const std::size_t terms = value.poly.coefficients().size() * made.first.coefficients().size();
  if (value.poly.degree() * made.first.degree() > max_degree_ ||
      !budget_.charge(terms * std::max(value.poly.width(), made.first.width()))) {
    return false;
  }
  value.poly = value.poly.after(made.first, shape(base));
  value.base = base;
  return true;
}

Outcome ImportState::reorder_input(const TensorShape& to, const std::shared_ptr<const std::vector<int>>& order) {
  const TensorShape from = shape(0);
  std::vector<int> place(from.size());  // where an element goes
  for (std::size_t i = 0; i < place.size(); ++i) place[order ? (*order)[i] : i] = static_cast<int>(i);
  for (auto& [name, entry] : entries_) {
    auto* value = std::get_if<Value>(&entry);
    if (value == nullptr) continue;
    if (!budget_.charge(place.size())) return too_large();
    value->poly = value->poly.reordered(order.get(), from, to);
    if (!order) continue;
    auto view = std::make_shared<std::vector<int>>(place.size());
    bool moves = false;
    for (std::size_t i = 0; i < place.size(); ++i) {
      (*view)[i] = place[value->base_element(i)];
      moves = moves || (*view)[i] != static_cast<int>(i);
    }
    value->view = moves ? std::move(view) : nullptr;
  }
  graph_.nodes[0].shape = to;
  return {};
}

const ImportState::Chosen* ImportState::chosen(int node) const {
  const auto found = chosen_.find(node);
  return found == chosen_.end() ? nullptr : &found->second;
}

Outcome ImportState::set_chosen(int node, int base, std::vector<int> elements) {
  if (!budget_.charge(elements.size())) return too_large();
  if (const Chosen* before = chosen(base)) {
    for (int& e : elements) e = before->elements[static_cast<std::size_t>(e)];
    base = before->base;
  }
  chosen_.insert_or_assign(node, Chosen{base, std::move(elements)});
  return {};
}

const Border* ImportState::border(int node) const {
  const auto found = borders_.find(node);
  return found == borders_.end() ? nullptr : &found->second;
}

bool ImportState::image_like(const Value& value) const {
  const auto seen = image_shape(value.dims);
  return !value.view && seen && *seen == shape(value.base);
}

bool extents_ok(std::int64_t channels, std::int64_t height, std::int64_t width) {
  for (std::int64_t extent : {channels, height, width}) {
    if (extent < 1 || extent > kMaxExtent) return false;
  }
  return channels * height <= kMaxElements && channels * height * width <= kMaxElements;
}

std::optional<TensorShape> image_shape(const std::vector<std::int64_t>& dims) {
  if (dims.size() < 2 || dims.size() > 4 || dims[0] != 1) return std::nullopt;
  const std::int64_t height = dims.size() == 4 ? dims[2] : 1, width = dims.size() >= 3 ? dims.back() : 1;
  if (!extents_ok(dims[1], height, width)) return std::nullopt;
  return TensorShape{static_cast<int>(dims[1]), static_cast<int>(height), static_cast<int>(width)};
}

std::int64_t attribute_int(const OnnxNode& node, const char* name, std::int64_t otherwise) {
  const auto* attribute = find_attribute(node, name, OnnxAttribute::Kind::kInt);
  return attribute != nullptr ? attribute->i : otherwise;
}

double attribute_float(const OnnxNode& node, const char* name, double otherwise) {
  const auto* attribute = find_attribute(node, name, OnnxAttribute::Kind::kFloat);
  return attribute != nullptr ? static_cast<double>(attribute->f) : otherwise;
}

std::string attribute_string(const OnnxNode& node, const char* name, const std::string& otherwise) {
  const auto* attribute = find_attribute(node, name, OnnxAttribute::Kind::kString);
  return attribute != nullptr ? attribute->s : otherwise;
}

std::optional<std::vector<std::int64_t>> attribute_ints(const OnnxNode& node, const char* name) {
  const auto* attribute = find_attribute(node, name, OnnxAttribute::Kind::kInts);
  if (attribute == nullptr) return std::nullopt;
  return attribute->ints;
}

}  // namespace brainlock::compiler
