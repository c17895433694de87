// The ops' equations in double, as plain as they can be written (docs/reference/network.md).
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <vector>

using Numbers = std::vector<double>;

struct Sizes {
  int64_t batch, grid, heads, channels, rows, columns, width;
  int64_t regions() const { return grid * grid; }
  int64_t positions() const { return rows * columns; }
};

inline Numbers softmax(Numbers scores) {
  const double largest = *std::max_element(scores.begin(), scores.end());
  double total = 0;
  for (double& score : scores) total += score = std::exp(score - largest);
  for (double& score : scores) score /= total;
  return scores;
}

// F(image, channel, region, position)
using Features = std::function<double(int64_t, int64_t, int64_t, int64_t)>;

// Attention of one head of one region of one image, and a scalar product with every position.
inline Numbers products(const Sizes& n, const Features& features, int64_t b, int64_t k, const double* vector) {
  Numbers found(n.positions());
  for (int64_t p = 0; p < n.positions(); ++p)
    for (int64_t c = 0; c < n.channels; ++c) found[p] += vector[c] * features(b, c, k, p);
  return found;
}
inline Numbers attention(const Sizes& n, const Features& features, int64_t b, int64_t k, const double* query) {
  Numbers scores = products(n, features, b, k, query);
  for (double& score : scores) score /= std::sqrt(double(n.channels));
  return softmax(scores);
}

struct Pools {
  Numbers pooled, mean;
};

inline Pools region_attention(const Sizes& n, const Features& features, const Numbers& query) {
  Pools to{Numbers(n.batch * n.regions() * n.heads * n.channels), Numbers(n.batch * n.regions() * n.channels)};
  for (int64_t b = 0; b < n.batch; ++b)
    for (int64_t k = 0; k < n.regions(); ++k)
      for (int64_t h = 0; h < n.heads; ++h) {
        const int64_t row = k * n.heads + h, region = b * n.regions() + k;
        const Numbers weights = attention(n, features, b, k, &query[row * n.channels]);
        for (int64_t c = 0; c < n.channels; ++c)
          for (int64_t p = 0; p < n.positions(); ++p) {
            to.pooled[(region * n.heads + h) * n.channels + c] += weights[p] * features(b, c, k, p);
            if (h == 0) to.mean[region * n.channels + c] += features(b, c, k, p) / double(n.positions());
          }
      }
  return to;
}

struct Gradients {
  Numbers features;  // [batch, channels, regions, positions]
  Numbers query;
};

inline Gradients region_attention_backward(const Sizes& n, const Features& features, const Numbers& query,
                                           const Numbers& grad_pooled, const Numbers& grad_mean) {
  Gradients to{Numbers(n.batch * n.channels * n.regions() * n.positions()), Numbers(query.size())};
  const double root = std::sqrt(double(n.channels));
  for (int64_t b = 0; b < n.batch; ++b)
    for (int64_t k = 0; k < n.regions(); ++k)
      for (int64_t h = 0; h < n.heads; ++h) {
        const int64_t row = k * n.heads + h, region = b * n.regions() + k;
        const double *q = &query[row * n.channels], *g = &grad_pooled[(region * n.heads + h) * n.channels];
        const Numbers weights = attention(n, features, b, k, q), slopes = products(n, features, b, k, g);
        double expected = 0;
        for (int64_t p = 0; p < n.positions(); ++p) expected += weights[p] * slopes[p];
        for (int64_t p = 0; p < n.positions(); ++p)
          for (int64_t c = 0; c < n.channels; ++c) {
            const double ds = weights[p] * (slopes[p] - expected) / root;
            const double of_mean = h == 0 ? grad_mean[region * n.channels + c] / double(n.positions()) : 0;
            to.features[((b * n.channels + c) * n.regions() + k) * n.positions() + p] +=
                weights[p] * g[c] + ds * q[c] + of_mean;
            to.query[row * n.channels + c] += ds * features(b, c, k, p);
          }
      }
  return to;
}

struct NonlocalInputs {
  Numbers mean, position, query_weight, key_weight, value_weight, value_bias, score_weight;
};
struct NonlocalAnswers {
  Numbers weights, affinity, context;
};

// rows[k, j] = <weight[j], tokens[k]>
inline Numbers project(const Numbers& tokens, const Numbers& weight, int64_t rows, int64_t channels, int64_t width) {
  Numbers to(rows * width);
  for (int64_t k = 0; k < rows; ++k)
    for (int64_t j = 0; j < width; ++j)
      for (int64_t c = 0; c < channels; ++c) to[k * width + j] += weight[j * channels + c] * tokens[k * channels + c];
  return to;
}

inline void nonlocal_image(const Sizes& n, const NonlocalInputs& in, int64_t b, NonlocalAnswers& to) {
  const int64_t regions = n.regions(), d = n.width;
  Numbers tokens(in.position);
  for (int64_t i = 0; i < regions * n.channels; ++i) tokens[i] += in.mean[b * regions * n.channels + i];
  const Numbers queries = project(tokens, in.query_weight, regions, n.channels, d);
  const Numbers keys = project(tokens, in.key_weight, regions, n.channels, d);
  const Numbers vectors = project(tokens, in.value_weight, regions, n.channels, d);
  Numbers contexts(regions * d), scores(regions);
  for (int64_t k = 0; k < regions; ++k) {
    Numbers row(regions);
    for (int64_t i = 0; i < regions; ++i)
      for (int64_t j = 0; j < d; ++j) row[i] += queries[k * d + j] * keys[i * d + j] / std::sqrt(double(d));
    row = softmax(row);
    std::copy(row.begin(), row.end(), to.affinity.begin() + (b * regions + k) * regions);
    for (int64_t j = 0; j < d; ++j) {
      for (int64_t i = 0; i < regions; ++i) contexts[k * d + j] += row[i] * (vectors[i * d + j] + in.value_bias[j]);
      scores[k] += in.score_weight[j] * std::max(contexts[k * d + j], 0.0);
    }
  }
  const Numbers weights = softmax(scores);
  std::copy(weights.begin(), weights.end(), to.weights.begin() + b * regions);
  for (int64_t k = 0; k < regions; ++k)
    for (int64_t j = 0; j < d; ++j) to.context[b * d + j] += weights[k] * contexts[k * d + j];
}

inline NonlocalAnswers nonlocal_attention(const Sizes& n, const NonlocalInputs& in) {
  NonlocalAnswers to{Numbers(n.batch * n.regions()), Numbers(n.batch * n.regions() * n.regions()),
                     Numbers(n.batch * n.width)};
  for (int64_t b = 0; b < n.batch; ++b) nonlocal_image(n, in, b, to);
  return to;
}
