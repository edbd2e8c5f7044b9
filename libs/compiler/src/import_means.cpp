// Means over whole axes: pools where they are of planes, rows or columns of a map, dense layers otherwise.
#include <algorithm>

#include "import_state.hpp"

namespace brainlock::compiler {
namespace {

// A pool over whole planes.
Outcome pool_everything(ImportState& state, const OnnxNode& node, const Value& value, std::vector<std::int64_t> dims) {
  const TensorShape in = state.shape(value.base);
  return add_pool(state, node, value, {in.height, in.width, in.height, in.width}, std::move(dims));
}

// Whether the mean over `axes` leaves the means of the base's planes, in the order of its channels.
bool leaves_channels(ImportState& state, const Value& value, const std::vector<int>& axes) {
  const TensorShape shape = state.shape(value.base);
  const std::size_t count = element_count(value.dims), plane = count / static_cast<std::size_t>(shape.channels);
  std::vector<std::size_t> strides(value.dims.size(), 0);  // of the result
  std::size_t left = 1;
  for (std::size_t k = value.dims.size(); k-- > 0;) {
    if (std::binary_search(axes.begin(), axes.end(), static_cast<int>(k))) continue;
    strides[k] = left;
    left *= static_cast<std::size_t>(value.dims[k]);
  }
  if (left != static_cast<std::size_t>(shape.channels) || !state.budget().charge(count)) return false;
  std::vector<std::int64_t> index(value.dims.size(), 0);
  std::size_t to = 0;
  for (std::size_t element = 0; element < count; ++element) {
    if (value.base_element(element) / plane != to) return false;
    for (std::size_t axis = index.size(); axis-- > 0;) {
      to += strides[axis];
      if (++index[axis] < value.dims[axis]) break;
      to -= strides[axis] * static_cast<std::size_t>(index[axis]);
      index[axis] = 0;
    }
  }
  return true;
}

// What is left of dims when axes are reduced.
std::vector<std::int64_t> reduced_dims(const std::vector<std::int64_t>& dims, const std::vector<int>& axes, bool keep) {
  std::vector<std::int64_t> out;
  for (std::size_t axis = 0; axis < dims.size(); ++axis) {
    const bool gone = std::binary_search(axes.begin(), axes.end(), static_cast<int>(axis));
    if (keep || !gone) out.push_back(gone ? 1 : dims[axis]);
  }
  return out;
}

}  // namespace

Outcome import_global_average_pool(ImportState& state, const OnnxNode& node) {
  const Value* value = state.value(node, 0);
  if (value == nullptr) return inconsistent("it has no input");
  if (auto refusal = require_image(state, *value)) return refusal;
  std::vector<std::int64_t> dims{1, value->dims[1]};
  dims.resize(value->dims.size(), 1);
  return pool_everything(state, node, *value, std::move(dims));
}

Outcome import_reduce_mean(ImportState& state, const OnnxNode& node) {
  const Value* value = state.value(node, 0);
  if (value == nullptr) return inconsistent("it has no input");
  const int rank = static_cast<int>(value->dims.size());
  std::optional<std::vector<int>> axes;
  if (auto refusal = read_axes(state, node, 1, rank, axes)) return refusal;
  const bool keep = attribute_int(node, "keepdims", 1) != 0;
  bool planes = axes && !axes->empty() && leaves_channels(state, *value, *axes);
  if (axes && !planes && state.input_is_free() && image_shape(value->dims)) {
    if (auto refusal = require_image(state, *value)) return refusal;
    planes = leaves_channels(state, *value, *axes);
  }
  const TensorShape in = state.shape(value->base);
  if (axes && !axes->empty() && !planes && (axes->front() > 0 || value->dims[0] != 1) &&
      (rank <= 3 || value->base != 0)) {
    std::vector<std::int64_t> dims = reduced_dims(value->dims, *axes, keep);
    if (axes->front() > 1 && state.image_like(*value)) {  // along rows or columns: what is left is a map
      const auto extent = [&](int axis, int all) {
        return std::binary_search(axes->begin(), axes->end(), axis) ? all : 1;
      };
      const PoolParams pool{rank == 4 ? extent(2, in.height) : 1, extent(rank - 1, in.width),
                            rank == 4 ? extent(2, in.height) : 1, extent(rank - 1, in.width)};
      return add_pool(state, node, *value, pool, std::move(dims));
    }
    return mean_of_elements(state, node, *value, *axes, std::move(dims));
  }
  if (axes && !axes->empty() && !planes && axes->front() == 0) {
    return Refusal{"a mean over axes of which one is the batch's, and an encrypted run sees one sample",
                   "normalise by statistics that are fixed after training, and take means over other axes", false};
  }
  if (!planes) {
    return Refusal{"a mean over other axes than height and width", "use GlobalAveragePool or a mean over both", false};
  }
  return pool_everything(state, node, *value, reduced_dims(value->dims, *axes, keep));
}

}  // namespace brainlock::compiler
