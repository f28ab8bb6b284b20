// A cloth of masses and damped springs, hung by two corners: central differences with a staggered velocity, and implicit damping.
//
//     m x'' = F_springs(x) - C(x) x' + m g         C(x) = sum over springs of  c u u^T,  u the spring's direction
//
// The method `staggered` is explicit in x, so the springs limit the step; damping must not, so it is implicit in v. What a step then needs
// is an acceleration that solves
//
//     a = w M^-1 F(t, x, v + b a) + q        that is   (M + w b C(x)) a = w (F_springs + m g - C v) + M q
//
// a sparse, symmetric and positive definite system. This host brings its own solver for it, conjugate gradients over the springs, as
// `solve_accel`; mflow calls it once a step. The scheme is Bridson, Marino and Fedkiw's (2003).
#include "mflow/mflow_python.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <vector>

namespace {

constexpr int SIDE = 12;
constexpr double SPACING = 1.0 / (SIDE - 1), MASS = 0.2 / (SIDE * SIDE), GRAVITY = 9.81;

struct Spring { int i, j; double stiffness, damping, length; };

struct Cloth {
  std::vector<Spring> springs;
  std::vector<double> direction;             // of each spring, at the x of the last force
  std::vector<double> r, p, Ap;              // of conjugate gradients
  long solves = 0, iterations = 0;
  double damping = 0.0;

  explicit Cloth(double c) : r(3 * SIDE * SIDE), p(r.size()), Ap(r.size()), damping(c) {
    auto join = [&](int i, int j, int di, int dj, double k) {
      if (i + di < SIDE && j + dj < SIDE && j + dj >= 0)
        springs.push_back({i * SIDE + j, (i + di) * SIDE + j + dj, k, c, SPACING * std::sqrt(di * di + dj * dj)});
    };
    for (int i = 0; i < SIDE; i++)
      for (int j = 0; j < SIDE; j++) {
        join(i, j, 1, 0, 200.0), join(i, j, 0, 1, 200.0);        // stretch
        join(i, j, 1, 1, 40.0), join(i, j, 1, -1, 40.0);         // shear
        join(i, j, 2, 0, 10.0), join(i, j, 0, 2, 10.0);          // bend
      }
    direction.resize(3 * springs.size());
  }

  static bool pinned(int node) { return node == 0 || node == SIDE - 1; }

  static void pin(double *a) {
    for (int node : {0, SIDE - 1}) a[3 * node] = a[3 * node + 1] = a[3 * node + 2] = 0.0;
  }

  // f = F_springs(x) + m g, and the directions that C(x) is made of. Returns the potential energy.
  double force(const double *x, double *f) {
    double energy = 0.0;
    for (int node = 0; node < SIDE * SIDE; node++) {
      f[3 * node] = f[3 * node + 1] = 0.0;
      f[3 * node + 2] = -MASS * GRAVITY;
      energy += MASS * GRAVITY * x[3 * node + 2];
    }
    for (std::size_t s = 0; s < springs.size(); s++) {
      const Spring &spring = springs[s];
      const double *a = x + 3 * spring.i, *b = x + 3 * spring.j;
      double *u = &direction[3 * s], d[3] = {b[0] - a[0], b[1] - a[1], b[2] - a[2]};
      const double length = std::sqrt(d[0] * d[0] + d[1] * d[1] + d[2] * d[2]), stretch = length - spring.length;
      energy += 0.5 * spring.stiffness * stretch * stretch;
      for (int c = 0; c < 3; c++) {
        u[c] = d[c] / length;
        f[3 * spring.i + c] += spring.stiffness * stretch * u[c];
        f[3 * spring.j + c] -= spring.stiffness * stretch * u[c];
      }
    }
    return energy;
  }

  // out += scale C(x) v. Returns v . C v, the power that damping takes.
  double damp(const double *v, double scale, double *out) const {
    double power = 0.0;
    for (std::size_t s = 0; s < springs.size(); s++) {
      const Spring &spring = springs[s];
      const double *u = &direction[3 * s], *a = v + 3 * spring.i, *b = v + 3 * spring.j;
      const double rate = u[0] * (b[0] - a[0]) + u[1] * (b[1] - a[1]) + u[2] * (b[2] - a[2]), f = spring.damping * rate;
      power += f * rate;
      for (int c = 0; c < 3; c++) {
        out[3 * spring.i + c] -= scale * f * u[c];
        out[3 * spring.j + c] += scale * f * u[c];
      }
    }
    return power;
  }

