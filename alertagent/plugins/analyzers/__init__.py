"""The analyzers that ship with AlertAgent, one file each."""
