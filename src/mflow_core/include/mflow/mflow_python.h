/* mflow_python.h: how a host that holds the GIL reaches the table of mflow.h. Include it in one file; `mflow` is then the table. */
#ifndef MFLOW_PYTHON_H
#define MFLOW_PYTHON_H
#include <Python.h>
#include "mflow.h"
static const mf_api *mflow = NULL;
/* 0, or -1 with a Python exception set. The library must have our MF_ABI and at least our MF_API_VERSION. */
static inline int mflow_import(void) {
  const mf_api *api;
  PyObject *module = PyImport_ImportModule("mflow_core.api");      /* PyCapsule_Import would import mflow_core alone */
  if (module == NULL) return -1;
  Py_DECREF(module);                                               /* sys.modules keeps it */
  api = (const mf_api *)PyCapsule_Import("mflow_core.api._C_API", 0);
  if (api == NULL) return -1;
  if (api->abi != MF_ABI || api->version < MF_API_VERSION || api->size < sizeof(mf_api)) {
    PyErr_Format(PyExc_ImportError, "mflow: this code was built for ABI %d, API version %d; the installed mflow has ABI %d, API version %d. "
                 "Rebuild it, or install a newer mflow", MF_ABI, MF_API_VERSION, (int)api->abi, (int)api->version);
    return -1;
  }
  mflow = api;
  return 0;
}
#endif
