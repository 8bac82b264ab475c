// What tch does not bind and diffusion models need.
//
// Narrow headers on purpose: torch/torch.h costs half a minute of compilation.
// Every function returns null, or a message that `dt_free` takes back: no exception crosses into Rust.
// The declarations that Rust sees are in src/ffi.rs; keep the two in the same order.

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <ATen/ops/_foreach_lerp.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/stack.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <mutex>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using TensorRef = const at::Tensor*;

char out_of_memory[] = "out of memory while reporting an error";

char* message(const char* text) noexcept {
  char* copy = strdup(text);
  return copy != nullptr ? copy : out_of_memory;
}

// Runs `body` and turns whatever it throws into a message.
template <typename Body>
char* guarded(Body&& body) noexcept {
  try {
    body();
    return nullptr;
  } catch (const c10::Error& error) {
    return message(error.what_without_backtrace());
  } catch (const std::exception& error) {
    return message(error.what());
  } catch (...) {
    return message("an exception of unknown type");
  }
}

std::vector<at::Tensor> list(const TensorRef* tensors, size_t count) {
  std::vector<at::Tensor> out;
  out.reserve(count);
  for (size_t i = 0; i < count; ++i) out.push_back(*tensors[i]);
  return out;
}

// The gradients that are there; a parameter without one is left out.
std::vector<at::Tensor> present_gradients(const TensorRef* parameters, size_t count) {
  std::vector<at::Tensor> out;
  out.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    const at::Tensor& gradient = parameters[i]->grad();
    if (gradient.defined()) out.push_back(gradient);
  }
  return out;
}

// Whether element k of one tensor's memory is element k of the other's; the stride of a dimension of size 1 is never used.
bool same_layout(const at::Tensor& a, const at::Tensor& b) {
  if (a.sizes() != b.sizes()) return false;
  for (int64_t dimension = 0; dimension < a.dim(); ++dimension) {
    if (a.size(dimension) > 1 && a.stride(dimension) != b.stride(dimension)) return false;
  }
  return true;
}

std::string describe(const at::Tensor& tensor) {
  std::ostringstream out;
  out << tensor.scalar_type() << " on " << tensor.device() << ", shape " << tensor.sizes() << ", strides "
      << tensor.strides();
  return out.str();
}

// Empty where `other` may be walked together with `parameter` as one flat array, else what differs.
std::string mismatch(const char* what, const at::Tensor& parameter, const at::Tensor& other) {
  if (other.layout() == at::kStrided && other.scalar_type() == parameter.scalar_type() &&
      other.device() == parameter.device() && same_layout(parameter, other)) {
    return {};
  }
  std::string text = std::string("its ") + what + " is ";
  text += other.layout() == at::kStrided ? describe(other) : std::string("not strided");
  return text + "; the parameter is " + describe(parameter);
}

at::Tensor global_norm(at::TensorList tensors) {
  const std::vector<at::Tensor> norms = at::_foreach_norm(tensors, 2.0);
  return at::linalg_vector_norm(at::stack(norms), 2.0);
}

// out[i] = Σₖ coefficients[k] · terms[k][i], summed in f64 and rounded once. Blocks of this many elements stay in the
// first-level cache between the terms, so that every operand passes through memory once.
template <typename Element>
void combine(Element* out, const std::vector<const Element*>& terms, const double* coefficients, int64_t count) {
  constexpr int64_t block = 1024;
  at::parallel_for(0, count, 16 * block, [&](int64_t begin, int64_t end) {
    double sum[block];
    for (int64_t start = begin; start < end; start += block) {
      const int64_t length = std::min(block, end - start);
      const Element* first = terms[0] + start;
      for (int64_t i = 0; i < length; ++i) sum[i] = coefficients[0] * first[i];
      for (size_t k = 1; k < terms.size(); ++k) {
        const Element* term = terms[k] + start;
        const double coefficient = coefficients[k];
        for (int64_t i = 0; i < length; ++i) sum[i] += coefficient * term[i];
      }
      for (int64_t i = 0; i < length; ++i) out[start + i] = static_cast<Element>(sum[i]);
    }
  });
}

template <typename Element>
at::Tensor combine(const std::vector<at::Tensor>& terms, const double* coefficients) {
  at::Tensor out = at::empty_like(terms[0]);
  std::vector<const Element*> pointers;
  pointers.reserve(terms.size());
  for (const at::Tensor& term : terms) pointers.push_back(term.const_data_ptr<Element>());
  combine<Element>(out.mutable_data_ptr<Element>(), pointers, coefficients, out.numel());
  return out;
}

