/* A host's own loops for bench_embed.py: through the table of mflow.h, and the same arithmetic by hand. Compiled as twins.c is. */
#include "mflow/mflow.h"

typedef int (*rhs_fn)(double t, const double *y, double *dydt, ptrdiff_t n, void *ctx);

int swing(double t, const double *y, double *dydt, ptrdiff_t n, void *ctx) {
  (void)t, (void)n, (void)ctx;
  dydt[0] = y[1];
  dydt[1] = -y[0];
  return 0;
}

int api_steps(const mf_api *api, const mf_method *row, mf_frame *f, ptrdiff_t count) {
  int status = 0;
  for (ptrdiff_t k = 0; k < count && status == 0; k++) {
    f->k = k, f->t = (double)k * f->h;
    status = api->step(row, f);
  }
  return status;
}

/* Classical RK4 on two components, as it would be written for them alone; the right-hand side through its pointer. */
int hand_steps(rhs_fn f, double h, double *y, double *w, ptrdiff_t count) {
  double *k1 = w, *k2 = w + 2, *k3 = w + 4, *k4 = w + 6, *z = w + 8;
  for (ptrdiff_t k = 0; k < count; k++) {
    const double t = (double)k * h;
    int status = f(t, y, k1, 2, NULL);
    if (status != 0) return status;
    z[0] = y[0] + 0.5 * h * k1[0], z[1] = y[1] + 0.5 * h * k1[1];
    status = f(t + 0.5 * h, z, k2, 2, NULL);
    if (status != 0) return status;
    z[0] = y[0] + 0.5 * h * k2[0], z[1] = y[1] + 0.5 * h * k2[1];
    status = f(t + 0.5 * h, z, k3, 2, NULL);
    if (status != 0) return status;
    z[0] = y[0] + h * k3[0], z[1] = y[1] + h * k3[1];
    status = f(t + h, z, k4, 2, NULL);
    if (status != 0) return status;
    y[0] += (h / 6.0 * k1[0] + h / 3.0 * k2[0]) + (h / 3.0 * k3[0] + h / 6.0 * k4[0]);
    y[1] += (h / 6.0 * k1[1] + h / 3.0 * k2[1]) + (h / 3.0 * k3[1] + h / 6.0 * k4[1]);
  }
  return 0;
}

int api_updates(const mf_api *api, const mf_method *row, const double *coef, ptrdiff_t n, double *const *x, const double *g,
                ptrdiff_t count) {
  int status = 0;
  for (ptrdiff_t k = 0; k < count && status == 0; k++) status = api->update(row, coef, 1.0, 0, n, x, g);
  return status;
}
