"""Rule files: what Prometheus, vmalert and the Prometheus Operator read, and the rules that stand in them. Pure.

Reading and writing are lossless: what is written reads back as the same rules. Only the layout of a file is lost;
its comments go into the notes of the rules that they stand beside.
"""

from alertagent.core.rules.file_reader import PlacedRule, RuleFile, read_rules
from alertagent.core.rules.file_writer import Format, write_rules

__all__ = ["Format", "PlacedRule", "RuleFile", "read_rules", "write_rules"]
