/* Stiff problems in C beside those of problems.c, for bench/stiff_peers.py, and calls that solve them by CVODE and IDA (with -DCVODE).
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

/* ---- differential-algebraic problems of the Test Set -------------------------------------------------------------------------------------- */

F(chemical) {
  UNUSED;
  if (y[1] < 0.0) return 1;
  const double root = sqrt(y[1]), r1 = 18.7 * y[0] * y[0] * y[0] * y[0] * root, r2 = 0.58 * y[2] * y[3], r3 = 0.58 / 34.4 * y[0] * y[4];
  const double r4 = 0.09 * y[0] * y[3] * y[3], r5 = 0.42 * y[5] * y[5] * root, inflow = 3.3 * (0.9 / 737.0 - y[1]);
  d[0] = -2.0 * r1 + r2 - r3 - r4, d[1] = -0.5 * r1 - r4 - 0.5 * r5 + inflow, d[2] = r1 - r2 + r3;
  d[3] = -r2 + r3 - 2.0 * r4, d[4] = r2 - r3 + r5, d[5] = 115.83 * y[0] * y[3] - y[5];
  return 0;
}

static double current(double v) { return 1e-6 * (exp(v / 0.026) - 1.0); }

F(transistor) {
  UNUSED;
  const double first = current(y[1] - y[2]), second = current(y[4] - y[5]), R = 9000.0;
  if (!(first < 1e100 && second < 1e100)) return 1;
  d[0] = (y[0] - 0.1 * sin(200.0 * 3.14159265358979323846 * t)) / 1000.0, d[1] = y[1] / R + (y[1] - 6.0) / R + 0.01 * first;
  d[2] = y[2] / R - first, d[3] = (y[3] - 6.0) / R + 0.99 * first, d[4] = y[4] / R + (y[4] - 6.0) / R + 0.01 * second;
  d[5] = y[5] / R - second, d[6] = (y[6] - 6.0) / R + 0.99 * second, d[7] = y[7] / R;
  return 0;
}

/* ---- Allen-Cahn on a square of side 1, no flow across its edges: u' = 1e-4 laplace(u) + u - u^3 ------------------------------------------- */

static ptrdiff_t side_of(ptrdiff_t n) { return (ptrdiff_t)(sqrt((double)n) + 0.5); }

