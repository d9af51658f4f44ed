"""The xla engine: the same graphs and programs on accelerators and on many machines, by JAX.

``table`` says what each operation is in JAX; ``function`` makes a JAX function of a graph;
``program`` makes an epoch one compiled call; ``devices`` says where arrays lie; ``cluster`` joins
processes. Derivatives are graph, made by chainrule: JAX differentiates nothing.
"""
