"""Problems to solve: compiled and symbolic functions, objectives, test problems, first-order systems."""
