/* For bench_kernels.py: mflow's kernels in a C loop, as a host runs them that owns its loop, and twins of two methods for x'' = F. Twins of
 * Runge-Kutta methods are in twins.c; those of pairs are written from their tableaus by the bench, and follow this file.
 * Compiled with the flags of meson.build.
 */
#include <stddef.h>

#include "mflow/mflow.h"
#include "scalar.h"

#define FEW 12

static void exchange(double **now, double **next, int count) {
  for (int j = 0; j < count; j++) {
    double *kept = now[j];
    now[j] = next[j], next[j] = kept;
  }
}

/* now, next: n_vec vectors each, exchanged after every step; next NULL: in place. par, scalars, err: NULL where there are none. */
void kernel_steps(const void *record, mf_rhs_fn rhs, mf_accel_fn accel, mf_solve_accel_fn solve_accel, ptrdiff_t n, ptrdiff_t steps, double h,
                  const double *par, double *scalars, double **now, double **next, double *work, double *err, ptrdiff_t ld, unsigned flags) {
  const mf_method *m = (const mf_method *)record;
  mf_problem p = MF_INIT(mf_problem);
  mf_frame f = MF_INIT(mf_frame);
  p.n = n, p.rhs = rhs, p.accel = accel, p.solve_accel = solve_accel, p.flags = MF_VELOCITY_FREE;
  f.n = n, f.ld = ld, f.h = h, f.par = par, f.s0 = f.s1 = scalars, f.work = work, f.err = err, f.p = &p, f.flags = flags;
  f.x0 = (const double *const *)now, f.x1 = next != NULL ? next : now;
  for (ptrdiff_t step = 0; step < steps; step++) {
    f.t = (double)step * h, f.k = step;
    if (m->step(m, &f) != 0)
      return;
    f.flags = 0;
    if (next != NULL)
      exchange(now, next, m->sizes.n_vec);
  }
}

/* ---- x'' = -x: forces that both sides call, and twins ----------------------------------------------------------------------------------- */

int springs(double t, const double *restrict x, const double *v, double *restrict a, ptrdiff_t n, void *ctx) {
  (void)t, (void)v, (void)ctx;
  for (ptrdiff_t i = 0; i < n; i++)
    a[i] = -x[i];
  return 0;
}

int solved_springs(double t, double w, const double *restrict xp, const double *vp, double bx, double bv, const double *q, double *restrict a,
                   ptrdiff_t n, void *ctx) {
  const double share = w / (1.0 + bx);
  (void)t, (void)vp, (void)bv, (void)q, (void)ctx;
  for (ptrdiff_t i = 0; i < n; i++)
    a[i] = -share * xp[i];
  return 0;
}

typedef double *restrict vec;
typedef const double *restrict cvec;

INLINE double kept(double x, int few) { return few ? scalar(x) : x; }

INLINE void kick_drift(ptrdiff_t n, int few, vec x, vec v, cvec a, double h) {
  for (ptrdiff_t i = 0; i < n; i++) {
    const double half = v[i] + 0.5 * h * a[i];
    v[i] = kept(half, few);
    x[i] = kept(x[i] + h * half, few);
  }
}

INLINE void kick(ptrdiff_t n, int few, vec v, cvec a, double h) {
  for (ptrdiff_t i = 0; i < n; i++)
    v[i] = kept(v[i] + h * a[i], few);
}

INLINE void verlet_loop(mf_accel_fn accel, ptrdiff_t n, int few, ptrdiff_t steps, double h, double *x, double *v, double *a) {
  for (ptrdiff_t step = 0; step < steps; step++) {
    kick_drift(n, few, x, v, a, h);
    accel((double)(step + 1) * h, x, v, a, n, NULL);
    kick(n, few, v, a, 0.5 * h);
  }
}

INLINE void predict(ptrdiff_t n, int few, cvec x, cvec v, cvec a, vec x1, vec v1, vec a1, double h, double cx, double cv) {
  for (ptrdiff_t i = 0; i < n; i++) {
    x1[i] = kept(x[i] + (h * v[i] + cx * a[i]), few);
    v1[i] = kept(v[i] + cv * a[i], few);
    a1[i] = kept(a[i], few);
  }
}

/* one rounding of the size of x, and one of v: energies drift less than where predictors are corrected */
INLINE void advance(ptrdiff_t n, int few, cvec x, cvec v, cvec a, cvec a1, vec x1, vec v1, double h, double cx, double cv, double bx, double bv) {
  for (ptrdiff_t i = 0; i < n; i++) {
    x1[i] = kept(x[i] + ((h * v[i] + cx * a[i]) + bx * a1[i]), few);
    v1[i] = kept(v[i] + (cv * a[i] + bv * a1[i]), few);
  }
}

/* What mflow's step promises, and no more: from one state to another, so that it may be refused, with a guess for the solver, and sums
 * whose roundings are as small. */
INLINE void newmark_loop(mf_solve_accel_fn solve, ptrdiff_t n, int few, ptrdiff_t steps, double h, double **now, double **next) {
  const double cx = 0.25 * h * h, cv = 0.5 * h;
  for (ptrdiff_t step = 0; step < steps; step++) {
    predict(n, few, now[0], now[1], now[2], next[0], next[1], next[2], h, cx, cv);
    solve((double)(step + 1) * h, 1.0, next[0], next[1], cx, cv, NULL, next[2], n, NULL);
    advance(n, few, now[0], now[1], now[2], next[2], next[0], next[1], h, cx, cv, cx, cv);
    exchange(now, next, 3);
  }
}

#define BY_LENGTH(loop, f, n, ...)                                                                                                    \
  if (n == 2)                                                                                                                         \
    loop(f, 2, 1, __VA_ARGS__);                                                                                                       \
  else if (n == 3)                                                                                                                    \
    loop(f, 3, 1, __VA_ARGS__);                                                                                                       \
  else if (n <= FEW)                                                                                                                  \
    loop(f, n, 1, __VA_ARGS__);                                                                                                       \
  else                                                                                                                                \
    loop(f, n, 0, __VA_ARGS__);

void twin_velocity_verlet(mf_accel_fn accel, ptrdiff_t n, ptrdiff_t steps, double h, double *x, double *v, double *a) {
  BY_LENGTH(verlet_loop, accel, n, steps, h, x, v, a)
}

void twin_newmark(mf_solve_accel_fn solve, ptrdiff_t n, ptrdiff_t steps, double h, double **now, double **next) {
  BY_LENGTH(newmark_loop, solve, n, steps, h, now, next)
}

/* ---- pairs: y and the carried slope are exchanged after each step --------------------------------------------------------------------------- */

#define PAIR(name)                                                                                                                    \
  void twin_##name(mf_rhs_fn f, ptrdiff_t n, ptrdiff_t steps, double h, double **now, double **next, double *w, double *err,          \
                   ptrdiff_t ld) {                                                                                                    \
    BY_LENGTH(name##_loop, f, n, steps, h, now, next, w, err, ld)                                                                     \
  }
