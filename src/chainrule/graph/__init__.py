"""The language: nodes, graphs, walks over them, their text, and what makes them legal."""
