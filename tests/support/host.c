/* A host without Python: what an embedder does with the table of mflow.h. Built by test_api.py; returns 0, or the line that failed. */
#include "mflow/mflow.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(x) do { if (!(x)) return __LINE__; } while (0)

typedef struct { double rate; long calls; const mf_api *api; mf_run *run; int inner; } host_ctx;

static int decay(double t, const double *y, double *dydt, ptrdiff_t n, void *p) {
  host_ctx *ctx = (host_ctx *)p;
  (void)t;
  ctx->calls++;
  for (ptrdiff_t i = 0; i < n; i++) dydt[i] = ctx->rate * y[i];
  if (ctx->run) ctx->inner = ctx->api->run_advance(ctx->run, 1e9, 1);   /* entered twice */
  return 0;
}

static int refuse(double t, const double *y, double *dydt, ptrdiff_t n, void *p) {
  (void)t; (void)y; (void)dydt; (void)n; (void)p;
  return -7;
}

int host_table(const mf_api *api) {
  CHECK(api->abi == MF_ABI && api->version >= MF_API_VERSION && api->size >= sizeof(mf_api));
  CHECK(api->find("rk2") != NULL && api->find("rk2") == api->find("heun"));
  CHECK(api->find("tvd_rk1") == api->find("euler"));
  CHECK(api->find("no such row") == NULL && api->find(NULL) == NULL && api->find("") == NULL);
  CHECK(api->row(-1) == NULL && api->row(100000) == NULL);
  int i = 0;
  for (; api->row(i) != NULL; i++) {
    const mf_method *m = api->row(i);
    CHECK(m->size >= sizeof(mf_method) && api->find(m->name) == m);
    CHECK((m->step != NULL) + (m->update != NULL) + (m->sweep != NULL) + (m->direct != NULL) == 1);
    double par[64];
    mf_sizes sizes;
    CHECK(m->n_par <= 64 && api->defaults(m, par) == 0 && api->sizes(m, par, &sizes) == 0);
    CHECK(sizes.n_vis >= 1 && sizes.n_vec >= sizes.n_vis);
    if (m->n_par > 0) {
      par[0] = -1.0;
      CHECK(api->sizes(m, par, &sizes) == MF_E_PARAMETER);
    }
  }
  CHECK(i > 10);
  CHECK(strlen(api->error_text(MF_E_BUSY)) > 10 && strlen(api->error_text(-5)) > 5 && strlen(api->error_text(3)) > 5);
  return 0;
}

/* z - gh rate z = r, in closed form. */
static int solve(double t, double gh, const double *r, double *z, ptrdiff_t n, void *p) {
  (void)t;
  for (ptrdiff_t i = 0; i < n; i++) z[i] = r[i] / (1.0 - gh * ((host_ctx *)p)->rate);
  return 0;
}

/* All stages together, in closed form: (I - h rate A) Z = h rate A y, by elimination once for all components. It ends the error estimate. */
static int solve_system(const mf_tableau *tab, double t, double h, const double *y, double *Z, ptrdiff_t ld, ptrdiff_t n, void *p) {
  double x = h * ((host_ctx *)p)->rate, m[8][9];
  int s = tab->s;
  (void)t;
  if (s > 8) return -8;
  for (int i = 0; i < s; i++) {
    m[i][s] = 0.0;
    for (int j = 0; j < s; j++) { m[i][j] = (i == j) - x * tab->A[i * s + j]; m[i][s] += x * tab->A[i * s + j]; }
  }
  for (int j = 0; j < s; j++) {
    for (int i = 0; i < s; i++) {
      double factor = m[i][j] / m[j][j];
      for (int k = j; i != j && k <= s; k++) m[i][k] -= factor * m[j][k];
    }
  }
  for (int j = 0; j < s; j++) {
    for (ptrdiff_t i = 0; i < n; i++) Z[j * ld + i] = m[j][s] / m[j][j] * y[i];
  }
  return 0;
}

