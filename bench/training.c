/* Minibatch gradient descent on linear least squares, as a careful person would write it for this one problem: predictions by a dot product
 * in eight sums, the gradient of the batch added up row by row, its norm and loss kept, and the step. Compiled with the kernels' flags.
 */
#include <math.h>
#include <stddef.h>
#include <stdint.h>

static double dot(const double *restrict x, const double *restrict w, ptrdiff_t n) {
  double s[8] = {0, 0, 0, 0, 0, 0, 0, 0};
  ptrdiff_t i = 0;
  for (; i + 8 <= n; i += 8)
    for (int j = 0; j < 8; j++)
      s[j] += x[i + j] * w[i + j];
  double rest = 0.0;
  for (; i < n; i++)
    rest += x[i] * w[i];
  return (((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]))) + rest;
}

static void add(double *restrict g, const double *restrict x, double by, ptrdiff_t n) {
  for (ptrdiff_t j = 0; j < n; j++)
    g[j] += by * x[j];
}

void sgd_least_squares(ptrdiff_t rows, ptrdiff_t n, ptrdiff_t batch_size, const double *X, const double *y, const int64_t *order, double lr,
                       double *w, double *g, double *losses, double *norms) {
  for (ptrdiff_t lo = 0, step = 0; lo < rows; lo += batch_size, step++) {
    const ptrdiff_t hi = lo + batch_size < rows ? lo + batch_size : rows;
    const double share = 1.0 / (double)(hi - lo);
    double loss = 0.0;
    for (ptrdiff_t j = 0; j < n; j++)
      g[j] = 0.0;
    for (ptrdiff_t i = lo; i < hi; i++) {
      const double *x = X + order[i] * n, r = dot(x, w, n) - y[order[i]];
      loss += 0.5 * r * r;
      add(g, x, r, n);
    }
    for (ptrdiff_t j = 0; j < n; j++)
      g[j] = share * g[j];
    losses[step] = share * loss, norms[step] = sqrt(dot(g, g, n));
    add(w, g, -lr, n);
  }
}
