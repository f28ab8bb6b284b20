/* Right-hand sides and Jacobians in C of the problems in mflow.testproblems, for the benches and for tests/integrate/steps/test_accuracy.py, and a
 * hand-written adaptive integrator to measure against.
 *
 * Signatures are mflow.h's: int f(t, y, dydt, n, ctx), int j(t, y, jac, n, ctx) with jac[i*n + j] = df_i/dy_j. Names are f_NAME and
 * j_NAME. The formulas are written a second time here, from the papers; tests/integrate/steps/test_accuracy.py holds both against each other.
 */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "scalar.h"

#define F(name) int f_##name(double t, const double *y, double *d, ptrdiff_t n, void *ctx)
#define J(name) int j_##name(double t, const double *y, double *jac, ptrdiff_t n, void *ctx)
#define UNUSED (void)t, (void)y, (void)n, (void)ctx
#define AT(i, j) jac[(i) * n + (j)]
#define CLEAR memset(jac, 0, (size_t)(n * n) * sizeof(double))

/* ---- chaos, celestial mechanics, chemistry ------------------------------------------------------------------------------------------ */

F(lorenz) {
  UNUSED;
  d[0] = 10.0 * (y[1] - y[0]);
  d[1] = y[0] * (28.0 - y[2]) - y[1];
  d[2] = y[0] * y[1] - 8.0 / 3.0 * y[2];
  return 0;
}

J(lorenz) {
  UNUSED;
  AT(0, 0) = -10.0, AT(0, 1) = 10.0, AT(0, 2) = 0.0;
  AT(1, 0) = 28.0 - y[2], AT(1, 1) = -1.0, AT(1, 2) = -y[0];
  AT(2, 0) = y[1], AT(2, 1) = y[0], AT(2, 2) = -8.0 / 3.0;
  return 0;
}

F(arenstorf) {
  const double moon = 0.012277471, earth = 1.0 - moon, a = y[0] + moon, b = y[0] - earth;
  const double r1 = a * a + y[1] * y[1], r2 = b * b + y[1] * y[1];
  const double p = earth / (r1 * sqrt(r1)), q = moon / (r2 * sqrt(r2));
  UNUSED;
  d[0] = y[2];
  d[1] = y[3];
  d[2] = y[0] + 2.0 * y[3] - p * a - q * b;
  d[3] = y[1] - 2.0 * y[2] - (p + q) * y[1];
  return 0;
}

F(vdp) {
  UNUSED;
  d[0] = y[1];
  d[1] = 1e3 * (1.0 - y[0] * y[0]) * y[1] - y[0];
  return 0;
}

J(vdp) {
  UNUSED;
  AT(0, 0) = 0.0, AT(0, 1) = 1.0;
  AT(1, 0) = -2e3 * y[0] * y[1] - 1.0, AT(1, 1) = 1e3 * (1.0 - y[0] * y[0]);
  return 0;
}

F(vdp_eps) {
  UNUSED;
  d[0] = y[1];
  d[1] = ((1.0 - y[0] * y[0]) * y[1] - y[0]) / 1e-6;
  return 0;
}

J(vdp_eps) {
  UNUSED;
  AT(0, 0) = 0.0, AT(0, 1) = 1.0;
  AT(1, 0) = (-2.0 * y[0] * y[1] - 1.0) / 1e-6, AT(1, 1) = (1.0 - y[0] * y[0]) / 1e-6;
  return 0;
}

F(robertson) {
  const double slow = 0.04 * y[0], fast = 3e7 * y[1] * y[1], last = 1e4 * y[1] * y[2];
  UNUSED;
  d[0] = last - slow;
  d[1] = slow - last - fast;
  d[2] = fast;
  return 0;
}

J(robertson) {
  UNUSED;
  AT(0, 0) = -0.04, AT(0, 1) = 1e4 * y[2], AT(0, 2) = 1e4 * y[1];
  AT(1, 0) = 0.04, AT(1, 1) = -6e7 * y[1] - 1e4 * y[2], AT(1, 2) = -1e4 * y[1];
  AT(2, 0) = 0.0, AT(2, 1) = 6e7 * y[1], AT(2, 2) = 0.0;
  return 0;
}

