/* An ensemble of Lorenz systems on OpenMP threads. Python is started once, to load mflow, and its lock is given up; after that no step
   knows of Python. Each member has a run of its own: runs share nothing, so they need no lock either. */
#include "mflow/mflow_python.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MEMBERS 64

typedef struct { double sigma, rho, beta; } lorenz_t;

static int lorenz(double t, const double *y, double *dydt, ptrdiff_t n, void *ctx) {
  const lorenz_t *p = (const lorenz_t *)ctx;
  (void)t, (void)n;
  dydt[0] = p->sigma * (y[1] - y[0]);
  dydt[1] = y[0] * (p->rho - y[2]) - y[1];
  dydt[2] = y[0] * y[1] - p->beta * y[2];
  return 0;
}

/* One member to t = 5, with a restart from a saved state on the way: the bits must not notice. */
static int member(int i, double *y) {
  lorenz_t ctx = {10.0, 20.0 + 0.1 * i, 8.0 / 3.0};
  mf_problem problem = MF_INIT(mf_problem);
  mf_run_options options = MF_INIT(mf_run_options);
  const double start[3] = {1.0, 1.0, 20.0};
  const double *y0[1];
  int status;
  mf_run *run;
  y0[0] = start;
  problem.n = 3, problem.rhs = lorenz, problem.ctx = &ctx;
  options.rtol = options.atol = 1e-9;
  run = mflow->run_new(mflow->find("dopri5"), &problem, &options, y0, &status);
  if (run == NULL) return status;
  status = mflow->run_advance(run, 2.5, 100000);
  if (status == MF_OK) {
    int64_t bytes = mflow->run_save(run, NULL, 0);
    void *state = malloc((size_t)bytes);
    if (state == NULL || mflow->run_save(run, state, bytes) != bytes) status = MF_E_MEMORY;
    mflow->run_free(run);
    run = mflow->run_new(mflow->find("dopri5"), &problem, &options, y0, &status);
    if (run != NULL) status = mflow->run_restore(run, state, bytes);
    free(state);
  }
  if (status == MF_OK) status = mflow->run_advance(run, 5.0, 100000);
  if (status == MF_OK) memcpy(y, mflow->run_y(run, NULL, NULL)[0], sizeof start);
  mflow->run_free(run);
  return status;
}

int main(void) {
  static double serial[MEMBERS][3], threaded[MEMBERS][3];
  PyThreadState *thread;
  int i, bad = 0;
  Py_InitializeEx(0);                        /* the python3 that comes first in PATH: that of the activated environment */
  if (mflow_import() < 0) {
    PyErr_Print();
    return 1;
  }
  thread = PyEval_SaveThread();              /* from here on no thread holds Python's lock */
  for (i = 0; i < MEMBERS; i++) bad |= member(i, serial[i]);
#pragma omp parallel for reduction(| : bad) schedule(dynamic)
  for (i = 0; i < MEMBERS; i++) bad |= member(i, threaded[i]);
  printf("mflow %s, kernels %s: member 0 ends at %.6f %.6f %.6f\n", mflow->version_text(), mflow->isa(), serial[0][0], serial[0][1],
         serial[0][2]);
  printf("threads and serial have the same bits: %s\n", memcmp(serial, threaded, sizeof serial) == 0 ? "yes" : "no");
  printf("%s\n", mflow->error_text(bad));
  PyEval_RestoreThread(thread);
  if (Py_FinalizeEx() < 0) return 1;
  return bad != 0 || memcmp(serial, threaded, sizeof serial) != 0;
}
