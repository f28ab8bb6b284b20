/* Hand-written C twins of the sweeps of implicit SGD: what a careful person would write for one loss and nothing else.
 *
 * Dense rows, constant step, no intercept, no penalty, no certificate. Rows in a given order ask for the next ones in time. The dot product and
 * the square of a row share one pass of four vectors of four; libm's exp; Newton from a linear guess, kept between bounds.
 * Compiled by bench_implicit_sgd.py with the flags of meson.build.
 */
#include <math.h>
#include <stddef.h>
#include <stdint.h>

typedef double four __attribute__((vector_size(32), aligned(8), may_alias));
#define AT(p) (*(const four *)(p))

static inline double dot(const double *restrict x, const double *restrict w, ptrdiff_t n, double *square) {
  four a0 = {0}, a1 = {0}, a2 = {0}, a3 = {0}, b0 = {0}, b1 = {0}, b2 = {0}, b3 = {0};
  ptrdiff_t i = 0;
  for (; i + 16 <= n; i += 16) {
    const four x0 = AT(x + i), x1 = AT(x + i + 4), x2 = AT(x + i + 8), x3 = AT(x + i + 12);
    a0 += x0 * AT(w + i), a1 += x1 * AT(w + i + 4), a2 += x2 * AT(w + i + 8), a3 += x3 * AT(w + i + 12);
    b0 += x0 * x0, b1 += x1 * x1, b2 += x2 * x2, b3 += x3 * x3;
  }
  for (; i + 4 <= n; i += 4) {
    const four x0 = AT(x + i);
    a0 += x0 * AT(w + i), b0 += x0 * x0;
  }
  a0 = (a0 + a2) + (a1 + a3), b0 = (b0 + b2) + (b1 + b3);
  double d = (a0[0] + a0[2]) + (a0[1] + a0[3]), q = (b0[0] + b0[2]) + (b0[1] + b0[3]);
  for (; i < n; i++)
    d += x[i] * w[i], q += x[i] * x[i];
  *square = q;
  return d;
}

static inline double slope_of_squared(double s, double y, double g) { return (s - y) / (1.0 + g); }

static inline double slope_of_forward(double s, double y, double g) { (void)g; return s - y; }

/* -y sigma(-v), v = y s + g sigma(-v) */
static inline double slope_of_logistic(double s, double y, double g) {
  const double start = y * s;
  double low = start, high = start + g, v = (start + 0.5 * g) / (1.0 + 0.25 * g);
  if (v < low)
    v = low;
  for (int k = 0; k < 100; k++) {
    const double E = exp(-fabs(v)), r = 1.0 / (1.0 + E), sigma = v < 0.0 ? r : E * r;
    const double phi = (v - start) - g * sigma, next = v - phi / (1.0 + g * (E * r * r));
    if (phi > 0.0)
      high = v;
    else
      low = v;
    const double d = fabs(next - v);
    v = next >= low && next <= high ? next : 0.5 * (low + high);
    if (d <= 1e-8 * (1.0 + fabs(v)))     /* quadratic: the next step would be below the last digit */
      break;
  }
  const double E = exp(-fabs(v)), r = 1.0 / (1.0 + E);
  return -y * (v < 0.0 ? r : E * r);
}

#define SWEEP(name)                                                                                                                   \
  void twin_##name(ptrdiff_t n, ptrdiff_t count, const double *X, const double *y, const int64_t *order, double gamma, double *restrict w) { \
    for (ptrdiff_t k = 0; k < count; k++) {                                                                                           \
      const ptrdiff_t i = order ? order[k] : k;                                                                                       \
      const double *x = X + i * n;                                                                                                    \
      if (order && k + 4 < count)                                                                                                     \
        for (ptrdiff_t j = 0; j < n; j += 8)                                                                                          \
          __builtin_prefetch(X + order[k + 4] * n + j);                                                                               \
      double square;                                                                                                                  \
      const double s = dot(x, w, n, &square), step = gamma * slope_of_##name(s, y[i], gamma * square);                                \
      for (ptrdiff_t j = 0; j < n; j++)                                                                                               \
        w[j] -= step * x[j];                                                                                                          \
    }                                                                                                                                 \
  }

SWEEP(squared)
SWEEP(forward)
SWEEP(logistic)
