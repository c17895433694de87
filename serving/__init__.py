"""Bundle to a served model: deployable repository, tritonserver process, client."""
