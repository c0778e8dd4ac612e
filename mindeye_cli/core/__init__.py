"""What every capability needs: outcomes, configuration, runs, atomic writes, keyed randomness.

Nothing here knows the command line, and nothing here is imported by `mindeye_store`.
"""
