/* Stiff problems in C beside those of problems.c, for bench/stiff_peers.py, and one call that solves them by CVODE (with -DCVODE).
 *
 * Signatures as in problems.c. l_NAME is liblsoda's form of a right-hand side. Sources: Hairer and Wanner II (1996), IV.10; F. Mazzia and
 * C. Magherini, Test Set for IVP Solvers, release 2.4 (2008); POLLU as a table of reactions that the caller sets.
 */
#include "problems.c"

F(orego) {
  UNUSED;
  d[0] = 77.27 * (y[1] + y[0] * (1.0 - 8.375e-6 * y[0] - y[1]));
  d[1] = (y[2] - (1.0 + y[0]) * y[1]) / 77.27;
  d[2] = 0.161 * (y[0] - y[2]);
  return 0;
}

J(orego) {
  UNUSED;
  AT(0, 0) = 77.27 * (1.0 - 2.0 * 8.375e-6 * y[0] - y[1]), AT(0, 1) = 77.27 * (1.0 - y[0]), AT(0, 2) = 0.0;
  AT(1, 0) = -y[1] / 77.27, AT(1, 1) = -(1.0 + y[0]) / 77.27, AT(1, 2) = 1.0 / 77.27;
  AT(2, 0) = 0.161, AT(2, 1) = 0.0, AT(2, 2) = -0.161;
  return 0;
}

/* ---- reactions: rate k y[a] y[b]; what is used and made ----------------------------------------------------------------------------- */

enum { REACTIONS = 25, PARTS = 8 };
static double rate[REACTIONS];
static int used[REACTIONS][2], parts[REACTIONS][PARTS], signs[REACTIONS][PARTS], n_parts[REACTIONS];

/* Row k of table: rate, the two places (-1: none), how many parts, then place and sign of each. */
void set_reactions(const double *table, ptrdiff_t width) {
  for (int k = 0; k < REACTIONS; k++) {
    const double *row = table + k * width;
    rate[k] = row[0], used[k][0] = (int)row[1], used[k][1] = (int)row[2], n_parts[k] = (int)row[3];
    for (int p = 0; p < n_parts[k]; p++) parts[k][p] = (int)row[4 + 2 * p], signs[k][p] = (int)row[5 + 2 * p];
  }
}

F(pollu) {
  UNUSED;
  memset(d, 0, (size_t)n * sizeof(double));
  for (int k = 0; k < REACTIONS; k++) {
    const double r = rate[k] * y[used[k][0]] * (used[k][1] < 0 ? 1.0 : y[used[k][1]]);
    for (int p = 0; p < n_parts[k]; p++) d[parts[k][p]] += signs[k][p] * r;
  }
  return 0;
}

J(pollu) {
  UNUSED;
  CLEAR;
  for (int k = 0; k < REACTIONS; k++) {
    const int a = used[k][0], b = used[k][1];
    const double by_a = rate[k] * (b < 0 ? 1.0 : y[b]);
    for (int p = 0; p < n_parts[k]; p++) {
      AT(parts[k][p], a) += signs[k][p] * by_a;
      if (b >= 0) AT(parts[k][p], b) += signs[k][p] * rate[k] * y[a];
    }
  }
  return 0;
}

/* ---- lines of points, two components each: bands of 2 + 2 ----------------------------------------------------------------------------- */

static int akzo(double phi, const double *y, double *d, ptrdiff_t n) {
  const ptrdiff_t points = n / 2;
  const double dz = 1.0 / points;
  for (ptrdiff_t j = 0; j < points; j++) {
    const double z = (j + 1) * dz - 1.0, u = y[2 * j], left = j > 0 ? y[2 * j - 2] : phi, right = j < points - 1 ? y[2 * j + 2] : u;
    const double loss = 100.0 * u * y[2 * j + 1];
    d[2 * j] = z * z * z / 8.0 * (right - left) / (2.0 * dz) + z * z * z * z / 16.0 * (left - 2.0 * u + right) / (dz * dz) - loss;
    d[2 * j + 1] = -loss;
  }
  return 0;
}

F(medical) {
  UNUSED;
  return akzo(t <= 5.0 ? 2.0 : 0.0, y, d, n);
}

F(medical_late) {
  UNUSED;
  return akzo(0.0, y, d, n);
}

