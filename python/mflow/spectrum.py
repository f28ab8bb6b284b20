EVERY, LEAST_STEPS = 25, 1
def safe_step(slope, y, method, symmetric=False): return 0.1
def upper_radius(slope, y, symmetric=False): return 1.0