  // (M + scale C) a = b by conjugate gradients from the guess in a; b is in r. 0, or 1: a smaller step may help.
  int solve(double scale, double *a) {
    const std::size_t n = r.size();
    auto apply = [&](const double *v, double *out) {
      for (std::size_t i = 0; i < n; i++) out[i] = MASS * v[i];
      damp(v, scale, out);
      pin(out);
    };
    double norm = 0.0, rr = 0.0;
    for (double b : r) norm += b * b;
    pin(a);
    apply(a, Ap.data());
    for (std::size_t i = 0; i < n; i++) {
      r[i] -= Ap[i];
      p[i] = r[i];
      rr += r[i] * r[i];
    }
    for (int it = 0; it < 500; it++) {
      if (!(rr > 1e-26 * norm)) return rr <= 1e-26 * norm ? 0 : 1;
      double pAp = 0.0, next = 0.0;
      apply(p.data(), Ap.data());
      for (std::size_t i = 0; i < n; i++) pAp += p[i] * Ap[i];
      for (std::size_t i = 0; i < n; i++) {
        a[i] += rr / pAp * p[i];
        r[i] -= rr / pAp * Ap[i];
        next += r[i] * r[i];
      }
      for (std::size_t i = 0; i < n; i++) p[i] = r[i] + next / rr * p[i];
      rr = next;
      iterations++;
    }
    return 1;
  }
};

int solve_accel(double, double w, const double *xp, const double *vp, double bx, double bv, const double *q, double *a, ptrdiff_t n,
                void *ctx) {
  Cloth &cloth = *static_cast<Cloth *>(ctx);
  if (bx != 0.0) return -1;                  // another method: implicit in x, which this solver is not for
  cloth.solves++;
  cloth.force(xp, cloth.r.data());
  cloth.damp(vp, -1.0, cloth.r.data());
  for (ptrdiff_t i = 0; i < n; i++) cloth.r[i] = w * cloth.r[i] + (q != nullptr ? MASS * q[i] : 0.0);
  Cloth::pin(cloth.r.data());
  return cloth.solve(w * bv, a);
}

double kinetic(const double *v) {
  double sum = 0.0;
  for (int i = 0; i < 3 * SIDE * SIDE; i++) sum += 0.5 * MASS * v[i] * v[i];
  return sum;
}

// Lets the cloth fall for two seconds. Prints where its energy went; 0 where it is all there, 1 where not, or mflow's code.
int fall(const char *method, double choice, double damping, double dt) {
  Cloth cloth(damping);
  std::vector<double> x(3 * SIDE * SIDE), v(x.size()), f(x.size());
  for (int i = 0; i < SIDE; i++)
    for (int j = 0; j < SIDE; j++) x[3 * (i * SIDE + j)] = i * SPACING, x[3 * (i * SIDE + j) + 1] = j * SPACING;

  mf_problem problem = MF_INIT(mf_problem);
  problem.n = static_cast<ptrdiff_t>(x.size());
  problem.solve_accel = solve_accel;
  problem.ctx = &cloth;
  mf_run_options options = MF_INIT(mf_run_options);
  options.dt = dt;
  options.par = &choice;
  const double *start[3] = {x.data(), v.data(), nullptr};       // the acceleration is made by the first step
  int status = 0;
  mf_run *run = mflow->run_new(mflow->find(method), &problem, &options, start, &status);
  if (run == nullptr) return status;
  const double before = cloth.force(x.data(), f.data());
  double lost = 0.0, power = 0.0, t = 0.0;
  int64_t steps = 0;
  for (int frame = 1; status == 0 && frame <= 2000; frame++) {  // power that damping takes, by the trapezoidal rule
    status = mflow->run_advance(run, 0.001 * frame, 1000000);
    const double *const *y = mflow->run_y(run, &t, &steps);
    cloth.force(y[0], f.data());
    std::fill(f.begin(), f.end(), 0.0);
    const double now = cloth.damp(y[1], 0.0, f.data());
    lost += 0.5 * 0.001 * (power + now);
    power = now;
  }
  const double *const *y = mflow->run_y(run, &t, &steps);
  const double potential = cloth.force(y[0], f.data()), moving = kinetic(y[1]), missing = std::fabs(before - potential - moving - lost);
  std::printf("%-12s c = %-5g dt = %g: t = %g after %lld steps, %ld solves of %.1f iterations; energy %.3g = potential %.3g + kinetic %.3g "
              "+ %.3g that damping took, %.1g missing; %s\n", method, damping, dt, t, static_cast<long long>(steps), cloth.solves,
              static_cast<double>(cloth.iterations) / static_cast<double>(std::max(1L, cloth.solves)), before, potential, moving, lost,
              missing, status != 0 ? mflow->error_text(status) : missing < 0.01 * lost ? "balanced" : "blown up");
  mflow->run_free(run);
  return status != 0 ? status : missing < 0.01 * lost ? 0 : 1;
}

}  // namespace

int main() {
  Py_InitializeEx(0);
  if (mflow_import() < 0) {
    PyErr_Print();
    return 1;
  }
  PyThreadState *thread = PyEval_SaveThread();
  const double trapezoidal = 0.0, explicit_damping = 2.0;
  const int soft = fall("staggered", trapezoidal, 0.01, 1e-3);
  const int stiff = fall("staggered", trapezoidal, 5.0, 1e-3);              // damping far beyond what an explicit step bears:
  const int blown = fall("staggered", explicit_damping, 5.0, 1e-3);
  PyEval_RestoreThread(thread);
  Py_FinalizeEx();
  return !(soft == 0 && stiff == 0 && blown != 0);
}
