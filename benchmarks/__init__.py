"""Figures against the budgets of the design, as ratios inside one run: `python -m benchmarks` (or `make bench`) runs all and writes RESULTS.md."""
