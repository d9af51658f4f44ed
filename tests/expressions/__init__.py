"""Tests of chainrule.expressions."""
