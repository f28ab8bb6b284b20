"""The rule of a search, as Python gives it."""
from mflow_core.optimize.descents cimport rule_t

cdef int read_rule(rule_t *rule, int kind, dict given) except -1
