/* ivp.h: a prepared solver of y' = f(t, y, args), as mflow.compile_solver makes it: a C function and its struct, without Python.

   In Python   solver = mflow.compile_solver(...);  solver.handle is the address of the struct, good while `solver` lives
   In C        mf_ivp *s = (mf_ivp *)handle;  status = s->solve(s, t0, t_end, y0, args, y);

   0: y holds the n numbers at t_end, with the bits of mflow.solve_ivp. Anything else: why it stopped, a code of mflow.h (MF_E_...) or of
   the right-hand side; y then holds the last good state, and s->t its time. Nothing is allocated, and no lock is taken. A struct is for
   one thread at a time: a second one gets MF_E_BUSY, and nothing happens; give each its own (copy.copy(solver) in Python). */
#ifndef MFLOW_IVP_H
#define MFLOW_IVP_H
#include <stddef.h>
#include <stdint.h>

typedef struct mf_ivp {
  size_t size;                    /* of this struct, as the library that made it knows it */
  int (*solve)(struct mf_ivp *, double t0, double t_end, const double *y0, const double *args, double *y);   /* y may be y0 */
  ptrdiff_t n, n_args;            /* how many numbers y0 and y hold, and args, which may be NULL where it holds none */
  double t;                       /* of the last call: the time that it reached, */
  int64_t nfev, nsteps, nrejected;        /* evaluations of f, accepted and rejected steps */
} mf_ivp;
#endif