F(hires) {
  const double meet = 280.0 * y[5] * y[7];
  UNUSED;
  d[0] = -1.71 * y[0] + 0.43 * y[1] + 8.32 * y[2] + 0.0007;
  d[1] = 1.71 * y[0] - 8.75 * y[1];
  d[2] = -10.03 * y[2] + 0.43 * y[3] + 0.035 * y[4];
  d[3] = 8.32 * y[1] + 1.71 * y[2] - 1.12 * y[3];
  d[4] = -1.745 * y[4] + 0.43 * y[5] + 0.43 * y[6];
  d[5] = -meet + 0.69 * y[3] + 1.71 * y[4] - 0.43 * y[5] + 0.69 * y[6];
  d[6] = meet - 1.81 * y[6];
  d[7] = -d[6];
  return 0;
}

J(hires) {
  const double p = 280.0 * y[7], q = 280.0 * y[5];
  UNUSED;
  CLEAR;
  AT(0, 0) = -1.71, AT(0, 1) = 0.43, AT(0, 2) = 8.32;
  AT(1, 0) = 1.71, AT(1, 1) = -8.75;
  AT(2, 2) = -10.03, AT(2, 3) = 0.43, AT(2, 4) = 0.035;
  AT(3, 1) = 8.32, AT(3, 2) = 1.71, AT(3, 3) = -1.12;
  AT(4, 4) = -1.745, AT(4, 5) = 0.43, AT(4, 6) = 0.43;
  AT(5, 3) = 0.69, AT(5, 4) = 1.71, AT(5, 5) = -p - 0.43, AT(5, 6) = 0.69, AT(5, 7) = -q;
  AT(6, 5) = p, AT(6, 6) = -1.81, AT(6, 7) = q;
  AT(7, 5) = -p, AT(7, 6) = 1.81, AT(7, 7) = -q;
  return 0;
}

/* ---- DETEST -------------------------------------------------------------------------------------------------------------------------- */

#define SCALAR(name, slope) F(name) { UNUSED; d[0] = (slope); return 0; }
SCALAR(A1, -y[0])
SCALAR(A2, -0.5 * (y[0] * y[0] * y[0]))
SCALAR(A3, y[0] * cos(t))
SCALAR(A4, 0.25 * y[0] * (1.0 - y[0] / 20.0))
SCALAR(A5, (y[0] - t) / (y[0] + t))

F(B1) {
  UNUSED;
  d[0] = 2.0 * (y[0] - y[0] * y[1]);
  d[1] = -(y[1] - y[0] * y[1]);
  return 0;
}

F(B2) {
  UNUSED;
  d[0] = -y[0] + y[1];
  d[1] = y[0] - 2.0 * y[1] + y[2];
  d[2] = y[1] - y[2];
  return 0;
}

F(B3) {
  UNUSED;
  d[0] = -y[0];
  d[1] = y[0] - y[1] * y[1];
  d[2] = y[1] * y[1];
  return 0;
}

F(B4) {
  const double r = sqrt(y[0] * y[0] + y[1] * y[1]);
  UNUSED;
  d[0] = -y[1] - y[0] * y[2] / r;
  d[1] = y[0] - y[1] * y[2] / r;
  d[2] = y[0] / r;
  return 0;
}

F(B5) {
  UNUSED;
  d[0] = y[1] * y[2];
  d[1] = -y[0] * y[2];
  d[2] = -0.51 * y[0] * y[1];
  return 0;
}

F(C1) {
  UNUSED;
  d[0] = -y[0];
  for (ptrdiff_t i = 1; i < n - 1; i++)
    d[i] = y[i - 1] - y[i];
  d[n - 1] = y[n - 2];
  return 0;
}

F(C2) {
  UNUSED;
  d[0] = -y[0];
  for (ptrdiff_t i = 1; i < n - 1; i++)
    d[i] = (double)i * y[i - 1] - (double)(i + 1) * y[i];
  d[n - 1] = (double)(n - 1) * y[n - 2];
  return 0;
}

F(C3) {
  UNUSED;
  d[0] = -2.0 * y[0] + y[1];
  for (ptrdiff_t i = 1; i < n - 1; i++)
    d[i] = y[i - 1] - 2.0 * y[i] + y[i + 1];
  d[n - 1] = y[n - 2] - 2.0 * y[n - 1];
  return 0;
}

