"""Problems to solve: compiled and symbolic functions, objectives, test problems, systems of first order."""