F(allen) {
  UNUSED;
  const ptrdiff_t side = side_of(n);
  const double by = 1e-4 * (double)side * (double)side;
  for (ptrdiff_t i = 0; i < side; i++)
    for (ptrdiff_t j = 0; j < side; j++) {
      const double *u = y + i * side + j, here = *u;
      const double west = j > 0 ? u[-1] : here, east = j < side - 1 ? u[1] : here;
      const double north = i > 0 ? u[-side] : here, south = i < side - 1 ? u[side] : here;
      d[i * side + j] = by * (((west + east) + (north + south)) - 4.0 * here) + here * (1.0 - here * here);
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
#include <ida/ida.h>
#include <nvector/nvector_serial.h>
#include <stdlib.h>
#include <sunlinsol/sunlinsol_band.h>
#include <sunlinsol/sunlinsol_dense.h>
#include <sunlinsol/sunlinsol_klu.h>
#include <sunmatrix/sunmatrix_sparse.h>

typedef int (*rhs_fn)(double, const double *, double *, ptrdiff_t, void *);
typedef struct {
  rhs_fn rhs, jac;
  ptrdiff_t n;
  double *rows; /* of a Jacobian, or of M */
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

static int allen_jac(realtype t, N_Vector v, N_Vector f, SUNMatrix A, void *user, N_Vector a, N_Vector b, N_Vector c) {
  const ptrdiff_t n = ((host *)user)->n, side = side_of(n);
  const double by = 1e-4 * (double)side * (double)side, *y = N_VGetArrayPointer(v);
  sunindextype *start = SUNSparseMatrix_IndexPointers(A), *row = SUNSparseMatrix_IndexValues(A), k = 0;
  double *value = SUNSparseMatrix_Data(A);
  (void)t, (void)f, (void)a, (void)b, (void)c;
  for (ptrdiff_t p = 0; p < n; p++) {
    const ptrdiff_t i = p / side, j = p % side;
    const int ways = (i > 0) + (i < side - 1) + (j > 0) + (j < side - 1);
    start[p] = k;
    if (i > 0) row[k] = p - side, value[k++] = by;
    if (j > 0) row[k] = p - 1, value[k++] = by;
    row[k] = p, value[k++] = -by * ways + 1.0 - 3.0 * y[p] * y[p];
    if (j < side - 1) row[k] = p + 1, value[k++] = by;
    if (i < side - 1) row[k] = p + side, value[k++] = by;
  }
  start[n] = k;
  return 0;
}

/* f_allen by BDF with KLU. */
int cvode_allen(ptrdiff_t n, double t0, double t1, double *y, double rtol, double atol) {
  SUNContext context;
  SUNContext_Create(NULL, &context);
  host p = {f_allen, NULL, n, NULL};
  N_Vector v = N_VMake_Serial(n, y, context);
  void *mem = CVodeCreate(CV_BDF, context);
  SUNMatrix A = SUNSparseMatrix(n, n, 5 * n, CSC_MAT, context);
  SUNLinearSolver ls = SUNLinSol_KLU(v, A, context);
  double t = t0;
  CVodeInit(mem, host_rhs, t0, v);
  CVodeSStolerances(mem, rtol, atol);
  CVodeSetUserData(mem, &p);
  CVodeSetLinearSolver(mem, ls, A);
  CVodeSetJacFn(mem, allen_jac);
  CVodeSetMaxNumSteps(mem, 10000000);
  CVodeSetErrFile(mem, NULL);
  CVodeSetStopTime(mem, t1);
  const int status = CVode(mem, t1, v, &t, CV_NORMAL);
  CVodeFree(&mem);
  SUNLinSolFree(ls);
  SUNMatDestroy(A);
  N_VDestroy(v);
  SUNContext_Free(&context);
  return status < 0 ? status : 0;
}

/* ---- IDA: M y' - f = 0 ----------------------------------------------------------------------------------------------------------------- */

static int host_residual(realtype t, N_Vector y, N_Vector slope, N_Vector out, void *user) {
  host *p = user;
  const double *dy = N_VGetArrayPointer(slope);
  double *r = N_VGetArrayPointer(out);
  const int status = p->rhs(t, N_VGetArrayPointer(y), r, p->n, 0);
  for (ptrdiff_t i = 0; i < p->n; i++) {
    double sum = 0.0;
    for (ptrdiff_t j = 0; j < p->n; j++) sum += p->rows[i * p->n + j] * dy[j];
    r[i] = sum - r[i];
  }
  return status;
}

/* y, with slopes dy at the start, from t0 to t1; J by differences. */
int ida_solve(rhs_fn rhs, double *mass, ptrdiff_t n, double t0, double t1, double *y, double *dy, double rtol, double atol) {
  SUNContext context;
  SUNContext_Create(NULL, &context);
  host p = {rhs, NULL, n, mass};
  N_Vector v = N_VMake_Serial(n, y, context), w = N_VMake_Serial(n, dy, context);
  void *mem = IDACreate(context);
  SUNMatrix A = SUNDenseMatrix(n, n, context);
  SUNLinearSolver ls = SUNLinSol_Dense(v, A, context);
  double t = t0;
  IDAInit(mem, host_residual, t0, v, w);
  IDASStolerances(mem, rtol, atol);
  IDASetUserData(mem, &p);
  IDASetLinearSolver(mem, ls, A);
  IDASetMaxNumSteps(mem, 10000000);
  IDASetErrFile(mem, NULL);
  IDASetStopTime(mem, t1);
  const int status = IDASolve(mem, t1, &t, v, w, IDA_NORMAL);
  IDAFree(&mem);
  SUNLinSolFree(ls);
  SUNMatDestroy(A);
  N_VDestroy(v);
  N_VDestroy(w);
  SUNContext_Free(&context);
  return status < 0 ? status : 0;
}
#endif