/* J is the rate everywhere, and f does not depend on t. */
static int linearize(double t, double gh, const double *y, double *dfdt, ptrdiff_t n, void *p) {
  (void)t; (void)gh; (void)y; (void)p;
  memset(dfdt, 0, (size_t)n * 8);
  return 0;
}

/* One step of every method y' = f, out of place and in place: equal bits in all carried vectors. n is any number of components. */
int host_in_place(const mf_api *api, const char *name, const double *y0, ptrdiff_t n, double h, double *out) {
  const mf_method *m = api->find(name);
  CHECK(m != NULL);
  host_ctx ctx = {-1.25, 0, api, NULL, 0};
  mf_problem p = MF_INIT(mf_problem);
  p.n = n; p.rhs = decay; p.solve = solve; p.solve_system = solve_system; p.ctx = &ctx;
  int coupled = m->tab != NULL && m->tab->A_inv != NULL;
  double par[64], scal[8] = {0}, scal1[8];
  mf_sizes sizes;
  CHECK(m->n_par <= 64 && api->defaults(m, par) == 0 && api->sizes(m, par, &sizes) == 0 && sizes.n_vec <= 8);
  ptrdiff_t ld = (n + 15) / 8 * 8;
  double *block = (double *)calloc((size_t)(ld * (2 * sizes.n_vec + sizes.n_work + sizes.n_err + 1)), 8);
  const double *x0[8];
  double *x1[8];
  for (int j = 0; j < sizes.n_vec; j++) { x0[j] = block + 2 * j * ld; x1[j] = block + (2 * j + 1) * ld; }
  memcpy(block, y0, (size_t)n * 8);
  mf_frame f = MF_INIT(mf_frame);
  f.n = n; f.ld = ld; f.h = h; f.x0 = x0; f.x1 = x1; f.p = &p; f.par = par; f.flags = MF_FRESH;
  f.work = block + 2 * sizes.n_vec * ld;
  if (coupled) p.lsolve = solve;
  if (m->tab != NULL && m->tab->G != NULL) { p.lsolve = solve; p.linearize = linearize; }
  f.s0 = scal; f.s1 = scal1;
  f.err = sizes.n_err > 0 ? f.work + sizes.n_work * ld : NULL;
  CHECK(api->step(m, &f) == 0 && f.n_rhs == ctx.calls && memcmp(block, y0, (size_t)n * 8) == 0);
  memcpy(out, x1[0], (size_t)n * 8);
  double *in_place[8];
  for (int j = 0; j < sizes.n_vec; j++) in_place[j] = block + 2 * j * ld;
  f.x1 = in_place;
  CHECK(api->step(m, &f) == 0);
  for (int j = 0; j < sizes.n_vec; j++) CHECK(memcmp(in_place[j], x1[j], (size_t)n * 8) == 0);
  if (m->flags & MF_IMPLICIT) {
    p.solve = NULL; p.solve_system = NULL; p.linearize = NULL;
    CHECK(api->step(m, &f) == MF_E_CALLBACK);
  } else {
    p.rhs = refuse;
    CHECK(api->step(m, &f) == -7);
  }
  p.rhs = NULL;
  CHECK(api->step(m, &f) == MF_E_CALLBACK);
  f.size = 8;
  CHECK(api->step(m, &f) == MF_E_ARGUMENT && api->step(NULL, &f) == MF_E_ARGUMENT && api->step(m, NULL) == MF_E_ARGUMENT);
  free(block);
  return 0;
}

int host_update(const mf_api *api, double *c, double *m, double *v, const double *g, ptrdiff_t n, int steps) {
  const mf_method *row = api->find("adam");
  double par[32], scal[8] = {0}, coef[32], *x[4];
  x[0] = c; x[1] = m; x[2] = v; x[3] = NULL;
  CHECK(api->defaults(row, par) == 0);
  for (int k = 0; k < steps; k++) {
    CHECK(api->begin(row, par, k, scal, coef) == 0);
    CHECK(api->update(row, coef, 1.0, 0, n / 2, x, g) == 0 && api->update(row, coef, 1.0, n / 2, n, x, g) == 0);
  }
  CHECK(api->update(api->find("rk4"), coef, 1.0, 0, n, x, g) == MF_E_KIND);
  CHECK(api->begin(api->find("rk4"), par, 0, scal, coef) == MF_E_KIND && api->update(row, NULL, 1.0, 0, n, x, g) == MF_E_ARGUMENT);
  return 0;
}

