"""What came of quanta, told after the fact: states over several attempts, reports, and provenance graphs."""
