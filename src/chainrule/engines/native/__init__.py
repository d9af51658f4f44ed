"""The native engine: graphs compiled to machine code, whole epochs at a time.

Passes, each readable on its own: ``schedule`` -> ``fuse`` -> ``buffers`` -> loop code -> LLVM IR
-> object code.
"""
