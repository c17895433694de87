"""Client of a served bundle over gRPC or HTTP."""
