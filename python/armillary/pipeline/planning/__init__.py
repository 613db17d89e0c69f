"""What a run will do and what stands in its way, found out before anything is written."""
