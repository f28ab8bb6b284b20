"""What moves and what pulls: matrices, supports and loads as the core takes them."""