F(C4) { return f_C3(t, y, d, n, ctx); }

/* The paper's own form: k^2 (-(m0 + mj) xj/rj^3 + sum over k != j of mk ((xk - xj)/djk^3 - xk/rk^3)). */
F(C5) {
  static const double mass[5] = {0.000954786104043, 0.000285583733151, 0.0000437273164546, 0.0000517759138449, 0.00000277777777778};
  double r3[5];
  UNUSED;
  for (int j = 0; j < 5; j++) {
    const double *x = y + 3 * j, r2 = x[0] * x[0] + x[1] * x[1] + x[2] * x[2];
    r3[j] = r2 * sqrt(r2);
  }
  for (int j = 0; j < 5; j++) {
    const double *x = y + 3 * j;
    for (int i = 0; i < 3; i++) {
      d[3 * j + i] = y[15 + 3 * j + i];
      d[15 + 3 * j + i] = -(1.00000597682 + mass[j]) * x[i] / r3[j];
    }
    for (int k = 0; k < 5; k++) {
      const double *z = y + 3 * k, a = z[0] - x[0], b = z[1] - x[1], c = z[2] - x[2], d2 = a * a + b * b + c * c, d3 = d2 * sqrt(d2);
      if (k == j)
        continue;
      for (int i = 0; i < 3; i++)
        d[15 + 3 * j + i] += mass[k] * ((z[i] - x[i]) / d3 - z[i] / r3[k]);
    }
    for (int i = 0; i < 3; i++)
      d[15 + 3 * j + i] *= 2.95912208286;
  }
  return 0;
}

F(D) {
  const double r2 = y[0] * y[0] + y[1] * y[1], r3 = r2 * sqrt(r2);
  UNUSED;
  d[0] = y[2];
  d[1] = y[3];
  d[2] = -y[0] / r3;
  d[3] = -y[1] / r3;
  return 0;
}

F(E1) {
  const double x = t + 1.0;
  UNUSED;
  d[0] = y[1];
  d[1] = -(y[1] / x + (1.0 - 0.25 / (x * x)) * y[0]);
  return 0;
}

F(E2) {
  UNUSED;
  d[0] = y[1];
  d[1] = (1.0 - y[0] * y[0]) * y[1] - y[0];
  return 0;
}

F(E3) {
  UNUSED;
  d[0] = y[1];
  d[1] = y[0] * y[0] * y[0] / 6.0 - y[0] + 2.0 * sin(2.78535 * t);
  return 0;
}

F(E4) {
  UNUSED;
  d[0] = y[1];
  d[1] = 0.032 - 0.4 * y[1] * y[1];
  return 0;
}

F(E5) {
  UNUSED;
  d[0] = y[1];
  d[1] = sqrt(1.0 + y[1] * y[1]) / (25.0 - t);
  return 0;
}

/* ---- a hand-written dopri5 with PI control -------------------------------------------------------------------------------------------
 *
 * What a careful person writes for this pair and nothing else: seven slopes, first same as last, mflow's controller (control.pxd)
 *     factor = min(10, max(0.2, 0.9 err^-0.17 old^0.04)),    err the root mean square of e_i/(atol + rtol max(|y_i|, |z_i|)).
 * The caller gives the first step. Returns 0, or -1 where f gives up; the counts are accepted and rejected steps.
 */

typedef int (*rhs_fn)(double t, const double *y, double *dydt, ptrdiff_t n, void *ctx);
#define MAX_N 64

/* With n = 3 the loops are unrolled and kept scalar: a vector load of what f has just stored number by number stalls. */
#define STAGE(k, c, ...)                                                                                                              \
  for (i = 0; i < n; i++) {                                                                                                           \
    const double slope_ = (__VA_ARGS__), value_ = y[i] + h * slope_;                                                                  \
    z[i] = n == 3 ? scalar(value_) : value_;                                                                                          \
  }                                                                                                                                   \
  if (f(t + (c) * h, z, k, n, NULL) != 0)                                                                                             \
    return -1;