F(bruss) {
  const ptrdiff_t points = n / 2;
  const double by = 0.02 * (double)(points + 1) * (double)(points + 1);
  UNUSED;
  for (ptrdiff_t j = 0; j < points; j++) {
    const double u = y[2 * j], v = y[2 * j + 1], burnt = u * u * v, last = j == points - 1;
    d[2 * j] = 1.0 + burnt - 4.0 * u + by * ((j > 0 ? y[2 * j - 2] : 1.0) - 2.0 * u + (last ? 1.0 : y[2 * j + 2]));
    d[2 * j + 1] = 3.0 * u - burnt + by * ((j > 0 ? y[2 * j - 1] : 3.0) - 2.0 * v + (last ? 3.0 : y[2 * j + 3]));
  }
  return 0;
}

#define LSODA_FORM(name) \
  void l_##name(double t, double *y, double *d, double *data) { f_##name(t, y, d, (ptrdiff_t)data[0], 0); }
LSODA_FORM(hires)
LSODA_FORM(robertson)
LSODA_FORM(orego)
LSODA_FORM(vdp_eps)
LSODA_FORM(pollu)

/* ---- CVODE ------------------------------------------------------------------------------------------------------------------------------ */

#ifdef CVODE
#include <cvode/cvode.h>
#include <nvector/nvector_serial.h>
#include <stdlib.h>
#include <sunlinsol/sunlinsol_band.h>
#include <sunlinsol/sunlinsol_dense.h>

typedef int (*rhs_fn)(double, const double *, double *, ptrdiff_t, void *);
typedef struct {
  rhs_fn rhs, jac;
  ptrdiff_t n;
  double *rows;
} host;

static int host_rhs(realtype t, N_Vector y, N_Vector d, void *user) {
  host *p = user;
  return p->rhs(t, N_VGetArrayPointer(y), N_VGetArrayPointer(d), p->n, 0);
}

static int host_jac(realtype t, N_Vector y, N_Vector f, SUNMatrix A, void *user, N_Vector a, N_Vector b, N_Vector c) {
  host *p = user;
  (void)f, (void)a, (void)b, (void)c;
  const int status = p->jac(t, N_VGetArrayPointer(y), p->rows, p->n, 0);
  for (ptrdiff_t j = 0; j < p->n; j++)
    for (ptrdiff_t i = 0; i < p->n; i++) SM_ELEMENT_D(A, i, j) = p->rows[i * p->n + j];
  return status;
}

/* y from t0 to t1 by BDF; width < 0: dense, jac or differences; else a band by differences. counts: steps, calls of rhs. 0 or a code. */
int cvode_solve(rhs_fn rhs, rhs_fn jac, ptrdiff_t n, double t0, double t1, double *y, double rtol, double atol, int width, long *counts) {
  SUNContext context;
  SUNContext_Create(NULL, &context);
  host p = {rhs, jac, n, width < 0 ? malloc((size_t)(n * n) * sizeof(double)) : NULL};
  N_Vector v = N_VMake_Serial(n, y, context);
  void *mem = CVodeCreate(CV_BDF, context);
  SUNMatrix A = width < 0 ? SUNDenseMatrix(n, n, context) : SUNBandMatrix(n, width, width, context);
  SUNLinearSolver ls = width < 0 ? SUNLinSol_Dense(v, A, context) : SUNLinSol_Band(v, A, context);
  double t = t0;
  long more = 0;
  CVodeInit(mem, host_rhs, t0, v);
  CVodeSStolerances(mem, rtol, atol);
  CVodeSetUserData(mem, &p);
  CVodeSetLinearSolver(mem, ls, A);
  if (width < 0 && jac) CVodeSetJacFn(mem, host_jac);
  CVodeSetMaxNumSteps(mem, 10000000);
  CVodeSetErrFile(mem, NULL);
  CVodeSetStopTime(mem, t1);
  const int status = CVode(mem, t1, v, &t, CV_NORMAL);
  CVodeGetNumSteps(mem, counts);
  CVodeGetNumRhsEvals(mem, counts + 1);
  CVodeGetNumLinRhsEvals(mem, &more);
  counts[1] += more;
  CVodeFree(&mem);
  SUNLinSolFree(ls);
  SUNMatDestroy(A);
  N_VDestroy(v);
  SUNContext_Free(&context);
  free(p.rows);
  return status < 0 ? status : 0;
}
#endif
