"""The command line. Nothing heavy is imported before a command runs: `inforeg --help` answers at once."""
