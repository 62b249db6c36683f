"""Who changed what, when and from where; rows are only ever added."""
