"""Build plain ONNX graphs by hand, and run them with numpy.

Debian's onnx 1.12 has no reference evaluator, so `run` is a small independent one for the plain
operators that these files use. It shares no code with PyTorch, which is the point of the check.
"""
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 13
IR_VERSION = 7


class Graph:
    """Collects nodes and constants; each method returns the name of its result."""

    def __init__(self):
        self.nodes, self.constants, self.count = [], [], {}

    def constant(self, name, value, dtype=np.float32):
        value = np.ascontiguousarray(np.asarray(value, dtype=dtype))
        self.constants.append(numpy_helper.from_array(value, name))
        return name

    def node(self, op, inputs, output=None, **attributes):
        self.count[op] = self.count.get(op, 0) + 1
        output = output or f"{op.lower()}{self.count[op]}"
        self.nodes.append(helper.make_node(op, inputs, [output], name=output, **attributes))
        return output

    def conv(self, x, name, weight, bias=None, strides=(1, 1), pads=(0, 0, 0, 0)):
        inputs = [x, self.constant(f"{name}.weight", weight)]
        if bias is not None:
            inputs.append(self.constant(f"{name}.bias", bias))
        return self.node("Conv", inputs, name, kernel_shape=list(weight.shape[2:]),
                         strides=list(strides), pads=list(pads))

    def batch_norm(self, x, name, scale, bias, mean, var, eps=1e-5):
        names = [self.constant(f"{name}.{k}", v) for k, v in
                 (("scale", scale), ("bias", bias), ("mean", mean), ("var", var))]
        return self.node("BatchNormalization", [x, *names], name, epsilon=eps)

    def gemm(self, x, name, weight, bias, output=None):
        """weight is (out, in), as PyTorch has it."""
        return self.node("Gemm", [x, self.constant(f"{name}.weight", weight),
                                  self.constant(f"{name}.bias", bias)], output or name, transB=1)

    def dense(self, x, name, weight, bias):
        """The last dimension through a dense layer, whatever stands before it; weight is (out, in), as PyTorch has it."""
        y = self.node("MatMul", [x, self.constant(f"{name}.weight", weight.T)], name if bias is None else f"{name}.product")
        return y if bias is None else self.node("Add", [y, self.constant(f"{name}.bias", bias)], name)

    def quadratic(self, x, name, a, b, c, spatial=True):
        """a x^2 + b x + c per channel, as Mul, Mul, Mul, Add, Add."""
        shape = (1, -1, 1, 1) if spatial else (1, -1)
        const = lambda k, v: self.constant(f"{name}.{k}", np.reshape(v, shape))
        square = self.node("Mul", [x, x], f"{name}.square")
        high = self.node("Mul", [square, const("a", a)], f"{name}.high")
        low = self.node("Mul", [x, const("b", b)], f"{name}.low")
        both = self.node("Add", [high, low], f"{name}.sum")
        return self.node("Add", [both, const("c", c)], name)

    def average_pool(self, x, size=2):
        return self.node("AveragePool", [x], kernel_shape=[size, size], strides=[size, size])

    def model(self, name, input_shape, output, output_shape, doc=""):
        graph = helper.make_graph(
            self.nodes, name,
            [helper.make_tensor_value_info("image", TensorProto.FLOAT, input_shape)],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, output_shape)],
            self.constants, doc_string=doc)
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)],
                                 producer_name="brainlock-training")
        made.ir_version = IR_VERSION
        onnx.checker.check_model(made)
        return onnx.shape_inference.infer_shapes(made, strict_mode=True)


def _windows(x, size, strides):
    """(N, C, H, W) to (N, C, H', W', kh, kw), a view."""
    v = np.lib.stride_tricks.sliding_window_view(x, size, axis=(2, 3))
    return v[:, :, ::strides[0], ::strides[1]]


def _pad(x, pads):
    top, left, bottom, right = pads
    return np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))


def run(model, image, dtype=np.float64, watch=None):
    """Evaluate the graph on `image` (N, C, H, W); `watch(name, value)` sees every result."""
    values = {t.name: numpy_helper.to_array(t).astype(dtype)
              if t.data_type == TensorProto.FLOAT else numpy_helper.to_array(t)
              for t in model.graph.initializer}
    values[model.graph.input[0].name] = np.asarray(image, dtype=dtype)
    for node in model.graph.node:
        at = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        x = [values[name] for name in node.input]
        op = node.op_type
        if op == "Conv":
            pads, strides = at.get("pads", [0] * 4), at.get("strides", [1, 1])
            if at.get("group", 1) != 1 or at.get("dilations", [1, 1]) != [1, 1]:
                raise ValueError("Conv with group or dilations")
            v = _windows(_pad(x[0], pads), tuple(x[1].shape[2:]), strides)
            n, _, h, w = v.shape[:4]
            cols = v.transpose(0, 2, 3, 1, 4, 5).reshape(n * h * w, -1)
            y = (cols @ x[1].reshape(len(x[1]), -1).T).reshape(n, h, w, -1).transpose(0, 3, 1, 2)
            if len(x) > 2:
                y = y + x[2].reshape(1, -1, 1, 1)
        elif op == "BatchNormalization":
            scale, bias, mean, var = (v.reshape((1, -1) + (1,) * (x[0].ndim - 2)) for v in x[1:])
            y = (x[0] - mean) / np.sqrt(var + at.get("epsilon", 1e-5)) * scale + bias
        elif op == "AveragePool":
            y = _windows(_pad(x[0], at.get("pads", [0] * 4)), tuple(at["kernel_shape"]),
                         at.get("strides", [1, 1])).mean((4, 5))
        elif op == "Gemm":
            a = x[0].T if at.get("transA") else x[0]
            b = x[1].T if at.get("transB") else x[1]
            y = at.get("alpha", 1.0) * (a @ b) + (at.get("beta", 1.0) * x[2] if len(x) > 2 else 0)
        elif op == "MatMul":
            y = x[0] @ x[1]
        elif op == "Add":
            y = x[0] + x[1]
        elif op == "Sub":
            y = x[0] - x[1]
        elif op == "Mul":
            y = x[0] * x[1]
        elif op == "Pow":
            y = x[0] ** x[1]
        elif op == "Flatten":
            y = x[0].reshape(int(np.prod(x[0].shape[:at.get("axis", 1)])), -1)
        elif op == "Reshape":
            y = x[0].reshape([x[0].shape[i] if k == 0 else int(k) for i, k in enumerate(x[1])])
        elif op == "Transpose":
            y = x[0].transpose(at["perm"])
        elif op == "Relu":
            y = np.maximum(x[0], 0)
        else:
            raise ValueError(f"operator {op} is not known here")
        values[node.output[0]] = y
        if watch:
            watch(node.output[0], y)
    return values[model.graph.output[0].name]
