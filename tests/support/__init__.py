"""What tests share: oracles that share no code with the library, problems, hosts in C, baselines."""