/* y' = -1.25 y to t = 1 under error control (rtol > 0) or in steps of 1/64, by any row: an implicit one is solved by the library, with the
   host's Jacobian or without, and the spectral radius of one that wants it is measured. */
static int slope_of_decay(double t, const double *y, double *jac, ptrdiff_t n, void *ctx) {
  (void)t, (void)y;
  for (ptrdiff_t i = 0; i < n * n; i++) jac[i] = i % (n + 1) == 0 ? ((host_ctx *)ctx)->rate : 0.0;
  return 0;
}
int host_run_row(const mf_api *api, const char *name, double rtol, int with_jac, double *y) {
  host_ctx ctx = {-1.25, 0, api, NULL, 0};
  mf_problem p = MF_INIT(mf_problem);
  p.n = 2; p.rhs = decay; p.ctx = &ctx;
  if (with_jac) p.jac = slope_of_decay;
  else p.size = offsetof(mf_problem, jac);                        /* as a host built against version 1 */
  mf_run_options options = MF_INIT(mf_run_options);
  options.dt = 0.015625; options.rtol = rtol; options.atol = rtol;
  if (rtol == 0) options.size = offsetof(mf_run_options, rtol);
  const double *start[1] = {y};
  int err = 99;
  mf_run *run = api->run_new(api->find(name), &p, &options, start, &err);
  CHECK(run != NULL && err == 0);
  CHECK(api->run_advance(run, 0.5, 1) == 1);
  CHECK(api->run_advance(run, 0.5, 100000) == 0 && api->run_advance(run, 1.0, 100000) == 0);
  double t = 0;
  memcpy(y, api->run_y(run, &t, NULL)[0], 16);
  CHECK(t == 1.0);
  api->run_free(run);
  return 0;
}

int host_run(const mf_api *api, double *y, double *t_end) {
  host_ctx ctx = {-1.0, 0, api, NULL, 0};
  mf_problem p = MF_INIT(mf_problem);
  p.n = 2; p.rhs = decay; p.ctx = &ctx;
  mf_run_options options = MF_INIT(mf_run_options);
  options.dt = 0.1;
  const double *start[1] = {y};
  int err = 99;
  mf_run *run = api->run_new(api->find("rk4"), &p, &options, start, &err);
  CHECK(run != NULL && err == 0);
  CHECK(api->run_advance(run, 0.55, 3) == 1);                     /* not enough steps */
  int64_t k = 0, bytes = api->run_save(run, NULL, 0);
  double t = 0;
  api->run_y(run, &t, &k);
  CHECK(k == 3 && bytes > 0);
  char *buffer = (char *)malloc((size_t)bytes);
  CHECK(api->run_save(run, buffer, bytes - 1) == MF_E_ARGUMENT && api->run_save(run, buffer, bytes) == bytes);
  CHECK(api->run_advance(run, 0.55, 1000) == 0);
  double first[2], here = 0;
  memcpy(first, api->run_y(run, &here, &k)[0], sizeof first);
  CHECK(here == 0.55 && k == 6);
  CHECK(api->run_restore(run, buffer, bytes) == 0 && api->run_advance(run, 0.55, 1000) == 0);
  CHECK(memcmp(first, api->run_y(run, &here, &k)[0], sizeof first) == 0);
  buffer[bytes / 2] ^= 1;
  CHECK(api->run_restore(run, buffer, bytes) == MF_E_DAMAGED);
  CHECK(memcmp(first, api->run_y(run, &here, &k)[0], sizeof first) == 0);     /* nothing changed */
  CHECK(api->run_advance(run, 0.1, 10) == MF_E_ARGUMENT);                     /* behind us */
  ctx.run = run;
  CHECK(api->run_advance(run, 0.65, 10) == 0 && ctx.inner == MF_E_BUSY);
  ctx.run = NULL;
  ctx.rate = 1e300;
  CHECK(api->run_advance(run, 1.0, 1000) == MF_E_NON_FINITE);
  CHECK(isfinite(api->run_y(run, &t, &k)[0][0]) && t == 0.65);                /* the last good step */
  memcpy(y, api->run_y(run, t_end, &k)[0], 2 * sizeof(double));
  api->run_free(run);
  free(buffer);
  CHECK(api->run_new(api->find("adam"), &p, &options, start, &err) == NULL && err == MF_E_KIND);
  p.rhs = NULL;
  CHECK(api->run_new(api->find("rk4"), &p, &options, start, &err) == NULL && err == MF_E_CALLBACK);
  CHECK(api->run_new(NULL, &p, &options, start, &err) == NULL && err == MF_E_ARGUMENT);
  return 0;
}

