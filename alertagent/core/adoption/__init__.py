"""What a cluster ran before AlertAgent came: taken in from its sidecar, once, while the server has nothing for it."""
