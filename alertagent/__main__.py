"""`python -m alertagent` is the `alertagent` command."""

from alertagent.cli import main

main()
