/* Hand-written twins of mflow's compiled objectives: cost and gradient by plain loops and the C library's exponential, Rosenbrock's
 * valley, and fits of it by Adam, one after the other. Compiled by bench_objectives.py with the flags of meson.build. */
#include <math.h>
#include <stddef.h>
#include <string.h>

#define CASES(name, loss, slope)                                                                                                      \
  double twin_##name(ptrdiff_t m, ptrdiff_t p, const double *restrict X, const double *restrict y, const double *restrict c,          \
                     double *restrict g) {                                                                                            \
    double total = 0;                                                                                                                 \
    memset(g, 0, p * sizeof(double));                                                                                                 \
    for (ptrdiff_t i = 0; i < m; i++) {                                                                                               \
      const double *restrict x = X + i * p;                                                                                           \
      double lane[8] = {0};                                                                                                           \
      ptrdiff_t j = 0;                                                                                                                \
      for (; j + 8 <= p; j += 8)                                                                                                      \
        for (int q = 0; q < 8; q++)                                                                                                   \
          lane[q] += x[j + q] * c[j + q];                                                                                             \
      double t = ((lane[0] + lane[4]) + (lane[1] + lane[5])) + ((lane[2] + lane[6]) + (lane[3] + lane[7]));                           \
      for (; j < p; j++)                                                                                                              \
        t += x[j] * c[j];                                                                                                             \
      total += loss;                                                                                                                  \
      const double s = slope;                                                                                                         \
      for (j = 0; j < p; j++)                                                                                                         \
        g[j] += s * x[j];                                                                                                             \
    }                                                                                                                                 \
    for (ptrdiff_t j = 0; j < p; j++)                                                                                                 \
      g[j] /= m;                                                                                                                      \
    return total / m;                                                                                                                 \
  }

CASES(least_squares, 0.5 * (t - y[i]) * (t - y[i]), t - y[i])
CASES(logistic, log1p(exp(-fabs(t))) - (y[i] * t < 0 ? y[i] * t : 0), -y[i] / (1 + exp(y[i] * t)))

double twin_rosenbrock(ptrdiff_t n, const double *restrict x, double *restrict g) {
  double total = 0, left = 0;
  for (ptrdiff_t i = 0; i < n - 1; i++) {
    const double bend = x[i + 1] - x[i] * x[i], gap = 1 - x[i];
    total += 100 * (bend * bend) + gap * gap;
    g[i] = left - (400 * (x[i] * bend) + 2 * gap);
    left = 200 * bend;
  }
  g[n - 1] = left;
  return total;
}

static double norm(ptrdiff_t n, const double *g) {
  double most = 0;
  for (ptrdiff_t i = 0; i < n; i++)
    most = fabs(g[i]) > most ? fabs(g[i]) : most;
  return most;
}

/* Fits of n <= 16 unknowns by Adam; x goes from the starts to where they end. */
void twin_fits(ptrdiff_t lanes, ptrdiff_t n, ptrdiff_t steps, double lr, double gtol, double *x) {
  for (ptrdiff_t l = 0; l < lanes; l++) {
    double m[16] = {0}, v[16] = {0}, g[16], b1 = 1, b2 = 1, *c = x + l * n;
    for (ptrdiff_t k = 0; k < steps; k++) {
      const double value = twin_rosenbrock(n, c, g);
      if (!isfinite(value) || norm(n, g) <= gtol)
        break;
      b1 *= 0.9, b2 *= 0.999;
      const double a = -lr / (1 - b1), r = 1 / sqrt(1 - b2);
      for (ptrdiff_t i = 0; i < n; i++) {
        m[i] = 0.9 * m[i] + (1 - 0.9) * g[i];
        v[i] = 0.999 * v[i] + (1 - 0.999) * (g[i] * g[i]);
        c[i] += a * (m[i] / (sqrt(v[i]) * r + 1e-8));
      }
    }
  }
}
