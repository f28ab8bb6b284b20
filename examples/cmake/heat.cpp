// heat.relax(u, dx, t_end, rtol): u_t = u_xx on a rod whose ends keep their temperature. The array is the caller's, changed in place; the
// whole integration runs without the GIL, under error control, by rkc2 with as many stages as the stiffness needs.
#include "mflow/mflow_python.h"

#include <cstddef>

namespace {

struct Rod { double per_dx2; };

int diffuse(double, const double *u, double *dudt, std::ptrdiff_t n, void *ctx) {
  const double k = static_cast<const Rod *>(ctx)->per_dx2;
  dudt[0] = dudt[n - 1] = 0.0;
  for (std::ptrdiff_t i = 1; i + 1 < n; i++) dudt[i] = k * (u[i - 1] - 2.0 * u[i] + u[i + 1]);
  return 0;
}

PyObject *relax(PyObject *, PyObject *args) {
  Py_buffer u;
  double dx, t_end, rtol;
  if (!PyArg_ParseTuple(args, "w*ddd", &u, &dx, &t_end, &rtol)) return nullptr;
  Rod rod{1.0 / (dx * dx)};
  mf_problem problem = MF_INIT(mf_problem);
  problem.n = u.len / static_cast<Py_ssize_t>(sizeof(double));
  problem.rhs = diffuse;
  problem.ctx = &rod;
  mf_run_options options = MF_INIT(mf_run_options);
  options.rtol = rtol;
  options.atol = rtol;
  double *y[1] = {static_cast<double *>(u.buf)};
  int status = MF_E_ARGUMENT;
  if (problem.n >= 3) {
    Py_BEGIN_ALLOW_THREADS
    status = mflow->integrate(mflow->find("rkc2"), &problem, &options, t_end, 1000000, y);
    Py_END_ALLOW_THREADS
  }
  PyBuffer_Release(&u);
  if (status != MF_OK) return PyErr_Format(PyExc_RuntimeError, "%s", mflow->error_text(status));
  Py_RETURN_NONE;
}

PyMethodDef methods[] = {{"relax", relax, METH_VARARGS, "relax(u, dx, t_end, rtol): heat flows in the array u."}, {nullptr, nullptr, 0, nullptr}};
PyModuleDef module = {PyModuleDef_HEAD_INIT, "heat", nullptr, -1, methods, nullptr, nullptr, nullptr, nullptr};

}  // namespace

PyMODINIT_FUNC PyInit_heat() {
  if (mflow_import() < 0) return nullptr;      // ImportError where mflow is missing, or older than its header here
  return PyModule_Create(&module);
}
