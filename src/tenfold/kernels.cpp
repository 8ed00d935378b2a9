// Batch norm between a max pool and a GELU, forward and backward, in as few passes over memory as there are
// sums to wait for. `kernels.py` compiles this file, and tells what calls it and why.
//
// Maps lie as (n, height, width, channels) in memory, in float32 or bfloat16; all arithmetic is float32. Sums
// are kept by picture, (n, 2, channels), and added up by the caller, so that they are the same bits with any
// number of threads. Pools have strides of 2 and no border.

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>

namespace {

using bfloat16 = uint16_t;

inline float load(float x) { return x; }

inline float load(bfloat16 x) {
  uint32_t bits = uint32_t(x) << 16;
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

inline void store(float& to, float x) { to = x; }

inline void store(bfloat16& to, float x) {  // rounds to the nearest, to the even one of two
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  to = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
}

// 2 to the power of x <= 0, to 2e-7 of itself: a polynomial for the fraction, the exponent's bits for the rest.
inline float power(float x) {
  x = x < -126.f ? -126.f : x;
  float whole = std::nearbyint(x), rest = x - whole;
  float part = 0.0096181291f + rest * 0.0013333558f;
  part = 1.f + rest * (0.6931471806f + rest * (0.2402265070f + rest * (0.0555041087f + rest * part)));
  int32_t bits = (int32_t(whole) + 127) << 23;
  float scale;
  std::memcpy(&scale, &bits, sizeof scale);
  return part * scale;
}

// The standard normal distribution: its density at x, and the probability of what lies below, to 1e-7
// (Abramowitz and Stegun, "Handbook of Mathematical Functions", 7.1.26).
inline void normal(float x, float& density, float& below) {
  float bell = power(-0.7213475204f * x * x);
  float t = 1.f / (1.f + 0.2316418882f * std::fabs(x));
  float part = 1.421413741f + t * (-1.453152027f + t * 1.061405429f);
  part = 0.254829592f + t * (-0.284496736f + t * part);
  float tail = 0.5f * bell * t * part;
  density = 0.3989422804f * bell;
  below = x < 0 ? tail : 1.f - tail;
}

struct Pool {
  long height, width;          // of the maps
  long rows, columns;          // of the window
  long high() const { return (height - rows) / 2 + 1; }
  long wide() const { return (width - columns) / 2 + 1; }
};

// A batch norm without gamma: x becomes x * scale + centre, and beta is added.
struct Norm {
  const float *scale, *centre, *beta;
};

inline void zero(float* sums, long channels) { std::memset(sums, 0, 2 * channels * sizeof(float)); }

// The largest of each window, its place in the window, and the sums of values and squares.
template <class T, int rows, int columns>
void pool(const T* maps, T* pooled, uint8_t* places, float* sums, long n, long channels, Pool shape) {
  long high = shape.high(), wide = shape.wide(), line = shape.width * channels;
#pragma omp parallel for schedule(static)
  for (long picture = 0; picture < n; picture++) {
    float* sum = sums + picture * 2 * channels;
    float* square = sum + channels;
    zero(sum, channels);
    for (long y = 0; y < high; y++)
      for (long x = 0; x < wide; x++) {
        const T* in = maps + (picture * shape.height + 2 * y) * line + 2 * x * channels;
        long at = ((picture * high + y) * wide + x) * channels;
        T* out = pooled + at;
        uint8_t* place = places + at;
#pragma omp simd
        for (long k = 0; k < channels; k++) {
          float best = load(in[k]);
          int32_t where = 0;
          for (int p = 1; p < rows * columns; p++) {
            float value = load(in[p / columns * line + p % columns * channels + k]);
            where = value > best ? p : where;
            best = value > best ? value : best;
          }
          store(out[k], best);
          place[k] = where;
          sum[k] += best;
          square[k] += best * best;
        }
      }
  }
}

// The sums of values and squares.
template <class T>
void moments(const T* maps, float* sums, long n, long area, long channels) {
#pragma omp parallel for schedule(static)
  for (long picture = 0; picture < n; picture++) {
    float* sum = sums + picture * 2 * channels;
    float* square = sum + channels;
    zero(sum, channels);
    for (long pixel = 0; pixel < area; pixel++) {
      const T* in = maps + (picture * area + pixel) * channels;
#pragma omp simd
      for (long k = 0; k < channels; k++) {
        float value = load(in[k]);
        sum[k] += value;
        square[k] += value * value;
      }
    }
  }
}

// GELU of the normalised maps and, where there is, of what is added to them.
template <class T, bool added>
void activate(const T* maps, const T* before, T* activated, Norm norm, long pixels, long channels) {
#pragma omp parallel for schedule(static)
  for (long pixel = 0; pixel < pixels; pixel++) {
    const T *in = maps + pixel * channels, *add = before + pixel * channels;
    T* out = activated + pixel * channels;
#pragma omp simd
    for (long k = 0; k < channels; k++) {
      float z = load(in[k]) * norm.scale[k] + norm.centre[k] + norm.beta[k], density, below;
      if (added) z += load(add[k]);
      normal(z, density, below);
      store(out[k], z * below);
    }
  }
}

// The gradient in front of the GELU, its sums, and those of it times the normalised maps.
template <class T, bool added>
void back(const T* maps, const T* before, const T* after, T* gradient, float* sums, Norm norm, long n, long area,
          long channels) {
#pragma omp parallel for schedule(static)
  for (long picture = 0; picture < n; picture++) {
    float* sum = sums + picture * 2 * channels;
    float* product = sum + channels;
    zero(sum, channels);
    for (long pixel = 0; pixel < area; pixel++) {
      long at = (picture * area + pixel) * channels;
      const T *in = maps + at, *add = before + at, *given = after + at;
      T* out = gradient + at;
#pragma omp simd
      for (long k = 0; k < channels; k++) {
        float normed = load(in[k]) * norm.scale[k] + norm.centre[k], density, below;
        float z = normed + norm.beta[k];
        if (added) z += load(add[k]);
        normal(z, density, below);
        float value = load(given[k]) * (below + z * density);
        store(out[k], value);
        sum[k] += value;
        product[k] += value * normed;
      }
    }
  }
}

// One pixel's gradient in front of the batch norm; means: of the gradient behind, and of it times the maps.
template <class T, class Out>
inline void unnorm(const T* in, const T* gradient, Out* out, Norm norm, const float* means, long channels) {
  const float* products = means + channels;
#pragma omp simd
  for (long k = 0; k < channels; k++) {
    float normed = load(in[k]) * norm.scale[k] + norm.centre[k];
    store(out[k], norm.scale[k] * (load(gradient[k]) - means[k] - normed * products[k]));
  }
}

template <class T>
void spread(const T* maps, const T* gradient, T* out, Norm norm, const float* means, long pixels, long channels) {
#pragma omp parallel for schedule(static)
  for (long pixel = 0; pixel < pixels; pixel++) {
    long at = pixel * channels;
    unnorm(maps + at, gradient + at, out + at, norm, means, channels);
  }
}

// The same, and back through the pool: each gradient goes to the place that its value came from.
template <class T>
void unpool(const T* pooled, const T* gradient, const uint8_t* places, T* out, Norm norm, const float* means, long n,
            long channels, Pool shape) {
  long high = shape.high(), wide = shape.wide();
#pragma omp parallel
  {
    float* plane = static_cast<float*>(std::malloc((high * wide + 1) * channels * sizeof(float)));
    float* sum = plane + high * wide * channels;
#pragma omp for schedule(static)
    for (long picture = 0; picture < n; picture++) {
      for (long pixel = 0; pixel < high * wide; pixel++) {
        long at = (picture * high * wide + pixel) * channels;
        unnorm(pooled + at, gradient + at, plane + pixel * channels, norm, means, channels);
      }
      for (long y = 0; y < shape.height; y++)
        for (long x = 0; x < shape.width; x++) {
          T* to = out + ((picture * shape.height + y) * shape.width + x) * channels;
          // The windows that hold this pixel: one, or up to four where they overlap.
          long top = y < shape.rows ? 0 : (y - shape.rows) / 2 + 1, bottom = y / 2 < high ? y / 2 : high - 1;
          long left = x < shape.columns ? 0 : (x - shape.columns) / 2 + 1, right = x / 2 < wide ? x / 2 : wide - 1;
          if (top == bottom && left == right) {
            const float* value = plane + (top * wide + left) * channels;
            const uint8_t* place = places + ((picture * high + top) * wide + left) * channels;
            uint8_t here = (y - 2 * top) * shape.columns + x - 2 * left;
#pragma omp simd
            for (long k = 0; k < channels; k++) store(to[k], place[k] == here ? value[k] : 0.f);
            continue;
          }
          std::memset(sum, 0, channels * sizeof(float));
          for (long v = top; v <= bottom; v++)
            for (long u = left; u <= right; u++) {
              const float* value = plane + (v * wide + u) * channels;
              const uint8_t* place = places + ((picture * high + v) * wide + u) * channels;
              uint8_t here = (y - 2 * v) * shape.columns + x - 2 * u;
#pragma omp simd
              for (long k = 0; k < channels; k++) sum[k] += place[k] == here ? value[k] : 0.f;
            }
#pragma omp simd
          for (long k = 0; k < channels; k++) store(to[k], sum[k]);
        }
    }
    std::free(plane);
  }
}

}  // namespace

#define KERNELS(T)                                                                                               \
  extern "C" void pool_##T(const T* maps, T* pooled, uint8_t* places, float* sums, long n, long channels,        \
                           long height, long width, long rows, long columns) {                                   \
    auto tall = columns == 2 ? pool<T, 3, 2> : pool<T, 3, 3>, low = columns == 2 ? pool<T, 2, 2> : pool<T, 2, 3>; \
    (rows == 2 ? low : tall)(maps, pooled, places, sums, n, channels, Pool{height, width, rows, columns});       \
  }                                                                                                              \
  extern "C" void moments_##T(const T* maps, float* sums, long n, long area, long channels) {                    \
    moments(maps, sums, n, area, channels);                                                                      \
  }                                                                                                              \
  extern "C" void activate_##T(const T* maps, const T* before, T* activated, const float* scale,                 \
                               const float* centre, const float* beta, long pixels, long channels) {             \
    auto run = before ? activate<T, true> : activate<T, false>;                                                  \
    run(maps, before ? before : maps, activated, Norm{scale, centre, beta}, pixels, channels);                   \
  }                                                                                                              \
  extern "C" void back_##T(const T* maps, const T* before, const T* after, T* gradient, float* sums,             \
                           const float* scale, const float* centre, const float* beta, long n, long area,        \
                           long channels) {                                                                      \
    auto run = before ? back<T, true> : back<T, false>;                                                          \
    run(maps, before ? before : maps, after, gradient, sums, Norm{scale, centre, beta}, n, area, channels);      \
  }                                                                                                              \
  extern "C" void spread_##T(const T* maps, const T* gradient, T* out, const float* scale, const float* centre,  \
                             const float* means, long pixels, long channels) {                                   \
    spread(maps, gradient, out, Norm{scale, centre, nullptr}, means, pixels, channels);                          \
  }                                                                                                              \
  extern "C" void unpool_##T(const T* pooled, const T* gradient, const uint8_t* places, T* out,                  \
                             const float* scale, const float* centre, const float* means, long n, long channels, \
                             long height, long width, long rows, long columns) {                                 \
    unpool(pooled, gradient, places, out, Norm{scale, centre, nullptr}, means, n, channels,                      \
           Pool{height, width, rows, columns});                                                                  \
  }

using float32 = float;
KERNELS(bfloat16)
KERNELS(float32)
