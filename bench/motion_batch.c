/* Twins and callbacks of bench_motion_batch.py. BLOCK and the flags are given there: those of the kernels. */
#include <stddef.h>

#ifndef BLOCK
#define BLOCK 64
#endif

typedef int (*lanes_fn)(const double *t, const double *x, const double *v, double *f, ptrdiff_t n, ptrdiff_t lanes, void *ctx);

int duffing(const double *t, const double *x, const double *v, double *f, ptrdiff_t n, ptrdiff_t lanes, void *ctx) {
  const double *restrict y = x, *restrict k = x + lanes;
  double *restrict out = f;
  (void)t, (void)v, (void)n, (void)ctx;
  for (ptrdiff_t l = 0; l < lanes; l++)
    out[l] = -y[l] - k[l] * y[l] * y[l] * y[l];
  return 0;
}

/* Blocks of lanes; the force is called by pointer, once a step. */
void duffing_blocks(lanes_fn force, ptrdiff_t count, ptrdiff_t steps, double h, double *x, double *v, const double *k) {
  double t[BLOCK], y[2 * BLOCK], u[BLOCK], a[BLOCK];
  for (ptrdiff_t first = 0; first < count; first += BLOCK) {
    const ptrdiff_t here = count - first < BLOCK ? count - first : BLOCK;
    for (ptrdiff_t l = 0; l < BLOCK; l++) {
      const ptrdiff_t j = first + (l < here ? l : 0);
      y[l] = x[j], u[l] = v[j], y[BLOCK + l] = k[j], t[l] = 0.0;
    }
    force(t, y, u, a, 1, BLOCK, NULL);
    for (ptrdiff_t step = 0; step < steps; step++) {
      for (ptrdiff_t l = 0; l < BLOCK; l++) {
        u[l] += 0.5 * h * a[l];
        y[l] += h * u[l];
        t[l] = (double)(step + 1) * h;
      }
      force(t, y, u, a, 1, BLOCK, NULL);
      for (ptrdiff_t l = 0; l < BLOCK; l++)
        u[l] += 0.5 * h * a[l];
    }
    for (ptrdiff_t l = 0; l < here; l++)
      x[first + l] = y[l], v[first + l] = u[l];
  }
}

/* As it is written without a thought of blocks. */
void duffing_loop(lanes_fn force, ptrdiff_t count, ptrdiff_t steps, double h, double *x, double *v, const double *k) {
  (void)force;
  for (ptrdiff_t j = 0; j < count; j++) {
    double y = x[j], u = v[j], a = -y - k[j] * y * y * y;
    for (ptrdiff_t step = 0; step < steps; step++) {
      u += 0.5 * h * a;
      y += h * u;
      a = -y - k[j] * y * y * y;
      u += 0.5 * h * a;
    }
    x[j] = y, v[j] = u;
  }
}

int rods(const double *x, double *g, ptrdiff_t n, void *ctx) {
  const double a = x[2] - x[0], b = x[3] - x[1];
  (void)n, (void)ctx;
  g[0] = x[0] * x[0] + x[1] * x[1] - 1.0;
  g[1] = a * a + b * b - 1.0;
  return 0;
}

int rods_jac(const double *x, double *G, ptrdiff_t n, void *ctx) {
  const double a = 2.0 * (x[2] - x[0]), b = 2.0 * (x[3] - x[1]);
  (void)n, (void)ctx;
  G[0] = 2.0 * x[0], G[1] = 2.0 * x[1], G[2] = G[3] = 0.0;
  G[4] = -a, G[5] = -b, G[6] = a, G[7] = b;
  return 0;
}