int host_interpolate(const mf_api *api, double theta, double *y) {
  host_ctx ctx = {-1.0, 0, api, NULL, 0};
  mf_problem p = MF_INIT(mf_problem);
  p.n = 1; p.rhs = decay; p.ctx = &ctx;
  double a[8] = {1.0}, b[8] = {0}, work[64] = {0};
  const double *x0[1] = {a};
  double *x1[1] = {b};
  mf_frame f = MF_INIT(mf_frame);
  f.n = 1; f.ld = 8; f.h = 0.1; f.x0 = x0; f.x1 = x1; f.work = work; f.p = &p;
  CHECK(api->step(api->find("rk4"), &f) == 0);
  CHECK(api->interpolate(api->find("rk4"), &f, 1.5, y) == MF_E_ARGUMENT);
  return api->interpolate(api->find("rk4"), &f, theta, y);
}

/* Rosenbrock's valley; calls back into its own descent where one is given. */
typedef struct { const mf_api *api; mf_descent *descent; int inner; } valley_ctx;
static int valley(const double *x, double *f, double *g, ptrdiff_t n, void *p) {
  (void)n;
  valley_ctx *ctx = (valley_ctx *)p;
  const double a = 1.0 - x[0], b = x[1] - x[0] * x[0];
  if (ctx->descent) ctx->inner = ctx->api->descent_advance(ctx->descent, 1, 0.0);
  if (f) *f = a * a + 100.0 * b * b;
  if (g) { g[0] = -2.0 * a - 400.0 * x[0] * b; g[1] = 200.0 * b; }
  return 0;
}
static int valley_product(const double *x, const double *p, double *Hp, ptrdiff_t n, void *ctx) {
  (void)n; (void)ctx;
  const double h00 = 2.0 - 400.0 * (x[1] - 3.0 * x[0] * x[0]), h01 = -400.0 * x[0];
  Hp[0] = h00 * p[0] + h01 * p[1];
  Hp[1] = h01 * p[0] + 200.0 * p[1];
  return 0;
}

