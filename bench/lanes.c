/* A batch of trajectories in C, as a careful person would write it for one method: what mflow's lanes are measured against.
 *
 * The right-hand side is called by pointer once a stage for a block of BLOCK lanes laid out by component, y[i*lanes + l], so that its
 * loop over l vectorises; stages of RK4 are spelled out, and all of a block stays in the first cache. Nothing is checked. BLOCK and the
 * flags are given by bench_batch.py: those of the kernels.
 */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#ifndef BLOCK
#define BLOCK 64
#endif

typedef int (*lanes_fn)(const double *t, const double *y, double *dydt, ptrdiff_t n, ptrdiff_t lanes, void *ctx);
typedef int (*rhs_fn)(double t, const double *y, double *dydt, ptrdiff_t n, void *ctx);
typedef double *restrict vec;
typedef const double *restrict cvec;

int lorenz_lanes(const double *t, const double *y, double *dydt, ptrdiff_t n, ptrdiff_t lanes, void *ctx) {
  cvec x = y, v = y + lanes, z = y + 2 * lanes;
  vec dx = dydt, dv = dydt + lanes, dz = dydt + 2 * lanes;
  (void)t, (void)n, (void)ctx;
#pragma GCC ivdep
  for (ptrdiff_t l = 0; l < lanes; l++) {
    dx[l] = 10.0 * (v[l] - x[l]);
    dv[l] = x[l] * (28.0 - z[l]) - v[l];
    dz[l] = x[l] * v[l] - 8.0 / 3.0 * z[l];
  }
  return 0;
}

/* each trajectory with sigma, rho and beta of its own, which stand behind the state */
int lorenz_own_lanes(const double *t, const double *y, double *dydt, ptrdiff_t n, ptrdiff_t lanes, void *ctx) {
  const double *x = y, *v = y + lanes, *z = y + 2 * lanes, *own = y + n * lanes;
  (void)t, (void)ctx;
#pragma GCC ivdep
  for (ptrdiff_t l = 0; l < lanes; l++) {
    dydt[l] = own[l] * (v[l] - x[l]);
    dydt[lanes + l] = x[l] * (own[lanes + l] - z[l]) - v[l];
    dydt[2 * lanes + l] = x[l] * v[l] - own[2 * lanes + l] * z[l];
  }
  return 0;
}

int lorenz_lane(double t, const double *y, double *dydt, ptrdiff_t n, void *ctx) {
  (void)t, (void)n, (void)ctx;
  dydt[0] = 10.0 * (y[1] - y[0]);
  dydt[1] = y[0] * (28.0 - y[2]) - y[1];
  dydt[2] = y[0] * y[1] - 8.0 / 3.0 * y[2];
  return 0;
}

static void move(ptrdiff_t m, vec z, cvec y, cvec k, double h) {
  for (ptrdiff_t i = 0; i < m; i++)
    z[i] = y[i] + h * k[i];
}

static void add(ptrdiff_t m, vec y, cvec a, cvec b, cvec c, cvec d, double p) {
  for (ptrdiff_t i = 0; i < m; i++)
    y[i] = y[i] + p * ((a[i] + d[i]) + 2.0 * (b[i] + c[i]));
}

static void at(double *t, double value) {
  for (int l = 0; l < BLOCK; l++)
    t[l] = value;
}

/* y: lanes x n, in place; w: 6 n BLOCK + BLOCK doubles */
static void block_rk4(lanes_fn f, ptrdiff_t n, ptrdiff_t lanes, ptrdiff_t steps, double h, double *y, double *w) {
  const ptrdiff_t m = n * BLOCK;
  double *t = w, *x = t + BLOCK, *z = x + m, *k1 = z + m, *k2 = k1 + m, *k3 = k2 + m, *k4 = k3 + m;
  for (ptrdiff_t i = 0; i < n; i++)
    for (ptrdiff_t l = 0; l < BLOCK; l++)
      x[i * BLOCK + l] = y[(l < lanes ? l : 0) * n + i];
  for (ptrdiff_t step = 0; step < steps; step++) {
    const double now = (double)step * h;
    at(t, now);
    f(t, x, k1, n, BLOCK, NULL);
    move(m, z, x, k1, 0.5 * h);
    at(t, now + 0.5 * h);
    f(t, z, k2, n, BLOCK, NULL);
    move(m, z, x, k2, 0.5 * h);
    f(t, z, k3, n, BLOCK, NULL);
    move(m, z, x, k3, h);
    at(t, now + h);
    f(t, z, k4, n, BLOCK, NULL);
    add(m, x, k1, k2, k3, k4, h / 6.0);
  }
  for (ptrdiff_t l = 0; l < lanes && l < BLOCK; l++)
    for (ptrdiff_t i = 0; i < n; i++)
      y[l * n + i] = x[i * BLOCK + l];
}

void lanes_rk4(lanes_fn f, ptrdiff_t n, ptrdiff_t lanes, ptrdiff_t steps, double h, double *y) {
  const size_t bytes = ((size_t)(6 * n + 1) * BLOCK * sizeof(double) + 63) / 64 * 64;
  double *w = aligned_alloc(64, bytes);
  for (ptrdiff_t first = 0; first < lanes && w; first += BLOCK)
    block_rk4(f, n, lanes - first, steps, h, y + first * n, w);
  free(w);
}
