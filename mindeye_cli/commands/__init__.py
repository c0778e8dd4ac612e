"""One file a command: it reads options, calls its capability and prints the outcome."""
