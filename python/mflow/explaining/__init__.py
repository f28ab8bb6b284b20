"""`mflow.explain`: safe steps, posedness and a recommended method for a problem of the user."""
