/* Hand-written C twins of mflow's kernels: what a careful person would write for one method and nothing else.
 *
 * Optimizers: one fused pass, plain (no clipping, no options), coefficients k ready: k[0] scales g, k[1] is weight decay, the rest is
 * the method's own. `stride` moves to the coefficients of the next step; 0 keeps them, for timing.
 * Integrators: stages spelled out, slopes in w (vectors of ld numbers). Loops over a FEW numbers are kept scalar, over 2 and 3 unrolled
 * too: a vector load of what the right-hand side has just stored number by number stalls, so this is the faster code.
 * Compiled by conftest.py with the flags of meson.build.
 */
#include <math.h>
#include <stddef.h>

#include "mflow/mflow.h"
#include "scalar.h"

/* ---- optimizers ----------------------------------------------------------------------------------------------------------------- */

#define ARGUMENTS                                                                                                                     \
  const double *restrict k, double *restrict c, double *restrict v, double *restrict u, const double *restrict g

/* The pass is a function of its own: inlined into the loop over steps, gcc makes one pass do two of them. */
#define PASS(name, gradient, ...)                                                                                                     \
  static __attribute__((noinline)) void name##_pass(ptrdiff_t n, ARGUMENTS) {                                                         \
    const double k0 = k[0], k1 = k[1], k2 = k[2], k3 = k[3], k4 = k[4], k5 = k[5], k6 = k[6], k7 = k[7], k8 = k[8];                   \
    (void)k0, (void)k1, (void)k2, (void)k3, (void)k4, (void)k5, (void)k6, (void)k7, (void)k8, (void)v, (void)u;                       \
    for (ptrdiff_t i = 0; i < n; i++) {                                                                                               \
      const double gi = gradient;                                                                                                     \
      __VA_ARGS__                                                                                                                     \
    }                                                                                                                                 \
  }                                                                                                                                   \
  void twin_##name(ptrdiff_t n, ptrdiff_t steps, const double *k, ptrdiff_t stride, double *c, double *v, double *u,                  \
                   const double *g) {                                                                                                 \
    for (ptrdiff_t step = 0; step < steps; step++)                                                                                    \
      name##_pass(n, k + step * stride, c, v, u, g);                                                                                  \
  }

#define OPTIMIZER(name, ...) PASS(name, k0 * g[i] + k1 * c[i], __VA_ARGS__)

OPTIMIZER(sgd, c[i] += k2 * gi;)                             /* -lr */

OPTIMIZER(momentum, const double vi = k3 * v[i] - gi;        /* lr, mu */
          v[i] = vi;
          c[i] += k2 * vi;)

OPTIMIZER(nesterov, const double vi = k3 * v[i] - gi;        /* lr, mu */
          v[i] = vi;
          c[i] += k2 * (k3 * vi - gi);)

OPTIMIZER(consistent_momentum, const double vi = k3 * v[i] - k4 * gi;    /* dt, 1 - friction dt, dt beta_hat */
          v[i] = vi;
          c[i] += k2 * vi;)

OPTIMIZER(adagrad, const double vi = v[i] + gi * gi;         /* -lr, eps */
          v[i] = vi;
          c[i] += k2 * (gi / (sqrt(vi) + k3));)

OPTIMIZER(adadelta, const double vi = k3 * v[i] + k4 * (gi * gi);        /* -lr, rho, 1 - rho, eps */
          const double d = sqrt((u[i] + k5) / (vi + k5)) * gi;
          v[i] = vi;
          u[i] = k3 * u[i] + k4 * (d * d);
          c[i] += k2 * d;)

OPTIMIZER(rmsprop, const double vi = k3 * v[i] + k4 * (gi * gi);         /* -lr, alpha, 1 - alpha, eps */
          v[i] = vi;
          c[i] += k2 * (gi / (sqrt(vi) + k5));)

OPTIMIZER(adam, const double vi = k3 * v[i] + k4 * gi;       /* -lr/(1 - b1^t), b1, 1 - b1, b2, 1 - b2, (1 - b2^t)^(-1/2), eps */
          const double ui = k5 * u[i] + k6 * (gi * gi);
          v[i] = vi;
          u[i] = ui;
          c[i] += k2 * (vi / (sqrt(ui) * k7 + k8));)

