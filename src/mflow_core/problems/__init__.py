"""Any callable as a problem for the kernels, and the signatures of compiled ones."""
