"""HTTP and nothing else: read the request, call one verb, write the answer."""
