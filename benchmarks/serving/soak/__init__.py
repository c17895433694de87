"""A long run of a served bundle under mixed load, whose answers and resources are watched."""
