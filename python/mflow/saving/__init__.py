"""Files that runs go on from: their form, and what is in them."""