/* A descent by any method that gives directions: to its end, saved and restored on the way, refused where it must be. */
int host_descent(const mf_api *api, const char *name, double *x, int64_t *evaluations) {
  const mf_method *m = api->find(name);
  CHECK(m != NULL && (m->direct != NULL || m->update != NULL));
  valley_ctx ctx = {api, NULL, 0};
  mf_problem p = MF_INIT(mf_problem);
  p.n = 2; p.value_grad = valley; p.ctx = &ctx;
  mf_descent_options options = MF_INIT(mf_descent_options);
  options.hessp = valley_product;
  double start[2] = {-1.2, 1.0}, value = 0, gmax = 0;
  int err = 99;
  int64_t nit = 0;
  mf_descent *d = api->descent_new(m, &p, &options, start, &err);
  CHECK(d != NULL && err == 0);
  CHECK(api->descent_advance(d, 5, 1e-6) == 1);
  const int64_t bytes = api->descent_save(d, NULL, 0);
  char *buffer = (char *)malloc((size_t)bytes);
  CHECK(bytes > 0 && api->descent_save(d, buffer, bytes - 1) == MF_E_ARGUMENT && api->descent_save(d, buffer, bytes) == bytes);
  CHECK(api->descent_advance(d, 3000, 1e-6) == 0);
  memcpy(x, api->descent_x(d, &value, &gmax, &nit, evaluations), 2 * sizeof(double));
  CHECK(gmax <= 1e-6 && nit > 5 && value < 1e-9);
  mf_descent *other = api->descent_new(m, &p, &options, start, &err);
  CHECK(other != NULL && api->descent_restore(other, buffer, bytes) == 0 && api->descent_advance(other, 3000, 1e-6) == 0);
  CHECK(memcmp(x, api->descent_x(other, NULL, NULL, NULL, NULL), 2 * sizeof(double)) == 0);
  buffer[bytes / 2] ^= 1;
  CHECK(api->descent_restore(other, buffer, bytes) == MF_E_DAMAGED && api->descent_restore(other, buffer, 3) == MF_E_DAMAGED);
  mf_descent *entered = api->descent_new(m, &p, &options, start, &err);
  ctx.descent = entered;
  CHECK(api->descent_advance(entered, 1, 0.0) == 1 && ctx.inner == MF_E_BUSY);   /* its own callback came in again */
  ctx.descent = NULL;
  api->descent_free(entered);
  api->descent_free(other);
  api->descent_free(d);
  api->descent_free(NULL);
  free(buffer);
  return 0;
}

int host_bad_descents(const mf_api *api) {
  valley_ctx ctx = {api, NULL, 0};
  mf_problem p = MF_INIT(mf_problem);
  p.n = 2; p.value_grad = valley; p.ctx = &ctx;
  double start[2] = {-1.2, 1.0}, low[2] = {-2.0, -2.0}, high[2] = {0.5, 2.0}, gmax = 1.0;
  int err = 0;
  const mf_method *lbfgs = api->find("lbfgs");
  mf_descent_options options = MF_INIT(mf_descent_options);
  CHECK(api->descent_new(NULL, &p, NULL, start, &err) == NULL && err == MF_E_ARGUMENT);
  CHECK(api->descent_new(lbfgs, NULL, NULL, start, &err) == NULL && err == MF_E_ARGUMENT);
  CHECK(api->descent_new(lbfgs, &p, NULL, NULL, &err) == NULL && err == MF_E_ARGUMENT);
  CHECK(api->descent_new(api->find("rk4"), &p, NULL, start, &err) == NULL && err == MF_E_KIND);
  options.c1 = 0.5; options.c2 = 0.4;
  CHECK(api->descent_new(lbfgs, &p, &options, start, &err) == NULL && err == MF_E_ARGUMENT);
  options.c1 = options.c2 = 0.0;
  options.lower = high; options.upper = low;
  CHECK(api->descent_new(lbfgs, &p, &options, start, &err) == NULL && err == MF_E_ARGUMENT);
  options.lower = low; options.upper = high;
  CHECK(api->descent_new(api->find("bfgs"), &p, &options, start, &err) == NULL && err == MF_E_KIND);
  mf_descent *d = api->descent_new(lbfgs, &p, &options, start, &err);
  CHECK(d != NULL && api->descent_advance(d, 1000, 1e-6) == 0);
  const double *x = api->descent_x(d, NULL, &gmax, NULL, NULL);
  CHECK(x[0] == 0.5 && fabs(x[1] - 0.25) < 1e-6 && gmax <= 1e-6);
  CHECK(api->descent_advance(d, -1, 0.0) == MF_E_ARGUMENT && api->descent_advance(NULL, 1, 0.0) == MF_E_ARGUMENT);
  api->descent_free(d);
  p.value_grad = NULL;
  CHECK(api->descent_new(lbfgs, &p, NULL, start, &err) == NULL && err == MF_E_CALLBACK);
  CHECK(api->direct(lbfgs, NULL) == MF_E_ARGUMENT && api->room(api->find("rk4"), NULL, 2, 0, NULL, NULL) == MF_E_ARGUMENT);
  return 0;
}
