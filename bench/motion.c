/* Hand-written C twins of second-order runs, for bench_dynamics.py: one method, one kind of problem and nothing else, in place.
 *
 * The oscillator's Newmark step keeps x, v and a in registers. The chains call the same accel pointer that mflow is given. The staggered
 * step with implicit damping solves (M + dt/2 C) a+ = -K x+ - C v(1/2) by a factorisation made once, without exchanges.
 * Compiled with the flags of meson.build.
 */
#include <stddef.h>

typedef int (*accel_fn)(double t, const double *x, const double *v, double *a, ptrdiff_t n, void *ctx);

/* A chain of unit masses between walls, springs 1: the force that both sides call. */
int chain(double t, const double *x, const double *v, double *a, ptrdiff_t n, void *ctx) {
  (void)t, (void)v, (void)ctx;
  if (n == 1) {
    a[0] = -2.0 * x[0];
    return 0;
  }
  a[0] = x[1] - 2.0 * x[0];
  for (ptrdiff_t i = 1; i < n - 1; i++)
    a[i] = (x[i - 1] - 2.0 * x[i]) + x[i + 1];
  a[n - 1] = x[n - 2] - 2.0 * x[n - 1];
  return 0;
}

void twin_newmark(ptrdiff_t steps, double m, double c, double k, double h, double beta, double gamma, double *state) {
  const double cx = (0.5 - beta) * (h * h), cv = (1.0 - gamma) * h, bx = beta * (h * h), bv = gamma * h;
  const double r = 1.0 / (m + bv * c + bx * k);
  double x = state[0], v = state[1], a = state[2];
  for (ptrdiff_t step = 0; step < steps; step++) {
    const double xp = x + (h * v + cx * a), vp = v + cv * a;
    a = -(k * xp + c * vp) * r;
    x = xp + bx * a;
    v = vp + bv * a;
  }
  state[0] = x, state[1] = v, state[2] = a;
}

void twin_leapfrog(accel_fn f, ptrdiff_t n, ptrdiff_t steps, double h, double *restrict x, double *restrict v, double *restrict a) {
  for (ptrdiff_t step = 0; step < steps; step++) {
    for (ptrdiff_t i = 0; i < n; i++) {
      v[i] += 0.5 * h * a[i];
      x[i] += h * v[i];
    }
    f((double)step * h, x, v, a, n, NULL);
    for (ptrdiff_t i = 0; i < n; i++)
      v[i] += 0.5 * h * a[i];
  }
}

/* Kicks and drifts in turn: kick[0], drift[0], ..., drift[q - 1], kick[q]; c: where each force is taken. */
void twin_splitting(accel_fn f, ptrdiff_t n, ptrdiff_t steps, double h, const double *kick, const double *drift, const double *c, ptrdiff_t q,
                    double *restrict x, double *restrict v, double *restrict a) {
  for (ptrdiff_t step = 0; step < steps; step++) {
    for (ptrdiff_t j = 0; j < q; j++) {
      const double k = kick[j] * h, d = drift[j] * h;
      for (ptrdiff_t i = 0; i < n; i++) {
        v[i] += k * a[i];
        x[i] += d * v[i];
      }
      f((double)step * h + c[j] * h, x, v, a, n, NULL);
    }
    for (ptrdiff_t i = 0; i < n; i++)
      v[i] += kick[q] * h * a[i];
  }
}

/* Peaks of |x|, |h x'| and |k x + c h x'| of eight oscillators at a time, as src/mflow_core/dynamics/spectra.pyx has them. */
#define EIGHT 8
void twin_spectrum(ptrdiff_t blocks, ptrdiff_t count, const double *p, const double *coef, double *peak) {
  for (ptrdiff_t b = 0; b < blocks; b++, coef += 11 * EIGHT, peak += 3 * EIGHT) {
    double x[EIGHT] = {0}, u[EIGHT] = {0}, px[EIGHT] = {0}, pu[EIGHT] = {0}, pz[EIGHT] = {0};
    for (ptrdiff_t j = 0; j + 1 < count; j++) {
      const double q = p[j], dp = p[j + 1] - p[j];
      for (int e = 0; e < EIGHT; e++) {
        const double xn = x[e] + ((coef[e] * x[e] + coef[8 + e] * u[e]) + (coef[32 + e] * q + coef[40 + e] * dp));
        const double un = u[e] + ((coef[16 + e] * x[e] + coef[24 + e] * u[e]) + (coef[48 + e] * q + coef[56 + e] * dp));
        const double z = coef[64 + e] * xn + coef[72 + e] * un;
        const double ax = xn < 0 ? -xn : xn, au = un < 0 ? -un : un, az = z < 0 ? -z : z;
        x[e] = xn, u[e] = un;
        px[e] = ax > px[e] ? ax : px[e], pu[e] = au > pu[e] ? au : pu[e], pz[e] = az > pz[e] ? az : pz[e];
      }
    }
    for (int e = 0; e < EIGHT; e++)
      peak[e] = px[e], peak[8 + e] = pu[e], peak[16 + e] = pz[e];
  }
}

/* low, dia, up of K and of C: 3 n each; lu: 3 n of M + dt/2 C as `twin_factor` leaves it. */
void twin_factor(ptrdiff_t n, double scale, const double *m, const double *c, double *lu) {
  const double *low = c, *dia = c + n, *up = c + 2 * n;
  double *l = lu, *r = lu + n, *g = lu + 2 * n, before = 0.0;
  for (ptrdiff_t i = 0; i < n; i++) {
    l[i] = scale * low[i] * before;
    r[i] = before = 1.0 / (m[i] + scale * dia[i] - (i ? l[i] * scale * up[i - 1] : 0.0));
    g[i] = scale * up[i] * before;
  }
}

void twin_staggered(ptrdiff_t n, ptrdiff_t steps, double h, const double *restrict k, const double *restrict c, const double *restrict lu,
                    double *restrict x, double *restrict v, double *restrict a) {
  const double half = 0.5 * h, *kl = k, *kd = k + n, *ku = k + 2 * n, *cl = c, *cd = c + n, *cu = c + 2 * n;
  const double *l = lu, *r = lu + n, *g = lu + 2 * n;
  for (ptrdiff_t step = 0; step < steps; step++) {
    for (ptrdiff_t i = 0; i < n; i++) {
      v[i] += half * a[i];
      x[i] += h * v[i];
    }
    double kept = 0.0;
    for (ptrdiff_t i = 0; i < n; i++) {
      const double xl = i ? x[i - 1] : 0.0, xr = i < n - 1 ? x[i + 1] : 0.0, vl = i ? v[i - 1] : 0.0, vr = i < n - 1 ? v[i + 1] : 0.0;
      const double f = -(((kl[i] * xl + kd[i] * x[i]) + ku[i] * xr) + ((cl[i] * vl + cd[i] * v[i]) + cu[i] * vr));
      a[i] = kept = f - l[i] * kept;
    }
    kept = 0.0;
    for (ptrdiff_t i = n - 1; i >= 0; i--)
      a[i] = kept = a[i] * r[i] - g[i] * kept;
    for (ptrdiff_t i = 0; i < n; i++)
      v[i] += half * a[i];
  }
}
