"""HTTP once for every feature: declared routes, parsing, errors, lists, conditional requests, OpenAPI."""
