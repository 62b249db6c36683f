"""Commands that ask a running server over HTTP and show what it says; they know nothing of it but its API.

A command is a function below `@with_server`, which brings it a `Client` and an `Output` and ends it: 0 fine, 1 the
server refused what was asked or something was found, 2 it could not be asked.
"""
