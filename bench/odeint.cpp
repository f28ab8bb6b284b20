/* Boost odeint's dopri5 on a right-hand side behind mflow's pointer: the C++ that its users write, with vectors as its state.
 *
 * Compiled by bench_adaptive.py with the flags that meson.build gives the kernels. Returns the number of accepted steps; `calls` counts
 * evaluations where it is not NULL.
 */
#include <boost/numeric/odeint.hpp>
#include <cstddef>
#include <vector>

typedef int (*rhs_fn)(double t, const double *y, double *dydt, std::ptrdiff_t n, void *ctx);
typedef std::vector<double> state;

namespace {
struct plain {
  rhs_fn f;
  void operator()(const state &y, state &d, double t) const { f(t, y.data(), d.data(), (std::ptrdiff_t)y.size(), nullptr); }
};
struct counted {
  rhs_fn f;
  std::ptrdiff_t *calls;
  void operator()(const state &y, state &d, double t) const {
    ++*calls;
    f(t, y.data(), d.data(), (std::ptrdiff_t)y.size(), nullptr);
  }
};

template <class System>
std::size_t solve(System system, std::ptrdiff_t n, double t, double t_end, double h, double rtol, double atol, double *y) {
  using namespace boost::numeric::odeint;
  state x(y, y + n);
  const std::size_t steps = integrate_adaptive(make_controlled(atol, rtol, runge_kutta_dopri5<state>()), system, x, t, t_end, h);
  for (std::ptrdiff_t i = 0; i < n; i++)
    y[i] = x[(std::size_t)i];
  return steps;
}
} // namespace

extern "C" std::ptrdiff_t odeint_dopri5(rhs_fn f, std::ptrdiff_t n, double t, double t_end, double h, double rtol, double atol, double *y,
                                        std::ptrdiff_t *calls) {
  return (std::ptrdiff_t)(calls ? solve(counted{f, calls}, n, t, t_end, h, rtol, atol, y) : solve(plain{f}, n, t, t_end, h, rtol, atol, y));
}
