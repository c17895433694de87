"""One HTML page of the records in a folder, made from them alone."""
