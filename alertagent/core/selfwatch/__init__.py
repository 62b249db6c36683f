"""AlertAgent's alerts about its own work: sidecars that fell silent, configurations that do not arrive."""