OPTIMIZER(adamax, const double vi = k3 * v[i] + k4 * gi;     /* -lr/(1 - b1^t), b1, 1 - b1, b2, eps */
          const double size = fabs(gi) + k6, faded = k5 * u[i];
          const double ui = size > faded ? size : faded;
          v[i] = vi;
          u[i] = ui;
          c[i] += k2 * (vi / ui);)

/* AdamW has a factor of c in the place of decay; NAdam needs that place, and has none. */
PASS(adamw, k0 * g[i], const double vi = k3 * v[i] + k4 * gi;
     const double ui = k5 * u[i] + k6 * (gi * gi);
     v[i] = vi;
     u[i] = ui;
     c[i] = k1 * c[i] + k2 * (vi / (sqrt(ui) * k7 + k8));)

PASS(nadam, g[i], const double vi = k3 * v[i] + k4 * gi;     /* of g, of m, eps, b1, 1 - b1, b2, 1 - b2, (1 - b2^t)^(-1/2) */
     const double ui = k5 * u[i] + k6 * (gi * gi);
     v[i] = vi;
     u[i] = ui;
     c[i] += (k0 * gi + k1 * vi) / (sqrt(ui) * k7 + k2);)

OPTIMIZER(radam, const double vi = k3 * v[i] + k4 * gi;      /* step, b1, 1 - b1, b2, 1 - b2, eps, whether v is divided by */
          const double ui = k5 * u[i] + k6 * (gi * gi);
          v[i] = vi;
          u[i] = ui;
          c[i] += k8 != 0.0 ? k2 * (vi / (sqrt(ui) + k7)) : k2 * vi;)

OPTIMIZER(sparse_adam, const double vi = k3 * v[i] + k4 * gi;            /* step, b1, 1 - b1, b2, 1 - b2, eps */
          const double ui = k5 * u[i] + k6 * (gi * gi);
          v[i] = vi;
          u[i] = ui;
          c[i] += k2 * (vi / (sqrt(ui) + k7));)

OPTIMIZER(adabelief, const double vi = k3 * v[i] + k4 * gi;  /* as adam */
          const double off = gi - vi, ui = k5 * u[i] + k6 * (off * off) + k8;
          v[i] = vi;
          u[i] = ui;
          c[i] += k2 * (vi / (sqrt(ui) * k7 + k8));)

OPTIMIZER(lion, const double mix = k3 * v[i] + k4 * gi;      /* lr, b1, 1 - b1, b2, 1 - b2 */
          v[i] = k5 * v[i] + k6 * gi;
          c[i] -= k2 * (mix > 0.0 ? 1.0 : mix < 0.0 ? -1.0 : mix);)

OPTIMIZER(rprop, const double turn = gi * v[i];              /* etas, step_sizes, lr, whether this is the first step */
          double h = (k7 != 0.0 ? k6 : u[i]) * (turn > 0.0 ? k3 : turn < 0.0 ? k2 : 1.0);
          h = h < k4 ? k4 : h;
          h = h > k5 ? k5 : h;
          const double used = turn < 0.0 ? 0.0 : gi;
          v[i] = used;
          u[i] = h;
          c[i] -= h * (used > 0.0 ? 1.0 : used < 0.0 ? -1.0 : used);)

OPTIMIZER(asgd, const double ci = (1.0 - k3) * c[i] - k2 * gi;           /* eta, lambd eta; the mean has not begun */
          v[i] = ci;
          c[i] = ci;)

OPTIMIZER(schedule_free_sgd, const double e = v[i] - k2 * gi;            /* lr, share of the new point, its rest */
          v[i] = k4 * e;
          c[i] += k3 * e;)

PASS(schedule_free_adamw, g[i], const double ui = k3 * u[i] + k4 * (gi * gi);    /* lr, share, rest, b2, 1 - b2, (1 - b2^t)^(-1/2), eps */
     const double e = v[i] - k0 * (gi / (sqrt(ui) * k5 + k6));
     u[i] = ui;
     v[i] = k2 * e;
     c[i] += k1 * e;)

/* What memory allows: four reads and three writes in place, 56 bytes an element, next to no arithmetic. */
PASS(bandwidth, k0 * g[i], c[i] += gi;
     v[i] += gi;
     u[i] += gi;)

/* ---- right-hand sides and costs ---------------------------------------------------------------------------------------------------- */

typedef int (*rhs_fn)(double t, const double *y, double *dydt, ptrdiff_t n, void *ctx);
typedef int (*cost_fn)(const double *c, double *value, double *grad, ptrdiff_t n, void *ctx);

