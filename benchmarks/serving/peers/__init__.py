"""What a user would write instead of `lnlattennet serve`: web frameworks and PyTriton around the same bundle.

Each answers KServe's requests, so that the same perf_analyzer sends the same bytes to all of them.
"""
