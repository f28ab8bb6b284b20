/* A plain L-BFGS in C, as one would write it: two loops of dots and axpys, step 1, no safeguards beyond the test of curvature. */
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

typedef int (*cost_fn)(const double *x, double *f, double *g, ptrdiff_t n, void *ctx);

static double dot(const double *a, const double *b, ptrdiff_t n) {
  double s[8] = {0}, t = 0.0;
  ptrdiff_t i = 0;
  for (; i + 8 <= n; i += 8)
    for (int j = 0; j < 8; j++) s[j] += a[i + j] * b[i + j];
  for (; i < n; i++) t += a[i] * b[i];
  for (int j = 0; j < 8; j++) t += s[j];
  return t;
}
static void axpy(double a, const double *x, double *y, ptrdiff_t n) {
  for (ptrdiff_t i = 0; i < n; i++) y[i] += a * x[i];
}

/* 0.5 sum w_i (x_i - 1)^2 with w from 1 to 1e4: reads x, writes g. */
int twin_bowl(const double *x, double *f, double *g, ptrdiff_t n, void *ctx) {
  (void)ctx;
  double s[8] = {0};
  for (ptrdiff_t i = 0; i + 8 <= n; i += 8)
    for (int j = 0; j < 8; j++) {
      const double w = 1.0 + 9999.0 * (double)((i + j) & 1023) / 1023.0, r = x[i + j] - 1.0;
      s[j] += 0.5 * w * r * r;
      if (g) g[i + j] = w * r;
    }
  if (f) *f = ((s[0] + s[1]) + (s[2] + s[3])) + ((s[4] + s[5]) + (s[6] + s[7]));
  return 0;
}

void twin_evaluate(cost_fn fun, void *ctx, const double *x, double *g, ptrdiff_t n, ptrdiff_t count) {
  double f;
  for (ptrdiff_t k = 0; k < count; k++) fun(x, &f, g, n, ctx);
}

typedef struct { ptrdiff_t n, m, count, next; double *x, *g, *x_old, *g_old, *d, *S, *Y, *rho, *alpha, gamma; } lbfgs;

lbfgs *twin_new(cost_fn fun, void *ctx, const double *x0, ptrdiff_t n, ptrdiff_t m) {
  lbfgs *s = calloc(1, sizeof *s);
  double *room = calloc((size_t)(5 * n + 2 * m * n + 2 * m), sizeof(double)), f;
  s->n = n; s->m = m;
  s->x = room; s->g = room + n; s->x_old = room + 2 * n; s->g_old = room + 3 * n; s->d = room + 4 * n;
  s->S = room + 5 * n; s->Y = s->S + m * n; s->rho = s->Y + m * n; s->alpha = s->rho + m;
  memcpy(s->x, x0, (size_t)n * sizeof(double));
  fun(s->x, &f, s->g, n, ctx);
  return s;
}
void twin_free(lbfgs *s) { free(s->x < s->x_old ? s->x : s->x_old); free(s); }

/* Iterations, each with one evaluation at step 1. Returns the largest entry of the gradient. */
double twin_iterate(lbfgs *s, cost_fn fun, void *ctx, ptrdiff_t iterations) {
  const ptrdiff_t n = s->n, m = s->m;
  double most = 0.0;
  for (ptrdiff_t it = 0; it < iterations; it++) {
    double f, a = 1.0, *t;
    for (ptrdiff_t i = 0; i < n; i++) s->d[i] = -s->g[i];
    if (s->count == 0) a = 1.0 / sqrt(dot(s->g, s->g, n));
    for (ptrdiff_t k = 0; k < s->count; k++) {
      const ptrdiff_t j = (s->next - 1 - k + m) % m;
      s->alpha[j] = s->rho[j] * dot(s->S + j * n, s->d, n);
      axpy(-s->alpha[j], s->Y + j * n, s->d, n);
    }
    if (s->count)
      for (ptrdiff_t i = 0; i < n; i++) s->d[i] *= s->gamma;
    for (ptrdiff_t k = s->count - 1; k >= 0; k--) {
      const ptrdiff_t j = (s->next - 1 - k + m) % m;
      axpy(s->alpha[j] - s->rho[j] * dot(s->Y + j * n, s->d, n), s->S + j * n, s->d, n);
    }
    if (!(dot(s->g, s->d, n) < 0.0)) break;
    t = s->x_old; s->x_old = s->x; s->x = t;
    t = s->g_old; s->g_old = s->g; s->g = t;
    for (ptrdiff_t i = 0; i < n; i++) s->x[i] = s->x_old[i] + a * s->d[i];
    fun(s->x, &f, s->g, n, ctx);
    double *S = s->S + s->next * n, *Y = s->Y + s->next * n;
    for (ptrdiff_t i = 0; i < n; i++) { S[i] = s->x[i] - s->x_old[i]; Y[i] = s->g[i] - s->g_old[i]; }
    const double sy = dot(S, Y, n), yy = dot(Y, Y, n);
    if (sy > 1e-10 * sqrt(yy) * sqrt(dot(S, S, n))) {
      s->rho[s->next] = 1.0 / sy;
      s->gamma = sy / yy;
      s->next = (s->next + 1) % m;
      s->count = s->count < m ? s->count + 1 : m;
    }
    most = 0.0;
    for (ptrdiff_t i = 0; i < n; i++) most = fabs(s->g[i]) > most ? fabs(s->g[i]) : most;
  }
  return most;
}
