"""What a user would write instead of `lnlattennet serve`: web frameworks around the same bundle.

Each answers KServe's requests, so that the same perf_analyzer sends the same bytes to all of them. PyTriton
0.7.0 is not among them: its process for Python models loads the system's libpython, and that of 3.11.2 beside
the standard library of 3.11.7 binds no model.
"""