int lorenz(double t, const double *y, double *dydt, ptrdiff_t n, void *ctx) {
  (void)t, (void)n, (void)ctx;
  dydt[0] = 10.0 * (y[1] - y[0]);
  dydt[1] = y[0] * (28.0 - y[2]) - y[1];
  dydt[2] = y[0] * y[1] - 8.0 / 3.0 * y[2];
  return 0;
}

int linear(double t, const double *restrict y, double *restrict dydt, ptrdiff_t n, void *ctx) {
  (void)t, (void)ctx;
  for (ptrdiff_t i = 0; i < n; i++)
    dydt[i] = -0.5 * y[i];
  return 0;
}

int rosenbrock(const double *c, double *value, double *grad, ptrdiff_t n, void *ctx) {
  double sum = 0.0;
  (void)ctx;
  if (grad != NULL)
    grad[0] = 0.0;
  for (ptrdiff_t i = 0; i + 1 < n; i++) {
    const double a = c[i + 1] - c[i] * c[i], b = 1.0 - c[i];
    sum += 100.0 * a * a + b * b;
    if (grad != NULL) {
      grad[i] += -400.0 * a * c[i] - 2.0 * b;
      grad[i + 1] = 200.0 * a;
    }
  }
  if (value != NULL)
    *value = sum;
  return 0;
}

double call_cost(cost_fn f, ptrdiff_t n, ptrdiff_t count, const double *c, double *grad) {
  double value = 0.0;
  for (ptrdiff_t i = 0; i < count; i++)
    f(c, &value, grad, n, NULL);
  return value;
}

/* ---- integrators --------------------------------------------------------------------------------------------------------------------- */

#define FEW 12
#define EACH(lhs, rhs)                                                                                                                \
  for (ptrdiff_t i = 0; i < n; i++) {                                                                                                 \
    const double value_ = (rhs);                                                                                                      \
    lhs = few ? scalar(value_) : value_;                                                                                           \
  }

typedef double *restrict vec;
typedef const double *restrict cvec;

/* out = y + p a, and so on; `add` and `mix` write y itself */
INLINE void move1(ptrdiff_t n, int few, vec out, cvec y, cvec a, double p) { EACH(out[i], y[i] + p * a[i]) }
INLINE void move2(ptrdiff_t n, int few, vec out, cvec y, cvec a, cvec b, double p, double q) {
  EACH(out[i], y[i] + (p * a[i] + q * b[i]))
}
INLINE void add1(ptrdiff_t n, int few, vec y, cvec a, double p) { EACH(y[i], y[i] + p * a[i]) }
INLINE void add2(ptrdiff_t n, int few, vec y, cvec a, cvec b, double p) { EACH(y[i], y[i] + p * (a[i] + b[i])) }
INLINE void add3(ptrdiff_t n, int few, vec y, cvec a, cvec b, cvec c, double p) {
  EACH(y[i], y[i] + p * (a[i] + 4.0 * b[i] + c[i]))
}
INLINE void add4(ptrdiff_t n, int few, vec y, cvec a, cvec b, cvec c, cvec d, double p) {
  EACH(y[i], y[i] + p * ((a[i] + d[i]) + 2.0 * (b[i] + c[i])))
}
INLINE void mix(ptrdiff_t n, int few, vec y, cvec u, cvec f, double a, double b, double h) {
  EACH(y[i], a * y[i] + b * (u[i] + h * f[i]))
}
INLINE void mix_out(ptrdiff_t n, int few, vec out, cvec y, cvec u, cvec f, double a, double b, double h) {
  EACH(out[i], a * y[i] + b * (u[i] + h * f[i]))
}

#define STEP(name, ...)                                                                                                               \
  INLINE void name##_loop(rhs_fn f, ptrdiff_t n, int few, ptrdiff_t steps, double t0, double h, double *y, double *w,              \
                          ptrdiff_t ld) {                                                                                             \
    double *z = w, *k1 = w + ld, *k2 = k1 + ld, *k3 = k2 + ld, *k4 = k3 + ld;                                                         \
    (void)z, (void)k2, (void)k3, (void)k4;                                                                                            \
    for (ptrdiff_t step = 0; step < steps; step++) {                                                                                  \
      const double t = t0 + (double)step * h;                                                                                         \
      __VA_ARGS__                                                                                                                     \
    }                                                                                                                                 \
  }                                                                                                                                   \
  void twin_##name(rhs_fn f, ptrdiff_t n, ptrdiff_t steps, double t0, double h, double *y, double *w, ptrdiff_t ld) {                 \
    if (n == 2)                                                                                                                       \
      name##_loop(f, 2, 1, steps, t0, h, y, w, ld);                                                                                   \
    else if (n == 3)                                                                                                                  \
      name##_loop(f, 3, 1, steps, t0, h, y, w, ld);                                                                                   \
    else if (n <= FEW)                                                                                                                \
      name##_loop(f, n, 1, steps, t0, h, y, w, ld);                                                                                   \
    else                                                                                                                              \
      name##_loop(f, n, 0, steps, t0, h, y, w, ld);                                                                                   \
  }

