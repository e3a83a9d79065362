"""Coverage-guided fuzzing of all that reads files from outside: ``make fuzz``, not installed."""