INLINE int dopri5_loop(rhs_fn f, ptrdiff_t n, double t, double t_end, double h, double rtol, double atol, double *y0, ptrdiff_t *counts) {
  double room[10 * MAX_N], *y = room, *z = y + MAX_N, *k1 = z + MAX_N, *k7 = k1 + MAX_N, *swap, old = 1e-4;
  double *k2 = k7 + MAX_N, *k3 = k2 + MAX_N, *k4 = k3 + MAX_N, *k5 = k4 + MAX_N, *k6 = k5 + MAX_N;
  int after_reject = 0;
  ptrdiff_t i;
  counts[0] = counts[1] = 0;
  memcpy(y, y0, (size_t)n * sizeof(double));
  if (f(t, y, k1, n, NULL) != 0)
    return -1;
  while (t < t_end) {
    const int last = t + 1.01 * h >= t_end;
    double sum = 0.0, err, factor;
    if (last)
      h = t_end - t;
    STAGE(k2, 0.2, 1.0 / 5.0 * k1[i])
    STAGE(k3, 0.3, 3.0 / 40.0 * k1[i] + 9.0 / 40.0 * k2[i])
    STAGE(k4, 0.8, 44.0 / 45.0 * k1[i] - 56.0 / 15.0 * k2[i] + 32.0 / 9.0 * k3[i])
    STAGE(k5, 8.0 / 9.0, 19372.0 / 6561.0 * k1[i] - 25360.0 / 2187.0 * k2[i] + 64448.0 / 6561.0 * k3[i] - 212.0 / 729.0 * k4[i])
    STAGE(k6, 1.0, 9017.0 / 3168.0 * k1[i] - 355.0 / 33.0 * k2[i] + 46732.0 / 5247.0 * k3[i] + 49.0 / 176.0 * k4[i] -
                       5103.0 / 18656.0 * k5[i])
    STAGE(k7, 1.0, 35.0 / 384.0 * k1[i] + 500.0 / 1113.0 * k3[i] + 125.0 / 192.0 * k4[i] - 2187.0 / 6784.0 * k5[i] +
                       11.0 / 84.0 * k6[i])
    for (i = 0; i < n; i++) {
      const double e = 71.0 / 57600.0 * k1[i] - 71.0 / 16695.0 * k3[i] + 71.0 / 1920.0 * k4[i] - 17253.0 / 339200.0 * k5[i] +
                       22.0 / 525.0 * k6[i] - 1.0 / 40.0 * k7[i];
      const double a = fabs(y[i]), b = fabs(z[i]), r = h * e / (atol + rtol * (a > b ? a : b)), r2 = r * r;
      sum += n == 3 ? scalar(r2) : r2;
    }
    err = sqrt(sum / (double)n);
    if (err <= 1.0) {
      factor = err == 0.0 ? 10.0 : 0.9 * pow(err, -0.17) * pow(old, 0.04);
      factor = factor < 0.2 ? 0.2 : factor > 10.0 ? 10.0 : factor;
      if (after_reject && factor > 1.0)
        factor = 1.0;
      old = err > 1e-4 ? err : 1e-4;
      after_reject = 0;
      t = last ? t_end : t + h;
      swap = y, y = z, z = swap;
      swap = k1, k1 = k7, k7 = swap;
      counts[0]++;
    } else {
      factor = 0.9 * pow(err, -0.2);
      factor = factor < 0.2 ? 0.2 : factor;
      after_reject = 1;
      counts[1]++;
    }
    h *= factor;
  }
  memcpy(y0, y, (size_t)n * sizeof(double));
  return 0;
}

int twin_dopri5(rhs_fn f, ptrdiff_t n, double t, double t_end, double h, double rtol, double atol, double *y, ptrdiff_t *counts) {
  return n == 3 ? dopri5_loop(f, 3, t, t_end, h, rtol, atol, y, counts) : dopri5_loop(f, n, t, t_end, h, rtol, atol, y, counts);
}

/* ---- the Lorenz system as other libraries call it --------------------------------------------------------------------------------------- */

static ptrdiff_t soda_calls;

ptrdiff_t soda_count(void) { return soda_calls; }

void soda_lorenz(double t, const double *y, double *d, const double *data) { /* numbalsoda's signature */
  (void)data;
  f_lorenz(t, y, d, 3, NULL);
}

void soda_lorenz_counted(double t, const double *y, double *d, const double *data) {
  soda_calls++;
  soda_lorenz(t, y, d, data);
}
