"""From graph to graph: simplify, differentiate, batch. Each is a table of rules and one walk."""
