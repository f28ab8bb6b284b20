/* fit.h: a prepared fit of a model f(x, p) to data, as mflow.compile_fit makes it: a C function and its struct, without Python.

   In Python   fit = mflow.compile_fit(...);  fit.handle is the address of the struct, good while `fit` lives
   In C        mf_fit *s = (mf_fit *)handle;  status = s->solve(s, x, y, sigma, p0, p);

   0: converged, and p holds the n parameters. Else p holds the best ones seen, p0 itself where nothing could be evaluated, and the status
   says why it stopped: MF_FIT_..., a code of mflow.h (MF_E_...), or the model's own, below 0. Nothing is allocated, and no lock is taken.
   A struct is for one thread at a time: a second one gets MF_E_BUSY, and nothing happens; give each its own (copy.copy(fit) in Python). */
#ifndef MFLOW_FIT_H
#define MFLOW_FIT_H
#include <stddef.h>
#include <stdint.h>

enum {
  MF_FIT_MAX_NFEV = 1,            /* the limit of evaluations was reached */
  MF_FIT_STUCK = 2,               /* no step that still moves p lowers the cost, and the gradient is not small */
  MF_FIT_UNDETERMINED = 3,        /* a column of the Jacobian is 0 where it ended: the data are not seen to depend on a parameter */
  MF_FIT_DOUBTFUL = 4             /* ftol or xtol ended it, and the gradient by differences is not small */
};

typedef struct mf_fit {
  size_t size;                    /* of this struct, as the library that made it knows it */
  int (*solve)(struct mf_fit *, const double *x, const double *y, const double *sigma, const double *p0, double *p);
                                  /* sigma: m standard deviations, or NULL; p may be p0 */
  ptrdiff_t m, n;                 /* how many numbers x, y and sigma hold, and p */
  double cost;                    /* of the last call: half the sum of squares of (f - y)/sigma at p, */
  int64_t nfev, nit;              /* evaluations of the model, those for differences left out, and steps, */
  int ending;                     /* and which test ended it: 1 the gradient, 2 ftol, 3 xtol, 4 both; 0 where it did not converge */
} mf_fit;
#endif
