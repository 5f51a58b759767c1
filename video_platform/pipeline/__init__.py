"""Everything that speaks Dagster: partitions, assets, jobs, resources and how they are wired. What is computed lives in `analysis`."""
