"""The curvature of a cost where a run stands, and the steps that it allows: measured, held against a method's limit, watched."""