bool one_flat_array_each(const std::vector<at::Tensor>& terms) {
  const at::Tensor& first = terms[0];
  if (!first.device().is_cpu() || first.layout() != at::kStrided || !first.is_non_overlapping_and_dense()) return false;
  for (const at::Tensor& term : terms) {
    if (!mismatch("term", first, term).empty()) return false;
  }
  return true;
}

at::Generator generator(int32_t device) {
  if (device < 0) return at::detail::getDefaultCPUGenerator();
  return at::globalContext().defaultGenerator(at::Device(at::kCUDA, static_cast<at::DeviceIndex>(device)));
}

}  // namespace

extern "C" {

void dt_free(char* text) {
  if (text != out_of_memory) std::free(text);
}

// --- library -------------------------------------------------------------------------------------------------------

char* dt_show_config(char** text) {
  return guarded([&] { *text = message(at::show_config().c_str()); });
}

char* dt_cpu_capability(char** text) {
  return guarded([&] { *text = message(at::get_cpu_capability().c_str()); });
}

// Asking makes libtorch cache its CUDA hooks: not before libtorch_cuda is loaded. (`hasCUDA` would be false without a
// device, too; `hasCUDART` tells whether the hooks are those of libtorch_cuda.)
char* dt_cuda_device_count(bool* linked, int32_t* count) {
  return guarded([&] {
    *linked = at::detail::getCUDAHooks().hasCUDART();
    *count = *linked ? at::detail::getCUDAHooks().getNumGPUs() : 0;
  });
}

// --- AdamW ---------------------------------------------------------------------------------------------------------

// `_fused_adamw_` walks the four tensors of a parameter as flat arrays and compares nothing on CPU: with layouts that
// differ it updates the wrong elements. `culprit` is the index of the parameter that the message is about;
// `missing` is set where it is about a gradient that is not there.
char* dt_adamw_check(const TensorRef* parameters, const TensorRef* exp_avgs, const TensorRef* exp_avg_sqs, size_t count,
                     size_t* culprit, bool* missing) {
  return guarded([&] {
    for (size_t i = 0; i < count; ++i) {
      *culprit = i;
      *missing = false;
      const at::Tensor& parameter = *parameters[i];
      const at::Tensor& gradient = parameter.grad();
      if (!gradient.defined()) {
        *missing = true;
        throw std::runtime_error("it has no gradient");
      }
      if (!parameter.is_non_overlapping_and_dense()) {
        throw std::runtime_error("it is a view with gaps or overlaps: " + describe(parameter));
      }
      std::string text = mismatch("gradient", parameter, gradient);
      if (text.empty()) text = mismatch("first moment", parameter, *exp_avgs[i]);
      if (text.empty()) text = mismatch("second moment", parameter, *exp_avg_sqs[i]);
      if (!text.empty()) throw std::runtime_error(text);
    }
  });
}

// One update of `count` parameters that passed `dt_adamw_check`; `step` counts from 1 and is read, not advanced.
char* dt_fused_adamw(const TensorRef* parameters, const TensorRef* exp_avgs, const TensorRef* exp_avg_sqs, size_t count,
                     TensorRef step, double learning_rate, double beta1, double beta2, double weight_decay,
                     double epsilon) {
  return guarded([&] {
    at::NoGradGuard no_grad;
    const std::vector<at::Tensor> gradients = present_gradients(parameters, count);
    const std::vector<at::Tensor> steps(count, *step);
    at::_fused_adamw_(list(parameters, count), gradients, list(exp_avgs, count), list(exp_avg_sqs, count), {}, steps,
                      learning_rate, beta1, beta2, weight_decay, epsilon, /*amsgrad=*/false, /*maximize=*/false);
  });
}

// --- lists of tensors ----------------------------------------------------------------------------------------------

// from[i] += weight · (to[i] − from[i])
char* dt_foreach_lerp(const TensorRef* from, const TensorRef* to, size_t count, double weight) {
  return guarded([&] {
    at::NoGradGuard no_grad;
    at::_foreach_lerp_(list(from, count), list(to, count), weight);
  });
}

char* dt_foreach_mul(const TensorRef* tensors, size_t count, TensorRef factor) {
  return guarded([&] {
    at::NoGradGuard no_grad;
    at::_foreach_mul_(list(tensors, count), *factor);
  });
}

char* dt_global_norm(const TensorRef* tensors, size_t count, at::Tensor** norm) {
  return guarded([&] {
    at::NoGradGuard no_grad;
    *norm = new at::Tensor(global_norm(list(tensors, count)));
  });
}

// torch.nn.utils.clip_grad_norm_; `norm` is null where no parameter has a gradient.
char* dt_clip_grad_norm(const TensorRef* parameters, size_t count, double max_norm, at::Tensor** norm) {
  return guarded([&] {
    at::NoGradGuard no_grad;
    *norm = nullptr;
    const std::vector<at::Tensor> gradients = present_gradients(parameters, count);
    if (gradients.empty()) return;
    const at::Tensor total = global_norm(gradients);
    const at::Tensor factor = at::mul(total.add(1e-6).reciprocal(), max_norm).clamp_max(1.0);
    // On the CPU the factor is at hand without waiting, and multiplying by 1 would read and write everything for nothing.
    if (!factor.is_cpu() || factor.item<double>() != 1.0) at::_foreach_mul_(gradients, factor);
    *norm = new at::Tensor(total);
  });
}

// --- gradients -----------------------------------------------------------------------------------------------------

// `gradient` is null where there is none.
char* dt_gradient(TensorRef parameter, at::Tensor** gradient) {
  return guarded([&] {
    const at::Tensor& found = parameter->grad();
    *gradient = found.defined() ? new at::Tensor(found) : nullptr;
  });
}

// A null `gradient` clears.
char* dt_set_gradient(TensorRef parameter, TensorRef gradient) {
  return guarded([&] { parameter->mutable_grad() = gradient != nullptr ? *gradient : at::Tensor(); });
}

// --- random number generators --------------------------------------------------------------------------------------

// `device` is −1 for the CPU, else a CUDA index.
char* dt_rng_state(int32_t device, at::Tensor** state) {
  return guarded([&] {
    at::Generator source = generator(device);
    std::lock_guard<std::mutex> lock(source.mutex());
    *state = new at::Tensor(source.get_state());
  });
}

char* dt_set_rng_state(int32_t device, TensorRef state) {
  return guarded([&] {
    at::Generator source = generator(device);
    std::lock_guard<std::mutex> lock(source.mutex());
    source.set_state(*state);
  });
}

char* dt_manual_seed(int32_t device, uint64_t seed) {
  return guarded([&] {
    at::Generator source = generator(device);
    std::lock_guard<std::mutex> lock(source.mutex());
    source.set_current_seed(seed);
  });
}

// --- memory format -------------------------------------------------------------------------------------------------

char* dt_to_channels_last(TensorRef tensor, at::Tensor** out) {
  return guarded([&] { *out = new at::Tensor(tensor->contiguous(at::MemoryFormat::ChannelsLast)); });
}

char* dt_is_channels_last(TensorRef tensor, bool* answer) {
  return guarded([&] { *answer = tensor->is_contiguous(at::MemoryFormat::ChannelsLast); });
}

// --- arithmetic ----------------------------------------------------------------------------------------------------

char* dt_linear_combination(const TensorRef* tensors, const double* coefficients, size_t count, at::Tensor** out) {
  return guarded([&] {
    at::NoGradGuard no_grad;
    const std::vector<at::Tensor> terms = list(tensors, count);
    for (const at::Tensor& term : terms) {
      TORCH_CHECK(term.sizes() == terms[0].sizes(), "the terms of a linear combination have shapes ", terms[0].sizes(),
                  " and ", term.sizes());
    }
    if (one_flat_array_each(terms) && terms[0].scalar_type() == at::kFloat) {
      *out = new at::Tensor(combine<float>(terms, coefficients));
    } else if (one_flat_array_each(terms) && terms[0].scalar_type() == at::kDouble) {
      *out = new at::Tensor(combine<double>(terms, coefficients));
    } else {
      at::Tensor sum = at::mul(terms[0], coefficients[0]);
      for (size_t k = 1; k < count; ++k) sum.add_(terms[k], coefficients[k]);
      *out = new at::Tensor(sum);
    }
  });
}

// --- process-wide settings -----------------------------------------------------------------------------------------

char* dt_set_num_threads(int32_t count) {
  return guarded([&] { at::set_num_threads(count); });
}

// libtorch takes this once, and not after its first use of the pool.
char* dt_set_num_interop_threads(int32_t count) {
  return guarded([&] { at::set_num_interop_threads(count); });
}

char* dt_threads(int32_t* intra_op, int32_t* inter_op) {
  return guarded([&] {
    *intra_op = at::get_num_threads();
    *inter_op = static_cast<int32_t>(at::get_num_interop_threads());
  });
}

char* dt_set_deterministic(bool deterministic) {
  return guarded([&] {
    at::Context& context = at::globalContext();
    context.setDeterministicAlgorithms(deterministic, /*warn_only=*/false);
    context.setDeterministicCuDNN(deterministic);
    context.setDeterministicMkldnn(deterministic);
    if (deterministic) context.setBenchmarkCuDNN(false);
    // Filling every fresh tensor with NaN costs a pass over memory and changes no result of code that writes before it reads.
    context.setDeterministicFillUninitializedMemory(false);
  });
}

char* dt_is_deterministic(bool* answer) {
  return guarded([&] { *answer = at::globalContext().deterministicAlgorithms(); });
}

}  // extern "C"
