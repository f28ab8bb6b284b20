"""How arrays lie in what a user passes: one array, a list, tuple or dict of arrays, or a list of groups, each of these.

The form of a group is None for one array, a number for a list or tuple of so many arrays, a list of keys for a dict.
"""


def gather(values, form, str argument):
    """The arrays of one group in the order of its form. Raises TypeError where they do not lie in that form."""
    if form is None:
        return [values]
    if isinstance(form, int):
        if not isinstance(values, (list, tuple)) or len(values) != form:
            given = f"{len(values)} arrays" if isinstance(values, (list, tuple)) else type(values).__name__
            raise TypeError(f"{argument}: expected a list of {form} arrays, as the parameters are, got {given}")
        return list(values)
    if not isinstance(values, dict) or set(values) != set(form):
        given = f"the keys {sorted(map(str, values))}" if isinstance(values, dict) else type(values).__name__
        raise TypeError(f"{argument}: expected a dict with the keys {form}, as the parameters are, got {given}")
    return [values[key] for key in form]


cdef class Arrangement:
    """The forms of all groups. With `grouped` the groups lie in a list, otherwise there is one, which is not in a list of its own."""

    def __init__(self, forms, bint grouped=False):
        self.forms, self.grouped = list(forms), grouped
        if not grouped and len(self.forms) != 1:
            raise ValueError(f"forms: expected one form where there are no groups, got {len(self.forms)}")

    cpdef list flatten(self, values):
        """Gradients in the order of the parameter arrays. Raises TypeError where they are not arranged as the parameters are."""
        if not self.grouped:
            form = self.forms[0]
            return values if isinstance(form, int) and type(values) is list else gather(values, form, "g")
        if not isinstance(values, (list, tuple)) or len(values) != len(self.forms):
            given = f"{len(values)} entries" if isinstance(values, (list, tuple)) else type(values).__name__
            raise TypeError(f"g: expected a list of {len(self.forms)} entries, the gradients of each group, got {given}")
        return [g for i, part in enumerate(values) for g in gather(part, self.forms[i], f"g[{i}]")]

    def groups(self, flat):
        """Arrays in the parameters' order, arranged group by group: a list, one entry a group."""
        arrays = iter(flat)
        out = []
        for form in self.forms:
            if form is None:
                out.append(next(arrays))
            elif isinstance(form, int):
                out.append([next(arrays) for _ in range(form)])
            else:
                out.append({key: next(arrays) for key in form})
        return out

    def arrange(self, flat):
        """Arrays in the parameters' order, arranged as the parameters are."""
        out = self.groups(flat)
        return out if self.grouped else out[0]

    @property
    def labels(self):
        """How the gradient of each array is named in messages: as the user would write it."""
        out = []
        for i, form in enumerate(self.forms):
            group = f"g[{i}]" if self.grouped else "g"
            out += [group] if form is None else [f"{group}[{key!r}]" for key in (range(form) if isinstance(form, int) else form)]
        return out

    @property
    def sizes(self):
        """How many arrays each group has."""
        return [1 if form is None else form if isinstance(form, int) else len(form) for form in self.forms]
