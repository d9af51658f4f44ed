"""Tests of chainrule; folders mirror the package."""
