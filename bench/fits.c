/* Fifteen ordinary fits, as compiled residuals with their Jacobians, where ctx holds x and y of the data; and as models of x alone. How many
 * parameters a model has is known when it is compiled: a copy of n of them would be a call of memcpy for each datum. */
#include <math.h>
#include <stddef.h>

#define FIT(name, count, ...)                                                                                                       \
  static int name##_at(const double *b, double *r, double *J, ptrdiff_t m, ptrdiff_t n, const double *at, const double *y) {        \
    (void)n;                                                                                                                        \
    for (ptrdiff_t i = 0; i < m; i++) {                                                                                             \
      const double x = at[i];                                                                                                       \
      double f, d[count];                                                                                                           \
      __VA_ARGS__;                                                                                                                  \
      if (r) r[i] = y ? f - y[i] : f;                                                                                               \
      if (J) for (int j = 0; j < count; j++) J[i * count + j] = d[j];                                                               \
    }                                                                                                                               \
    return 0;                                                                                                                       \
  }                                                                                                                                 \
  int name(const double *b, double *r, double *J, ptrdiff_t m, ptrdiff_t n, void *ctx) {                                            \
    return name##_at(b, r, J, m, n, ((const double **)ctx)[0], ((const double **)ctx)[1]);                                          \
  }                                                                                                                                 \
  int name##_model(const double *b, double *f, double *J, ptrdiff_t m, ptrdiff_t n, void *x) {                                      \
    return name##_at(b, f, J, m, n, (const double *)x, NULL);                                                                       \
  }                                                                                                                                 \

static double peak(double x, const double *b, double *d) {
  const double u = (x - b[1]) / b[2], e = exp(-0.5 * u * u), slope = b[0] * e * u / b[2];
  d[0] = e; d[1] = slope; d[2] = slope * u;
  return b[0] * e;
}

FIT(decay, 3, { const double e = exp(-b[1] * x); f = b[0] * e + b[2]; d[0] = e; d[1] = -b[0] * x * e; d[2] = 1; })
FIT(two_decays, 4, {
  const double e = exp(-b[1] * x), g = exp(-b[3] * x);
  f = b[0] * e + b[2] * g; d[0] = e; d[1] = -b[0] * x * e; d[2] = g; d[3] = -b[2] * x * g; })
FIT(growth, 2, { const double e = exp(b[1] * x); f = b[0] * e; d[0] = e; d[1] = b[0] * x * e; })
FIT(michaelis, 2, { const double s = x / (b[1] + x); f = b[0] * s; d[0] = s; d[1] = -b[0] * s / (b[1] + x); })
FIT(gaussian, 3, { f = peak(x, b, d); })
FIT(peak_on_a_line, 5, { f = peak(x, b, d) + b[3] * x + b[4]; d[3] = x; d[4] = 1; })
FIT(two_peaks, 6, { f = peak(x, b, d) + peak(x, b + 3, d + 3); })
FIT(wave, 4, { const double a = b[1] * x + b[2], c = b[0] * cos(a); d[0] = sin(a); f = b[0] * d[0] + b[3]; d[1] = c * x; d[2] = c; d[3] = 1; })
FIT(damped_wave, 4, {
  const double e = exp(-b[1] * x), a = b[2] * x + b[3], s = e * sin(a), c = b[0] * e * cos(a);
  f = b[0] * s; d[0] = s; d[1] = -x * f; d[2] = c * x; d[3] = c; })
FIT(logistic, 3, {
  const double e = exp(-b[1] * (x - b[2])), s = 1 / (1 + e), g = b[0] * e * s * s;
  f = b[0] * s; d[0] = s; d[1] = g * (x - b[2]); d[2] = -g * b[1]; })
FIT(power, 2, { const double p = pow(x, b[1]); f = b[0] * p; d[0] = p; d[1] = b[0] * p * log(x); })
FIT(four_parameters, 4, {
  const double z = pow(x / b[2], b[1]), s = 1 / (1 + z), g = (b[0] - b[3]) * s * s * z;
  f = b[3] + (b[0] - b[3]) * s; d[0] = s; d[1] = -g * log(x / b[2]); d[2] = g * b[1] / b[2]; d[3] = 1 - s; })
FIT(arrhenius, 2, { const double e = exp(-b[1] / (8.314e-3 * x)); f = b[0] * e; d[0] = e; d[1] = -f / (8.314e-3 * x); })