STEP(euler, f(t, y, k1, n, NULL);
     add1(n, few, y, k1, h);)

STEP(rk2, f(t, y, k1, n, NULL);
     move1(n, few, z, y, k1, h);
     f(t + h, z, k2, n, NULL);
     add2(n, few, y, k1, k2, 0.5 * h);)

STEP(midpoint, f(t, y, k1, n, NULL);
     move1(n, few, z, y, k1, 0.5 * h);
     f(t + 0.5 * h, z, k2, n, NULL);
     add1(n, few, y, k2, h);)

STEP(rk3, f(t, y, k1, n, NULL);
     move1(n, few, z, y, k1, 0.5 * h);
     f(t + 0.5 * h, z, k2, n, NULL);
     move2(n, few, z, y, k1, k2, -h, 2.0 * h);
     f(t + h, z, k3, n, NULL);
     add3(n, few, y, k1, k2, k3, h / 6.0);)

STEP(rk4, f(t, y, k1, n, NULL);
     move1(n, few, z, y, k1, 0.5 * h);
     f(t + 0.5 * h, z, k2, n, NULL);
     move1(n, few, z, y, k2, 0.5 * h);
     f(t + 0.5 * h, z, k3, n, NULL);
     move1(n, few, z, y, k3, h);
     f(t + h, z, k4, n, NULL);
     add4(n, few, y, k1, k2, k3, k4, h / 6.0);)

STEP(tvd_rk2, f(t, y, k1, n, NULL);
     move1(n, few, z, y, k1, h);
     f(t + h, z, k1, n, NULL);
     mix(n, few, y, z, k1, 0.5, 0.5, h);)

STEP(tvd_rk3, f(t, y, k1, n, NULL);
     move1(n, few, z, y, k1, h);
     f(t + h, z, k1, n, NULL);
     mix_out(n, few, k2, y, z, k1, 0.75, 0.25, h);
     f(t + 0.5 * h, k2, k1, n, NULL);
     mix(n, few, y, k2, k1, 1.0 / 3.0, 2.0 / 3.0, h);)

/* Ketcheson's form of ssprk104 in two vectors */
INLINE void halfway(ptrdiff_t n, int few, vec y, vec z) {
  for (ptrdiff_t i = 0; i < n; i++) {
    const double q = 1.0 / 25.0 * y[i] + 9.0 / 25.0 * z[i];
    z[i] = few ? scalar(15.0 * q - 5.0 * z[i]) : 15.0 * q - 5.0 * z[i];
    y[i] = q;
  }
}
INLINE void finish(ptrdiff_t n, int few, vec y, cvec z, cvec f, double h) { EACH(y[i], y[i] + 0.6 * z[i] + h * f[i]) }

STEP(ssprk104, f(t, y, k1, n, NULL);
     move1(n, few, z, y, k1, h / 6.0);
     for (int j = 1; j < 5; j++) {
       f(t + j * (h / 6.0), z, k1, n, NULL);
       add1(n, few, z, k1, h / 6.0);
     }
     halfway(n, few, y, z);
     for (int j = 0; j < 4; j++) {
       f(t + (2.0 + j) * (h / 6.0), z, k1, n, NULL);
       add1(n, few, z, k1, h / 6.0);
     }
     f(t + h, z, k1, n, NULL);
     finish(n, few, y, z, k1, 0.1 * h);)

/* ---- mflow's own kernels in the same loops, reached by the address of their row: what a host pays that owns its loop ------------------- */

void kernel_update(const void *row, ptrdiff_t n, ptrdiff_t steps, const double *coef, double *c, double *v, double *u, const double *g) {
  const mf_method *m = (const mf_method *)row;
  double *const x[3] = {c, v, u};
  for (ptrdiff_t step = 0; step < steps; step++)
    m->update(m, coef, 1.0, 0, n, x, g);
}
